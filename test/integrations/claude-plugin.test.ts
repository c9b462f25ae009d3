import { expect, test } from "bun:test";
import { join } from "node:path";
import { claudePlugin } from "../../src/integrations/claude-plugin.ts";
import { version } from "../../src/protocol/version.ts";

for (const [path, content] of Object.entries(claudePlugin(version)))
  test(`${path} is as the program says (bun run plugin writes it)`, async () => {
    expect(await Bun.file(join(import.meta.dir, "../..", path)).json()).toEqual(content);
  });
