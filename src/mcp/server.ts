// The MCP server of one agent session: declares the tools and forwards each call to the daemon. It keeps no mail
// and no state; killed and started again, it finds the same session.
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { CallToolRequestSchema, type CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import { toIntercomError } from "../protocol/errors.ts";
import type { ToolAnswer } from "../protocol/local-api.ts";
import {
  alwaysLoaded,
  failedAnswer,
  instructions,
  isToolName,
  parseToolInput,
  type ToolName,
  toolInputSchema,
  tools,
} from "../protocol/tools.ts";
import { version } from "../protocol/version.ts";

/** Carries out a tool call; `confirm` of the answer is handed to `onAnswered`. */
export type CallTool = (name: ToolName, given: unknown) => Promise<ToolAnswer>;

/** The server with all tools registered, not yet connected to a transport. */
export function intercomServer(
  callTool: CallTool,
  onAnswered: (confirm: string) => void = () => {},
): McpServer {
  const server = new McpServer(
    { name: "ai-intercom", title: "ai-intercom", version },
    { instructions, capabilities: { tools: {} } },
  );
  for (const name of Object.keys(tools).filter(isToolName)) {
    const tool = tools[name];
    server.registerTool(
      name,
      {
        title: tool.title,
        description: tool.description,
        inputSchema: toolInputSchema(name),
        outputSchema: tool.output.shape,
        ...(alwaysLoaded.has(name) ? { _meta: { "anthropic/alwaysLoad": true } } : {}),
        annotations: { readOnlyHint: tool.readOnly, destructiveHint: false, openWorldHint: true },
      },
      // replaced below: ours answers wrong arguments in the tool's own shape
      () => ({ content: [] }),
    );
  }
  server.server.setRequestHandler(CallToolRequestSchema, async ({ params }) => {
    // clients leave `arguments` out of a call that has none (MCP, tools/call)
    const { name, arguments: given = {} } = params;
    if (!isToolName(name))
      return toResult({
        status: "error",
        error: `there is no tool "${name}"`,
        hint: `tools: ${Object.keys(tools).join(", ")}`,
      });
    const answer = await answerOf(callTool, name, given);
    if (answer.confirm !== undefined) onAnswered(answer.confirm);
    return toResult(answer.result);
  });
  return server;
}

/** A call that could not be carried out at all still answers in words. */
async function answerOf(callTool: CallTool, name: ToolName, given: unknown): Promise<ToolAnswer> {
  try {
    parseToolInput(name, given);
    return await callTool(name, given);
  } catch (thrown) {
    return { result: failedAnswer(name, toIntercomError(thrown)) };
  }
}

function toResult(result: Record<string, unknown>): CallToolResult {
  return {
    structuredContent: result,
    content: [{ type: "text", text: JSON.stringify(result) }],
    ...(result.status === "error" ? { isError: true } : {}),
  };
}
