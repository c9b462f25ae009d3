// One streamed answer of the fake model: the server-sent events in the order the real API uses.

import type { Step } from "./fake-script";

/** How often a held answer says that it is still alive, in milliseconds. */
const pingMs = 1_000;

export type Answer = { messageId: string; model: string; steps: readonly Step[] };
/** Blocks until the test lets an answer go on; it must also settle when `signal` aborts. */
export type Hold = (gate: string, signal: AbortSignal) => Promise<void>;

/** Streams `answer`, step by step; a step that holds keeps the connection alive with pings. */
export function streamAnswer(answer: Answer, hold: Hold, signal: AbortSignal): Response {
  const encoder = new TextEncoder();
  // a client that goes away may end the stream before its request counts as aborted
  let gone = false;
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      const send = (type: string, data: Record<string, unknown> = {}) => {
        if (signal.aborted || gone) return;
        controller.enqueue(encoder.encode(`event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`));
      };
      const ping = setInterval(() => send("ping"), pingMs);
      try {
        await play(answer, send, hold, signal);
      } finally {
        clearInterval(ping);
        if (!signal.aborted && !gone) controller.close();
      }
    },
    cancel() {
      gone = true;
    },
  });
  return new Response(body, {
    headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
  });
}

type Send = (type: string, data?: Record<string, unknown>) => void;

async function play(
  { messageId, model, steps }: Answer,
  send: Send,
  hold: Hold,
  signal: AbortSignal,
): Promise<void> {
  send("message_start", { message: { ...emptyMessage(messageId, model), usage: usage(100, 1) } });
  let index = 0;
  for (const step of steps) {
    if (signal.aborted) return;
    if ("gate" in step) await hold(step.gate, signal);
    else if ("sleep" in step) await pause(step.sleep, signal);
    else {
      sendBlock(send, index, block(step, messageId, index));
      index += 1;
    }
  }
  send("message_delta", {
    delta: { stop_reason: stopReason(steps), stop_sequence: null },
    usage: { output_tokens: 10 },
  });
  send("message_stop");
}

/** The same answer as one JSON body, for a request that did not ask for a stream. */
export async function plainAnswer(
  { messageId, model, steps }: Answer,
  hold: Hold,
  signal: AbortSignal,
): Promise<Response> {
  const content: Block["whole"][] = [];
  for (const step of steps) {
    if ("gate" in step) await hold(step.gate, signal);
    else if ("sleep" in step) await pause(step.sleep, signal);
    else content.push(block(step, messageId, content.length).whole);
  }
  return Response.json({
    ...emptyMessage(messageId, model),
    content,
    stop_reason: stopReason(steps),
    usage: usage(100, 10),
  });
}

type Block = {
  empty: Record<string, unknown>;
  delta: Record<string, unknown>;
  whole: Record<string, unknown>;
};

function block(
  step: Exclude<Step, { sleep: number } | { gate: string }>,
  messageId: string,
  index: number,
): Block {
  if ("text" in step) {
    const { text } = step;
    return {
      empty: { type: "text", text: "" },
      delta: { type: "text_delta", text },
      whole: { type: "text", text },
    };
  }
  const head = { type: "tool_use", id: `toolu_${messageId.slice("msg_".length)}_${index}`, name: step.tool };
  return {
    empty: { ...head, input: {} },
    delta: { type: "input_json_delta", partial_json: JSON.stringify(step.input) },
    whole: { ...head, input: step.input },
  };
}

function sendBlock(send: Send, index: number, { empty, delta }: Block): void {
  send("content_block_start", { index, content_block: empty });
  send("content_block_delta", { index, delta });
  send("content_block_stop", { index });
}

function emptyMessage(id: string, model: string): Record<string, unknown> {
  return {
    id,
    type: "message",
    role: "assistant",
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
  };
}

function usage(input: number, output: number): Record<string, number> {
  return {
    input_tokens: input,
    output_tokens: output,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
  };
}

function stopReason(steps: readonly Step[]): "tool_use" | "end_turn" {
  return steps.some((step) => "tool" in step) ? "tool_use" : "end_turn";
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise.finally(() => clearTimeout(timer));
}
