// Answers to commands that list something.
import type { ChatAnswer } from "../../protocol/message.ts";
import type { Grant, ListedMission, MissionDetail } from "../../protocol/mission.ts";
import type { ListedAgent, ListedMachine } from "../../protocol/session.ts";
import type { Delivery } from "../../store/store.ts";
import { type Block, bold, code, lines, plain } from "./markup.ts";
import { clip, oneLine, stepLine, word } from "./mission-card.ts";
import type { Words } from "./words.ts";

const textLimit = 160;

export function agentLines(w: Words, agents: readonly ListedAgent[]): Block[] {
  return lines(
    ...agents.map(
      ({ machine_id, project_id, machine_status, machine_reason, sessions, description }): Block[] => {
        const name = `${machine_id}/${project_id}`;
        const open = sessions.map(({ session_id, agent, status, summary, inbox_pending }) => {
          const facts = [
            agent,
            w.said(status),
            ...(inbox_pending > 0 ? [w.unread(inbox_pending)] : []),
            oneLine(summary),
          ];
          return plain(`   @${session_id} · ${facts.filter((fact) => fact !== "").join(" · ")}`);
        });
        const none = plain(`   ${w.noOpenSession}`);
        const isOnline = machine_status === "online";
        // the sign is of somebody who can be reached now, not of the machine alone
        const sign = isOnline && open.length > 0 ? "🟢 " : "⚪ ";
        const away = isOnline ? "" : ` · ${w.offline1}${because(w, machine_reason)}`;
        return lines(
          [plain(sign), bold(name), plain(`${away}${about(description)}`)],
          ...(open.length === 0 ? [none] : open),
        );
      },
    ),
  );
}

export function machineLines(w: Words, machines: readonly ListedMachine[]): Block[] {
  const states = {
    online: `🟢 ${w.online1}`,
    offline: `⚪ ${w.offline1}`,
    pending: `🔐 ${w.pending1}`,
    denied: `⛔ ${w.denied1}`,
    revoked: `⛔ ${w.revoked1}`,
  };
  return lines(
    ...machines.map(({ id, status, reason, display_name, fingerprint }): Block[] => [
      bold(id),
      plain(`${about(display_name)} · ${states[status]}${because(w, reason)} · `),
      code(fingerprint),
    ]),
  );
}

export function missionLines(w: Words, missions: readonly ListedMission[]): Block[] {
  return lines(
    ...missions.map(({ mission_id, status, from, to, text }): Block[] => [
      code(mission_id),
      plain(` ${w.missionStates[status]}\n   ${from} → ${to}${w.colon} ${clip(oneLine(text), textLimit)}`),
    ]),
  );
}

export function missionDetailLines(w: Words, mission: MissionDetail): Block[] {
  const { mission_id, status, from, to, text, reason, output, output_next, feedback } = mission;
  return lines(
    [bold(w.mission), plain(` ${mission_id} · ${w.missionStates[status]}`)],
    plain(`${from} → ${to}`),
    plain(text),
    reason === undefined ? undefined : plain(w.said(reason)),
    ...feedback.map((step) => plain(stepLine(w, step))),
    output === "" ? undefined : plain(output),
    output_next === undefined ? undefined : plain(`… ai-intercom missions show ${mission_id}`),
  );
}

export function grantLines(w: Words, grants: readonly Grant[]): Block[] {
  if (grants.length === 0) return lines(plain(w.policy), plain(w.noGrants));
  return lines(
    plain(w.policy),
    bold(`${w.grants}${w.colon}`),
    ...grants.map(({ id, scope, from, to, type, created_by, command, permission }): Block[] => [
      code(id),
      plain(` ${w.scopes[scope]}${w.colon} ${from} → ${to} (${w.message[type]}), ${created_by}${w.colon} `),
      code(command.map(word).join(" ")),
      plain(` (${permission})`),
    ]),
    plain(w.revokeHint),
  );
}

/** How a copy stands, and why it does not stand better. */
export function stateLine(w: Words, { state, reason }: Pick<Delivery, "state" | "reason">): string {
  const because = reason && state !== "delivered" && state !== "seen" ? ` (${w.said(reason)})` : "";
  return `${w.states[state]}${because}`;
}

/** What became of a `/chat`, whose copy is `copy` now; what follows is shown with the message itself. */
export function answerLines(w: Words, answer: ChatAnswer, copy?: Delivery): Block[] {
  const { status, thread_id, to, reason, error, hint, sessions } = answer;
  const why = [error ?? reason, hint]
    .filter((text) => text !== undefined)
    .map(w.said)
    .join("\n");
  switch (status) {
    case "delivered":
    case "queued":
    case "held":
      return lines(
        plain(`📨 → ${to ?? ""} [${thread_id ?? ""}]`),
        copy?.state === "queued" || copy?.state === "held"
          ? plain(`${stateLine(w, copy)}${hint === undefined ? "" : `${w.colon} ${w.said(hint)}`}`)
          : undefined,
      );
    case "no_active_session":
      return [plain(`${w.noSession}\n${why}`)];
    case "ambiguous":
      return lines(
        plain(`⚠️ ${why}`),
        ...(sessions ?? []).map(({ address, agent, status, summary }): Block[] => [
          code(address),
          plain(` ${agent} · ${w.said(status)}${about(oneLine(summary))}`),
        ]),
      );
    case "error":
      return [plain(`⚠️ ${why}`)];
    default:
      return status satisfies never;
  }
}

const because = (w: Words, reason: string | undefined): string =>
  reason === undefined ? "" : `${w.colon} ${w.said(reason)}`;
const about = (text: string): string => (text === "" ? "" : ` · ${clip(oneLine(text), textLimit)}`);
