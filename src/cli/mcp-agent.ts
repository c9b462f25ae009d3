// An MCP client that stands in for an agent: it starts our real MCP server over stdio, as agents do. For `demo` and for
// the self-test of `setup`.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { IntercomError } from "../protocol/errors.ts";
import { ChatAnswer } from "../protocol/message.ts";
import { type ToolName, tools } from "../protocol/tools.ts";
import { version } from "../protocol/version.ts";
import { ownProgram } from "../system/program.ts";

/** ms that any one tool call may take */
const callTimeoutMs = 15_000;

export class McpAgent {
  readonly #client = new Client({ name: "ai-intercom-stand-in", version });

  /** A shell of its own between client and server makes it a process, and so a session, of its own. */
  static async start(cwd: string, env: Record<string, string>): Promise<McpAgent> {
    const agent = new McpAgent();
    const [program, ...rest] = ownProgram();
    const args = ["-c", '"$@"; exit', "sh", program, ...rest, "mcp-server"];
    await agent.#client.connect(
      new StdioClientTransport({ command: "/bin/sh", args, cwd, env, stderr: "ignore" }),
    );
    return agent;
  }

  async call(name: ToolName, given: Record<string, unknown>): Promise<unknown> {
    const result = await this.#client.callTool({ name, arguments: given }, undefined, {
      timeout: callTimeoutMs,
    });
    return result.structuredContent;
  }

  /** Sends a message that must be delivered at once. */
  async says(
    name: "intercom_chat" | "intercom_reply",
    given: Record<string, unknown>,
  ): Promise<{ thread_id: string; message_id: string }> {
    const { status, thread_id, message_id, error, reason } = ChatAnswer.parse(await this.call(name, given));
    if (status === "delivered" && thread_id && message_id) return { thread_id, message_id };
    throw new IntercomError("internal", `expected delivered, got ${status}: ${error ?? reason ?? ""}`);
  }

  /** Its inbox must hold exactly this message. */
  async reads(text: string): Promise<void> {
    const { messages } = tools.intercom_check_inbox.output.parse(await this.call("intercom_check_inbox", {}));
    if (messages.length === 1 && messages[0]?.message === text) return;
    throw new IntercomError(
      "internal",
      `expected exactly "${text}", the inbox gave ${JSON.stringify(messages)}`,
    );
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}
