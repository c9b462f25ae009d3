// Which user this process runs as, by name: for records of who decided what.
import { userInfo } from "node:os";
import { readTextIfPresent } from "./files.ts";

/** Bun takes the name from the environment, which a service does not have and anybody may set: the system's own list first. */
export function userName(): string {
  const uid = process.getuid?.();
  const entries = (readTextIfPresent("/etc/passwd") ?? "").split("\n").map((line) => line.split(":"));
  const listed = entries.find(([, , id]) => id !== undefined && id === String(uid))?.[0];
  return listed || userInfo().username;
}
