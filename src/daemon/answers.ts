// What a message of each kind is answered: by the hub, or here when it waits on this machine's disk; and what its
// sender is told when the hub refuses it later.
import type { RouteInput } from "../protocol/hub-api.ts";
import { threadIdFor } from "../protocol/ids.ts";
import { ChatAnswer } from "../protocol/message.ts";
import { MissionAnswer } from "../protocol/mission.ts";
import { copiesAhead, SendAnswer, type Sent, sendAnswer } from "../protocol/send.ts";

export type AnswerKind<A> = {
  read(answer: unknown): A;
  /** it is fsynced here and goes out by itself */
  queued(input: RouteInput, reason: string): A;
};

const outHint = "it is safe on this machine's disk and goes out by itself";

export const chatAnswers: AnswerKind<ChatAnswer> = {
  read: (answer) => ChatAnswer.parse(answer),
  queued: (input, reason) => ({
    status: "queued",
    thread_id: threadOf(input),
    message_id: input.payload.message_id,
    reason,
    hint: outHint,
  }),
};

/** `refused`: those of the recipients that this machine could not even read. */
export const sendAnswers = (refused: Sent[]): AnswerKind<SendAnswer> => ({
  read: (answer) => {
    const said = SendAnswer.parse(answer);
    const recipients = [...said.recipients, ...refused];
    // a hub from before calls it an error when one of many failed
    return said.recipients.length > 0 ? sendAnswer(recipients) : { ...said, recipients };
  },
  queued: (input, reason) => {
    const copies = copiesOf(input);
    const open = copies.filter(({ id }) => id === undefined).map(({ to }) => to);
    const waiting = copies.map(({ to, id }): Sent => {
      const ids = id === undefined ? {} : { message_id: id, thread_id: threadIdFor(id) };
      return { to, status: "queued", ...ids, reason };
    });
    const decides = `the hub decides whom ${open.join(", ")} means: no message_id is known for that yet`;
    return sendAnswer([...waiting, ...refused], open.length > 0 ? `${outHint}; ${decides}` : outHint);
  },
});

/** One for each that a `send` names. */
export function copiesOf({ type, to_agent, payload }: RouteInput): { to: string; id?: string }[] {
  return type === "send" ? copiesAhead(payload.message_id, [to_agent ?? []].flat()) : [];
}

export const missionAnswers: AnswerKind<MissionAnswer> = {
  read: (answer) => MissionAnswer.parse(answer),
  queued: (input, reason) => ({
    status: "queued",
    mission_id: missionOf(input),
    thread_id: threadOf(input),
    reason,
    hint: "it is safe on this machine's disk and is asked for as soon as the hub is there; do not poll",
  }),
};

export function threadOf({ payload: { thread_id, new_thread_id } }: RouteInput): string | undefined {
  return thread_id ?? new_thread_id;
}

export function missionOf({ payload: { mission } }: RouteInput): string | undefined {
  return mission?.continues ?? mission?.id;
}

/** `message msg-… to limn/mnemos`, `mission m-… in limn/mnemos` */
function nameOf(input: RouteInput): string {
  const to = [input.to_agent ?? "the thread"].flat().join(", ");
  const mission = missionOf(input);
  return mission ? `mission ${mission} in ${to}` : `message ${input.payload.message_id} to ${to}`;
}

/** What the sender of a message that had waited here must hear of the hub's answer; undefined: nothing new. */
export function newsOf(input: RouteInput, answer: unknown): string | undefined {
  switch (input.type) {
    case "ask":
    case "start_agent":
      return missionNews(input, MissionAnswer.parse(answer));
    case "send":
      return sendNews(input, SendAnswer.parse(answer));
    default: {
      const { status, reason, error } = ChatAnswer.parse(answer);
      const lost = status === "no_active_session" || status === "ambiguous" || status === "error";
      return lost ? refusalText(input, reason ?? error ?? status) : undefined;
    }
  }
}

export function refusalText(input: RouteInput, why: string): string {
  return `Your ${nameOf(input)} was not ${missionOf(input) ? "started" : "delivered"}: ${why}`;
}

function missionNews(input: RouteInput, { status, mission_id, reason, error }: MissionAnswer) {
  const refused = status === "denied" || status === "launch_failed" || status === "error";
  // once the hub has the mission, its end comes as a response
  if (mission_id === undefined) return refused ? refusalText(input, error ?? reason ?? status) : undefined;
  const told = missionOf(input);
  if (mission_id === told) return undefined;
  return `Your mission has the id ${mission_id} now (${status}); ${told} was taken.`;
}

function sendNews(input: RouteInput, { recipients, status, error }: SendAnswer): string | undefined {
  const lost = recipients.filter((one) => one.status === "error");
  const why = lost.map(({ to, reason }) => `${to}: ${reason ?? "refused"}`).join("; ");
  if (lost.length > 0 && lost.length < recipients.length)
    return `Your message ${input.payload.message_id} was not delivered to all: ${why}. The others have it or will get it: if you send again, then to these only.`;
  if (lost.length > 0) return refusalText(input, why);
  return status === "error" ? refusalText(input, error ?? "refused") : undefined;
}
