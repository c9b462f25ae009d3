// Takes the product's home away: only what has a name of ours, so that a home that was set by mistake to a directory
// with other things in it loses none of them.
import { lstatSync, readdirSync, realpathSync, rmdirSync, rmSync, unlinkSync } from "node:fs";
import { homedir } from "node:os";
import { IntercomError } from "../protocol/errors.ts";
import { privateDirectory } from "./files.ts";
import { hasOurName } from "./home.ts";
import type { HomePaths } from "./paths.ts";

/** Throws where the directory is not plainly a home of ours: somebody else's, open to others, or a person's own. */
export function refuseForeignHome({ home, machineKey, config, backups }: HomePaths): void {
  const real = realpathSync(home);
  privateDirectory(real);
  const person = realpathSync(process.env.HOME || homedir());
  const holdsPerson = person === real || person.startsWith(real === "/" ? "/" : `${real}/`);
  // the last: nothing was ever done with it but `install`
  const isOurs = [machineKey, config, `${backups}/installed.json`].some(isThere);
  if (!holdsPerson && (isOurs || readdirSync(real).length === 0)) return;
  throw new IntercomError("unsafe_file", `${home} is not a directory of ai-intercom's alone`, {
    hint: "look at it and remove what is ours by hand, or keep it: ai-intercom uninstall --all --keep-data",
  });
}

/** Removes it, and returns the names of what was in it that is not ours: then the directory stays with those. */
export function removeHome(home: string): string[] {
  const real = realpathSync(home);
  const left: string[] = [];
  for (const name of readdirSync(real).sort()) {
    if (hasOurName(name)) rmSync(`${real}/${name}`, { recursive: true, force: true });
    else left.push(name);
  }
  if (left.length > 0) return left;
  rmdirSync(real);
  if (isThere(home)) unlinkSync(home); // it was a link
  return [];
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
