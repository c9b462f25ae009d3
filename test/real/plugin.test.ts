// The second way in: our plugin, installed by the real client from this repository; alone, and beside the first way.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { prompt } from "../rig/fake-script";
import { HeldTool, type InstalledHome, IntercomStage } from "../rig/intercom-stage";
import { clientsReady, testMs } from "../rig/stage";
import { waitFor } from "../rig/wait";
import { claudePath } from "./install";

const version = "2.1.330";
const root = join(import.meta.dir, "../..");

const installed = await clientsReady();
let stage: IntercomStage;
beforeAll(async () => {
  if (installed) stage = await IntercomStage.open();
}, testMs);
afterAll(async () => stage?.[Symbol.asyncDispose]());

describe.skipIf(!installed)("the plugin", () => {
  for (const part of [".", ".claude-plugin/ai-intercom"])
    test(`${part} is valid for claude plugin validate`, () => {
      const { exitCode, stdout } = Bun.spawnSync(
        [claudePath(version), "plugin", "validate", join(root, part)],
        {
          env: { ...process.env, DISABLE_AUTOUPDATER: "1", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1" },
        },
      );
      expect({ exitCode, said: stdout.toString() }).toMatchObject({
        exitCode: 0,
        said: expect.stringContaining("Validation passed"),
      });
    });

  for (const both of [false, true])
    test(
      `${both ? "beside `install claude`" : "alone"}: mail for a working agent and for an idle one arrives once, and the address is told once`,
      async () => {
        const home = await stage.pluginHome("atlas", version);
        if (both) await install(home);
        await using session = await home.terminal({
          version,
          env: { AI_INTERCOM_HOME: home.machine.home },
        });
        const tool = new HeldTool(home);
        await session.claude.submit(prompt("one", [[tool.step], [{ text: "end of one" }]]));
        await tool.running();
        const busy = await stage.write(session.address, "while it works");
        await tool.finish();
        await session.claude.waitForAnswer("end of one");
        await waitFor("seen", async () => (await stage.states(busy.message_id)).includes("seen"));
        await waitFor("idle", async () => (await session.claude.registry())?.status === "idle");

        const idle = await stage.write(session.address, "while it rests");
        await waitFor("seen", async () => (await stage.states(idle.message_id)).includes("seen"));
        await waitFor("idle", async () => (await session.claude.registry())?.status === "idle");
        const last = (text: string) => session.counts(text).at(-1);
        expect([
          last("| while it works"),
          last("| while it rests"),
          last("other agents reach this session as"),
        ]).toEqual([1, 1, 1]);
        expect(await sessionsOf(home, session.claude.pid)).toBe(1);
      },
      testMs,
    );
});

test.skipIf(!installed)(
  "uninstall takes it out, as the client sees it",
  async () => {
    const home = await stage.pluginHome("atlas", version);
    const listed = () => {
      const words = ["plugin", "list", "--json"];
      return JSON.parse(
        Bun.spawnSync([claudePath(version), ...words], {
          env: home.files.env(),
          cwd: home.files.project(),
        }).stdout.toString(),
      );
    };
    expect(listed()).toHaveLength(1);
    const { code, err } = await home.machine.run(["uninstall", "claude"], { env: { HOME: home.files.path } });
    expect([code, err, listed()]).toEqual([0, "", []]);
    const left = await Array.fromAsync(
      new Bun.Glob("**/*").scan({ cwd: `${home.files.path}/.claude`, dot: true }),
    );
    for (const name of left.filter((one) => !one.startsWith("backups/")))
      expect([
        name,
        (await Bun.file(`${home.files.path}/.claude/${name}`).text()).includes("ai-intercom"),
      ]).toEqual([name, false]);
  },
  testMs,
);

async function install(home: InstalledHome): Promise<void> {
  const { code, err } = await home.machine.run(["install", "claude"], { env: { HOME: home.files.path } });
  if (code !== 0) throw new Error(err);
}

async function sessionsOf(home: InstalledHome, pid: number): Promise<number> {
  const { body } = await home.machine.local("GET", "/api/sessions");
  return (body.sessions as { pid: number }[]).filter((one) => one.pid === pid).length;
}
