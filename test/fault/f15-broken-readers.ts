// F15, the negative control: readers and writers that are broken on purpose go through the same book and oracle, and
// must be caught. A harness that lets them pass proves nothing about the rest.
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { homePaths } from "../../src/system/paths.ts";
import { Book } from "./book.ts";
import { Dice } from "./dice.ts";
import { controlSweep } from "./f03-sweep.ts";
import { type CaseResult, type Context, type FaultClass, noViolation } from "./fault.ts";
import { calm, lively } from "./manners.ts";
import { judge, type Verdict } from "./oracle.ts";
import { patience } from "./served.ts";
import { Traffic } from "./traffic.ts";
import { World } from "./world.ts";

type Control = {
  name: string;
  catches: keyof Verdict;
  run(context: Context): Promise<{ verdict: Verdict; messages: number }>;
};

const controls: Control[] = [
  { name: "unlocked-rewrite", catches: "lost", run: (context) => oldReader(context, 0) },
  { name: "print-then-crash", catches: "doubled", run: (context) => oldReader(context, 0.1) },
  { name: "rewrite-beside-daemon", catches: "lost", run: besideTheDaemon },
  { name: "acknowledged-damaged", catches: "lost", run: controlSweep },
  { name: "misaddressed", catches: "misplaced", run: misaddressed },
];

export const brokenReaders: FaultClass = {
  name: "F15",
  title: "negative control: broken readers must be caught",
  cases: ({ slice }) =>
    // the slice leaves out what oracle.test.ts shows
    controls
      .filter(({ name }) => !slice || name !== "misaddressed")
      .map(({ name, catches, run }) => ({
        id: `F15:${name}`,
        run: async (context: Context): Promise<CaseResult> => {
          const { verdict, messages } = await run(context);
          const caught = verdict[catches].length;
          return {
            verdict:
              caught > 0
                ? noViolation
                : { ...noViolation, stuck: [`${name} was not caught: no ${catches} found`] },
            cases: 1,
            messages,
            detail: `${catches} ${caught} of ${messages}`,
          };
        },
      })),
};

/** The design this product replaces: a reader reads all and writes all back, while the writer appends. */
async function oldReader({ seed }: Context, crash: number) {
  const directory = mkdtempSync("/tmp/aif-");
  const [file, dice, book] = [`${directory}/inbox.jsonl`, new Dice(seed), new Book(`old${seed}`)];
  const count = 600;
  try {
    let writing = true;
    const writer = (async () => {
      for (let i = 0; i < count; i++) {
        const sent = book.write("a", "b", "lane");
        Object.assign(sent, { id: `id-${i}`, outcome: "accepted" });
        appendFileSync(file, `${JSON.stringify({ id: sent.id, message: sent.text, read: false })}\n`);
        await Bun.sleep(dice.between(0, 4));
      }
      writing = false;
    })();
    const readOnce = async () => {
      const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : [];
      const records: { id: string; message: string; read: boolean }[] = lines.map((line) => JSON.parse(line));
      for (const { id, message, read } of records)
        if (!read)
          book.reads.push({
            session: "b",
            nonce: "n",
            id,
            thread: "t",
            from: "a",
            part: 1,
            of: 1,
            text: message,
            by: "old",
          });
      if (dice.chance(crash)) return;
      await Bun.sleep(dice.between(0, 3));
      writeFileSync(file, records.map((record) => `${JSON.stringify({ ...record, read: true })}\n`).join(""));
    };
    while (writing) {
      await readOnce();
      await Bun.sleep(dice.between(5, 20));
    }
    await writer;
    await readOnce();
    return { verdict: judge(book, new Map(), new Set()), messages: count };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The old reader on the daemon's own files: what it read it counts as read, and writes the rest back. */
async function besideTheDaemon(context: Context) {
  await using world = await World.start(context);
  const traffic = new Traffic(world, { manners: calm, lanes: 3, long: 0 });
  const [begun, until] = [performance.now(), performance.now() + patience.timeoutMs];
  /** how often mail was written between its reading and its writing: what it is caught by */
  let overwritten = 0;
  while (performance.now() < until && (overwritten < 10 || performance.now() < begun + 2_000)) {
    for (const { home } of world.machines) {
      const { inbox } = homePaths(home);
      for (const name of readdirSync(inbox).filter((file) => file.endsWith(".jsonl"))) {
        const before = readFileSync(`${inbox}/${name}`, "utf8");
        await Bun.sleep(world.dice.between(1, 8));
        if (statSync(`${inbox}/${name}`).size > Buffer.byteLength(before)) overwritten += 1;
        writeFileSync(`${inbox}/${name}`, before.replaceAll('"read":false', '"read": true'));
      }
    }
    await Bun.sleep(20);
  }
  await traffic.stop();
  const verdict = await world.drain({ timeoutMs: 3_000 });
  return { verdict, messages: world.book.sent.length };
}

/** One agent's contexts booked under another's name: mail in a session that it was not addressed to. */
async function misaddressed(context: Context) {
  await using world = await World.start(context);
  const traffic = new Traffic(world, { manners: lively });
  await Bun.sleep(1_000);
  await traffic.stop();
  await world.drain();
  const [one, other] = world.agents;
  for (const read of world.book.reads) if (read.session === one?.address) read.session = other?.address ?? "";
  return { verdict: judge(world.book, new Map(), new Set()), messages: world.book.sent.length };
}
