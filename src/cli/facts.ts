// What is: the agents that can be reached, this machine's state, and where one message is.

import { IntercomError } from "../protocol/errors.ts";
import { MessageId } from "../protocol/ids.ts";
import { DaemonHealth } from "../protocol/local-api.ts";
import { MessageStatus } from "../protocol/message.ts";
import { MissionId } from "../protocol/mission.ts";
import { AgentFilter, AgentList, type ListedAgent } from "../protocol/session.ts";
import { askDaemon, askFacts } from "./access.ts";
import { command, json } from "./command.ts";
import { showMission } from "./missions.ts";
import { duration, oneLine, print, printJson, printUnasked, table } from "./output.ts";

export const agents = command({
  name: "agents",
  description: "list the projects and the agents that run in them",
  args: {
    filter: { type: "string", default: "all", description: "all, online or machine:ID", valueHint: "FILTER" },
    json,
  },
  choices: { filter: ["all", "online"] },
  examples: [
    "ai-intercom agents",
    "ai-intercom agents --filter online",
    "ai-intercom agents --filter machine:limn --json",
  ],
  run: async (args) => {
    const filter = AgentFilter.safeParse(args.filter);
    if (!filter.success)
      throw new IntercomError("bad_usage", `--filter cannot be "${args.filter}"`, {
        hint: "all, online, or machine:ID",
      });
    const { agents } = AgentList.parse(await askFacts("agents", { filter: args.filter }));
    if (args.json) return printJson({ agents });
    if (agents.length === 0)
      return print("no agents yet; start one: ai-intercom install claude, then run claude in a project");
    const rows = agents.flatMap((agent) => {
      const address = `${agent.machine_id}/${agent.project_id}`;
      if (agent.sessions.length === 0)
        return [
          [
            address,
            agent.machine_status === "online" ? "no session" : awayOf(agent),
            "",
            "",
            oneLine(agent.description, 60),
          ],
        ];
      return agent.sessions.map((one) => [
        one.session_id === agent.session?.session_id ? address : `${address}@${one.session_id}`,
        // what the session did when its machine was last heard of is no news of it
        agent.machine_status === "online" ? one.status : awayOf(agent),
        duration(one.uptime),
        String(one.inbox_pending),
        oneLine(one.summary || (one.mission_id ? `mission ${one.mission_id}` : agent.description), 60),
      ]);
    });
    print(table(["address", "status", "up", "unread", "about"], rows));
  },
});

/** `machine offline: its clock is 7 min ahead` */
function awayOf({ machine_reason }: ListedAgent): string {
  return machine_reason === undefined ? "machine offline" : `machine offline: ${machine_reason}`;
}

export const status = command({
  name: "status",
  description: "this machine's daemon and link, or how one message or mission stands",
  args: {
    id: { type: "positional", required: false, description: "a message or a mission" },
    json,
  },
  examples: [
    "ai-intercom status",
    "ai-intercom status msg-0123456789abcdef01234567",
    "ai-intercom status m-20261122-1a2b3c",
  ],
  run: async (args) => {
    if (MissionId.safeParse(args.id).success) return showMission(args.id ?? "", args.json);
    if (args.id !== undefined) return messageStatus(args.id, args.json);
    const health = DaemonHealth.parse(await askDaemon("/health"));
    if (args.json) return printJson(health);
    print(
      table(
        ["what", "state"],
        [
          ["machine", health.machine_id],
          ["fingerprint", health.fingerprint],
          ["daemon", `running, version ${health.version}, pid ${health.pid}`],
          ["hub", health.hub_url],
          ["link", health.link_reason ? `${health.link}: ${health.link_reason}` : health.link],
          ["sessions", String(health.sessions)],
          ["outbox", `${health.outbox} waiting for the hub`],
        ],
      ),
    );
  },
});

async function messageStatus(given: string, asJson: boolean): Promise<void> {
  const { success, data: id } = MessageId.safeParse(given);
  if (!success)
    throw new IntercomError("bad_usage", `"${given}" is neither a message's id nor a mission's`, {
      hint: "they look like msg-0123456789abcdef01234567 and m-20261122-1a2b3c",
    });
  const answer = MessageStatus.parse(await askFacts("message", { id }));
  if (asJson) return printJson(answer);
  print(`${answer.message_id} in ${answer.thread_id}: ${answer.status}`);
  print(
    table(
      ["state", "at", "to", "reason"],
      answer.states.map(({ state, at, to, reason }) => [state, at, to ?? "", reason ?? ""]),
    ),
  );
  printUnasked(answer);
}
