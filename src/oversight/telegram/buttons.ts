// A pressed button: its nonce names the card, and is used up with the effect.
import type { CallbackQuery } from "grammy/types";
import { IntercomError } from "../../protocol/errors.ts";
import type { TelegramItem } from "../../store/telegram-store.ts";
import { personName } from "./gate.ts";
import type { HubView } from "./hub-view.ts";
import type { Effect } from "./person.ts";
import { decidedBody, type Prompts } from "./prompts.ts";
import type { Words } from "./words.ts";

type Press = Pick<Effect, "touched" | "used" | "decided"> & { toast: string };

export async function press(
  { hub, words, prompts }: { hub: HubView; words: Words; prompts: Prompts },
  { data = "", from }: CallbackQuery,
): Promise<Press> {
  const [nonce = "", choice = "", ...more] = data.split(":");
  const item = more.length === 0 && nonce !== "" ? await hub.store.telegram.itemOfNonce(nonce) : undefined;
  if (item?.kind === "permission") return pressPrompt(words, prompts, item, choice, personName(from));
  const act = item && actOf(hub, item, choice, personName(from));
  if (!item || !act) return { toast: words.staleButton };
  try {
    await act();
    return { toast: words.done, used: nonce, touched: [item.ref] };
  } catch (error) {
    // somebody was faster, here or elsewhere: the card will say who
    if (error instanceof IntercomError && error.code === "conflict")
      return { toast: words.usedUp, used: nonce, touched: [item.ref] };
    throw error;
  }
}

/** The decision stands in the card itself: its machine asks for it. */
function pressPrompt(words: Words, prompts: Prompts, item: TelegramItem, choice: string, by: string): Press {
  if (item.nonce === null || (choice !== "allow" && choice !== "deny")) return { toast: words.staleButton };
  const status = !prompts.isAsked(item) ? "withdrawn" : choice === "allow" ? "allowed" : "denied";
  const decided = { nonce: item.nonce, body: decidedBody(item, { status, by }) };
  return { toast: status === "withdrawn" ? words.staleButton : words.done, decided };
}

/** undefined: this card has no such button. */
function actOf(
  hub: HubView,
  { kind, ref }: TelegramItem,
  choice: string,
  name: string,
): (() => Promise<unknown>) | undefined {
  switch (kind) {
    case "approval":
      if (choice === "deny") return () => hub.ask("approval_decide", { id: ref, decision: "deny" }, name);
      if (choice !== "once" && choice !== "mission" && choice !== "always") return undefined;
      return () => hub.ask("approval_decide", { id: ref, decision: "approve", scope: choice }, name);
    case "join":
      if (choice !== "approve" && choice !== "deny") return undefined;
      return () => hub.ask("machine_decide", { id: ref, decision: choice }, name);
    case "mission":
    case "dispatch":
      return choice === "cancel" ? () => hub.ask("mission_cancel", { id: ref }, name) : undefined;
    case "message":
    case "refused":
    case "permission":
    case "text":
      return undefined;
    default:
      return kind satisfies never;
  }
}
