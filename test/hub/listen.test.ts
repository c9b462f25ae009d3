// Where the hub may listen without TLS, and what it tells others to dial.
import { describe, expect, test } from "bun:test";
import { isAllowedHost, publicUrl, refuseOpenPlainHttp } from "../../src/hub/listen.ts";
import { Config } from "../../src/system/config.ts";
import { startHub } from "./rig.ts";

const config = (hub: Record<string, unknown>, machine = {}) =>
  Config.parse({ hub, machine: { id: "m", ...machine } });

describe("plain HTTP", () => {
  test.each([
    "127.0.0.1:0",
    "127.9.9.9:0",
    "[::1]:0",
    "localhost:0",
    "100.64.0.1:0",
    "100.127.255.254:0",
    "[fd7a:115c:a1e0::1]:0",
  ])("%s needs no flag", (listen) => refuseOpenPlainHttp(config({ listen })));
  test.each([
    "0.0.0.0:0",
    "[::]:0",
    "192.168.1.5:0",
    "100.128.0.1:0",
    "100.63.255.255:0",
    "[fd7a:115c:a1e1::1]:0",
    "hub.example:0",
  ])("%s is refused without the flag", (listen) => {
    expect(() => refuseOpenPlainHttp(config({ listen }))).toThrow("plain HTTP on a network");
    refuseOpenPlainHttp(config({ listen, allow_plain_http: true }));
  });
  test("the hub does not start at all", async () => {
    await expect(startHub({ hub: { listen: "0.0.0.0:0" } })).rejects.toThrow("plain HTTP on a network");
  });
});

test("an address in use is refused with what to try", async () => {
  await using hub = await startHub();
  const listen = `127.0.0.1:${hub.hub.port}`;
  await expect(startHub({ hub: { listen } })).rejects.toMatchObject({
    code: "conflict",
    hint: expect.stringContaining("--listen"),
  });
});

test("an invite names hub.url, else an address that others can dial", () => {
  expect(publicUrl(config({ url: "https://hub.example" }), 7)).toBe("https://hub.example");
  expect(publicUrl(config({ listen: "[::1]:0" }), 7)).toBe("http://[::1]:7");
  expect(publicUrl(config({ listen: "0.0.0.0:0" }, { tailscale_ip: "100.64.0.9" }), 7)).toBe(
    "http://100.64.0.9:7",
  );
  expect(publicUrl(config({ listen: "0.0.0.0:0" }), 7)).not.toContain("0.0.0.0");
});

test("no Host, or one that is no name, is not allowed", () => {
  for (const host of [null, "", " ", "a b", "[", "http://", "@", "evil.example@127.0.0.1.evil.example"])
    expect(isAllowedHost(host, config({}))).toBe(false);
});
