// Which file of a release folder is taken, and that nothing unlisted is.
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { fetchRelease, findRelease } from "../../src/system/release.ts";
import { release } from "../rig/release.ts";

async function folderWith(...names: string[]): Promise<string> {
  const folder = mkdtempSync("/tmp/aii-rel-");
  await release(folder, Object.fromEntries(names.map((name) => [name, `the program ${name}`])));
  return folder;
}

test("the highest released version, the wished one, a pre-release only by name; each target its own", async () => {
  const base = await folderWith(
    ...["0.9.0", "0.10.0", "0.11.0-rc.1", "0.2.11"].flatMap((version) =>
      ["linux-x64", "linux-x64-musl", "windows-x64.exe"].map(
        (target) => `ai-intercom-${version}-${target}.gz`,
      ),
    ),
    "ai-intercom-99.0.0-linux-x64.zip",
    "install.sh",
  );
  const file = async (target: string, version?: string) =>
    (await findRelease({ base, target, version })).file;
  expect(await file("linux-x64")).toBe("ai-intercom-0.10.0-linux-x64.gz");
  expect(await file("linux-x64-musl", "0.9.0")).toBe("ai-intercom-0.9.0-linux-x64-musl.gz");
  expect(await file("linux-x64", "0.11.0-rc.1")).toBe("ai-intercom-0.11.0-rc.1-linux-x64.gz");
  expect(await file("windows-x64")).toBe("ai-intercom-0.10.0-windows-x64.exe.gz");
  // no baseline build: the default one serves old processors too
  expect(await file("linux-x64-musl-baseline")).toBe("ai-intercom-0.10.0-linux-x64-musl.gz");
  const found = await findRelease({ base: `file://${base}/`, target: "linux-x64" });
  expect(Buffer.from(await fetchRelease(found)).toString()).toBe(
    "the program ai-intercom-0.10.0-linux-x64.gz",
  );
  for (const target of ["linux-arm64", "x64", "linux-x64-musl-musl"])
    await expect(file(target)).rejects.toMatchObject({ code: "not_found" });
  rmSync(base, { recursive: true });
});

test("what is not what the list says is never unpacked", async () => {
  const base = await folderWith("ai-intercom-1.0.0-linux-x64.gz");
  const found = await findRelease({ base, target: "linux-x64" });
  writeFileSync(`${base}/${found.file}`, Bun.gzipSync(Buffer.from("another program")));
  await expect(fetchRelease(found)).rejects.toMatchObject({ code: "conflict" });
  rmSync(base, { recursive: true });
});

test("without an address, and with one where nothing is", async () => {
  await expect(findRelease({ target: "linux-x64" })).rejects.toMatchObject({
    code: "bad_config",
    hint: expect.stringContaining("upgrade.base_url"),
  });
  await expect(findRelease({ target: "linux-x64", base: "/nowhere/at/all" })).rejects.toMatchObject({
    code: "bad_config",
  });
});
