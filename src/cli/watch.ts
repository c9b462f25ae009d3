// `ai-intercom watch`: everything as it happens, until Ctrl-C.
import { IntercomError } from "../protocol/errors.ts";
import { HubEvent } from "../protocol/hub-api.ts";
import { linesOf } from "../system/socket.ts";
import { streamEvents } from "./access.ts";
import { command, json } from "./command.ts";
import { dim, oneLine, plain, print } from "./output.ts";

export const watch = command({
  name: "watch",
  description: "follow messages and their states, missions, approvals, sessions and machines live",
  args: { json: { ...json, description: "print one JSON object a line" } },
  examples: ["ai-intercom watch", "ai-intercom watch --json | jq 'select(.kind == \"message\")'"],
  run: async (args) => {
    const stop = new AbortController();
    process.once("SIGINT", () => stop.abort()).once("SIGTERM", () => stop.abort());
    const response = await streamEvents(stop.signal);
    if (!response.ok || !response.body)
      throw new IntercomError("person_only", `the hub does not show its events here (${response.status})`);
    if (!args.json) print(dim("watching; Ctrl-C ends"));
    try {
      for await (const line of linesOf(response.body))
        print(args.json ? line : show(HubEvent.parse(JSON.parse(line))));
    } catch (error) {
      if (!stop.signal.aborted)
        throw new IntercomError("hub_unreachable", "the hub stopped", { cause: error });
    }
  },
});

const because = (reason: string | undefined) => (reason ? dim(` (${oneLine(reason)})`) : "");

function show(event: HubEvent): string {
  const time = dim(event.at.slice(11, 19));
  switch (event.kind) {
    case "message":
      return `${time} ${event.from_agent} → ${event.to_agent}  ${dim(event.thread_id)}  ${oneLine(event.message)}`;
    case "state":
      return `${time} ${dim(`${event.message_id} ${event.to}: `)}${event.state}${because(event.reason)}`;
    case "machine":
      return `${time} machine ${event.machine_id} ${event.status}`;
    case "session":
      return `${time} session ${event.address} ${event.status}`;
    case "mission":
      return `${time} mission ${event.mission_id} ${event.status}${because(event.reason)}  ${dim(`${event.from} → ${event.to}  ${event.thread_id}`)}`;
    case "mission_entry":
      return `${time} ${dim(`mission ${event.mission_id}:`)} ${event.entry.kind.padEnd(8)}${oneLine(event.entry.summary)}`;
    case "approval":
      return event.status === "pending"
        ? `${time} approval ${event.id} waits for a person (mission ${event.mission_id})  ${dim(`ai-intercom approvals approve ${event.id}`)}`
        : `${time} approval ${event.id} ${event.status}${event.by ? ` by ${plain(event.by)}` : ""}  ${dim(`mission ${event.mission_id}`)}`;
    default:
      return event satisfies never;
  }
}
