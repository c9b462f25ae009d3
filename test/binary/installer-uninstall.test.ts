// install.sh --uninstall: the program's own part first, then the program; what stops it stops it before anything went.
import { expect, test } from "bun:test";
import { chmod, mkdir, rm } from "node:fs/promises";
import { executable, InstallerHome } from "../rig/installer.ts";
import { nobody } from "../rig/release.ts";

test("--uninstall: out of the agents first, then the program; what fails keeps it", async () => {
  await using home = await InstallerHome.make();
  await home.run();
  await Bun.write(`${home.bin}/ai-intercom.previous`, "older");
  await Bun.write(`${home.bin}/other`, "not ours");
  await mkdir(`${home.home}/.config/ai-intercom`, { recursive: true });
  const { code, out } = await home.run(["--uninstall"]);
  expect([code, out]).toEqual([
    0,
    `removed ${home.bin}/ai-intercom\nits data stays: ${home.home}/.config/ai-intercom\n`,
  ]);
  expect(await home.said()).toEqual(["--version", "uninstall --all --keep-data"]);
  expect(await home.files()).toEqual([".local/bin/other"]);
  expect((await home.run(["--uninstall"])).code).toBe(1);

  await executable(`${home.bin}/ai-intercom`, "#!/bin/sh\nexit 1\n");
  const kept = await home.run(["--uninstall"]);
  expect([kept.code, kept.err]).toEqual([
    1,
    "error: the program was not removed\ntry: do what the lines above say\n",
  ]);
  expect(await home.files()).toContain(".local/bin/ai-intercom");
});

test("--uninstall where the program cannot be removed: nothing is changed, no agent's entry either", async () => {
  await using home = await InstallerHome.make();
  await home.run();
  await rm(home.calls);
  for (const folder of [home.home, `${home.home}/.local`]) await chmod(folder, 0o755);
  await chmod(home.bin, 0o555);
  // a folder that is read-only stops everyone but root
  const { code, out, err } = await home.run(["--uninstall"], { as: process.getuid?.() === 0 ? nobody : [] });
  expect([code, out, err]).toEqual([
    1,
    "",
    `error: ${home.bin}/ai-intercom cannot be removed; nothing was changed\ntry: ls -ld ${home.bin}\n`,
  ]);
  expect([await home.said(), await home.files()]).toEqual([[], [".local/bin/ai-intercom"]]);
  await chmod(home.bin, 0o755);
});

test("--uninstall --all: its data too, without asking", async () => {
  await using home = await InstallerHome.make();
  await home.run();
  const { code, out } = await home.run(["--uninstall", "--all"]);
  expect([code, out]).toEqual([0, `removed ${home.bin}/ai-intercom\n`]);
  expect(await home.said()).toEqual(["--version", "uninstall --all --yes"]);
});
