// Who runs this process. Bun's `os.userInfo()` believes $USER and says "unknown" without it.
import { readTextIfPresent } from "./files.ts";

/** The account's name; where no account file names it, what the environment says, else its number. */
export function userName(): string {
  const uid = process.getuid?.() ?? 0;
  const entry = (readTextIfPresent("/etc/passwd") ?? "")
    .split("\n")
    .map((line) => line.split(":"))
    .find((fields) => fields[2] === String(uid));
  return entry?.[0] || process.env.USER || process.env.LOGNAME || String(uid);
}
