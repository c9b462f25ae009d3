// The running parts: daemon, hub, the link between them, clocks, what waits.
import { IntercomError } from "../../protocol/errors.ts";
import type { DaemonHealth } from "../../protocol/local-api.ts";
import { version } from "../../protocol/version.ts";
import { lockHolder } from "../../system/lock.ts";
import { type Check, fail, ok, warn } from "./check.ts";
import { checkDatabase } from "./database.ts";
import type { Observed } from "./observed.ts";

/** ms */
const offMs = 60_000;
const skewMs = 300_000;
/** entries of a linked machine's outbox that are merely on their way */
const outboxOnItsWay = 100;

export const serviceChecks: ((seen: Observed) => Check[])[] = [
  checkDaemon,
  checkHub,
  checkClock,
  checkLink,
  checkOutbox,
  checkDatabase,
];

function checkDaemon({ paths, daemon, config }: Observed): Check[] {
  const holder = lockHolder(`${paths.run}/daemon.lock`);
  if (!(daemon instanceof IntercomError)) {
    if (holder !== undefined && holder !== daemon.pid)
      return [
        fail(
          "daemon_second",
          `process ${daemon.pid} answers, process ${holder} holds the daemon's lock`,
          `stop one of them: ps -p ${daemon.pid},${holder}; kill ${holder}`,
        ),
      ];
    const text = `machine ${daemon.machine_id}, version ${daemon.version}, pid ${daemon.pid}`;
    if (daemon.version === version) return [ok("daemon", text)];
    return [
      warn("daemon_version", `${text}; this program is ${version}`, "stop the daemon and start it again"),
    ];
  }
  const isHubOnly = !(config instanceof IntercomError) && config.config.mode === "hub";
  if (isHubOnly) return [];
  if (holder !== undefined)
    return [
      fail(
        "daemon_silent",
        `process ${holder} holds the daemon's lock, but ${daemon.message}`,
        `kill ${holder}; ${startOf(config)}   # kill -9 where it does not end`,
      ),
    ];
  return [fail("daemon_unreachable", `no daemon runs in ${paths.home}`, startOf(config))];
}

/** What serves in this home, by its configuration: a joined machine must not get a hub of its own. */
function startOf(config: Observed["config"]): string {
  return `ai-intercom ${config instanceof IntercomError ? "standalone" : config.config.mode}`;
}

function checkHub({ hub, paths, config }: Observed): Check[] {
  if (!hub) return [];
  switch (hub.is) {
    case "hub": {
      const text = `${hub.at}, version ${hub.version}`;
      if (!hub.canWrite)
        return [
          fail(
            "hub_store",
            `${text}: its store is damaged, or cannot be written to`,
            "on the hub's host: df -h; ai-intercom doctor",
          ),
        ];
      if (hub.version === version) return [ok("hub", text)];
      return [
        warn(
          "hub_version",
          `${text}; this program is ${version}`,
          "bring both to the same version, the hub first",
        ),
      ];
    }
    case "foreign":
      return [
        fail("hub_foreign", `${hub.at} answers, but not as a hub does`, `correct hub.url in ${paths.config}`),
      ];
    case "away": {
      const holder = lockHolder(`${paths.run}/hub.lock`);
      const isHere = hub.at === paths.hubSocket || isLoopback(hub.at);
      if (hub.late && isHere && holder !== undefined)
        return [
          fail(
            "hub_silent",
            `process ${holder} holds the hub's lock, but ${hub.at}: ${hub.why}`,
            `kill ${holder}; ${startOf(config)}   # kill -9 where it does not end`,
          ),
        ];
      const isJoined = !(config instanceof IntercomError) && config.config.mode === "daemon";
      const fix =
        isLoopback(hub.at) && !isJoined
          ? `${startOf(config)}   # or, for a hub elsewhere: hub.url in ${paths.config}`
          : `start the hub at ${hub.at}, or correct hub.url in ${paths.config}`;
      return [fail("hub_unreachable", `${hub.at}: ${hub.why}`, fix)];
    }
    default:
      return hub satisfies never;
  }
}

function checkClock({ hub }: Observed): Check[] {
  if (hub?.is !== "hub" || hub.skewMs === undefined) return [];
  const seconds = Math.round(Math.abs(hub.skewMs) / 1000);
  const text = `this clock is ${seconds} s ${hub.skewMs < 0 ? "ahead of" : "behind"} the hub's`;
  const fix = "set the clock on both: timedatectl set-ntp true";
  if (Math.abs(hub.skewMs) > skewMs) return [fail("clock_skew", `${text}: signatures are refused`, fix)];
  if (Math.abs(hub.skewMs) > offMs) return [warn("clock_off", text, fix)];
  return [ok("clock", seconds <= 2 ? "agrees with the hub's" : text)];
}

function checkLink({ daemon }: Observed): Check[] {
  if (daemon instanceof IntercomError) return [];
  const { link, link_reason, hub_url, machine_id } = daemon;
  const text = link_reason ? `${link}: ${link_reason}` : link;
  switch (link) {
    case "linked":
      return [ok("link", `linked to ${hub_url}`)];
    case "connecting":
      return [connecting(daemon, text)];
    case "pending":
      return [
        fail(
          "link_pending",
          `${text} (fingerprint ${daemon.fingerprint})`,
          `compare the fingerprint at the hub, then there: ai-intercom machines approve ${machine_id}`,
        ),
      ];
    case "denied":
      return [fail("link_denied", text, "at the hub: ai-intercom invite; then here: ai-intercom join CODE")];
    case "revoked":
      return [fail("link_revoked", text, "at the hub: ai-intercom invite; then here: ai-intercom join CODE")];
    case "refused":
      return [fail("link_refused", text, refusedFix(text, machine_id))];
    default:
      return link satisfies never;
  }
}

function connecting({ machine_id }: DaemonHealth, text: string): Check {
  if (/another daemon/.test(text))
    return fail(
      "daemon_second",
      text,
      `stop the other daemon of ${machine_id}; on a copied machine remove machine.key there, then: ai-intercom join CODE`,
    );
  return warn("link_connecting", text, "start the hub; the daemon dials again by itself");
}

function refusedFix(text: string, machine: string): string {
  if (/clock/.test(text)) return "set the clock: timedatectl set-ntp true";
  if (/protocol|version/.test(text)) return "bring hub and daemon to the same version";
  if (/enrolled|taken|signature/.test(text))
    return `another key is enrolled as ${machine}; join under a new name: ai-intercom join CODE --machine-id NAME`;
  return "at the hub: ai-intercom machines; ai-intercom invite; then here: ai-intercom join CODE";
}

function checkOutbox({ daemon }: Observed): Check[] {
  if (daemon instanceof IntercomError) return [];
  const { outbox, link } = daemon;
  if (outbox === 0) return [ok("outbox", "nothing waits for the hub")];
  if (link === "linked" && outbox <= outboxOnItsWay)
    return [ok("outbox", `${outbox} on their way to the hub`)];
  const fix = "nothing is lost; they go out by themselves once the link is open: see the line link";
  return [warn("outbox_waiting", `${outbox} messages and receipts wait on this disk for the hub`, fix)];
}

const isLoopback = (url: string) =>
  ["127.0.0.1", "localhost", "[::1]"].includes(URL.parse(url)?.hostname ?? "");
