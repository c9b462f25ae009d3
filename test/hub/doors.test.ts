// Who gets in: nothing is answered, not even "no such page", before the caller has proved who it is.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { hubOperations, hubRoutes } from "../../src/protocol/hub-api.ts";
import { version } from "../../src/protocol/version.ts";
import { signRequest } from "../../src/system/signature.ts";
import { Peer, routeInput } from "./peer.ts";
import { type Body, type Reply, startHub, type TestHub } from "./rig.ts";

let hub: TestHub;
let mac: Peer;

beforeAll(async () => {
  hub = await startHub({
    hub: { url: "http://hub.example:7700", allowed_hosts: ["proxy.example"] },
    metrics: { token: "metrics-secret" },
  });
  mac = await Peer.online(hub, "mac", "web@s-a");
});
afterAll(() => hub.hub.stop());

async function plain(method: string, path: string, init: RequestInit = {}): Promise<Reply> {
  const response = await fetch(`${hub.hub.url}${path}`, { method, ...init });
  return { status: response.status, body: (await response.json()) as Body };
}
const codeOf = ({ status, body }: Reply) => [status, body.error?.code];

describe("unsigned is 401 on every path, known or not", () => {
  const known = hubRoutes.map(({ method, path }) => [method, path.replace(":id", "some-id")] as const);
  const others = [
    ["GET", "/"],
    ["GET", "/api"],
    ["GET", "/api/link"],
    ["GET", "/api/events"],
    ["POST", "/api/events"],
    ["GET", "/api/unknown"],
    ["DELETE", "/api/machines/mac"],
    ["PUT", "/api/route"],
    ["GET", "/api/join"],
    ["POST", "/api/discover"],
    ["POST", "/api/join/status/mac"],
    ["GET", "/api/discover/"],
    ["GET", "//api/machines"],
    ["GET", "/api/../api/machines"],
    ["GET", "/metrics"],
    ["OPTIONS", "/api/route"],
    ["GET", "/.env"],
  ] as const;
  test.each([...known, ...others])("%s %s", async (method, path) => {
    const body = method === "POST" ? { body: "{}", headers: { "content-type": "application/json" } } : {};
    expect(codeOf(await plain(method, path, body))).toEqual([401, "unauthenticated"]);
  });

  test("HEAD too", async () => {
    expect((await fetch(`${hub.hub.url}/api/machines`, { method: "HEAD" })).status).toBe(401);
  });
});

test("the five open routes answer a stranger", async () => {
  expect((await plain("GET", "/livez")).body).toEqual({ status: "ok" } as never);
  expect((await plain("GET", "/readyz")).body).toEqual({ status: "ok" } as never);
  expect((await plain("GET", "/api/discover")).body).toEqual({
    hub: true,
    name: "hubhost",
    version,
  } as never);
  expect((await plain("GET", "/api/join/status/mac")).body).toMatchObject({ status: "approved" });
  expect(codeOf(await plain("GET", "/api/join/status/none"))).toEqual([404, "unknown_machine"]);
  expect(codeOf(await plain("POST", "/api/join", { body: "{}" }))).toEqual([415, "bad_media_type"]);
});

test("a bad request names each field and where its shape stands, not a command's help", async () => {
  const json = { headers: { "content-type": "application/json" } };
  const { status, body } = await plain("POST", "/api/join", { body: "{}", ...json });
  expect([status, body.error?.code]).toEqual([400, "bad_request"]);
  expect(body.error?.message).toMatch(/^machine_id: .*; public_key: /);
  const bodies = [
    body,
    (await mac.http("POST", "/api/route", {})).body,
    (await mac.http("POST", "/api/route", ["not an object"])).body,
    (await mac.http("GET", "/api/link")).body,
  ];
  for (const { error } of bodies) expect(error?.hint).toMatch(/docs\/architecture\.md/);
  expect(bodies[1]?.error?.message).toMatch(/from_agent: .*; type: .*; payload: /);
  // what a message itself says to try stays
  const fine = await mac.http("POST", "/api/route", routeInput("mac/web@s-a", "nonsense", "x"));
  expect(fine.body.error?.hint).toMatch(/write machine\/project/);
});

