// `check-inbox`: what the agents' hooks run. Asks the daemon over its socket and prints what the agent shall read:
// once, last, then exits. It opens no database, no network and no inbox file, and on any failure in a hook it says
// nothing and exits 0. Its reach is light: no zod, no node modules (bench/ and test/house guard that).
import { pidHeaders } from "../protocol/hook.ts";
import { homePaths } from "../system/paths.ts";

/** ms; a slow daemon costs the agent no more than this, the mail waits. What the machine takes from us does not count */
const daemonTimeoutMs = 500;
/** looks at the time until then: a pause of ours, however long, is one of them, and the answer it held up is read */
const looks = 10;
/** ms; the introduction of a session comes at its start or never */
const startTimeoutMs = 2_000;
/** ms; an agent hands over the event at once, and one that never closes our input must not be held by us */
const inputTimeoutMs = 2_000;

/** Runs the command; the number is the exit code. */
export async function checkInbox(argv: string[]): Promise<number> {
  const format = optionOf(argv, "--format") ?? "hook";
  const session = optionOf(argv, "--session");
  const canary = optionOf(argv, "--canary");
  if (canary !== undefined) return printCanary(canary, Number(optionOf(argv, "--agent")));
  if (format === "json") return printJson(session);
  if (format !== "hook") return complain(`--format cannot be "${format}": hook or json`);
  try {
    await printForHook(session);
  } catch {
    // a hook never disturbs its agent: the daemon may be away, the mail waits
  }
  return 0;
}

/** The marker is the parent's: a named session is not known by it, so the daemon must tell. */
async function printForHook(session: string | undefined): Promise<void> {
  const input = await readInput();
  if (input === undefined) return;
  if (/"hook_event_name"\s*:\s*"PermissionRequest"/.test(input)) return printDecision(input);
  const isStart = input.includes('"SessionStart"');
  const mayHaveMail =
    session !== undefined || isStart || (await Bun.file(`${homePaths().pending}/${process.ppid}`).exists());
  if (!mayHaveMail) return;
  const timeoutMs = isStart ? startTimeoutMs : daemonTimeoutMs;
  const { ok, text } = await ask(`/api/hook${queryFor(session)}`, input, process.ppid, timeoutMs);
  if (ok && text !== "") console.log(text);
}

/** A person elsewhere may take long; the agent's own dialog stands meanwhile, and ends us by a signal or its timeout. */
async function printDecision(input: string): Promise<void> {
  const { ok, text } = await ask("/api/permission", input, process.ppid, Number.POSITIVE_INFINITY);
  if (ok && text !== "") console.log(text);
}

/** All of it; undefined when its end does not come in time. */
async function readInput(): Promise<string | undefined> {
  let timer: Timer | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, inputTimeoutMs);
  });
  try {
    return await Promise.race([Bun.stdin.text(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** For `doctor`: the way of a hook of the agent `pid`, to whom nothing is said. Our input is no event of any agent's. */
async function printCanary(canary: string, pid: number): Promise<number> {
  try {
    const { ok, text } = await ask(`/api/hook?canary=${encodeURIComponent(canary)}`, "{}", pid);
    if (ok) console.log(text);
    else console.error(text);
    return ok ? 0 : 1;
  } catch {
    console.error(`the daemon did not answer within ${daemonTimeoutMs} ms`);
    return 3;
  }
}

/** For scripts: the session's unread messages as JSON, taken from its inbox like `intercom_check_inbox` does. */
async function printJson(session: string | undefined): Promise<number> {
  try {
    const { ok, text } = await ask(`/api/inbox/claim${queryFor(session)}`, "{}");
    if (!ok) {
      console.error(text);
      return 1;
    }
    console.log(text);
    await reportPrinted(text);
    return 0;
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

/** Without this report the messages count as not read and come again. */
async function reportPrinted(text: string): Promise<void> {
  const { delivery, session_id } = JSON.parse(text);
  if (delivery !== undefined)
    await ask("/api/claim/confirm", JSON.stringify({ session_id, nonce: delivery }));
}

function queryFor(session: string | undefined): string {
  return session === undefined ? "" : `?session=${encodeURIComponent(session)}`;
}

/** Rejects when the daemon is not there, or has not answered whole in time. */
async function ask(
  path: string,
  body: string,
  agent = process.ppid,
  timeoutMs = daemonTimeoutMs,
): Promise<{ ok: boolean; text: string }> {
  const late = new AbortController();
  let left = looks;
  const look = () => {
    left -= 1;
    if (left === 0) late.abort();
  };
  // a timer of endless pauses would fire at once
  const timer = Number.isFinite(timeoutMs) ? setInterval(look, timeoutMs / looks) : undefined;
  try {
    const response = await fetch(`http://daemon${path}`, {
      unix: homePaths().daemonSocket,
      method: "POST",
      body,
      headers: {
        "content-type": "application/json",
        [pidHeaders.agent]: String(agent),
        [pidHeaders.asker]: String(process.pid),
      },
      signal: late.signal,
    });
    return { ok: response.ok, text: await response.text() };
  } finally {
    clearInterval(timer);
  }
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
