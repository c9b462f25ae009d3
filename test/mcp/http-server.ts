// Our tools over HTTP, only for the conformance suite, which cannot speak stdio. The product has no such door.
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import { type CallTool, intercomServer } from "../../src/mcp/server.ts";

export type HttpServer = AsyncDisposable & { url: string };

/** One server per request: without sessions the transport keeps no state. */
export function serveOverHttp(callTool: CallTool): HttpServer {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    routes: { "/mcp": (request) => answer(request, callTool) },
    fetch: () => new Response("only /mcp is here", { status: 404 }),
  });
  return {
    url: `http://127.0.0.1:${server.port}/mcp`,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

async function answer(request: Request, callTool: CallTool): Promise<Response> {
  const { port } = new URL(request.url);
  const transport = new WebStandardStreamableHTTPServerTransport({
    enableDnsRebindingProtection: true,
    allowedHosts: [`127.0.0.1:${port}`, `localhost:${port}`],
    allowedOrigins: [`http://127.0.0.1:${port}`, `http://localhost:${port}`],
  });
  await intercomServer(callTool).connect(transport);
  return transport.handleRequest(request);
}
