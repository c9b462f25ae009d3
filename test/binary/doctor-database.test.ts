// A damaged database under the built program: what `doctor` says to do is done here, word for word; a hub that meets
// damage, one that starts on it, and one that its service starts again.
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, readdir } from "node:fs/promises";
import { pidHeaders } from "../../src/protocol/hook.ts";
import { knownSchema } from "../../src/store/migrations.ts";
import { openStore } from "../../src/store/open.ts";
import { doctor } from "../rig/doctor";
import { Fleet, type Machine } from "../rig/fleet";
import { waitFor } from "../rig/wait";
import { damage, fills, pagesOf, pageWith } from "../store/damaging";
import { b, furnish, newMessage, roomy } from "../store/fixtures";

let fleet: Fleet;
beforeAll(async () => {
  fleet = await Fleet.empty();
});
afterAll(() => fleet[Symbol.asyncDispose]());

type Home = Machine & { database: string; ids: string[] };
let made = 0;

/** A home whose hub has had many messages. */
async function usedHome(messages = 200): Promise<Home> {
  const machine = fleet.add(`h${++made}`);
  await mkdir(machine.home, { recursive: true, mode: 0o700 });
  const database = `${machine.home}/hub.db`;
  const store = openStore(database);
  await furnish(store);
  const sent = Array.from({ length: messages }, (_, n) => newMessage(`word ${n} ${"x".repeat(300)}`));
  await Promise.all(sent.map((message) => store.accept(message, [b], roomy)));
  await store.close();
  return Object.assign(machine, { database, ids: sent.map(({ id }) => id) });
}

const serve = (machine: Machine) => machine.serve("standalone", "--listen", "127.0.0.1:0");
const leafOf = ({ database }: Home, n: number) => pageWith(database, "messages", `word ${n} xxx`);

function count(path: string, sql: string): number {
  using db = new Database(path, { readonly: true });
  return Number(Object.values(db.query<Record<string, number>, []>(sql).get() ?? {})[0]);
}

/** Over the hub's socket, as the person. */
const askHub = (machine: Machine, path: string) =>
  fetch(`http://hub${path}`, {
    unix: `${machine.home}/run/hub.sock`,
    headers: { [pidHeaders.asker]: String(process.pid) },
  });

const directoryOf = async (machine: Machine): Promise<string> => {
  const [name] = (await readdir(machine.home)).filter((one) => one.startsWith("hub.db.damaged-"));
  return `${machine.home}/${name}`;
};

/** Two agents have a conversation over it. */
async function chat(machine: Machine): Promise<void> {
  const [web, api] = [await machine.agent("web"), await machine.agent("api")];
  const { message_id } = await web.call("intercom_chat", {
    to: `${machine.name}/api`,
    message: "still there?",
  });
  expect(message_id).toStartWith("msg-");
  await waitFor("the message", async () =>
    JSON.stringify(await api.call("intercom_check_inbox", {})).includes("still there?"),
  );
}

const scenes: [what: string, spoil: (home: Home) => unknown][] = [
  ["a leaf page", (home) => damage(home.database, [leafOf(home, 100)])],
  ["a zeroed page", (home) => damage(home.database, [leafOf(home, 100)], fills.zeros)],
  ["a torn page", (home) => damage(home.database, [leafOf(home, 100)], fills.torn)],
  [
    "the root of the messages",
    (home) => damage(home.database, [pagesOf(home.database, "messages")[0]?.number ?? 0]),
  ],
  [
    "an index",
    (home) =>
      damage(
        home.database,
        pagesOf(home.database, "messages_thread").map(({ number }) => number),
      ),
  ],
];
describe.each(scenes)("%s", (_, spoil) => {
  test("what doctor says to do rescues the rest; agents chat on; the damaged file is kept until it is removed", async () => {
    const machine = await usedHome();
    spoil(machine);
    const damaged = await Bun.file(machine.database).bytes();
    const report = await doctor(machine);
    expect(report.code).toBe(1);
    const [, command = ""] = report.fix("database_damaged").split(": touch ");
    expect(command).toBe(`${machine.database}.damaged; ai-intercom standalone`);
    await Bun.write(`${machine.database}.damaged`, "");

    const server = await serve(machine);
    await machine.linked();
    expect(server.log()).toContain("the hub's database is rescued");
    const directory = await directoryOf(machine);
    expect(await Bun.file(`${directory}/hub.db`).bytes()).toEqual(damaged);
    expect((await Bun.file(machine.database).stat()).mode & 0o777).toBe(0o600);
    expect(count(machine.database, "PRAGMA user_version")).toBe(knownSchema);
    const known = `SELECT count(*) FROM (SELECT id FROM messages UNION SELECT id FROM pruned_messages)
      WHERE id IN (${machine.ids.map((id) => `'${id}'`).join(", ")})`;
    expect(count(machine.database, known)).toBe(200);
    await chat(machine);
    const told = await doctor(machine);
    expect(told.codes).toContain("database");
    expect(told.codes).not.toContain("database_damaged");
    expect(told.text("database_rescued")).toContain(directory);
    expect((await machine.json("inbox")).messages).toMatchObject([{ from_agent: "hub", type: "status" }]);
    const [, remove = ""] = told.fix("database_rescued").split("; ");
    await Bun.$`sh -c ${remove}`;
    expect((await doctor(machine)).codes).not.toContain("database_rescued");
    await server.kill();
  }, 60_000);
});

