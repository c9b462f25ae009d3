import { World } from "./world.ts";
import { Traffic } from "./traffic.ts";
import { lively } from "./sim-agent.ts";
import { log } from "../../src/system/log.ts";
log.level = 0;
const t0 = performance.now();
await using world = await World.start({ binary: `${import.meta.dir}/../../dist/ai-intercom-crash`, seed: 1 });
console.log("world", performance.now() - t0);
const traffic = new Traffic(world, { manners: lively, lanes: 3 });
await Bun.sleep(3000);
await traffic.stop();
console.log("sent", traffic.sent, performance.now() - t0);
const v = await world.drain();
console.log(v, world.book.sent.length, world.book.reads.length, performance.now() - t0);
const g: Record<string, number> = {}; for (const s of world.book.sent) g[s.outcome + " " + s.answer] = (g[s.outcome + " " + s.answer] ?? 0) + 1; console.log(g);

