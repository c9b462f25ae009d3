// The built MCP server as clients meet it: the handshake, how it ends, what every tool declares and answers, and the
// protocol's own Inspector.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { inspector, mcpToolsReady } from "../mcp/install";
import { binary } from "../rig/binary";
import { Fleet, type Machine } from "../rig/fleet";
import { StdioServer } from "../rig/stdio";

// each test starts several programs, and the machine may be busy
setDefaultTimeout(120_000);
const inspectorReady = await mcpToolsReady();

let fleet: Fleet;
let limn: Machine;
/** a home in which nothing runs */
let silent: Machine;
let project: string;
beforeAll(async () => {
  fleet = await Fleet.start(["limn"]);
  limn = fleet.machine("limn");
  silent = fleet.add("silent");
  project = limn.directory("mnemos");
  await mkdir(project, { recursive: true });
});
afterAll(() => fleet[Symbol.asyncDispose]());

const client = {
  protocolVersion: "2025-06-18",
  capabilities: {},
  clientInfo: { name: "test", version: "1" },
};

describe("the process", () => {
  test("answers initialize whether a daemon runs or not, and says what it is for", async () => {
    for (const { env } of [limn, silent]) {
      await using server = StdioServer.start({ env, cwd: project });
      const { result } = await server.ask(1, "initialize", client);
      expect(Buffer.byteLength(result.instructions)).toBeLessThan(2048);
      expect(result).toMatchObject({
        protocolVersion: "2025-06-18",
        capabilities: { tools: {} },
        serverInfo: { name: "ai-intercom" },
        instructions: expect.stringContaining("intercom_chat"),
      });
    }
  });

  test("an unknown first method is refused as such and the handshake still works", async () => {
    await using server = StdioServer.start({ env: silent.env, cwd: project });
    expect((await server.ask(1, "server/discover")).error.code).toBe(-32601);
    expect((await server.ask(2, "initialize", client)).result.serverInfo.name).toBe("ai-intercom");
    server.send({ method: "notifications/initialized" });
    expect((await server.ask(3, "tools/list")).result.tools).toHaveLength(12);
  });

  test("ends with code 0 at the end of its input, before and after the handshake", async () => {
    for (const { env } of [limn, silent])
      for (const greeted of [false, true]) {
        await using server = StdioServer.start({ env, cwd: project });
        if (greeted) {
          await server.ask(1, "initialize", client);
          server.send({ method: "notifications/initialized" });
          await server.ask(2, "ping");
        }
        server.endInput();
        expect(await server.exited()).toBe(0);
      }
  });

  test.each(["SIGINT", "SIGTERM"] as const)("ends on %s", async (signal) => {
    for (const { env } of [limn, silent]) {
      await using server = StdioServer.start({ env, cwd: project });
      await server.ask(1, "initialize", client);
      server.send({ method: "notifications/initialized" });
      await server.ask(2, "ping");
      server.signal(signal);
      expect(await server.exited()).toBe(0);
    }
  });
});

