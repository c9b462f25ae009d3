// French in Telegram is whole: every error, hint and reason that the hub and its machines can say there has its French,
// read out of the sources, so that a new saying without one fails here.
import { expect, test } from "bun:test";
import { inEnglish, inFrench } from "../../src/oversight/telegram/said.ts";
import { english } from "../../src/oversight/telegram/said-english.ts";
import { french } from "../../src/oversight/telegram/said-french.ts";

/** whose sayings a person meets in Telegram */
const sources = [
  "hub/acceptance",
  "hub/approvals",
  "hub/clock-skews",
  "hub/ended-mission",
  "hub/link",
  "hub/links",
  "hub/mission-dispatch",
  "hub/mission-queries",
  "hub/mission-request",
  "hub/missions",
  "hub/pump",
  "hub/recipients",
  "hub/routing",
  "hub/thread",
  "store/approvals",
  "store/deliveries",
  "store/group-commit",
  "store/loop-guard",
  "store/machines",
  "store/messages",
  "store/missions",
  "daemon/launch-plan",
  "daemon/launcher",
  "daemon/mission-output",
  "daemon/mission-run",
  "daemon/mission-verdict",
  "daemon/policies",
  "protocol/address",
  "protocol/errors",
];
/** commands, and what is said to a machine only, never to a person */
const unheard = [
  'ai-intercom ask x1 "…" --continue x1',
  'ai-intercom ask x1 "…"',
  "an error without a code",
  "the answer is larger than a frame",
  "ask for less: a smaller limit or a narrower filter",
];
/** parts of sayings that stand below, whole; and one that is French already */
const pieces = [
  " by x1",
  " at x1",
  "no x1session of x1/x1 is open",
  "x1 messages d'agents de suite sans une personne",
];
const left = new Set([...unheard, ...pieces]);

const literal = /`(?:[^`\\]|\\.)*`|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/y;
const beginnings = [
  /new IntercomError\(\s*"[a-z_]+",\s*/g,
  /(?:refused|unknown)\(\s*"[a-z_]+",\s*/g,
  /\b(?:hint|reason|why|then|said|what|notice)(?:\??: | = )(?:[\w.]+ (?:[=!]== \w+ )?\? )?/g,
  /\b(?:reason|error|because) (?:\?\?|\|\|) /g,
  /\bstop\("\w+", /g,
  /=>\s+(?=`)/g,
  /(?:return|[?:]|\n) *(?=[`"'])/g,
];

/** What stands for a name in a saying, whatever the source has there. */
function sample(text: string): string {
  let [out, depth] = ["", 0];
  for (let at = 1; at < text.length - 1; at++) {
    if (text.startsWith("${", at)) {
      if (depth === 0) out += "x1";
      depth += 1;
      at += 1;
    } else if (depth > 0) depth += text[at] === "{" ? 1 : text[at] === "}" ? -1 : 0;
    else if (text[at] === "\\") out += text[++at];
    else out += text[at];
  }
  return out;
}

function sayingsOf(source: string): string[] {
  const found = new Set<string>();
  for (const beginning of beginnings)
    for (const { index, 0: head } of source.matchAll(beginning)) {
      literal.lastIndex = index + head.length;
      const [text] = literal.exec(source) ?? [];
      if (text) found.add(sample(text));
    }
  // words of more than one: no code, no name, no SQL
  return [...found].filter((text) => /[a-z]{2,} [a-z0-9]/.test(text) && !/[A-Z]{4,} |\$\d|\n/.test(text));
}

test.each(sources)("%s", async (name) => {
  const sayings = sayingsOf(await Bun.file(`${import.meta.dir}/../../src/${name}.ts`).text());
  const english = sayings.filter((text) => !left.has(text) && inFrench(text) === text);
  expect(english).toEqual([]);
});

test("the sources are read: what is known to stand there is found", async () => {
  const text = await Bun.file(`${import.meta.dir}/../../src/hub/recipients.ts`).text();
  expect(sayingsOf(text)).toContain('no machine named "x1" is enrolled');
  expect(sayingsOf(text)).toContain("did you mean x1?");
});

test.each([
  ["no session of limn/api is open", "aucune session de limn/api n'est ouverte"],
  ["no other session of limn/api is open", "aucune autre session de limn/api n'est ouverte"],
  ["machine limn is offline", "la machine limn est hors ligne"],
  [
    "machine limn is offline: its clock is 7 min ahead",
    "la machine limn est hors ligne : son horloge avance de 7 min",
  ],
  ["it waited for 7 days: machine a is offline", "elle a attendu 7 jours : la machine a est hors ligne"],
  [
    'there is no program "x" on this machine (install it there, or set agent_launcher.commands.x.command; it is looked for in the daemon\'s PATH)',
    "il n'y a pas de programme « x » sur cette machine (installez-le là-bas, ou réglez agent_launcher.commands.x.command ; il est cherché dans le PATH du démon)",
  ],
  ["exit code 3; it said: the disk is full", "code de sortie 3 ; elle a dit : the disk is full"],
  ['machine running has no project named "idle"', "la machine running n'a pas de projet nommé « idle »"],
  ["approval a-1 was approved by bob at noon", "approbation a-1 : déjà approuvé par bob, noon"],
  ["did you mean limn/a or limn/b?", "vouliez-vous dire limn/a ou limn/b ?"],
  [
    "mission m-20261123-000001 is completed, and its agent has ended",
    "la mission m-20261123-000001 est dans l'état : terminé, et son agent a fini",
  ],
  [
    "machine limn is offline, and nobody came for it",
    "la machine limn est hors ligne, et personne n'est venu le chercher",
  ],
  ["machine limn is stopping it", "la machine limn l'arrête"],
  [
    "machine limn is offline: it is stopped when that is back",
    "la machine limn est hors ligne : elle sera arrêtée à son retour",
  ],
  [
    "Votre message m à x a expiré sans être remis : session ended, and nobody came for it. Écrivez de nouveau si nécessaire.",
    "Votre message m à x a expiré sans être remis : session terminée, et personne n'est venu le chercher. Écrivez de nouveau si nécessaire.",
  ],
  ["somebody else's words", "somebody else's words"],
])("%s", (said, french) => expect(inFrench(said)).toBe(french));

test("where French names a command of Telegram's, English does so too, and says nothing that is not there", () => {
  const elsewhere = /ai-intercom|intercom_|if_no_session/;
  const named = Object.keys(french).filter(
    (said) => elsewhere.test(said) && !elsewhere.test(french[said] ?? ""),
  );
  expect(named.filter((said) => !(said in english))).toEqual([]);
  expect(Object.keys(english).filter((said) => inFrench(said) === said)).toEqual([]);
});

test.each([
  [
    "ai-intercom agents (or intercom_list_agents) shows who can be reached",
    "/agents shows who can be reached",
  ],
  ["while it runs, write to it: intercom_chat to a/b@m", "while it runs, write to it: /chat a/b@m text"],
  ["ai-intercom missions show m-1", "/missions m-1"],
  ["its disk is full (ai-intercom machines)", "its disk is full (/machines)"],
  ["id: 5 is somebody else's; words", "id: 5 is somebody else's; words"],
])("%s", (said, here) => expect(inEnglish(said)).toBe(here));

test("somebody else's long text takes no time", () => {
  const text = "a: b; c (d) is in e, not in f; it said: ".repeat(90);
  const started = performance.now();
  expect(inFrench(text)).toContain("a: b; c");
  expect(performance.now() - started).toBeLessThan(10_000);
});
