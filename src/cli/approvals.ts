// What waits for a person's decision, and what was granted. Shows the whole text and exactly what would run: nobody
// approves what they have not seen.
import { IntercomError } from "../protocol/errors.ts";
import {
  type Approval,
  ApprovalDecided,
  ApprovalId,
  ApprovalList,
  Grant,
  GrantId,
  GrantScope,
  MissionId,
} from "../protocol/mission.ts";
import { actAsPerson, askFacts } from "./access.ts";
import { command, json, limitOf, oneOf } from "./command.ts";
import { ago, bold, dim, indent, oneLine, plain, print, printJson, table, wholeReason } from "./output.ts";

const actions = ["approve", "deny", "revoke"] as const;

export const approvals = command({
  name: "approvals",
  description: "list what waits for your decision and what you granted; decide, or take a grant back",
  args: {
    action: { type: "positional", required: false, description: "approve, deny or revoke" },
    id: {
      type: "positional",
      required: false,
      description: "the approval (a-…) or its mission; the grant (g-…) to revoke",
    },
    scope: {
      type: "string",
      description: "once, mission, session or always; default: what the machine's policy names",
      valueHint: "SCOPE",
    },
    all: { type: "boolean", default: false, description: "decided ones too" },
    limit: { type: "string", default: "50", description: "the newest so many", valueHint: "N" },
    json,
  },
  choices: { action: [...actions], scope: GrantScope.options },
  examples: [
    "ai-intercom approvals",
    "ai-intercom approvals approve a-0123456789ab",
    "ai-intercom approvals approve m-20261122-1a2b3c --scope always   # and never ask for its like again",
    "ai-intercom approvals deny a-0123456789ab",
    "ai-intercom approvals revoke g-0123456789ab",
  ],
  run: async (args) => {
    if (args.action === undefined) return list(args);
    const action = oneOf("approvals", args.action, actions);
    if (args.scope !== undefined && action !== "approve")
      throw new IntercomError("bad_usage", `--scope goes with approve, not with ${action}`);
    const scope = args.scope === undefined ? undefined : oneOf("approvals", args.scope, GrantScope.options);
    if (args.id === undefined)
      throw new IntercomError("bad_usage", `what shall I ${action}?`, {
        hint: "ai-intercom approvals lists them",
      });
    if (action === "revoke") return revoke(args.id, args.json);
    return decide(args.id, action, scope, args.json);
  },
});

/** Of a mission that waits for a person; undefined: nothing of it waits. */
export async function pendingOf(mission: string): Promise<Approval | undefined> {
  const { approvals } = ApprovalList.parse(await actAsPerson("approvals", { limit: 1000 }));
  return approvals.find(({ mission_id, status }) => mission_id === mission && status === "pending");
}

export async function approve(id: string): Promise<ApprovalDecided> {
  return ApprovalDecided.parse(
    await actAsPerson("approval_decide", { id, decision: "approve", scope: "once" }),
  );
}

async function decide(
  given: string,
  decision: "approve" | "deny",
  scope: GrantScope | undefined,
  asJson: boolean,
): Promise<number> {
  const id = await approvalOf(given);
  const decided = ApprovalDecided.parse(await actAsPerson("approval_decide", { id, decision, scope }));
  const { approval, grant, mission } = decided;
  const wanted = decision === "approve" ? "approved" : "denied";
  if (asJson) printJson(decided);
  else {
    const by = approval.decided_by ? ` by ${plain(approval.decided_by)}` : "";
    const reason = mission.reason ? ` (${oneLine(mission.reason, wholeReason)})` : "";
    print(`${id}: ${approval.status}${by}; mission ${mission.mission_id} is ${mission.status}${reason}`);
    if (grant) print(`granted: ${grantText(grant)}; take it back: ai-intercom approvals revoke ${grant.id}`);
  }
  const isRefused = decision === "approve" && (mission.status === "denied" || mission.status === "failed");
  return approval.status === wanted && !isRefused ? 0 : 1;
}

