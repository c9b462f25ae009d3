// Questions to the person at this terminal.
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";

/** Yes or no; an empty answer is `fallback`. */
export async function confirmed(question: string, fallback: boolean): Promise<boolean> {
  const answer = (await asked(question)).toLowerCase();
  return answer === "" ? fallback : answer === "y" || answer === "yes";
}

/** One line, without the spaces around it. `secret`: what is typed is not shown. */
export async function asked(question: string, { secret = false } = {}): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  // as a terminal it takes the echo upon itself, and echoes into nothing
  const shape = secret ? { output: silent, terminal: true } : { output: process.stdout };
  const terminal = createInterface({ input: process.stdin, ...shape });
  if (secret) process.stdout.write(question);
  try {
    return (await terminal.question(secret ? "" : question)).trim();
  } finally {
    terminal.close();
    if (secret) process.stdout.write("\n");
  }
}
