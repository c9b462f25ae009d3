// What a service manager does for us, and how its own commands are run.
import { IntercomError } from "../../protocol/errors.ts";

/** What the service runs. All paths absolute. */
export type ServiceJob = {
  program: readonly [string, ...string[]];
  mode: "standalone" | "hub" | "daemon";
  home: string;
  /** where the agents' own programs are found when a mission starts one */
  searchPath: string;
};

export type ServiceStatus = {
  manager: string;
  /** the definition's file */
  file: string;
  installed: boolean;
  running: boolean;
  enabled: boolean;
  pid: number | null;
  /** in the manager's own words */
  detail: string;
};

export type ServiceManager = {
  name: string;
  file: string;
  /** the definition as `install` writes it */
  definition(job: ServiceJob): string;
  /** Changes nothing. Throws `not_supported` where the manager does not answer here. */
  requireAnswer(): Promise<void>;
  /** Writes the definition, starts the job and has it started at boot or login. Undone where it cannot be started. */
  install(job: ServiceJob): Promise<void>;
  /** Stops it and removes the definition; false: there was none. */
  uninstall(): Promise<boolean>;
  /** For a new version of the program, or a changed configuration. */
  restart(): Promise<void>;
  status(): Promise<ServiceStatus>;
  /** what a person may want to do besides, whole sentences */
  notes(): Promise<string[]>;
};

/** Runs a manager's own command; throws what it said. `quiet`: its failure is an answer too. */
export async function runTool(
  words: [string, ...string[]],
  { quiet = false } = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const program = Bun.which(words[0]);
  if (program === null)
    throw new IntercomError("not_supported", `this computer has no ${words[0]}`, {
      hint: "run it in a terminal instead: ai-intercom standalone",
    });
  const child = Bun.spawn([program, ...words.slice(1)], {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: toolTimeoutMs,
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code === 0 || quiet) return { code, stdout: stdout.trim(), stderr: stderr.trim() };
  const said = (stderr || stdout).trim().split("\n")[0] ?? "";
  throw new IntercomError("service_failed", `${words.join(" ")} failed: ${said || `exit ${code}`}`);
}

/** ms that a manager's command may take; stopping a service waits for its TimeoutStopSec */
const toolTimeoutMs = 60_000;
