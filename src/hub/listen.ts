// Where the hub may listen, and which Host names it answers to.
import { BlockList, isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { IntercomError } from "../protocol/errors.ts";
import type { Config } from "../system/config.ts";
import { log } from "../system/log.ts";

export type ListenAddress = { hostname: string; port: number };

export function listenAddress(listen: string): ListenAddress {
  const colon = listen.lastIndexOf(":");
  return { hostname: unbracket(listen.slice(0, colon)), port: Number(listen.slice(colon + 1)) };
}

/** Plain HTTP is for this computer and for addresses that are encrypted underneath; elsewhere only when told to. */
export function refuseOpenPlainHttp(config: Config): void {
  const { hostname } = listenAddress(config.hub.listen);
  if (isLoopback(hostname) || isTailscale(hostname)) return;
  if (!config.hub.allow_plain_http)
    throw new IntercomError(
      "bad_config",
      `hub.listen ${config.hub.listen} would be plain HTTP on a network`,
      {
        hint: "listen on 127.0.0.1 or a Tailscale address; behind a TLS proxy or VPN set hub.allow_plain_http: true",
      },
    );
  log.warn("the hub listens on a network without TLS: others there can read its traffic", {
    listen: config.hub.listen,
  });
}

/** What a browser cannot forge: a page under a foreign name that resolves to us (DNS rebinding) is turned away. */
export function isAllowedHost(host: string | null, config: Config): boolean {
  const name = hostnameOf(host ?? "");
  // Nothing but a name and a port: what a URL could hide in front of a host is no Host header.
  if (name === undefined || !/^[\w.:[\]-]+$/.test(host ?? "")) return false;
  if (isLoopback(name)) return true;
  const { hostname } = listenAddress(config.hub.listen);
  const named = [hostname, hostnameOf(config.hub.url ?? ""), config.machine.tailscale_ip].concat(
    config.hub.allowed_hosts.map((allowed) => hostnameOf(allowed) ?? allowed),
  );
  if (named.some((allowed) => allowed?.toLowerCase() === name)) return true;
  return isWildcard(hostname) && ownAddresses().includes(name);
}

/** Where other machines find a hub that listens on `port`, unless hub.url says it. */
export function publicUrl(config: Config, port: number): string {
  if (config.hub.url !== undefined) return config.hub.url;
  const { hostname } = listenAddress(config.hub.listen);
  return httpUrl(isWildcard(hostname) ? (config.machine.tailscale_ip ?? networkAddress()) : hostname, port);
}

/** Where this computer finds it. */
export function localUrl(config: Config, port: number): string {
  const { hostname } = listenAddress(config.hub.listen);
  return httpUrl(isWildcard(hostname) ? "127.0.0.1" : hostname, port);
}

function httpUrl(hostname: string, port: number): string {
  return `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

function networkAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return addresses.find(({ internal, family }) => !internal && family === "IPv4")?.address ?? "127.0.0.1";
}

function isWildcard(hostname: string): boolean {
  return hostname === "0.0.0.0" || hostname === "::";
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || inRange(loopback, hostname);
}

function isTailscale(hostname: string): boolean {
  return inRange(tailscale, hostname);
}

/** `example.org:7700`, `[::1]:7700` or a URL → its host name in lower case, without brackets. */
function hostnameOf(host: string): string | undefined {
  const url = URL.parse(host.includes("://") ? host : `http://${host}`);
  return url === null || url.hostname === "" ? undefined : unbracket(url.hostname.toLowerCase());
}

function unbracket(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, "$1");
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).map(({ address }) => address),
  );
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");
/** RFC 6598 as Tailscale uses it, and Tailscale's own IPv6 prefix */
const tailscale = new BlockList();
tailscale.addSubnet("100.64.0.0", 10, "ipv4");
tailscale.addSubnet("fd7a:115c:a1e0::", 48, "ipv6");

function inRange(range: BlockList, hostname: string): boolean {
  const family = isIP(hostname);
  return family !== 0 && range.check(hostname, family === 4 ? "ipv4" : "ipv6");
}
