// `check-inbox`: what the agents' hooks run. Asks the daemon over its socket and prints what the agent shall read:
// once, last, then exits. It opens no database, no network and no inbox file, and on any failure in a hook it says
// nothing and exits 0. Its reach is light: no zod, no node modules (bench/ and test/house guard that).
import { pidHeaders } from "../protocol/hook.ts";
import { homePaths } from "../system/paths.ts";

/** ms; a slow daemon costs the agent no more than this, the mail waits */
const daemonTimeoutMs = 500;

/** Runs the command; the number is the exit code. */
export async function checkInbox(argv: string[]): Promise<number> {
  const format = optionOf(argv, "--format") ?? "hook";
  if (format === "json") return printJson(optionOf(argv, "--session"));
  if (format !== "hook") return complain(`--format cannot be "${format}": hook or json`);
  try {
    const input = await Bun.stdin.text();
    const paths = homePaths();
    if (!input.includes('"SessionStart"') && !(await Bun.file(`${paths.pending}/${process.ppid}`).exists()))
      return 0;
    const response = await ask(`/api/hook`, input);
    if (response.status !== 200) return 0;
    const text = await response.text();
    if (text !== "") console.log(text);
  } catch {
    // a hook never disturbs its agent: the daemon may be away, the mail waits
  }
  return 0;
}

/** For scripts: the session's unread messages as JSON, taken from its inbox like `intercom_check_inbox` does. */
async function printJson(session: string | undefined): Promise<number> {
  try {
    const query = session === undefined ? "" : `?session=${encodeURIComponent(session)}`;
    const response = await ask(`/api/inbox/claim${query}`, "{}");
    const text = await response.text();
    if (response.ok) console.log(text);
    else console.error(text);
    return response.ok ? 0 : 1;
  } catch {
    console.error(
      JSON.stringify({
        error: {
          code: "daemon_unreachable",
          message: "the daemon does not answer",
          hint: "start it with: ai-intercom standalone (or ai-intercom daemon)",
        },
      }),
    );
    return 3;
  }
}

function ask(path: string, body: string): Promise<Response> {
  return fetch(`http://daemon${path}`, {
    unix: homePaths().daemonSocket,
    method: "POST",
    body,
    headers: {
      "content-type": "application/json",
      [pidHeaders.agent]: String(process.ppid),
      [pidHeaders.asker]: String(process.pid),
    },
    signal: AbortSignal.timeout(daemonTimeoutMs),
  });
}

function optionOf(argv: string[], name: string): string | undefined {
  const at = argv.findIndex((word) => word === name || word.startsWith(`${name}=`));
  const word = argv[at];
  if (word === undefined) return undefined;
  return word === name ? argv[at + 1] : word.slice(name.length + 1);
}

function complain(text: string): number {
  console.error(`error: ${text}`);
  console.error("try: ai-intercom check-inbox --help");
  return 2;
}
