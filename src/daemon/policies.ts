// What this machine's person wants to be asked before an agent is started here: `policies.yml`, read anew when it
// changed. The first rule that fits decides, else the defaults. A file that cannot be used denies everything.
import { statSync } from "node:fs";
import { z } from "zod";
import { IntercomError, toIntercomError } from "../protocol/errors.ts";
import { MessageType } from "../protocol/message.ts";
import { ApprovalLevel } from "../protocol/mission.ts";
import { isErrno, readTextIfPresent } from "../system/files.ts";

const Glob = z.string().min(1).max(512);
/** What can be put to a person. A rule that seems to hold back anything else would be a promise nobody keeps. */
const asked: ReadonlySet<MessageType> = new Set<MessageType>(["ask", "start_agent"]);
const rule = z.strictObject({
  /** who asks: `machine/project`, `machine/project@session` or `human` */
  from: Glob.default("*"),
  /** `machine/project` on this machine */
  to: Glob.default("*"),
  type: MessageType.optional(),
  /** regular expression (JavaScript's), looked for anywhere in the whole text; `.` also stands for a line break */
  message_pattern: z.string().max(4096).optional(),
  approval: ApprovalLevel,
  label: z.string().max(200).optional(),
});
const Rule = rule.refine(
  ({ type, approval }) => type === undefined || asked.has(type) || approval === "never",
  {
    path: ["approval"],
    error: "only ask and start_agent can wait for an approval; for other types write never",
  },
);
const PolicyFile = z.strictObject({
  defaults: z.strictObject({ require_approval: ApprovalLevel.default("once") }).prefault({}),
  rules: z.array(Rule).max(1000).default([]),
});

/** A request as a policy sees it. `from` with its session where it has one. */
export type Asked = { from: string; to: string; type: MessageType; text: string };
export type PolicyVerdict =
  | { verdict: "level"; approval: ApprovalLevel; label?: string }
  | { verdict: "unusable"; reason: string; hint: string };

type Matcher = { fits: (asked: Asked) => boolean; approval: ApprovalLevel; label: string | undefined };
type Policy = { matchers: Matcher[]; fallback: ApprovalLevel };

export class Policies {
  readonly #path: string;
  #stamp: string | undefined;
  #read: Policy | IntercomError = policyOf("", undefined);

  constructor(path: string) {
    this.#path = path;
  }

  decide(asked: Asked): PolicyVerdict {
    this.#refresh();
    const policy = this.#read;
    if (policy instanceof IntercomError)
      return { verdict: "unusable", reason: policy.message, hint: policy.hint ?? "correct policies.yml" };
    const rule = policy.matchers.find(({ fits }) => fits(asked));
    if (!rule) return { verdict: "level", approval: policy.fallback };
    return { verdict: "level", approval: rule.approval, ...(rule.label ? { label: rule.label } : {}) };
  }

  /** A stamp that is not what it was: size, times or the file itself changed. */
  #refresh(): void {
    try {
      const stamp = stampOf(this.#path);
      if (stamp === this.#stamp) return;
      this.#read = policyOf(this.#path, readTextIfPresent(this.#path));
      this.#stamp = stamp;
    } catch (thrown) {
      this.#stamp = undefined; // looked at again next time
      this.#read = toIntercomError(thrown);
    }
  }
}

function stampOf(path: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(path);
    return [ino, size, mtimeMs, ctimeMs].join(" ");
  } catch (error) {
    if (isErrno(error, "ENOENT")) return "absent";
    throw error;
  }
}

function policyOf(path: string, text: string | undefined): Policy {
  const parsed = PolicyFile.safeParse(text === undefined ? {} : (parseYaml(path, text) ?? {}));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw unusable(path, `${issue?.path.join(".") || "the file"}: ${issue?.message}`);
  }
  return {
    matchers: parsed.data.rules.map((rule, at) => matcherOf(path, rule, at)),
    fallback: parsed.data.defaults.require_approval,
  };
}

function parseYaml(path: string, text: string): unknown {
  try {
    return Bun.YAML.parse(text);
  } catch (error) {
    throw unusable(path, `not valid YAML: ${error instanceof Error ? error.message : error}`);
  }
}

function matcherOf(path: string, rule: z.output<typeof Rule>, at: number): Matcher {
  const from = glob(rule.from);
  const to = glob(rule.to);
  const pattern = regexOf(path, rule.message_pattern, at);
  const withSession = rule.from.includes("@");
  return {
    approval: rule.approval,
    label: rule.label,
    fits: (asked) =>
      from.test(withSession ? asked.from : (asked.from.split("@")[0] ?? "")) &&
      to.test(asked.to) &&
      (rule.type === undefined || rule.type === asked.type) &&
      (pattern === undefined || pattern.test(asked.text)),
  };
}

function regexOf(path: string, pattern: string | undefined, at: number): RegExp | undefined {
  if (pattern === undefined) return undefined;
  try {
    return new RegExp(pattern, "s");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw unusable(path, `rules.${at}.message_pattern is not a regular expression: ${why}`);
  }
}

/** `*` alone is everybody; else `*` stands for any characters of one name and `?` for one of them. */
function glob(text: string): RegExp {
  if (text === "*") return /^/;
  const body = text
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", "[^/@]*")
    .replaceAll("?", "[^/@]");
  return new RegExp(`^${body}$`);
}

const unusable = (path: string, what: string) =>
  new IntercomError("bad_config", `${path}: ${what}`, {
    hint: "correct policies.yml on that machine; until then nothing is started there",
  });
