// What an item looks like now: read from the store each time, so that an edit shows what is true when it is made.
import type { Approval } from "../../protocol/mission.ts";
import type { Delivery, StoredMessage } from "../../store/store.ts";
import type { TelegramItem } from "../../store/telegram-store.ts";
import type { HubView } from "./hub-view.ts";
import { stateLine } from "./listings.ts";
import { type Block, bold, code, lines, plain, pre, quote } from "./markup.ts";
import { missionBlocks, word } from "./mission-card.ts";
import { cardId, isSpoken } from "./names.ts";
import { bodyOf } from "./prompts.ts";
import { refusedOf } from "./refused.ts";
import type { Words } from "./words.ts";

type Button = { label: string; choice: string };
export type Card = {
  blocks: Block[];
  /** one row; shown under the last part, until one was pressed */
  buttons: Button[];
  /** it makes no sound */
  quiet: boolean;
  /** it may share a post with its neighbours */
  sociable: boolean;
};

/** What a `text` item carries. */
export type TextBody = { blocks: Block[]; quiet: boolean };

export class Cards {
  readonly #hub: HubView;
  readonly #words: Words;

  constructor(hub: HubView, words: Words) {
    this.#hub = hub;
    this.#words = words;
  }

  /** undefined: there is nothing to show any more; what stands there stays. */
  async card(item: TelegramItem): Promise<Card | undefined> {
    switch (item.kind) {
      case "message":
        return this.#message(item);
      case "refused":
        // a retry of it may have found somebody
        return (await this.#message(item)) ?? refusedCard(this.#words, item);
      case "mission":
      case "dispatch":
        return this.#mission(item);
      case "approval":
        return this.#approval(item);
      case "join":
        return this.#join(item);
      case "permission":
        return promptCard(this.#words, item);
      case "text":
        return textCard(item);
      default:
        return item.kind satisfies never;
    }
  }

  /** At most 128 characters, as Telegram allows. */
  async topicName(item: TelegramItem): Promise<string> {
    const { place } = item;
    const { store } = this.#hub;
    const opening = await store.telegram.opening(place);
    const first = opening === undefined ? undefined : await store.message(opening);
    const ends = first ?? (item.kind === "refused" ? refusedOf(item) : undefined);
    if (!ends) return place;
    const mission = first && (await store.missionOfMessage(first.id));
    const from = ends.from_agent.replace(/@.*/, "");
    const to = ends.to_agent.replace(/@[^,]*/g, "");
    const [icon, id] = mission ? ["🎯", mission.mission_id] : ["💬", place];
    return `${icon} ${`${from} → ${to}`.slice(0, 128 - id.length - 6)} · ${id}`;
  }

  async #message(item: TelegramItem): Promise<Card | undefined> {
    const message = await this.#hub.store.message(item.ref);
    if (!message) return undefined;
    const states = message.type === "status" ? undefined : this.#states(message);
    const toPerson = message.deliveries.some(({ address }) => address === "human");
    const spoken = isSpoken(message.id);
    return {
      blocks: spoken ? (states ?? []) : lines(...this.#said(item, message), states),
      buttons: [],
      quiet: !toPerson,
      sociable: !spoken,
    };
  }

  #said(item: TelegramItem, message: StoredMessage): Block[][] {
    const { type } = message;
    const label = type === "chat" && item.body === "reply" ? this.#words.reply : this.#words.message[type];
    return saidLines(label, { ...message, message: this.#textOf(message) });
  }

  /** What the hub itself says stands in its messages' first paragraph; an agent's answer follows it. */
  #textOf({ type, message }: StoredMessage): string {
    if (type !== "response" && type !== "status") return message;
    const end = message.indexOf("\n\n");
    const head = end < 0 ? message : message.slice(0, end);
    return `${this.#words.said(head)}${message.slice(head.length)}`;
  }

  #states({ deliveries, type }: StoredMessage): Block[] | undefined {
    const shown = deliveries.filter(({ address }) => address !== "human");
    if (shown.length === 0 || type === "ask" || type === "start_agent") return undefined;
    const several = shown.length > 1;
    return lines(
      ...shown.map((copy) =>
        plain(
          `${this.#words.session}${several ? ` ${copy.address}` : ""}${this.#words.colon} ${this.#state(copy)}`,
        ),
      ),
    );
  }

  #state(copy: Delivery): string {
    const { noSession, heldHint, colon } = this.#words;
    if (copy.state === "queued" && copy.session_id === null) return noSession;
    return `${stateLine(this.#words, copy)}${copy.state === "held" ? `${colon} ${heldHint}` : ""}`;
  }

