// kill -9 of the hub under load: what a sender was told is stored is delivered afterwards, once and in order.
import { expect, test } from "bun:test";
import { existsSync, mkdtempSync } from "node:fs";
import { homePaths } from "../../src/system/paths.ts";
import { spawnHub } from "./killable.ts";
import { Peer, session } from "./peer.ts";
import { personAt } from "./rig.ts";

test("kill -9 under load: nothing that was accepted is lost, doubled or out of order", async () => {
  const paths = homePaths(mkdtempSync("/tmp/aii-hub-"));
  let { child, url } = await spawnHub(paths.home);
  const hub = {
    hub: {
      get url() {
        return url;
      },
    },
    person: personAt(paths.hubSocket),
  };
  const mac = await Peer.online(hub, "mac", "web@s-a");
  const limn = await Peer.online(hub, "limn", "api@s-b");
  limn.verdict = ({ message }) => (Number(message.message) % 10 === 0 ? "silent" : "delivered");
  const answered: number[] = [];
  const sending = Array.from({ length: 400 }, async (_, n) => {
    // a message in a thread of its own, or the link breaks before the answer
    await mac.chat("web@s-a", "limn/api", String(n)).then(
      () => answered.push(n),
      () => undefined,
    );
    // several are answered by one commit: the fortieth need not be seen alone
    if (answered.length >= 40) child.kill("SIGKILL");
  });
  await Promise.all(sending);
  await child.exited;
  expect(child.signalCode).toBe("SIGKILL");
  expect(answered.length).toBeWithin(40, 400);
  expect(existsSync(paths.hubSocket)).toBe(true);

  ({ child, url } = await spawnHub(paths.home));
  try {
    const before = limn.received.length;
    const confirmed = new Set(
      limn.received.map(({ message }) => message.message).filter((n) => Number(n) % 10 !== 0),
    );
    limn.verdict = () => "delivered";
    await mac.connect();
    await limn.connect();
    await Promise.all([mac.presence(session("web@s-a")), limn.presence(session("api@s-b"))]);
    // everything older was sent before it: the stream is in order
    await mac.chat("web@s-a", "limn/api", "1000000");
    const after = limn.received.slice(before).map(({ message }) => Number(message.message));
    expect(after).toEqual([...new Set(after)].sort((x, y) => x - y));
    const arrived = new Set([...confirmed].map(Number).concat(after));
    expect(answered.filter((n) => !arrived.has(n))).toEqual([]);
  } finally {
    child.kill();
    await child.exited;
  }
});
