// Questions to the person at this terminal. They come before anything is changed, so whoever leaves changes nothing.
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { IntercomError } from "../../protocol/errors.ts";

/** Yes or no; an empty answer is `fallback`. */
export async function confirmed(question: string, fallback: boolean): Promise<boolean> {
  const answer = (await asked(question)).toLowerCase();
  return answer === "" ? fallback : answer === "y" || answer === "yes";
}

/**
 * One line, without the spaces around it. `secret`: what is typed is not shown. Ctrl-C ends this process as it ends
 * others, by the signal; the end of the input (Ctrl-D) throws `bad_usage`.
 */
export async function asked(question: string, { secret = false } = {}): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  // as a terminal it takes the echo upon itself, and echoes into nothing
  const shape = secret ? { output: silent, terminal: true } : { output: process.stdout };
  const terminal = createInterface({ input: process.stdin, ...shape });
  const left = Promise.withResolvers<never>();
  let interrupted = false;
  terminal.once("SIGINT", () => {
    interrupted = true;
    terminal.close();
  });
  terminal.once("close", () => left.reject(noAnswer()));
  if (secret) process.stdout.write(question);
  try {
    return (await Promise.race([terminal.question(secret ? "" : question), left.promise])).trim();
  } catch (error) {
    process.stdout.write("\n");
    if (interrupted) process.kill(process.pid, "SIGINT");
    throw error;
  } finally {
    terminal.close();
    if (secret) process.stdout.write("\n");
  }
}

const noAnswer = () => new IntercomError("bad_usage", "no answer came; nothing was changed");
