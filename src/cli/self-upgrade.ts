// `self-upgrade`: fetch, verify, try, swap, restart in place, look whether all is well, and back again when it is not.
import { databaseKnown } from "../hub/database.ts";
import { IntercomError, toIntercomError } from "../protocol/errors.ts";
import { type UpgradeRecord, Version } from "../protocol/upgrade.ts";
import { build, version } from "../protocol/version.ts";
import { loadConfig } from "../system/config.ts";
import { privateDirectory, replaceFile, unlinkIfPresent } from "../system/files.ts";
import { privateHome } from "../system/home.ts";
import { takeLock } from "../system/lock.ts";
import { homePaths } from "../system/paths.ts";
import { ownProgram } from "../system/program.ts";
import { fetchRelease, findRelease, type Release } from "../system/release.ts";
import { previousOf, refuseUnreplaceable, swapIn, writeBeside } from "../system/swap.ts";
import { command, json } from "./command.ts";
import { goOlder, refuseOlder } from "./older-database.ts";
import { print, printJson } from "./output.ts";
import { goBack, restartable } from "./roll-back.ts";
import { type Running, restart, runningServers } from "./servers.ts";
import { tryOut } from "./try-out.ts";

export const selfUpgrade = command({
  name: "self-upgrade",
  description:
    "replace this program by the latest release, verified; a hub and daemon that run take it up in place; when they are not well the old one is put back, and what has ended by then is started again",
  args: {
    version: { type: "string", description: "this version instead of the latest", valueHint: "V" },
    check: { type: "boolean", default: false, description: "only say what there is" },
    restore: {
      type: "boolean",
      default: false,
      description:
        "the hub's database goes back to the copy that the older version can use; names what still waited in the newer one, which is kept",
    },
    json,
  },
  examples: [
    "ai-intercom self-upgrade --check",
    "ai-intercom self-upgrade",
    "ai-intercom self-upgrade --version 0.1.0   # also backwards",
    "ai-intercom self-upgrade --version 0.1.0 --restore   # the hub is stopped: its database goes back too",
    "AI_INTERCOM_BASE_URL=/mnt/releases ai-intercom self-upgrade   # from a folder or mirror",
  ],
  run: async (args) => {
    const { say, answer } = args.json
      ? { say: () => undefined, answer: printJson }
      : { say: print, answer: () => undefined };
    const program = replaceable();
    const wished = args.version === undefined ? undefined : wishedVersion(args.version);
    const { upgrade } = loadConfig();
    const find = () => findRelease({ target: build.target, version: wished, base: upgrade.base_url });
    if (args.check) {
      const available = (await find()).version;
      const newer = isNewer(available);
      say(newer ? `${available} can be had; this is ${version}` : `${version} is the newest`);
      return answer({ version, available, newer });
    }
    if (args.restore && (wished ?? version) === version) return answer(goOlder(databaseKnown, say) ?? {});
    const { restore } = args;
    const done = await upgraded({ program, find, wished, restore, say, wellMs: upgrade.patience * 1000 });
    answer({ ...done, previous: version, program });
  },
});

const isNewer = (other: string): boolean => Bun.semver.order(other, version) > 0;

function wishedVersion(text: string): string {
  const parsed = Version.safeParse(text.replace(/^v/, ""));
  if (parsed.success) return parsed.data;
  throw new IntercomError("bad_usage", `--version cannot be "${text}"`, {
    hint: "three numbers: --version 0.1.0",
  });
}

/** The executable's path; throws where there is nothing to replace, or where it cannot be done. */
function replaceable(): string {
  const [program, ...script] = ownProgram();
  if (script.length > 0 || build.target === "source")
    throw new IntercomError("bad_usage", "this runs from source; there is no program to replace", {
      hint: "git pull && bun build.ts",
    });
  refuseUnreplaceable(program);
  return program;
}

type Upgrade = {
  program: string;
  find: () => Promise<Release>;
  /** a version that was asked for is installed whatever runs */
  wished: string | undefined;
  /** the hub's database may go back to a copy */
  restore: boolean;
  /** ms a server may take to be well; a migration of a large database is part of it */
  wellMs: number;
  say: (line: string) => void;
};

type Done = { version: string; restored?: ReturnType<typeof goOlder> };

/** What is in place now. Writes down how it goes: `machines upgrade` reads it through the daemon. */
async function upgraded(upgrade: Upgrade): Promise<Done> {
  const paths = homePaths();
  privateHome(paths);
  privateDirectory(paths.run);
  const lock = takeLock(`${paths.run}/upgrade.lock`, "self-upgrade");
  const record = (status: UpgradeRecord["status"], more: { to?: string; error?: string } = {}) => {
    const entry: UpgradeRecord = { status, at: new Date().toISOString(), from: version, ...more };
    replaceFile(paths.upgrade, JSON.stringify(entry));
  };
  try {
    record("running");
    const release = await upgrade.find();
    const wanted = upgrade.wished !== undefined || isNewer(release.version);
    const restored = wanted ? await replaced(upgrade, release) : undefined;
    if (!wanted) upgrade.say(`${version} is the newest`);
    const to = wanted ? release.version : version;
    record("done", { to });
    return { version: to, ...(restored ? { restored } : {}) };
  } catch (thrown) {
    const error = toIntercomError(thrown);
    record(error.code === "upgrade_unwell" ? "rolled_back" : "failed", { error: error.message });
    throw error;
  } finally {
    lock.release();
  }
}

/** Throws `upgrade_unwell` when the old program is in place again, anything else when nothing was changed. */
async function replaced({ program, wellMs, say, restore }: Upgrade, release: Release) {
  // before anything changes: whether what runs can be restarted, and whether whoever asks may
  const servers = await runningServers();
  say(`fetching ${release.file} from ${release.base}`);
  const next = writeBeside(program, await fetchRelease(release));
  let schema: number | undefined;
  try {
    schema = await tryOut(next, release);
    const hub = servers.find(({ roles }) => roles.includes("hub"));
    refuseOlder(release.version, { schema, restore, hub: hub?.facts.pid });
    swapIn(program, next);
  } finally {
    unlinkIfPresent(next);
  }
  await restarted({ program, wellMs, say }, servers, release.version);
  say(`upgraded ${program} from ${version} to ${release.version}; the old one is ${previousOf(program)}`);
  return restore && schema !== undefined ? goOlder(schema, say) : undefined;
}

/** Each in turn, in place; one that is not well takes all that were touched back with it. */
async function restarted(
  { program, wellMs, say }: Pick<Upgrade, "program" | "wellMs" | "say">,
  servers: readonly Running[],
  wanted: string,
): Promise<void> {
  const all = await restartable(servers);
  using origins = new DisposableStack();
  for (const { origin } of all) origins.use(origin);
  for (const [at, { server }] of all.entries()) {
    try {
      await restart(server, wanted, wellMs);
      say(`${server.roles.join(" and ")}: ${wanted}, same process (pid ${server.facts.pid})`);
    } catch (thrown) {
      throw await goBack(program, all.slice(0, at + 1), { wellMs, why: toIntercomError(thrown) });
    }
  }
}
