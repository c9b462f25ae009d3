// The built executable under test. `AI_INTERCOM_BINARY` names another one (a build with crash points, a release).
import { existsSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
export const binary = process.env.AI_INTERCOM_BINARY ?? join(root, "dist/ai-intercom");

if (!existsSync(binary)) throw new Error(`${binary} is not built; try: bun build.ts`);
