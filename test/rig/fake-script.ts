// What the fake model says next, worked out from the request alone. No state: the script rides in
// the conversation, so one server drives any number of sessions, resumed and compacted ones too.
//
// The rule:
// - `FAKE:[[…],[…]]` counts in what a user says: text of a `user` message, outside <system-reminder>.
// - `FAKEMAIL:[[…],[…]]` counts wherever else text reaches the model: reminders, `system` messages,
//   tool results, and user text too. Put it into a delivered message that should steer its reader.
// - Neither counts in what the assistant said, nor in the system prompt.
// - The newest one in the conversation is the script; a script inside a script's strings is not looked at.
// - Each inner array is one assistant turn; the turn is the number of assistant messages since.
// - `READ:regex` as a whole string of a tool's input stands for the newest text that the regex's group finds in the
//   request: a model that takes over a value it was told, such as a thread id.

import { z } from "zod";

/** One step of a scripted assistant turn. `sleep` is in milliseconds; `gate` waits for the test. */
export const Step = z.union([
  z.strictObject({ text: z.string() }),
  z.strictObject({ tool: z.string(), input: z.record(z.string(), z.unknown()) }),
  z.strictObject({ sleep: z.number() }),
  z.strictObject({ gate: z.string() }),
]);
export type Step = z.infer<typeof Step>;

export const Script = z.array(z.array(Step));
export type Script = z.infer<typeof Script>;

const Block = z.looseObject({ type: z.string() });
export const ModelMessage = z.looseObject({
  role: z.string(),
  content: z.union([z.string(), z.array(Block)]),
});
export type ModelMessage = z.infer<typeof ModelMessage>;

/** The parts of a request body the rig looks at; everything else is kept as it came. */
export const ModelRequestBody = z.looseObject({
  model: z.string().default("unknown"),
  stream: z.boolean().default(false),
  system: z.union([z.string(), z.array(Block)]).optional(),
  messages: z.array(ModelMessage).default([]),
  tools: z.array(z.looseObject({ name: z.string() })).default([]),
});
export type ModelRequestBody = z.infer<typeof ModelRequestBody>;

/** Text of a user prompt that makes the fake model play `turns`; `say` comes before the script. */
export function prompt(say: string, turns: Script): string {
  return `${say} FAKE:${JSON.stringify(turns)}`;
}

/** Text of a delivered message that makes its reader play `turns`. */
export function mail(say: string, turns: Script): string {
  return `${say} FAKEMAIL:${JSON.stringify(turns)}`;
}

/** The steps of the turn this request asks for, or `undefined` when no script is left. */
export function nextTurn(messages: readonly ModelMessage[]): Step[] | undefined {
  for (let index = messages.length - 1; index >= 0; index -= 1) {
    const message = messages[index];
    if (!message || message.role === "assistant") continue;
    const script = scriptIn(message);
    if (script) return script[assistantTurns(messages.slice(index + 1))];
  }
  return undefined;
}

/** Fills the `READ:` inputs of a step from what the model reads. A regex that finds nothing is a mistake in the test. */
export function readInputs(step: Step, text: string): Step {
  if (!("tool" in step)) return step;
  const filled = Object.entries(step.input).map(([key, value]) => {
    if (typeof value !== "string" || !value.startsWith("READ:")) return [key, value];
    const found = [...text.matchAll(new RegExp(value.slice("READ:".length), "g"))].at(-1)?.[1];
    if (found === undefined) throw new Error(`nothing in the request fits ${value}`);
    return [key, found];
  });
  return { ...step, input: Object.fromEntries(filled) };
}

/** Every text in a request that the model reads, decoded: system prompt, messages, tool results, tool inputs. */
export function textsOf(body: ModelRequestBody): string {
  return strings([body.system, body.messages.map((message) => message.content)]).join("\n");
}

/** What a person or a delivered mail said in one message, without the model's own words. */
export function userText(message: ModelMessage): string {
  if (message.role !== "user") return "";
  if (typeof message.content === "string") return message.content;
  return message.content
    .filter((block) => block.type === "text")
    .flatMap(strings)
    .join("\n");
}

/** The newest script of one message, the last one winning. */
function scriptIn(message: ModelMessage): Script | undefined {
  const said = userText(message).replaceAll(/<system-reminder>[\s\S]*?<\/system-reminder>/g, "");
  const everything = strings(message.content).join("\n");
  const ofMail = scriptsOf("FAKEMAIL:", withoutScripts("FAKE:", everything));
  return ofMail.at(-1) ?? scriptsOf("FAKE:", said).at(-1);
}

/** Every script behind `marker`. A marker that no valid JSON array follows is plain text. */
function scriptsOf(marker: string, text: string): Script[] {
  const found: Script[] = [];
  let from = 0;
  while (true) {
    const at = text.indexOf(`${marker}[`, from);
    if (at < 0) return found;
    const start = at + marker.length;
    const end = endOfArray(text, start);
    from = end ?? start;
    if (end !== undefined) found.push(parse(text.slice(start, end)));
  }
}

/** A prompt whose script sends mail with a script in it must not be steered by that one. */
function withoutScripts(marker: string, text: string): string {
  const at = text.indexOf(`${marker}[`);
  if (at < 0) return text;
  const start = at + marker.length;
  const end = endOfArray(text, start) ?? start;
  return text.slice(0, start) + withoutScripts(marker, text.slice(end));
}

/** A script that does not parse is a mistake in the test: it says so instead of running something else. */
function parse(json: string): Script {
  try {
    return Script.parse(JSON.parse(json));
  } catch (error) {
    throw new Error(`not a script: ${json.slice(0, 500)}`, { cause: error });
  }
}

/** Position behind the `]` that closes the array at `start`; brackets inside strings do not count. */
function endOfArray(text: string, start: number): number | undefined {
  let depth = 0;
  let quoted = false;
  for (let at = start; at < text.length; at += 1) {
    const char = text[at];
    if (quoted) {
      if (char === "\\") at += 1;
      else if (char === '"') quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === "[") depth += 1;
    else if (char === "]") {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return undefined;
}

/** Assistant messages, a run of neighbours counting once (the client may split one answer by block). */
function assistantTurns(messages: readonly ModelMessage[]): number {
  return messages.filter(
    (message, at) => message.role === "assistant" && messages[at - 1]?.role !== "assistant",
  ).length;
}

/** All strings inside a value, in order; names of keys and the blocks' `type` and ids are left out. */
function strings(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (Array.isArray(value)) return value.flatMap(strings);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => (structural.has(key) ? [] : strings(inner)));
}

const structural = new Set(["type", "id", "tool_use_id", "cache_control", "signature"]);
