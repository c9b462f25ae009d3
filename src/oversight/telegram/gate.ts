// Where the bot is at home, and who may act there: chat and user are both on the list, the words the user's own.
import type { CallbackQuery, Message, User } from "grammy/types";
import type { Config } from "../../system/config.ts";

export class Gate {
  readonly #home: () => number;
  readonly #security: Config["telegram"]["security"];

  constructor(home: () => number, security: Config["telegram"]["security"]) {
    this.#home = home;
    this.#security = security;
  }

  /** Whoever writes in the name of a chat (an anonymous admin, a channel) is nobody on the list. */
  admits({ chat, from, sender_chat }: Message): boolean {
    return sender_chat === undefined && this.#knows(from) && this.#listens(chat, from);
  }

  admitsPress({ from, message }: CallbackQuery): boolean {
    return message !== undefined && this.#knows(from) && this.#listens(message.chat, from);
  }

  #knows(user: User | undefined): user is User {
    return user !== undefined && !user.is_bot && this.#security.allowed_users.includes(user.id);
  }

  #listens(chat: { id: number; type: string }, from: User | undefined): boolean {
    if (chat.id === this.#home()) return true;
    const { restrict_to_supergroup, ignore_private_messages } = this.#security;
    if (restrict_to_supergroup) return false;
    return chat.type !== "private" || (!ignore_private_messages && chat.id === from?.id);
  }
}

/** The supergroup; without one, and if private messages are heard, the first allowed user's own chat. */
export function homeChat({ supergroup_id, security }: Config["telegram"]): number | undefined {
  if (supergroup_id !== undefined) return supergroup_id;
  return security.ignore_private_messages ? undefined : security.allowed_users[0];
}

/** Forwarded, or sent through another bot: somebody else's words. */
export const isOwnWords = (message: Message): boolean =>
  message.forward_origin === undefined && message.via_bot === undefined;

/** Who a decision is recorded under. */
export const personName = ({ id, username }: User): string =>
  username === undefined ? `telegram ${id}` : `@${username} (telegram ${id})`;