describe("the tools", () => {
  let mcp: Client;
  let sessionId: string;
  beforeAll(async () => {
    mcp = await connect(limn);
    await call("intercom_register", { summary: "tests the tools" });
    const { body } = await limn.local("GET", "/api/sessions");
    sessionId = (body.sessions as { pid: number; session_id: string }[]).find(
      ({ pid }) => pid === process.pid,
    )?.session_id as string;
  });
  afterAll(() => mcp.close());

  const call = (name: string, given: Record<string, unknown> = {}) => callChecked(mcp, name, given);

  test("each has input and output schema, a title, and a description that no client cuts", async () => {
    const { tools } = await mcp.listTools();
    for (const tool of tools) {
      expect(tool.inputSchema.type).toBe("object");
      expect(tool.outputSchema?.type).toBe("object");
      expect(tool.title).toBeTruthy();
      expect(tool.description).toBeTruthy();
      expect(Buffer.byteLength(tool.description ?? "")).toBeLessThan(2048);
      expect(typeof tool.annotations?.readOnlyHint).toBe("boolean");
    }
    expect(tools.map(({ name }) => name)).toEqual([
      "intercom_list_agents",
      "intercom_chat",
      "intercom_reply",
      "intercom_check_inbox",
      "intercom_register",
      "intercom_ask",
      "intercom_start_agent",
      "intercom_send",
      "intercom_status",
      "intercom_history",
      "intercom_cancel",
      "intercom_report_feedback",
    ]);
  });

  test("success: the structured answer is the text, and fits the output schema", async () => {
    expect((await call("intercom_list_agents")).answer.agents).toHaveLength(1);
    const { answer: sent } = await call("intercom_chat", { to: "human", message: "are you there?" });
    expect(sent.status).toBe("delivered");
    expect(
      (await call("intercom_reply", { thread_id: sent.thread_id, message: "hello?" })).answer.status,
    ).toBe("delivered");
    expect((await call("intercom_status", { message_id: sent.message_id })).answer.message_id).toBe(
      sent.message_id,
    );
    expect((await call("intercom_history", { thread_id: sent.thread_id })).answer.messages).toHaveLength(2);
    expect((await call("intercom_check_inbox")).answer).toMatchObject({ messages: [], count: 0 });
    expect((await call("intercom_register", { tags: ["test"] })).answer.status).toBe("updated");
  });

  test("an error is an answer in the tool's own shape, marked as error, with what to try", async () => {
    const wrong: [string, Record<string, unknown>][] = [
      ["intercom_chat", { to: "nowhere/nothing", message: "x" }],
      ["intercom_reply", { thread_id: "t-000000000000", message: "x" }],
      ["intercom_status", { message_id: "msg-nothing" }],
      ["intercom_status", { mission_id: "m-20261122-000000" }],
      ["intercom_status", {}],
      ["intercom_status", { message_id: "msg-1", mission_id: "m-20261122-000000" }],
      ["intercom_history", { thread_id: "t-000000000000" }],
      ["intercom_history", { mission_id: "m-20261122-000000" }],
      ["intercom_history", {}],
      ["intercom_ask", { to: "limn/nothing", message: "x" }],
      ["intercom_ask", { to: "nowhere/nothing", message: "x" }],
      ["intercom_ask", { to: "human", message: "x" }],
      ["intercom_ask", { to: "limn/mnemos", message: "x", mission_id: "m-20261122-000000" }],
      ["intercom_ask", { message: 7 }],
      ["intercom_start_agent", { machine: "limn", project: "nothing", mission: "x" }],
      ["intercom_start_agent", { machine: "limn/x", project: "y", mission: "x" }],
      ["intercom_send", { to: "nowhere", message: "x" }],
      ["intercom_send", { to: "limn/mnemos", message: "x", priority: "urgent" }],
      ["intercom_cancel", { mission_id: "m-20261122-000000" }],
      ["intercom_cancel", { mission_id: "mission 1" }],
      ["intercom_report_feedback", { type: "praise", description: "x" }],
    ];
    for (const [name, given] of wrong) {
      const { answer, isError } = await call(name, given);
      expect({ name, isError, answer }).toMatchObject({ isError: true, answer: { status: "error" } });
      expect(answer.error.length).toBeGreaterThan(10);
    }
  });

  test("an argument that a tool does not have is refused by name, with those that it has", async () => {
    const { answer, isError } = await call("intercom_chat", { to: "human", message: "x", urgent: true });
    expect({ isError, answer }).toEqual({
      isError: true,
      answer: {
        status: "error",
        error: 'there is no argument "urgent"',
        hint: "the arguments of intercom_chat: to, message, if_no_session, expect_reply_within",
      },
    });
    const misspelt = await call("intercom_check_inbox", { all: 1, unread: 2 });
    expect(misspelt.answer).toMatchObject({
      status: "error",
      error: 'there is no argument "all", "unread"',
      hint: "the arguments of intercom_check_inbox: none",
      messages: [],
    });
    for (const tool of (await mcp.listTools()).tools)
      expect({ [tool.name]: tool.inputSchema.additionalProperties }).toEqual({ [tool.name]: false });
  });

  test("without a daemon every tool says so in its own shape", async () => {
    const alone = await connect(silent);
    try {
      const given: Record<string, Record<string, unknown>> = {
        intercom_chat: { to: "human", message: "x" },
        intercom_reply: { thread_id: "t-000000000000", message: "x" },
        intercom_status: { message_id: "x" },
        intercom_history: { thread_id: "t-000000000000" },
        intercom_ask: { to: "limn/mnemos", message: "x" },
        intercom_start_agent: { machine: "limn", project: "mnemos", mission: "x" },
        intercom_send: { to: "limn/mnemos", message: "x" },
        intercom_cancel: { mission_id: "m-20261122-000000" },
        intercom_report_feedback: { type: "note", description: "x" },
      };
      const { tools } = await alone.listTools();
      await Promise.all(
        tools.map(async ({ name }) => {
          const { answer, isError } = await callChecked(alone, name, given[name] ?? {});
          expect(isError).toBe(true);
          expect(answer).toMatchObject({
            status: "error",
            error: expect.stringContaining("daemon"),
            hint: expect.stringContaining("ai-intercom standalone"),
          });
        }),
      );
    } finally {
      await alone.close();
    }
  });

  test("a call without arguments is one with none, as clients send it", async () => {
    await using server = StdioServer.start({ env: limn.env, cwd: project });
    await server.ask(1, "initialize", client);
    server.send({ method: "notifications/initialized" });
    for (const [id, name] of [
      [2, "intercom_check_inbox"],
      [3, "intercom_list_agents"],
    ] as const) {
      const { result } = await server.ask(id, "tools/call", { name });
      expect([name, result.isError, result.structuredContent.error]).toEqual([name, undefined, undefined]);
    }
    const { result } = await server.ask(4, "tools/call", { name: "intercom_chat" });
    expect(result.structuredContent.error).toContain("to");
  });

  test("inbox_waiting counts the mail that waits, and is absent when none does", async () => {
    expect((await call("intercom_list_agents")).answer.inbox_waiting).toBeUndefined();
    for (const thread_id of ["t-00000000000a", "t-00000000000b"])
      await limn.local("POST", "/api/session/deliver", {
        session_id: sessionId,
        thread_id,
        from_agent: "atlas/website",
        message: "hello",
        timestamp: new Date().toISOString(),
      });
    for (const name of ["intercom_list_agents", "intercom_register"])
      expect((await call(name)).answer.inbox_waiting).toBe(2);
    const { answer } = await call("intercom_status", { message_id: "msg-nothing" });
    expect(answer).toMatchObject({ status: "error", inbox_waiting: 2 });
    const inbox = (await call("intercom_check_inbox")).answer;
    expect(inbox).toMatchObject({ count: 2, waiting: 0 });
    expect(inbox.inbox_waiting).toBeUndefined();
    expect((await call("intercom_list_agents")).answer.inbox_waiting).toBeUndefined();
  });
});