async function revoke(given: string, asJson: boolean): Promise<void> {
  const id = GrantId.safeParse(given);
  if (!id.success)
    throw new IntercomError("bad_usage", `"${given}" is not a grant id`, {
      hint: "a grant id is g- and 12 hex digits; `ai-intercom approvals` lists them",
    });
  const answer = await actAsPerson("grant_revoke", { id: id.data });
  if (asJson) return printJson(answer);
  const grant = Grant.safeParse(answer);
  print(`revoked: ${grant.success ? grantText(grant.data) : id.data}`);
}

/** An approval is also known by its mission. */
async function approvalOf(given: string): Promise<string> {
  if (ApprovalId.safeParse(given).success) return given;
  if (!MissionId.safeParse(given).success)
    throw new IntercomError("bad_usage", `"${given}" is not an approval id`, {
      hint: "an approval id is a- and 12 hex digits; `ai-intercom approvals` lists them",
    });
  const pending = await pendingOf(given);
  if (pending) return pending.id;
  const { approvals } = ApprovalList.parse(await actAsPerson("approvals", { all: true, limit: 1000 }));
  const [latest] = approvals
    .filter(({ mission_id }) => mission_id === given)
    .sort((a, b) => Date.parse(b.requested_at) - Date.parse(a.requested_at));
  if (latest) return latest.id; // the hub says who decided, and when
  await askFacts("mission", { id: given }); // throws where there is none
  throw new IntercomError("conflict", `mission ${given} does not wait for a decision`, {
    hint: `ai-intercom missions show ${given}`,
  });
}

async function list(args: { all: boolean; limit: string; json: boolean }): Promise<void> {
  const given = { all: args.all, limit: limitOf(args.limit) };
  const { approvals, grants } = ApprovalList.parse(await actAsPerson("approvals", given));
  if (args.json) return printJson({ approvals, grants });
  if (approvals.length === 0) print(args.all ? "no approvals yet" : "nothing waits for your decision");
  for (const one of approvals) print(`${card(one)}\n`);
  if (grants.length === 0) return;
  print(bold("granted"));
  print(
    table(
      ["grant", "scope", "type", "from", "to", "mission", "command", "permission", "by", "since"],
      grants.map((one) => [
        one.id,
        one.scope,
        one.type,
        one.from,
        one.to,
        one.mission_id ?? "",
        one.command.map(shown).join(" "),
        plain(one.permission),
        plain(one.created_by),
        ago(one.created_at),
      ]),
    ),
  );
}

/** The whole of it, text last: everything a decision needs. */
function card(approval: Approval): string {
  const { id, plan, decided_by, decided_at } = approval;
  const rows = [
    `${bold(id)}  ${approval.status}  ${dim(`mission ${approval.mission_id}, asked ${ago(approval.requested_at)}`)}`,
    `  from        ${plain(approval.from)}`,
    `  to          ${plain(approval.to)} (${approval.type})`,
    `  directory   ${plain(plan.directory)}`,
    `  command     ${plan.argv.map(shown).join(" ")}`,
    `  permission  ${plain(plan.permission)}`,
    ...(approval.label ? [`  rule        ${plain(approval.label)}`] : []),
    `  good for    ${approval.level}`,
    `  agent       ${plain(approval.agent_command) || "the machine's default"}`,
    `  time limit  ${approval.timeout === undefined ? "the machine's own" : `${approval.timeout} s`}`,
    ...(approval.files.length > 0 ? [`  files       ${approval.files.map(shown).join(" ")}`] : []),
    "  text",
    indent(approval.text),
    ...approval.context.flatMap(({ from_agent, message }, at) => [
      ...(at === 0 ? ["  messages that are handed over"] : []),
      `  ${oneLine(from_agent)}:`,
      indent(message),
    ]),
  ];
  if (approval.status === "pending")
    rows.push(
      dim(`  ai-intercom approvals approve ${id}    or: deny ${id}    expires ${approval.expires_at}`),
    );
  else if (decided_at)
    rows.push(dim(`  ${approval.status} ${ago(decided_at)} by ${plain(decided_by ?? "nobody")}`));
  return rows.join("\n");
}

const shown = (part: string) => (/^[\w./:=@%+-]+$/.test(part) ? part : JSON.stringify(plain(part)));

function grantText({ scope, type, from, to, mission_id }: Grant): string {
  return `${type} from ${from} to ${to}, scope ${scope}${mission_id ? ` ${mission_id}` : ""}`;
}