test("a signed request is routed: 200, 404, 405, 400, 415, 403", async () => {
  expect((await mac.http("GET", "/api/agents?filter=online")).body.agents).toHaveLength(1);
  expect(codeOf(await mac.http("GET", "/api/unknown"))).toEqual([404, "not_found"]);
  expect(codeOf(await mac.http("GET", "/"))).toEqual([404, "not_found"]);
  expect(codeOf(await mac.http("GET", "/api/route"))).toEqual([405, "method_not_allowed"]);
  expect(codeOf(await mac.http("GET", "/api/link"))).toEqual([400, "bad_request"]);
  expect(codeOf(await mac.http("GET", "/api/agents?filter=everything"))).toEqual([400, "bad_request"]);
  expect(codeOf(await mac.http("POST", "/api/route", ["not an object"]))).toEqual([400, "bad_request"]);
  expect(
    codeOf(await mac.http("POST", "/api/heartbeat", {}, { headers: { "content-type": "text/plain" } })),
  ).toEqual([415, "bad_media_type"]);
});

test("what only the person may do is refused to a machine, on every route", async () => {
  const persons = hubRoutes.filter(({ op }) => hubOperations[op].who === "person");
  const routes = persons.map(({ method, path }) => [method, path.replace(":id", "mac")] as const);
  expect(routes.length).toBeGreaterThan(10);
  for (const [method, path] of [...routes, ["GET", "/api/events"] as const])
    expect([path, ...codeOf(await mac.http(method, path, method === "POST" ? {} : undefined))]).toEqual([
      path,
      403,
      "person_only",
    ]);
  const operations = hubRoutes.map(({ op }) => op);
  const reached = (Object.keys(hubOperations) as (keyof typeof hubOperations)[]).filter(
    (op) => !operations.includes(op),
  );
  // `doctor --canary` goes over the link it tests; a permission question is a running agent's, over its machine's link
  expect(reached).toEqual(["canary", "permission"]);
  expect((await hub.person("GET", "/api/machines")).body.machines).toMatchObject([
    { id: "mac", status: "online" },
  ]);
});

describe("a signature holds for one request only", () => {
  const body = { note: 1 };
  const cases: [
    name: string,
    method: string,
    path: string,
    body: unknown,
    sent: Parameters<Peer["http"]>[3],
  ][] = [
    ["another path", "GET", "/api/agents", undefined, { path: "/api/machines" }],
    ["another query", "GET", "/api/agents?filter=all", undefined, { path: "/api/agents?filter=online" }],
    ["an added query", "GET", "/api/agents", undefined, { path: "/api/agents?filter=online" }],
    ["another method", "POST", "/api/heartbeat", body, { method: "PUT" }],
    ["another body", "POST", "/api/heartbeat", body, { body: '{"note":2}' }],
    ["an added body", "POST", "/api/heartbeat", undefined, { body: "{}" }],
    [
      "a digest of another body",
      "POST",
      "/api/heartbeat",
      body,
      { headers: { "content-digest": "sha-256=:AAAA:" } },
    ],
    ["no digest", "POST", "/api/heartbeat", body, { headers: { "content-digest": "" } }],
    ["an empty signature", "GET", "/api/agents", undefined, { headers: { signature: "" } }],
    ["a broken signature", "GET", "/api/agents", undefined, { headers: { signature: "sig1=:AAAA:" } }],
    ["rubbish as signature", "GET", "/api/agents", undefined, { headers: { signature: '"x' } }],
    ["rubbish as input", "GET", "/api/agents", undefined, { headers: { "signature-input": "sig1=()" } }],
  ];
  test.each(cases)("%s", async (_, method, path, sentBody, tampered) => {
    expect(codeOf(await mac.http(method, path, sentBody, tampered))).toEqual([401, "unauthenticated"]);
  });

  test("a second time is a replay, after a restart of the hub too", async () => {
    const url = `${hub.hub.url}/api/agents`;
    const headers = await signRequest("mac", mac.key, { method: "GET", url });
    expect((await plain("GET", "/api/agents", { headers })).status).toBe(200);
    expect(codeOf(await plain("GET", "/api/agents", { headers }))).toEqual([401, "replayed"]);
    await hub.restart();
    expect(codeOf(await plain("GET", "/api/agents", { headers }))).toEqual([401, "replayed"]);
  });

  test("outside 300 s of the hub's clock, either way", async () => {
    for (const seconds of [301, -301, 86_400]) {
      hub.clock.offsetMs = seconds * 1000;
      expect(codeOf(await mac.http("GET", "/api/agents"))).toEqual([401, "clock_skew"]);
    }
    for (const seconds of [290, -290]) {
      hub.clock.offsetMs = seconds * 1000;
      expect((await mac.http("GET", "/api/agents")).status).toBe(200);
    }
    hub.clock.offsetMs = 0;
  });

  test("an unknown machine, and a known name with another key", async () => {
    expect(codeOf(await new Peer(hub, "stranger").http("GET", "/api/agents"))).toEqual([
      401,
      "unauthenticated",
    ]);
    expect(codeOf(await new Peer(hub, "mac").http("GET", "/api/agents"))).toEqual([401, "unauthenticated"]);
    expect(codeOf(await new Peer(hub, "").http("GET", "/api/agents"))).toEqual([401, "unauthenticated"]);
  });
});

