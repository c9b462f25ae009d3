// A person who uses Claude Code and has nothing of ours yet: a home of their own; the hub takes any free port.
import { mkdirSync } from "node:fs";
import type { Fleet, Machine } from "./fleet.ts";

export function newcomerIn(fleet: Fleet, name: string, env: Record<string, string> = {}): Machine {
  const home = fleet.add(name).directory("home");
  mkdirSync(`${home}/.claude`, { recursive: true });
  return fleet.add(name, {
    HOME: home,
    XDG_RUNTIME_DIR: "/nonexistent",
    AI_INTERCOM_HUB_LISTEN: "127.0.0.1:0",
    ...env,
  });
}