test("a hub that meets damage is not ready from then on, says how it is started again, and then goes on", async () => {
  const machine = await usedHome();
  damage(machine.database, [leafOf(machine, 100)]);
  const server = await serve(machine);
  await machine.linked();
  expect((await doctor(machine)).codes).toContain("hub");
  const asked = () => askHub(machine, `/api/messages/${machine.ids[100]}`);
  for (const answer of [await asked(), await asked()]) {
    expect(answer.status).toBe(500);
    expect(await answer.json()).toMatchObject({
      error: {
        message: "the hub's database is damaged",
        hint: "restart the hub on its host: it goes on with what can be read; ai-intercom doctor there says how",
      },
    });
  }
  expect((await askHub(machine, "/readyz")).status).toBe(500);
  // what can be read is still answered
  expect((await askHub(machine, `/api/messages/${machine.ids[0]}`)).status).toBe(200);
  const command = `${machine.program} standalone --listen 127.0.0.1:0`;
  expect(server.log().match(/the hub's database is damaged .*/g)).toEqual([expect.stringContaining(command)]);
  const report = await doctor(machine);
  expect(report.fix("hub_store")).toContain("on the hub's host");
  expect(report.fix("database_damaged")).toEndWith(`: kill ${server.pid}; sleep 1; ${command}`);

  await server.kill();
  const next = await serve(machine);
  await machine.linked();
  expect((await asked()).status).toBe(200);
  expect((await doctor(machine)).codes).toContain("database_rescued");
  await next.kill();
}, 60_000);

test("one that its service starts again ends by itself, with an error; one whose terminal is a service does not", async () => {
  const machine = await usedHome();
  damage(machine.database, [leafOf(machine, 100)]);
  const units = `${machine.env.HOME}/.config/systemd/user`;
  await mkdir(units, { recursive: true });
  await Bun.write(
    `${units}/ai-intercom.service`,
    `[Service]\nEnvironment="AI_INTERCOM_HOME=${machine.home}"\n`,
  );
  try {
    machine.extraEnv.INVOCATION_ID = "0123456789abcdef0123456789abcdef";
    machine.extraEnv.SYSTEMD_EXEC_PID = "1";
    const typed = await serve(machine);
    await machine.linked();
    expect((await askHub(machine, `/api/messages/${machine.ids[100]}`)).status).toBe(500);
    expect((await askHub(machine, "/livez")).status).toBe(200);
    await typed.kill();
    await Bun.$`rm ${machine.database}.damaged`;

    const program = machine.program;
    const started = `${machine.home}/as-systemd`;
    await Bun.write(started, `#!/bin/sh\nexport SYSTEMD_EXEC_PID=$$\nexec ${program} "$@"\n`);
    await Bun.$`chmod 700 ${started}`;
    machine.program = started;
    const server = await serve(machine);
    machine.program = program;
    await machine.linked();
    expect((await askHub(machine, `/api/messages/${machine.ids[100]}`)).status).toBe(500);
    expect(await server.exited).toBe(1);
    expect(server.log()).toContain("the hub ends, and is started again");
    expect(server.log()).toContain("try: ai-intercom service restart");

    machine.program = started;
    const next = await serve(machine);
    machine.program = program;
    await machine.linked();
    expect((await askHub(machine, `/api/messages/${machine.ids[100]}`)).status).toBe(200);
    await next.kill();
  } finally {
    await Bun.$`rm -rf ${machine.env.HOME}/.config`;
  }
}, 60_000);

test("where nothing can be rescued doctor says so, and a hub that cannot start changes nothing", async () => {
  const machine = await usedHome();
  damage(machine.database, [1]);
  const before = await Bun.file(machine.database).bytes();
  const { code, err } = await machine.run(["standalone", "--listen", "127.0.0.1:0"]);
  expect(code).not.toBe(0);
  expect(err).toContain("cannot be opened as a SQLite database");
  expect(err).toContain("nothing was changed; put a backup of it in its place");
  expect(await Bun.file(machine.database).bytes()).toEqual(before);
  expect((await readdir(machine.home)).filter((name) => name.includes("damaged"))).toEqual([]);
  expect((await doctor(machine)).fix("database_damaged")).toContain("put a backup in its place");
}, 60_000);
