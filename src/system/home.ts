// The home directory: private from the first start on, and known by the names of what is in it.
import { chmodSync, lstatSync, mkdirSync, readdirSync } from "node:fs";
import { privateDirectory } from "./files.ts";
import { type HomePaths, homePaths } from "./paths.ts";

/**
 * Creates the home with mode 0700, or checks that it is ours and private. One that a person made before the first start
 * (a directory, perhaps with a config.yml) is made private: nothing secret stands there yet, and nothing but ours.
 */
export function privateHome({ home }: Pick<HomePaths, "home">): void {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  if (isOpenAndUntouched(home)) chmodSync(home, 0o700);
  privateDirectory(home);
}

/** Others may have looked into it, and not written: what is there is the person's own, and no key was made yet. */
function isOpenAndUntouched(home: string): boolean {
  const { uid, mode } = lstatSync(home);
  if ((mode & 0o077) === 0 || (mode & 0o002) !== 0 || uid !== process.getuid?.()) return false;
  const names = readdirSync(home);
  return !names.includes(keyName) && names.every(hasOurName);
}

const { home: _, machineKey, ...others } = homePaths("");
const nameOf = (path: string) => path.split("/")[1] ?? path;
const keyName = nameOf(machineKey);
const ourNames = [...new Set([keyName, ...Object.values(others).map(nameOf)])];

/** `hub.db`, and so `hub.db-wal` and `hub.db.before-7`. */
export function hasOurName(name: string): boolean {
  return ourNames.some((one) => name === one || name.startsWith(`${one}.`) || name.startsWith(`${one}-`));
}
