// What `setup` asks a person at the first time: whose hub, and this machine's name. Enter takes what stands there; what
// cannot be meant is said at once and asked again. Nothing is changed here.
import { IntercomError } from "../../protocol/errors.ts";
import { defaultHubPort, inspectConfig, loadConfig } from "../../system/config.ts";
import { type JoinWords, machineNameOf, planJoin } from "../enrolment.ts";
import { print } from "../output.ts";
import { asked, confirmed } from "./questions.ts";
import { hubsOnTailnet } from "./tailscale.ts";

/** `join`: what to join a hub with; absent: this machine is or stays its own */
export type Choice = { join?: JoinWords; machine?: string; service: boolean };

/** Makes sense of the flags. A code or an address that cannot be joined ends it here, before anything is shown. */
export async function choiceOf(given: JoinWords, service: boolean): Promise<Choice> {
  const machine = machineNameOf(given.machine);
  if (given.code === undefined && given.url === undefined) return { machine, service };
  return { join: await joinable(given), machine, service };
}

/** The rest, where this machine has no configuration yet and a hub is not chosen by a flag. */
export async function completed(choice: Choice, isAsking: boolean): Promise<Choice> {
  if (inspectConfig().present) return choice;
  const hub = choice.join ?? (await offeredOnTailnet(isAsking));
  if (!isAsking) return choice;
  const join = hub ?? (await untilGood("code of a hub to join (Enter: a hub of its own here): ", codeOf));
  const machine = choice.machine ?? (await untilGood(`this machine's name (Enter: ${nameNow()}): `, nameOf));
  return { ...choice, machine, ...(join === undefined ? {} : { join: { ...join, machine } }) };
}

async function joinable(words: JoinWords): Promise<JoinWords> {
  const { url, isOwnHub } = await planJoin(words);
  if (!isOwnHub) return words;
  throw new IntercomError("conflict", `${url} is the hub of this machine; there is nothing to join`, {
    hint: "ai-intercom setup --yes",
  });
}

const nameNow = () => loadConfig().machine.id;

/** An answer to another question would become the name by which every other machine addresses this one. */
async function nameOf(text: string): Promise<string | undefined> {
  if (text === "") return nameNow();
  if (!/^(y|n|yes|no)$/i.test(text)) return machineNameOf(text);
  throw new IntercomError(
    "bad_usage",
    `"${text}" answers no question here: it would be this machine's name`,
    {
      hint: `another name, or Enter for ${nameNow()}; if it shall be called that: ai-intercom setup --machine-id ${text}`,
    },
  );
}

const codeOf = async (code: string) => (code === "" ? undefined : joinable({ code }));

async function untilGood<T>(question: string, read: (answer: string) => Promise<T>): Promise<T> {
  for (;;) {
    const answer = await asked(question);
    try {
      return await read(answer);
    } catch (error) {
      if (!(error instanceof IntercomError)) throw error;
      print(`  ${error.message}${error.hint === undefined ? "" : `; try: ${error.hint}`}`);
    }
  }
}

/** Tailscale may know a hub; who is not asked is told of it. */
async function offeredOnTailnet(isAsking: boolean): Promise<JoinWords | undefined> {
  const [found] = await hubsOnTailnet(defaultHubPort);
  if (!found) return undefined;
  const text = `${found.name} runs a hub at ${found.url} on your tailnet`;
  if (isAsking)
    return (await confirmed(`${text}. ask it to let this machine in? [y/N] `, false))
      ? { url: found.url }
      : undefined;
  print(`note: ${text}; to join it: ai-intercom setup --hub-url ${found.url}\n`);
  return undefined;
}