describe.skipIf(!inspectorReady)("the Inspector", () => {
  test("lists the tools", async () => {
    const { code, out } = await inspect(limn, "--method", "tools/list");
    expect(code).toBe(0);
    const { tools } = JSON.parse(out) as { tools: { name: string; outputSchema?: object }[] };
    expect(tools).toHaveLength(12);
    for (const { outputSchema } of tools) expect(outputSchema).toBeDefined();
  });

  test("calls a tool", async () => {
    const { code, out } = await inspect(
      limn,
      "--method",
      "tools/call",
      "--tool-name",
      "intercom_list_agents",
    );
    expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining('"mnemos"') });
  });

  test("shows a clear error where no daemon runs", async () => {
    const { code, out } = await inspect(
      silent,
      "--method",
      "tools/call",
      "--tool-name",
      "intercom_list_agents",
    );
    expect(code).not.toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      isError: true,
      structuredContent: {
        agents: [],
        status: "error",
        hint: expect.stringContaining("ai-intercom standalone"),
      },
    });
  });
});

async function connect(machine: Machine): Promise<Client> {
  const mcp = new Client({ name: "test", version: "1" });
  await mcp.connect(
    new StdioClientTransport({ command: binary, args: ["mcp-server"], env: machine.env, cwd: project }),
  );
  // the library checks answers against the output schemas only when it has seen them
  await mcp.listTools();
  return mcp;
}

/** The library throws when the structured answer does not fit the tool's output schema, errors included. */
async function callChecked(mcp: Client, name: string, given: Record<string, unknown>) {
  const result = await mcp.callTool({ name, arguments: given });
  const [content] = result.content as { type: string; text: string }[];
  expect(content?.type).toBe("text");
  expect(JSON.parse(content?.text ?? "")).toEqual(result.structuredContent);
  // biome-ignore lint/suspicious/noExplicitAny: the tests assert the shape
  return { answer: result.structuredContent as Record<string, any>, isError: result.isError === true };
}

async function inspect(
  machine: Machine,
  ...words: string[]
): Promise<{ code: number; out: string; err: string }> {
  // like some agents, the Inspector hands only a few variables of its own on to the server
  const home = ["-e", `AI_INTERCOM_HOME=${machine.home}`];
  const run = Bun.spawn([process.execPath, inspector, "--cli", ...home, binary, "mcp-server", ...words], {
    env: machine.env,
    cwd: project,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: 30_000,
  });
  const [out, err, code] = await Promise.all([
    new Response(run.stdout).text(),
    new Response(run.stderr).text(),
    run.exited,
  ]);
  return { code, out, err };
}
