// Runs before every test file: no test may touch the person's real home or ai-intercom's real state.
import { mkdtempSync } from "node:fs";

const home = mkdtempSync("/tmp/aii-test-");
process.env.HOME = home;
process.env.AI_INTERCOM_HOME = `${home}/ai-intercom`;
for (const name of Object.keys(process.env)) {
  if (/^(CLAUDE|ANTHROPIC|CODEX|GEMINI|TELEGRAM|HUB_URL$|AI_INTERCOM_(?!(HOME|BINARY)$))/.test(name))
    delete process.env[name];
}
process.umask(0o077);
