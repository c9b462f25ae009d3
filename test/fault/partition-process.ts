// Run as a program: minutes without network in simulated time. Hub, daemons, agents' clients and relay live in
// this process; its last line is the result. `bun test/fault/partition-process.ts KIND one|all MINUTES SEED BINARY`
import { log } from "../../src/system/log.ts";
import { type CaseResult, resultOf } from "./fault.ts";
import { InProcess } from "./in-process.ts";
import { lively } from "./manners.ts";
import { Relay, type Weather } from "./relay.ts";
import { SimulatedTime } from "./simulated-time.ts";
import { Traffic } from "./traffic.ts";
import { World } from "./world.ts";

const [kind = "", whose = "all", minutes = "10", seed = "0", binary = ""] = process.argv.slice(2);
const weathers: Record<string, Weather> = {
  silent: { kind: "silent" },
  cut: { kind: "cut" },
  stuck: { kind: "stuck" },
  "one-way": { kind: "one-way", lost: "down" },
};

log.level = 0;
const time = new SimulatedTime();
const result = await partition(weathers[kind] ?? { kind: "silent" });
console.log(JSON.stringify(result));
process.exit(0);

async function partition(weather: Weather): Promise<CaseResult> {
  const byMachine = new Map<string, Relay>();
  const hubUrlFor = (machine: string, url: string) => {
    const relay = byMachine.get(machine) ?? new Relay(Number(new URL(url).port), () => 0.5);
    byMachine.set(machine, relay);
    return `http://127.0.0.1:${relay.port}`;
  };
  await using world = await World.start({
    binary,
    seed: Number(seed),
    hubUrlFor,
    serve: (...about) => new InProcess(...about),
  });
  const traffic = new Traffic(world, { manners: lively, lanes: 2, pauseMs: 3_000 });
  await time.pass(10_000);
  const before = traffic.sent;
  const relays = [...byMachine.values()];
  const struck = whose === "all" ? relays : relays.slice(0, 1);
  for (const relay of struck) relay.weather = weather;
  await time.pass(Number(minutes) * 60_000);
  const during = traffic.sent - before;
  const waiting = world.book.sent.filter(({ answer }) => answer?.startsWith("queued")).length;
  for (const relay of struck) relay.weather = { kind: "clear" };
  await time.pass(20_000);
  await traffic.stop();
  const verdict = await world.drain({ timeoutMs: 60_000 });
  for (const relay of relays) await relay[Symbol.asyncDispose]();
  return resultOf(
    world,
    verdict,
    1,
    `${waiting} of ${during} messages were queued meanwhile; ${struck.length} of ${relays.length} machines cut off (${kind}) for ${minutes} min`,
  );
}
