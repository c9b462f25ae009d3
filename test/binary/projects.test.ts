// Projects that a machine finds by itself, and who can be reached with each filter of intercom_list_agents.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, rm, writeFile } from "node:fs/promises";
import type { ScriptedAgent } from "../rig/agent";
import { Fleet, type Machine } from "../rig/fleet";
import { waitFor } from "../rig/wait";

setDefaultTimeout(120_000);

let fleet: Fleet;
let asker: ScriptedAgent;

beforeAll(async () => {
  fleet = await Fleet.start(["limn", "atlas", "mora"], {}, (machine) => ({
    discovery: { scan_paths: [`${machine.directory("")}found`] },
    projects: [{ id: "by-hand", path: machine.directory("found/manual"), description: "Written by hand." }],
  }));
  for (const name of ["limn", "atlas", "mora"]) await lay(fleet.machine(name));
  asker = await fleet.machine("limn").agent("asker");
}, 60_000);
afterAll(() => fleet[Symbol.asyncDispose]());

/** The directories are there only now: a restarted daemon looks at once. */
async function lay(machine: Machine): Promise<void> {
  await mkdir(machine.directory("found/shop/src"), { recursive: true });
  await writeFile(machine.directory("found/shop/CLAUDE.md"), `# Shop of ${machine.name}\n\nSells things.\n`);
  await mkdir(machine.directory("found/manual/.git"), { recursive: true });
  await mkdir(machine.directory("found/plain"), { recursive: true });
  if (machine.name === "limn") return;
  await machine.crash();
  await machine.serve("daemon");
  await machine.linked();
}

type Row = {
  machine_id: string;
  project_id: string;
  description: string;
  machine_status: string;
  path: string;
};

async function listed(filter?: string): Promise<Row[]> {
  return (await asker.call("intercom_list_agents", filter === undefined ? {} : { filter })).agents;
}
const names = (rows: Row[]) => rows.map((one) => `${one.machine_id}/${one.project_id}`).sort();

test("all, online, machine:ID: the found and the configured projects of exactly those machines", async () => {
  await waitFor("the finds of both machines", async () => {
    const found = names(await listed());
    return found.includes("atlas/shop") && found.includes("mora/shop");
  });
  await fleet.machine("mora").crash();
  await waitFor("mora to be offline", async () =>
    (await listed("machine:mora")).every((one) => one.machine_status === "offline"),
  );
  const both = (machine: string) => [`${machine}/by-hand`, `${machine}/shop`];
  expect(names(await listed())).toEqual([...both("atlas"), "limn/asker", "limn/by-hand", ...both("mora")]);
  expect(names(await listed("all"))).toEqual(names(await listed()));
  expect(names(await listed("online"))).toEqual([...both("atlas"), "limn/asker", "limn/by-hand"]);
  expect(names(await listed("machine:mora"))).toEqual(both("mora"));
  expect(names(await listed("machine:atlas"))).toEqual(both("atlas"));
  expect((await listed("machine:nobody")).length).toBe(0);
  const [byHand, shop] = (await listed("machine:atlas")).sort((a, b) =>
    a.project_id.localeCompare(b.project_id),
  );
  expect(byHand?.description).toBe("Written by hand.");
  expect(shop).toMatchObject({ description: "Shop of atlas: Sells things.", machine_status: "online" });
  expect(shop?.path).toBe(fleet.machine("atlas").directory("found/shop"));
});

test("a session below a found project belongs to it; a project that is gone drops out", async () => {
  const atlas = fleet.machine("atlas");
  const agent = await atlas.agent("found/shop/src");
  expect((await agent.session()).project).toBe("shop");
  await agent.close();
  await waitFor("its end", async () => (await agent.session()) === undefined);
  const anew = async () => {
    await atlas.crash();
    await atlas.serve("daemon");
    await atlas.linked();
  };
  await mkdir(atlas.directory("found/brief/.git"), { recursive: true });
  await anew();
  await waitFor("a new find", async () => names(await listed()).includes("atlas/brief"));
  await rm(atlas.directory("found/brief"), { recursive: true });
  await anew();
  await waitFor("the project to drop out", async () => !names(await listed()).includes("atlas/brief"));
  expect(names(await listed("machine:atlas"))).toEqual(["atlas/by-hand", "atlas/shop"]);
});

test("a mission for a project that nobody knows: an error with near matches, and nothing runs anywhere", async () => {
  const answer = await asker.call("intercom_ask", { to: "atlas/by-hnd", message: "x" });
  expect(answer.status).toBe("error");
  expect(JSON.stringify(answer)).toContain("by-hand");
});
