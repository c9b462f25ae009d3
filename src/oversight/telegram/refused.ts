// A chat that the hub refused, because nobody is open there: it is no message of the store, so its item holds it. Key and
// place are those of the message it would be: said again it is not shown again, and a retry that finds somebody becomes
// the same post.
import type { RefusedChat } from "../../protocol/message.ts";
import type { NewTelegramItem, TelegramItem } from "../../store/telegram-store.ts";
import { cardId } from "./names.ts";

type Body = Pick<RefusedChat, "from_agent" | "to_agent" | "message">;

export function refusedItem({ id, thread_id, ...said }: RefusedChat): NewTelegramItem {
  const body: Body = said;
  return { key: cardId.message(id), place: thread_id, kind: "refused", ref: id, body: JSON.stringify(body) };
}

/** Written by this file, in this shape. */
export const refusedOf = ({ body }: TelegramItem): Body => JSON.parse(body ?? "{}") as Body;
