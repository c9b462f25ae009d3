// `GET /api/events`: one JSON event per line, for as long as somebody reads.
import type { Events } from "./events.ts";

/** ms between blank lines that keep the connection alive through proxies */
const keepAliveMs = 15_000;
/** events that may wait for a slow reader; then it is cut off, and reads the facts anew */
const maxWaiting = 10_000;

export function eventStream(events: Events, ended: AbortSignal): Response {
  const encoder = new TextEncoder();
  let stop = () => {};
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const push = (line: string) => {
          controller.enqueue(encoder.encode(`${line}\n`));
          if ((controller.desiredSize ?? 0) <= 0) finish();
        };
        const unsubscribe = events.subscribe((event) => push(JSON.stringify(event)));
        const keepAlive = setInterval(() => push(""), keepAliveMs);
        stop = () => {
          unsubscribe();
          clearInterval(keepAlive);
          ended.removeEventListener("abort", finish);
        };
        const finish = () => {
          stop();
          try {
            controller.close();
          } catch {
            // the reader was faster
          }
        };
        ended.addEventListener("abort", finish);
        // The first line goes out at once: a reader knows that it misses nothing from here on.
        push("");
      },
      cancel: () => stop(),
    },
    { highWaterMark: maxWaiting },
  );
  return new Response(body, {
    headers: { "content-type": "application/x-ndjson", "cache-control": "no-store" },
  });
}
