// Names that this bot gives: keys of items, and ids of messages that a person writes here. Derived, never random, so
// that an update that is handled twice does once what it does.
import type { Machine } from "../../store/store.ts";

export const cardId = {
  message: (id: string) => `message:${id}`,
  mission: (id: string, run: number) => `mission:${id}:${run}`,
  dispatch: (id: string) => `dispatch:${id}`,
  approval: (id: string) => `approval:${id}`,
  join: ({ id, created_at, fingerprint }: Machine) => `join:${id}:${fingerprint}:${created_at}`,
  answer: (update: number) => `answer:${update}`,
};

/** What the person wrote in a topic: it stands there already, only its state is shown. */
export const spokenId = (chat: number, message: number) => `tg-say-${Math.abs(chat)}-${message}`;
export const commandId = (chat: number, message: number) => `tg-cmd-${Math.abs(chat)}-${message}`;
/** To the dispatcher: its answer comes outside topics. */
export const dispatchId = (chat: number, message: number) => `tg-dispatch-${Math.abs(chat)}-${message}`;

export const isSpoken = (id: string) => id.startsWith("tg-say-");
export const isDispatched = (id: string) => id.startsWith("tg-dispatch-");

/** The mission whose result this message is. */
export const missionOfResponse = (id: string) => /^response-(m-\d{8}-[0-9a-f]{6})-\d+$/.exec(id)?.[1];

/** The Telegram message in which the person wrote what became this message. */
export function writtenMessage(id: string): number | undefined {
  const found = /^tg-[a-z]+-\d+-(\d+)$/.exec(id)?.[1];
  return found === undefined ? undefined : Number(found);
}