describe("a web page", () => {
  const as = async (headers: Record<string, string>) =>
    codeOf(await plain("GET", "/api/discover", { headers }));
  test.each(["http://evil.example", "null", "http://127.0.0.1:7700"])(
    "is refused with Origin %s",
    async (origin) => {
      expect(await as({ origin })).toEqual([403, "forbidden"]);
      expect((await mac.http("GET", "/api/agents", undefined, { headers: { origin } })).status).toBe(403);
    },
  );
  test.each(["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:7700", "10.0.0.1"])(
    "is refused with Host %s",
    async (host) => expect(await as({ host })).toEqual([403, "forbidden"]),
  );
  test.each(["localhost:1", "127.0.0.1", "[::1]:9", "hub.example:7700", "HUB.example", "proxy.example"])(
    "no page: Host %s is ours",
    async (host) => expect((await as({ host }))[0]).toBe(200),
  );
  test("no answer carries a CORS header", async () => {
    const response = await fetch(`${hub.hub.url}/api/discover`);
    expect([...response.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
  });
});

test("a body over 1 MiB is refused in JSON, declared or streamed; a stranger's is not even read", async () => {
  const big = "x".repeat(1024 * 1024);
  expect(codeOf(await mac.http("POST", "/api/heartbeat", { big }))).toEqual([413, "message_too_large"]);
  let left = 40;
  const body = new ReadableStream<Uint8Array>({
    pull: (stream) => (left-- > 0 ? stream.enqueue(Buffer.alloc(32 * 1024, "x")) : stream.close()),
  });
  const url = `${hub.hub.url}/api/heartbeat`;
  const headers = await signRequest("mac", mac.key, { method: "POST", url });
  expect(codeOf(await plain("POST", "/api/heartbeat", { headers, body }))).toEqual([
    413,
    "message_too_large",
  ]);
  expect(codeOf(await plain("POST", "/api/heartbeat", { body: big }))).toEqual([401, "unauthenticated"]);
});

/** What the hub answers to these bytes: the status line's number. */
async function raw(head: string): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: hub.hub.port,
    socket: { data: (_, bytes) => resolve(bytes.toString()), close: () => resolve("") },
  });
  socket.write(`${head}\r\n\r\n`);
  const answer = await promise;
  socket.end();
  return Number(answer.split(" ")[1]);
}

test.each([
  ["GET /api/discover HTTP/1.0", 403],
  ["GET /api/discover HTTP/1.1\r\nHost: a b", 403],
  ["GET /api/discover HTTP/1.1\r\nHost: [", 403],
  ["GET /api/discover HTTP/1.1\r\nHost: user@127.0.0.1", 403],
  ["GET /api/discover HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example", 403],
  ["GET http://evil.example/api/discover HTTP/1.1\r\nHost: evil.example", 403],
  ["GET http://evil.example/api/agents HTTP/1.1\r\nHost: 127.0.0.1", 401],
  ["GET /livez/../api/agents HTTP/1.1\r\nHost: 127.0.0.1", 401],
  ["GET /api/join/status/%ff HTTP/1.1\r\nHost: 127.0.0.1", 400],
  ["POST /api/join HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999", 413],
])("odd bytes: %p → %d", async (head, status) => {
  expect(await raw(head)).toBe(status);
});

test("metrics: their own token, nothing else", async () => {
  const get = (authorization?: string) =>
    fetch(`${hub.hub.url}/metrics`, authorization ? { headers: { authorization } } : {});
  for (const wrong of [undefined, "Bearer ", "Bearer wrong", "metrics-secret", "Basic metrics-secret"])
    expect((await get(wrong)).status).toBe(401);
  expect(await (await get("Bearer metrics-secret")).text()).toMatch(/^ai_intercom_machines_approved 1$/m);
  await using closed = await startHub();
  expect((await fetch(`${closed.hub.url}/metrics`, { headers: { authorization: "Bearer " } })).status).toBe(
    401,
  );
});
