// The pipes at which hooks wait to be rung, with shells that wait there as those hooks do.
import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { Bells } from "../../src/daemon/bells.ts";
import { waitFor } from "../rig/wait.ts";

const scratch = () => mkdtempSync("/tmp/aii-dmn-");

/** A shell that reads one line at the pipe of this pid. */
function waiter(directory: string, pid: number) {
  const command = `IFS= read -r line <"$0"; printf '%s %s' "$?" "$line"`;
  const child = Bun.spawn(["/bin/sh", "-c", command, `${directory}/${pid}`], {
    stdin: "ignore",
    stdout: "pipe",
  });
  return new Response(child.stdout).text();
}

test("a ring reaches the one who waits; where nobody does, it is known at once and no text is made", async () => {
  const directory = scratch();
  const bells = new Bells(directory);
  bells.hangFor([11, 12]);
  const unasked = () => {
    throw new Error("asked for the text of a ring that nobody hears");
  };
  expect(bells.ring(11, unasked)).toBe(false);
  expect(bells.ring(13, unasked)).toBe(false);
  const told = waiter(directory, 11);
  await waitFor("the ring to be heard", () => bells.ring(11, () => "wake up"));
  expect(await told).toBe("0 wake up");
  expect(bells.ring(12, unasked)).toBe(false);
});

test("the next daemon finds the bells that hang, and those who wait there", async () => {
  const directory = scratch();
  new Bells(directory).hangFor([11, 12]);
  const [kept, ended] = [waiter(directory, 11), waiter(directory, 12)];
  const bells = new Bells(directory);
  bells.hangFor([11]);
  expect(readdirSync(directory)).toEqual(["11"]);
  await waitFor("the ring to be heard", () => bells.ring(11, () => "still here"));
  expect(await kept).toBe("0 still here");
  // whether it had opened the pipe or came too late for it: nothing holds it
  expect(await ended).not.toStartWith("0");
});

test("what else stands in a bell's place is replaced", () => {
  const directory = scratch();
  const bells = new Bells(directory);
  writeFileSync(`${directory}/11`, "left by a shell that came when the pipe had just gone");
  bells.hangFor([11]);
  expect(bells.ring(11, () => "x")).toBe(false);
});
