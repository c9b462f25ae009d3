// `ai-intercom demo`: the product at work in a temporary home, with real parts only: a hub, two machines, two MCP
// sessions over stdio; only the agent of the mission is a scripted stand-in, and said to be one. Leaves nothing behind.
import { IntercomError } from "../protocol/errors.ts";
import { Invite } from "../protocol/hub-api.ts";
import { MessageStatus } from "../protocol/message.ts";
import { type Approval, ApprovalList, MissionAnswer, MissionDetail } from "../protocol/mission.ts";
import { AgentList } from "../protocol/session.ts";
import { tools } from "../protocol/tools.ts";
import { command } from "./command.ts";
import { Stage, until } from "./demo-stage.ts";
import type { McpAgent } from "./mcp-agent.ts";
import { dim, print } from "./output.ts";

const task = "Which port does the README name?";
const [question, answer] = ["Which port does your API listen on?", "8080. The health check is GET /livez."];

export const demo = command({
  name: "demo",
  description:
    "a hub and two machines in a temporary home, two real MCP sessions that chat, a mission; each step with its time",
  args: {},
  examples: ["ai-intercom demo"],
  run: async () => {
    await using stage = await Stage.open();
    await play(stage);
  },
});

async function play(stage: Stage): Promise<void> {
  const started = performance.now();
  await stage.prepare("limn", "mnemos", "The API listens on port 8080.");
  const website = await conversation(stage);
  await mission(stage, website);
  print(
    `\nall of it in ${Math.round(performance.now() - started)} ms. For real: ai-intercom install claude && ai-intercom standalone`,
  );
}

/** Two running agents; gives the one that asked. */
async function conversation(stage: Stage): Promise<McpAgent> {
  const hubUrl = await step("start a hub and machine limn", () => stage.standalone("limn"));
  const { code } = await step("invite a second machine", async () =>
    Invite.parse(await stage.run("limn", ["invite", "--json"])),
  );
  await step("machine atlas joins with the code", () =>
    stage.run("atlas", ["join", code, "--hub-url", hubUrl, "--machine-id", "atlas", "--json"]),
  );
  await step("start its daemon", () => stage.daemon("atlas"));
  const mnemos = await step("an agent starts on limn, in project mnemos", () =>
    stage.agent("limn", "mnemos"),
  );
  const website = await step("an agent starts on atlas, in project website", () =>
    stage.agent("atlas", "website"),
  );
  await step("atlas/website sees limn/mnemos", () => seen(website, "limn", "mnemos"));
  const asked = await step(`atlas/website → limn/mnemos: "${question}"`, () =>
    website.says("intercom_chat", { to: "limn/mnemos", message: question }),
  );
  await step("limn/mnemos reads its inbox", () => mnemos.reads(question));
  await step(`limn/mnemos replies: "${answer}"`, () =>
    mnemos.says("intercom_reply", { thread_id: asked.thread_id, message: answer }),
  );
  await step("atlas/website reads the answer", () => website.reads(answer));
  const { states } = await step("atlas/website asks where its question is", async () =>
    MessageStatus.parse(await website.call("intercom_status", { message_id: asked.message_id })),
  );
  for (const { state, at } of states) print(dim(`           ${state.padEnd(10)} ${at}`));
  return website;
}

/** A fresh agent is started for one task, after the person approved it; its answer comes to who asked. */
async function mission(stage: Stage, website: McpAgent): Promise<void> {
  const { mission_id = "" } = await step(
    `atlas/website asks for a mission in limn/mnemos: "${task}"`,
    async () => asked(await website.call("intercom_ask", { to: "limn/mnemos", message: task })),
  );
  const approval = await step("it waits for the person's approval, who sees what would run", async () => {
    const { approvals } = ApprovalList.parse(await stage.run("limn", ["approvals", "--json"]));
    const pending = approvals.find((one) => one.mission_id === mission_id);
    if (!pending) throw new IntercomError("internal", `nothing waits for approval of ${mission_id}`);
    return pending;
  });
  for (const line of cardOf(approval)) print(dim(`           ${line}`));
  await step("the person approves", () => stage.run("limn", ["approvals", "approve", approval.id, "--json"]));
  await step("the mission ran (a scripted stand-in for an agent, no model)", () =>
    untilCompleted(website, mission_id),
  );
  const text = await step("its answer has come to atlas/website by itself", () =>
    answered(website, mission_id),
  );
  for (const line of text.split("\n").filter((one) => one !== "")) print(dim(`           ${line}`));
}

const cardOf = ({ text, plan }: Approval): string[] => [
  `text       ${text}`,
  `directory  ${plan.directory}`,
  `command    ${plan.argv.join(" ")}`,
];

function asked(result: unknown): MissionAnswer {
  const answer = MissionAnswer.parse(result);
  if (answer.status === "pending_approval") return answer;
  throw new IntercomError("internal", `expected pending_approval, got ${JSON.stringify(answer)}`);
}

/** Prints what it does as it happens, as the asker sees it. */
async function untilCompleted(agent: McpAgent, id: string): Promise<void> {
  const started = performance.now();
  let printed = 0;
  await until(async () => {
    const look = MissionDetail.parse(await agent.call("intercom_status", { mission_id: id }));
    for (const { kind, summary } of look.feedback.slice(printed)) {
      printed++;
      print(
        dim(
          `           ${`+${Math.round(performance.now() - started)} ms`.padEnd(9)} ${kind.padEnd(8)}${summary}`,
        ),
      );
    }
    if (look.status === "completed") return true;
    if (look.status === "queued" || look.status === "running") return false;
    throw new IntercomError("internal", `the mission ended ${look.status}: ${look.reason ?? ""}`);
  }, `mission ${id} to complete`);
}

async function answered(agent: McpAgent, mission: string): Promise<string> {
  let text = "";
  await until(async () => {
    const { messages } = tools.intercom_check_inbox.output.parse(
      await agent.call("intercom_check_inbox", {}),
    );
    text = messages.find(({ from_agent }) => from_agent.endsWith(`@${mission}`))?.message ?? "";
    return text !== "";
  }, "the answer in the inbox");
  return text;
}

/** Runs one step and prints how long it took. */
async function step<T>(title: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await work();
  print(`${`${(performance.now() - started).toFixed(1)} ms`.padStart(10)}  ${title}`);
  return result;
}

async function seen(agent: McpAgent, machine: string, project: string): Promise<void> {
  await until(async () => {
    const { agents } = AgentList.parse(await agent.call("intercom_list_agents", {}));
    return agents.some(
      (one) => one.machine_id === machine && one.project_id === project && one.session !== null,
    );
  }, `${machine}/${project} to be listed`);
}
