// A hub or a daemon in this very process, where time can be simulated. It stops and starts; it cannot be killed.
import { Daemon } from "../../src/daemon/daemon.ts";
import { Hub } from "../../src/hub/hub.ts";
import { loadConfig } from "../../src/system/config.ts";
import { homePaths } from "../../src/system/paths.ts";
import { Served } from "./served.ts";

export class InProcess extends Served {
  readonly #settings: Record<string, string>;
  #server: Hub | Daemon | undefined;

  constructor(
    name: string,
    home: string,
    words: readonly [string, ...string[]],
    env: Record<string, string>,
  ) {
    super(name, home, words, env);
    const listen = words[words.indexOf("--listen") + 1];
    this.#settings = name === "hub" && listen ? { ...env, AI_INTERCOM_HUB_LISTEN: listen } : env;
  }

  override get running(): boolean {
    return this.#server !== undefined;
  }

  override async start(): Promise<boolean> {
    const paths = homePaths(this.home);
    const config = loadConfig({ env: this.#settings });
    this.#server = await (this.name === "hub" ? Hub : Daemon).start({ config, paths });
    return true;
  }

  override async kill(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await server?.stop();
  }

  override signal(): void {
    throw new Error("a server in this process takes no signals");
  }
}
