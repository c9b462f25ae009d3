// The way back of an upgrade: the old program in its place, and what was touched runs from it again: by itself, by its
// service, or started anew with all that it was started with.
import { resolve } from "node:path";
import { IntercomError } from "../protocol/errors.ts";
import { version } from "../protocol/version.ts";
import { type Origin, originOf, startAgain } from "../system/origin.ts";
import { homeDirectory } from "../system/paths.ts";
import { swapBack } from "../system/swap.ts";
import { end, type Running, restart, well } from "./servers.ts";
import type { ServiceManager } from "./service/manager.ts";
import { servicesOf } from "./service/this-computer.ts";

/** ms a service manager that we do not know may take to start again what ended */
const serviceMs = 5_000;

/** A server, and what is needed should it die: known only while it runs. */
export type Restartable = {
  server: Running;
  service: ServiceManager | undefined;
  origin: Origin | undefined;
};

/** Whoever asks disposes of the origins. */
export async function restartable(servers: readonly Running[]): Promise<Restartable[]> {
  const services = servers.length === 0 ? [] : await servicesOf(resolve(homeDirectory()));
  const pids = await Promise.all(
    services.map((one) =>
      one.status().then(
        ({ pid }) => pid,
        () => null,
      ),
    ),
  );
  return servers.map((server) => ({
    server,
    service: services[pids.indexOf(server.facts.pid)],
    origin: originOf(server.facts.pid),
  }));
}

/** Undoes it all. Returns the error that says why, and how what was touched runs now. */
export async function goBack(
  program: string,
  touched: readonly Restartable[],
  { wellMs, why }: { wellMs: number; why: IntercomError },
): Promise<IntercomError> {
  swapBack(program);
  const now: string[] = [];
  for (const one of touched.toReversed()) now.push(await backAgain(program, one, wellMs));
  return new IntercomError(
    "upgrade_unwell",
    `${why.message}; the old program (${version}) is in place again`,
    {
      hint: [...new Set(now)].join("; "),
      cause: why,
    },
  );
}

/** One that answers takes the old program up by itself; one that hangs is ended. Returns how it runs, for the person. */
async function backAgain(
  program: string,
  { server, service, origin }: Restartable,
  wellMs: number,
): Promise<string> {
  const asBefore = "it runs as before; its log says more";
  if (await succeeds(restart(server, version, wellMs))) return asBefore;
  await end(server);
  if (service) {
    const started = succeeds(service.restart().then(() => well(server, version, wellMs)));
    return (await started) ? asBefore : `its service does not start it: ai-intercom service status`;
  }
  if (await succeeds(well(server, version, serviceMs))) return asBefore;
  const roles = server.roles.join(" and ");
  if (!origin) return `start the ${roles} again`;
  const child = startAgain(program, origin);
  const isGone = () => child.exitCode !== null || child.signalCode !== null;
  if (await succeeds(well(server, version, wellMs, isGone)))
    return `the ${roles} started anew with all it had, as process ${child.pid}; to end it: kill ${child.pid}`;
  return `start the ${roles} again, and read what it says: ${[program, ...origin.words].join(" ")}`;
}

const succeeds = (attempt: Promise<unknown>): Promise<boolean> =>
  attempt.then(
    () => true,
    () => false,
  );
