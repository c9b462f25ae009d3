// A person's commands on a joined machine: refused to agents and what they start, and carried to the hub by the login
// that is kept in this home. The token never leaves the daemon.
import { createHash } from "node:crypto";
import { formatAddress } from "../protocol/address.ts";
import { IntercomError } from "../protocol/errors.ts";
import { type HubInput, Login } from "../protocol/hub-api.ts";
import type { LoggedOut } from "../protocol/local-api.ts";
import { missionOfMark, missionRunVariable } from "../protocol/mission.ts";
import { readSecret, replaceFile, unlinkIfPresent } from "../system/files.ts";
import { log } from "../system/log.ts";
import { ancestry, variableOf } from "../system/process.ts";
import type { Link } from "./link.ts";
import { type Fact, hubOrOutbox, type OwnMailParts } from "./own-mail.ts";
import type { Sessions } from "./sessions.ts";

const loginSteps = "at the hub: ai-intercom login; then here: ai-intercom login CODE";

type Listing = "agents" | "machines";

export type PersonParts = {
  link: Pick<Link, "request" | "ask"> & OwnMailParts["link"];
  outbox: OwnMailParts["outbox"];
  sessions: Pick<Sessions, "amongAncestors">;
  machine: string;
  /** path of login.json, 0600 */
  loginFile: string;
  /** the mission that started `pid`, at whatever distance; its agent may have no session */
  missionOf: (pid: number) => string | undefined;
};

export class Person {
  readonly #parts: PersonParts;

  constructor(parts: PersonParts) {
    this.#parts = parts;
  }

  /** Runs an operation of the hub as the person who logged in here. Throws `person_only` for agents and without login. */
  async act(op: string, input: unknown, askerPid: number): Promise<unknown> {
    this.#refuseAgents(askerPid);
    const login = this.#login();
    if (!login)
      throw new IntercomError("person_only", "a person's acts on a joined machine need a login at the hub", {
        hint: loginSteps,
      });
    return this.#parts.link.request("as_person", { token: login.token, op, input });
  }

  /** What everybody on an enrolled machine may know. */
  listing<O extends Listing>(op: O, input: HubInput<O>): Promise<unknown> {
    return this.#parts.link.ask(op, input);
  }

  /** What was said and done: all of it for a person who logged in, else what this machine (or the asking agent) may see. */
  async fact<O extends Fact>(op: O, input: HubInput<O>, askerPid: number): Promise<unknown> {
    const agent = this.#parts.sessions.amongAncestors(askerPid);
    const asked = agent ? { ...input, session_id: agent.stored.session_id } : input;
    const ask = () => (agent ? this.#parts.link.ask(op, asked) : this.#ask(op, input, askerPid));
    return hubOrOutbox(this.#parts, op, asked, ask);
  }

  /** As the person who logged in, else as this machine. */
  async #ask<O extends Fact>(op: O, input: HubInput<O>, askerPid: number): Promise<unknown> {
    const login = this.#isPerson(askerPid) ? this.#login() : undefined;
    if (login)
      try {
        return await this.#parts.link.ask("as_person", { token: login.token, op, input });
      } catch (error) {
        // the login has ended: the machine's own view is left
        if (!(error instanceof IntercomError) || error.code !== "not_logged_in") throw error;
      }
    return this.#parts.link.ask(op, input);
  }

  async login(given: HubInput<"login">, askerPid: number): Promise<Omit<Login, "token">> {
    this.#refuseAgents(askerPid);
    const login = Login.parse(await this.#parts.link.request("login", given));
    replaceFile(this.#parts.loginFile, `${JSON.stringify(login)}\n`);
    const { token: _, ...shown } = login;
    return shown;
  }

  /**
   * The token goes at once. What the hub must still end is kept as a digest, which is good for nothing else, and told
   * when the hub is there: a copy of the token would work until then.
   */
  async logout(askerPid: number): Promise<LoggedOut> {
    this.#refuseAgents(askerPid);
    const login = this.#login();
    if (!login) return { status: "not_logged_in" };
    const digest = createHash("sha256").update(login.token).digest("hex");
    replaceFile(this.#endedFile, `${[...this.#ended(), digest].join("\n")}\n`);
    unlinkIfPresent(this.#parts.loginFile);
    if (await this.tellEnded()) return { status: "logged_out" };
    return {
      status: "logged_out",
      hint: "logged out here; the hub is away and ends the login as soon as it is back",
    };
  }

  /** Ends at the hub the logins that have ended here; false when it is away. */
  async tellEnded(): Promise<boolean> {
    try {
      for (const token_hash of this.#ended()) await this.#parts.link.request("logout", { token_hash });
    } catch (error) {
      log.info("the hub has not ended a login yet", { error });
      return false;
    }
    unlinkIfPresent(this.#endedFile);
    return true;
  }

  get #endedFile(): string {
    return `${this.#parts.loginFile}.ended`;
  }

  /** SHA-256 of tokens, hexadecimal, a line each. */
  #ended(): string[] {
    return (readSecret(this.#endedFile) ?? "").split("\n").filter((line) => line !== "");
  }

  #login(): Login | undefined {
    const text = readSecret(this.#parts.loginFile);
    if (text === undefined) return undefined;
    try {
      return Login.parse(JSON.parse(text));
    } catch (cause) {
      throw new IntercomError("unparsable_file", `${this.#parts.loginFile} holds no login`, {
        hint: `remove it and log in again: ${loginSteps}`,
        cause,
      });
    }
  }

  #isPerson(pid: number): boolean {
    try {
      this.#refuseAgents(pid);
      return true;
    } catch {
      return false;
    }
  }

  #refuseAgents(pid: number): void {
    const chain = ancestry(pid);
    if (chain.length === 0) throw new IntercomError("person_only", `no process ${pid} is running here`);
    const { sessions, machine, missionOf } = this.#parts;
    const session = sessions.amongAncestors(pid);
    if (session) {
      const { project, session_id } = session.stored;
      const address = formatAddress({ kind: "session", machine, project, session: session_id });
      throw new IntercomError("person_only", `process ${pid} was started by the agent of ${address}`);
    }
    const marks = chain.flatMap((one) => missionOfMark(variableOf(one.pid, missionRunVariable)) ?? []);
    for (const mission of [missionOf(pid), ...marks])
      if (mission !== undefined)
        throw new IntercomError("person_only", `process ${pid} was started by mission ${mission}`);
  }
}
