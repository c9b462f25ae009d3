// What this machine knows by itself of what its agents wrote: whatever waits in its outbox is known to nobody else. So
// it answers for that without the hub, and says where the hub could not be asked. Anything else is the hub's to answer.
import { IntercomError } from "../protocol/errors.ts";
import type { HubOperation } from "../protocol/hub-api.ts";
import { threadIdFor } from "../protocol/ids.ts";
import { History, type HistoryMessage, type MessageStatus } from "../protocol/message.ts";
import type { MissionDetail, MissionHistory } from "../protocol/mission.ts";
import { missionOf, threadOf } from "./answers.ts";
import type { Link } from "./link.ts";
import type { Outbox, RouteEntry } from "./outbox.ts";

export type Fact = Extract<HubOperation, "thread" | "message" | "missions" | "mission" | "mission_history">;
/** What is asked; `session_id`: only what that session wrote is its own, without it all that this machine's sessions did. */
export type FactInput = { id?: string; limit?: unknown; session_id?: string };
export type OwnMailParts = {
  outbox: Pick<Outbox, "find" | "findCopy" | "routesWhere">;
  link: Pick<Link, "linked" | "state" | "reason" | "unlinkedSince">;
};

/** The hub's answer, or this machine's own where something waits here. Throws what `ask` throws where nothing does. */
export async function hubOrOutbox(
  parts: OwnMailParts,
  op: Fact,
  asked: FactInput,
  ask: () => Promise<unknown>,
): Promise<unknown> {
  switch (op) {
    case "message":
      return ownStatus(parts, asked) ?? ask();
    case "mission": {
      const own = ownMission(parts, asked);
      // of one that goes on, the hub knows most: what waits is its next run
      return own?.run === undefined ? ask() : own;
    }
    case "thread":
      return threadWithOwn(parts, asked, ask);
    case "mission_history":
      return courseOrOwn(parts, asked, ask);
    case "missions":
      return ask();
    default:
      return op satisfies never;
  }
}

/** Undefined: it does not wait here. */
function ownStatus(parts: OwnMailParts, { id = "", session_id }: FactInput): MessageStatus | undefined {
  const copyOf = parts.outbox.findCopy(id);
  const entry = parts.outbox.find(id) ?? copyOf;
  if (!entry || !isOf(entry, session_id)) return undefined;
  const reason = whereItWaits(parts.link);
  return {
    message_id: id,
    thread_id: threadOf(entry.input) ?? (copyOf ? threadIdFor(id) : ""),
    status: "queued",
    states: [{ state: "queued", at: entry.at, reason }],
    ...unasked(parts.link),
  };
}

/** A mission that waits to be asked for; `run` and what hangs on it only of one that is new. */
export function ownMission(
  parts: OwnMailParts,
  { id, session_id }: FactInput,
): (Partial<MissionDetail> & { status: "queued" }) | undefined {
  const [entry] = ownRoutes(parts, session_id, (input) => missionOf(input) === id);
  if (!entry || id === undefined) return undefined;
  const { input, at } = entry;
  const to = recipientOf(entry);
  const isNew = input.payload.mission?.continues === undefined;
  return {
    mission_id: id,
    status: "queued",
    thread_id: threadOf(input),
    from: input.from_agent,
    to,
    text: input.payload.message,
    ...(isNew ? { address: `${to}@${id}`, run: 1, output_length: 0 } : {}),
    output: "",
    feedback: [],
    requested_at: at,
    started_at: null,
    finished_at: null,
    turn_count: 0,
    reason: whereItWaits(parts.link),
    ...unasked(parts.link),
  };
}

/** What the hub has of the thread, and behind it what it has not got yet. */
async function threadWithOwn(
  parts: OwnMailParts,
  { id = "", limit = 50, session_id }: FactInput,
  ask: () => Promise<unknown>,
): Promise<unknown> {
  const waiting = ownRoutes(parts, session_id, (input) => threadOf(input) === id).map(inHistory);
  if (waiting.length === 0) return ask();
  const newest = (messages: HistoryMessage[]) => messages.slice(-Number(limit));
  try {
    const said = History.parse(await ask());
    const known = new Set(said.messages.map((one) => one.id));
    return { ...said, messages: newest([...said.messages, ...waiting.filter((one) => !known.has(one.id))]) };
  } catch (error) {
    const why = whyOwnAlone(error, "unknown_thread");
    return { thread_id: id, messages: newest(waiting), ...why } satisfies History;
  }
}

/** Of a mission that the hub has not been asked for yet: the asking. */
async function courseOrOwn(
  parts: OwnMailParts,
  { id = "", session_id }: FactInput,
  ask: () => Promise<unknown>,
): Promise<unknown> {
  const [entry] = ownRoutes(parts, session_id, ({ payload }) => payload.mission?.id === id);
  if (!entry) return ask();
  try {
    return await ask();
  } catch (error) {
    const why = whyOwnAlone(error, "unknown_mission");
    const asking = inHistory(entry);
    const { thread_id } = asking;
    return { mission_id: id, thread_id, messages: [asking], ...why } satisfies MissionHistory;
  }
}

/** Throws `error` unless it means that the hub cannot say anything, or does not know it yet. */
function whyOwnAlone(error: unknown, unknownYet: "unknown_thread" | "unknown_mission") {
  if (!(error instanceof IntercomError)) throw error;
  if (error.code === "hub_unreachable") return { hub_unreachable: remark(error.message) };
  if (error.code !== unknownYet) throw error;
  return {};
}

function ownRoutes(
  { outbox }: OwnMailParts,
  session: string | undefined,
  isMeant: (input: RouteEntry["input"]) => boolean,
): RouteEntry[] {
  return outbox.routesWhere((entry) => isOf(entry, session) && isMeant(entry.input));
}

function isOf(entry: RouteEntry, session: string | undefined): boolean {
  return session === undefined || entry.session_id === session;
}

function inHistory(entry: RouteEntry): HistoryMessage {
  const { from_agent, type, payload } = entry.input;
  const { message_id, message, priority } = payload;
  return {
    id: message_id,
    thread_id: threadOf(entry.input) ?? "",
    type,
    from_agent,
    to_agent: recipientOf(entry),
    message,
    timestamp: entry.at,
    ...(priority === "normal" ? {} : { priority }),
    status: "queued",
  };
}

/** Who the other end of a thread is, only the hub knows. */
function recipientOf({ input: { to_agent } }: RouteEntry): string {
  return [to_agent ?? "the other end of the thread"].flat().join(", ");
}

function whereItWaits({ linked, state, reason, unlinkedSince }: OwnMailParts["link"]): string {
  const place = "this machine's outbox";
  if (linked) return `${place}: it goes out to the hub in its turn`;
  if (state === "connecting") return `${place}: the hub is away since ${unlinkedSince}`;
  return `${place}: no link since ${unlinkedSince}: ${reason ?? state}`;
}

function unasked({ linked, state, reason }: OwnMailParts["link"]): { hub_unreachable?: string } {
  return linked ? {} : { hub_unreachable: remark(reason ?? state) };
}

function remark(why: string): string {
  return `the hub could not be asked (${why}); this is what this machine knows`;
}
