// A real hub in a temporary home, and the person's door to it. Port 0, own directories, own clock where wanted.
import { mkdtempSync } from "node:fs";
import { pidHeader } from "../../src/hub/callers.ts";
import { Hub } from "../../src/hub/hub.ts";
import type { HistoryMessage } from "../../src/protocol/message.ts";
import type { ListedAgent, ListedMachine } from "../../src/protocol/session.ts";
import { Config } from "../../src/system/config.ts";
import { homePaths } from "../../src/system/paths.ts";

/** What the hub may answer, loosely: each test knows which of these its route has. */
export type Body = {
  status: string;
  error: { code: string; message: string; hint?: string };
  code: string;
  expires_at: string;
  fingerprint: string;
  thread_id: string;
  message_id: string;
  states: { state: string; at: string; to?: string; reason?: string }[];
  messages: HistoryMessage[];
  waiting: number;
  machines: ListedMachine[];
  agents: ListedAgent[];
};
export type Reply = { status: number; body: Body };

/** What a scripted daemon needs of a hub. */
export type Reachable = { readonly hub: { readonly url: string }; readonly person: Person };

export type TestHub = {
  hub: Hub;
  paths: ReturnType<typeof homePaths>;
  /** the hub's time: the true one and `offsetMs`; with `stoppedMs` (unix) it stands still there */
  clock: { offsetMs: number; stoppedMs?: number };
  /** the person, through the hub's socket, as this test process or as `pid` */
  person: Person;
  /** stops the hub and starts another on the same home */
  restart: () => Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

type Person = (method: string, path: string, body?: unknown, pid?: number) => Promise<Reply>;

/** The person at a hub's socket. */
export function personAt(socket: string): Person {
  return async (method, path, body, pid = process.pid) => {
    const response = await fetch(`http://localhost${path}`, {
      unix: socket,
      method,
      headers: {
        [pidHeader]: String(pid),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Body };
  };
}

export async function startHub(
  settings: Record<string, unknown> = {},
  paths = homePaths(mkdtempSync("/tmp/aii-hub-")),
): Promise<TestHub> {
  const clock: TestHub["clock"] = { offsetMs: 0 };
  const { hub: hubSettings, ...others } = settings;
  const config = Config.parse({
    machine: { id: "hubhost" },
    ...others,
    hub: { listen: "127.0.0.1:0", ...(typeof hubSettings === "object" ? hubSettings : {}) },
  });
  const start = () =>
    Hub.start({ config, paths, now: () => (clock.stoppedMs ?? Date.now()) + clock.offsetMs });
  const rig: TestHub = {
    hub: await start(),
    paths,
    clock,
    person: personAt(paths.hubSocket),
    restart: async () => {
      await rig.hub.stop();
      rig.hub = await start();
    },
    [Symbol.asyncDispose]: () => rig.hub.stop(),
  };
  return rig;
}
