// Who can be written to: `machine/project`, `machine/project@session`, or `human` (the person).
import { z } from "zod";
import { IntercomError } from "./errors.ts";

/** A machine's or project's name (contract.md). */
export const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** A session id; ours look like `s-20261122-1a2b3c`, scripts may choose their own. */
export const sessionIdPattern = /^[A-Za-z0-9_-]{1,64}$/;

export const Name = z
  .string()
  .regex(namePattern, "a name has 1 to 64 of A-Z a-z 0-9 . _ - and starts with a letter or digit");
export const SessionId = z.string().regex(sessionIdPattern, "a session id has 1 to 64 of A-Z a-z 0-9 _ -");

export type Address =
  | { kind: "human" }
  | { kind: "project"; machine: string; project: string }
  | { kind: "session"; machine: string; project: string; session: string };

/** Reads an address; throws `bad_request` that names the text and the allowed forms. */
export function parseAddress(text: string): Address {
  if (text === "human") return { kind: "human" };
  const [place = "", session, ...rest] = text.split("@");
  const [machine = "", project = "", ...more] = place.split("/");
  const valid =
    namePattern.test(machine) && namePattern.test(project) && more.length === 0 && rest.length === 0;
  if (!valid || (session !== undefined && !sessionIdPattern.test(session)))
    throw new IntercomError("bad_request", `"${clip(text)}" is not an address`, {
      hint: "write machine/project, machine/project@session or human; `ai-intercom agents` lists them",
    });
  return session === undefined
    ? { kind: "project", machine, project }
    : { kind: "session", machine, project, session };
}

export function formatAddress(address: Address): string {
  switch (address.kind) {
    case "human":
      return "human";
    case "project":
      return `${address.machine}/${address.project}`;
    case "session":
      return `${address.machine}/${address.project}@${address.session}`;
    default:
      return address satisfies never;
  }
}

/** A directory's or host's name as a valid name: `My App (2)` → `My-App-2`; `fallback` where nothing is left. */
export function slug(text: string, fallback: string): string {
  const name = text
    .normalize("NFKD")
    .replace(/[\u0300-\u036f]/g, "")
    .replace(/[^A-Za-z0-9._-]+/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "")
    .replace(/-+$/, "")
    .slice(0, 64);
  return name === "" ? fallback : name;
}

/** The candidates that look like `name`, nearest first: for the hint of an unknown-name error. */
export function nearMatches(name: string, candidates: readonly string[], limit = 3): string[] {
  const wanted = name.toLowerCase();
  return candidates
    .map((candidate) => ({ candidate, distance: distance(wanted, candidate.toLowerCase()) }))
    .filter(
      ({ candidate, distance }) =>
        distance <= Math.max(2, wanted.length / 3) || candidate.toLowerCase().includes(wanted),
    )
    .sort((a, b) => a.distance - b.distance || a.candidate.localeCompare(b.candidate))
    .slice(0, limit)
    .map(({ candidate }) => candidate);
}

/** Levenshtein distance, one row at a time. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

function clip(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
