// `bun run plugin`: writes what src/integrations/claude-plugin.ts says into `.claude-plugin/`.
import { join } from "node:path";
import { claudePlugin } from "../../src/integrations/claude-plugin.ts";
import { version } from "../../src/protocol/version.ts";

for (const [path, content] of Object.entries(claudePlugin(version)))
  await Bun.write(join(import.meta.dir, "../..", path), `${JSON.stringify(content, null, 2)}\n`);
