// Our tools over HTTP, only for the conformance suite, which cannot speak stdio. The product has no such door.
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import { type CallTool, intercomServer } from "../../src/mcp/server.ts";

export type HttpServer = AsyncDisposable & { url: string };

export function serveOverHttp(callTool: CallTool): HttpServer {
  const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    routes: {
      "/mcp": async (request) => {
        const known = sessions.get(request.headers.get("mcp-session-id") ?? "");
        return (known ?? (await open(request, callTool, sessions))).handleRequest(request);
      },
    },
    fetch: () => new Response("only /mcp is here", { status: 404 }),
  });
  return {
    url: `http://127.0.0.1:${server.port}/mcp`,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

/** A session is a server of its own, as over stdio. */
async function open(
  request: Request,
  callTool: CallTool,
  sessions: Map<string, WebStandardStreamableHTTPServerTransport>,
): Promise<WebStandardStreamableHTTPServerTransport> {
  const { port } = new URL(request.url);
  const transport = new WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: () => crypto.randomUUID(),
    onsessioninitialized: (id) => {
      sessions.set(id, transport);
    },
    enableDnsRebindingProtection: true,
    allowedHosts: [`127.0.0.1:${port}`, `localhost:${port}`],
    allowedOrigins: [`http://127.0.0.1:${port}`, `http://localhost:${port}`],
  });
  await intercomServer(callTool).connect(transport);
  return transport;
}
