// What Claude Code writes into its transcript (facts, section 8), and what a model reads of ours.
import { appendFileSync } from "node:fs";
import { tools } from "../../src/protocol/tools.ts";
import type { Read } from "./book.ts";

type Block = Omit<Read, "session" | "by">;

export class Transcript {
  /** the line that the next prompt stands behind */
  #tip: string = crypto.randomUUID();

  constructor(
    readonly path: string,
    private readonly now: () => number = Date.now,
  ) {}

  /** A prompt of the person. Returns what it stands behind: a taken-back prompt is followed by one there. */
  prompt(text: string, follows: string = this.#tip): string {
    this.#line("user", follows, { message: { role: "user", content: text } });
    return follows;
  }

  hookContext(event: string, text: string): void {
    this.#line("attachment", this.#tip, {
      attachment: { type: "hook_additional_context", content: [text], hookEvent: event },
    });
  }

  /** Lines that quote hook output without any model having read it. */
  noise(event: string, text: string): void {
    this.#line("attachment", this.#tip, {
      attachment: { type: "hook_success", hookEvent: "PostToolUse", stdout: text, content: text },
    });
    this.#append({ type: "queue-operation", operation: "enqueue", content: text, event });
  }

  toolResult(text: string): void {
    this.#line("user", this.#tip, {
      toolUseResult: text,
      message: {
        role: "user",
        content: [{ type: "tool_result", tool_use_id: "toolu_1", content: [{ type: "text", text }] }],
      },
    });
  }

  answer(): void {
    this.#line("assistant", this.#tip, {
      message: {
        id: `msg_${crypto.randomUUID()}`,
        role: "assistant",
        model: "fake",
        content: [{ type: "text", text: "ok" }],
      },
    });
  }

  #line(type: string, parentUuid: string, more: object): void {
    const uuid = crypto.randomUUID();
    this.#append({
      type,
      uuid,
      parentUuid,
      isSidechain: false,
      timestamp: new Date(this.now()).toISOString(),
      ...more,
    });
    this.#tip = uuid;
  }

  #append(line: object): void {
    appendFileSync(this.path, `${JSON.stringify(line)}\n`);
  }
}

/** The blocks that a hook's text brings; what quotes no delivery (an introduction) brings none. */
export function readFrame(text: string): Block[] {
  const blocks: Block[] = [];
  let current: Block | undefined;
  for (const line of text.split("\n")) {
    const header = /^\[ai-intercom ([0-9a-f]{32})\] (.*)$/.exec(line);
    if (header) {
      current = headerOf(header[1] ?? "", header[2] ?? "");
      blocks.push(current);
    } else if (current && line.startsWith("| "))
      current.text += `${current.text === "" ? "" : "\n"}${line.slice(2)}`;
    else current = undefined;
  }
  return blocks;
}

function headerOf(nonce: string, fields: string): Block {
  const find = (pattern: RegExp) => pattern.exec(fields)?.[1];
  return {
    nonce,
    id: find(/\bmessage ([\w-]+)/) ?? "",
    thread: find(/\bthread (t-[\w-]+)/) ?? "",
    from: find(/^from (\S+?),/) ?? "hub",
    part: Number(find(/\bpart (\d+) of/) ?? 1),
    of: Number(find(/\bpart \d+ of (\d+)/) ?? 1),
    text: "",
  };
}

/** The same of an answer of `intercom_check_inbox`. */
export function readToolAnswer(result: unknown): Block[] {
  const { messages, delivery = "" } = tools.intercom_check_inbox.output.parse(result);
  return messages.map(({ id, thread_id, from_agent, message }) => {
    const [prefix = "", k = "1", n = "1"] = /^\[part (\d+)\/(\d+)\] /.exec(message) ?? [];
    return {
      nonce: delivery,
      id,
      thread: thread_id,
      from: from_agent,
      part: Number(k),
      of: Number(n),
      text: message.slice(prefix.length),
    };
  });
}