  async #mission(item: TelegramItem): Promise<Card | undefined> {
    const mission = await this.#hub.store.mission(item.ref);
    // the dispatcher's missions have one run; their body holds what the person wrote
    const run = item.kind === "dispatch" ? 1 : Number(item.body);
    if (!mission || mission.run !== run) return undefined;
    const isFinal = !["pending_approval", "queued", "running"].includes(mission.status);
    const entries = await this.#hub.store.missionEntries(item.ref, 8);
    return {
      blocks: missionBlocks(this.#words, mission, entries),
      buttons: isFinal || mission.cancel_requested ? [] : [{ label: this.#words.cancel, choice: "cancel" }],
      quiet: true,
      sociable: false,
    };
  }

  async #approval(item: TelegramItem): Promise<Card | undefined> {
    const approval = await this.#hub.store.approval(item.ref);
    if (!approval) return undefined;
    const w = this.#words;
    return {
      blocks: approvalBlocks(w, approval),
      buttons:
        approval.status === "pending"
          ? [
              { label: w.once, choice: "once" },
              { label: w.thisMission, choice: "mission" },
              { label: w.always, choice: "always" },
              { label: w.deny, choice: "deny" },
            ]
          : [],
      quiet: false,
      sociable: false,
    };
  }

  async #join(item: TelegramItem): Promise<Card | undefined> {
    const machine = await this.#hub.store.machine(item.ref);
    // another request of the same name has a card of its own
    if (!machine || !item.key.startsWith(cardId.join(machine))) return undefined;
    const w = this.#words;
    return {
      blocks: lines(
        bold(w.join),
        [code(machine.id), plain(machine.display_name ? ` · ${machine.display_name}` : "")],
        machine.description === "" ? undefined : plain(machine.description),
        [plain(`${w.fingerprint}${w.colon} `), code(machine.fingerprint)],
        plain(machine.status === "pending" ? w.compare : w.machineStates[machine.status]),
      ),
      buttons:
        machine.status === "pending"
          ? [
              { label: w.approve, choice: "approve" },
              { label: w.deny, choice: "deny" },
            ]
          : [],
      quiet: false,
      sociable: false,
    };
  }
}

function saidLines(
  label: string,
  said: Pick<StoredMessage, "thread_id" | "from_agent" | "to_agent" | "message">,
): Block[][] {
  return [
    [bold(label), plain(` [${said.thread_id}]`)],
    [plain(`${said.from_agent} → ${said.to_agent}`)],
    [plain(said.message)],
  ];
}

function refusedCard(w: Words, item: TelegramItem): Card {
  const said = saidLines(w.message.chat, { ...refusedOf(item), thread_id: item.place });
  return {
    blocks: lines(...said, plain(`${w.session}${w.colon} ${w.noSession}`)),
    buttons: [],
    quiet: true,
    sociable: true,
  };
}

function promptCard(w: Words, item: TelegramItem): Card {
  const { address, tool, text, status, by = "?" } = bodyOf(item);
  return {
    blocks: lines(
      [bold(w.prompt), plain(` ${address}`)],
      plain(tool),
      text === "" ? undefined : pre(text),
      status === "pending" ? undefined : plain(w.promptStates[status](by)),
    ),
    buttons:
      status === "pending"
        ? [
            { label: w.allow, choice: "allow" },
            { label: w.deny, choice: "deny" },
          ]
        : [],
    quiet: false,
    sociable: false,
  };
}

function textCard({ body }: TelegramItem): Card {
  // Written by this program, in this shape.
  const { blocks, quiet } = JSON.parse(body ?? '{"blocks":[],"quiet":true}') as TextBody;
  return { blocks, quiet, buttons: [], sociable: quiet };
}

/** The task whole, and exactly what would run. */
function approvalBlocks(w: Words, approval: Approval): Block[] {
  const { id, type, from, to, text, plan, label, expires_at, mission_id } = approval;
  const { context, files, agent_command, timeout } = approval;
  return lines(
    [bold(w.approval), plain(` ${id} · ${mission_id}`)],
    plain(`${w.message[type]}${w.colon} ${from} → ${to}`),
    plain(`${w.task}${w.colon}`),
    quote(text),
    ...context.flatMap(({ from_agent, message }, at) => [
      ...(at === 0 ? [plain(`${w.handedOver}${w.colon}`)] : []),
      plain(`${from_agent}${w.colon}`),
      quote(message),
    ]),
    files.length === 0 ? undefined : [plain(`${w.files}${w.colon} `), code(files.map(word).join(" "))],
    agent_command === "" ? undefined : [plain(`${w.agent}${w.colon} `), code(agent_command)],
    timeout === undefined ? undefined : plain(`${w.timeLimit}${w.colon} ${timeout} s`),
    [plain(`${w.directory}${w.colon} `), code(plan.directory)],
    [plain(`${w.command}${w.colon} `), code(plan.argv.map(word).join(" "))],
    [plain(`${w.permission}${w.colon} `), code(plan.permission)],
    label === undefined ? undefined : plain(`${w.rule}${w.colon} ${label}`),
    plain(
      approval.status === "pending"
        ? `${w.until} ${expires_at.slice(0, 16).replace("T", " ")} UTC`
        : w.decided[approval.status](approval.decided_by ?? "?"),
    ),
  );
}
