// An MCP client that we have no integration for: it can use the tools, and tells nothing about itself.
import { IntercomError } from "../protocol/errors.ts";
import type { Integration } from "./integration.ts";

export const unknownAgent: Integration = {
  name: "unknown",
  displayName: "unknown agent",
  clientNames: [],
  isAgentProcess: () => false,
  isPresent: () => false,
  parseHookEvent: () => undefined,
  supportsHook: () => false,
  formatHookOutput: () => "",
  readTranscriptLine: () => undefined,
  activity: () => ({ status: "unknown" }),
  wakeRoute: () => undefined,
  waitsInHook: () => false,
  install: notSupported,
  uninstall: notSupported,
  check: notSupported,
};

async function notSupported(): Promise<never> {
  throw new IntercomError("not_found", "there is no integration for this agent", {
    hint: "add the MCP server by hand: command ai-intercom, argument mcp-server",
  });
}
