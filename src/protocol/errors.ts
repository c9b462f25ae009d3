// Every error a person, a script or an agent can meet: one code each, with its HTTP status, exit code and
// a default hint. Errors are translated at four edges only: HTTP, link frame, MCP and command line.

type Kind = { http: number; exit: 1 | 2 | 3; hint?: string };

/** code → how it is reported. `exit`: 1 failed, 2 misused, 3 hub or daemon unreachable (contract.md). */
const errorTable = {
  bad_request: {
    http: 400,
    exit: 2,
    hint: "ai-intercom COMMAND --help, or the tool's description, says what is allowed",
  },
  bad_usage: { http: 400, exit: 2, hint: "ai-intercom --help" },
  bad_config: { http: 400, exit: 1, hint: "every key and its meaning: ai-intercom standalone --help" },
  unauthenticated: {
    http: 401,
    exit: 1,
    hint: "enrol this machine: ai-intercom join CODE (a code comes from `ai-intercom invite` at the hub)",
  },
  clock_skew: {
    http: 401,
    exit: 1,
    hint: "set this machine's clock; a signature is valid for 300 s around the hub's time",
  },
  replayed: { http: 401, exit: 1, hint: "each signed request carries a nonce of its own; sign it anew" },
  forbidden: { http: 403, exit: 1, hint: "each machine and each agent acts for itself only" },
  person_only: {
    http: 403,
    exit: 1,
    hint: "this is a person's act: run it in a terminal that no agent started",
  },
  machine_pending: { http: 403, exit: 1, hint: "a person approves it at the hub: ai-intercom machines" },
  machine_denied: { http: 403, exit: 1, hint: "ask the person at the hub for an invite code" },
  machine_revoked: {
    http: 403,
    exit: 1,
    hint: "ask the person at the hub for a new invite code, then: ai-intercom join CODE",
  },
  machine_taken: { http: 409, exit: 1, hint: "choose another name: the same command with --machine-id NAME" },
  invite_invalid: {
    http: 403,
    exit: 1,
    hint: "codes work once and for 10 minutes; for a new one, at the hub: ai-intercom invite",
  },
  login_invalid: {
    http: 403,
    exit: 1,
    hint: "codes work once and for 10 minutes; ask for a new one at the hub: ai-intercom login",
  },
  not_logged_in: {
    http: 401,
    exit: 1,
    hint: "log in: ai-intercom login CODE (a code comes from `ai-intercom login` at the hub)",
  },
  not_a_member: {
    http: 403,
    exit: 1,
    hint: "only both ends of a thread and the person may write in it; open your own with intercom_chat",
  },
  not_found: { http: 404, exit: 1, hint: "docs/architecture.md lists the routes" },
  unknown_machine: {
    http: 404,
    exit: 1,
    hint: "ai-intercom agents (or intercom_list_agents) shows who can be reached",
  },
  unknown_project: {
    http: 404,
    exit: 1,
    hint: "ai-intercom agents (or intercom_list_agents) shows who can be reached",
  },
  unknown_session: {
    http: 404,
    exit: 1,
    hint: "ai-intercom agents (or intercom_list_agents) shows who can be reached",
  },
  unknown_thread: { http: 404, exit: 1, hint: "check the thread id; a new chat opens a thread of its own" },
  unknown_message: {
    http: 404,
    exit: 1,
    hint: "use the message_id that the send answered; `ai-intercom watch` shows them too",
  },
  unknown_mission: {
    http: 404,
    exit: 1,
    hint: "use the mission_id that intercom_ask answered; `ai-intercom missions` lists them",
  },
  unknown_approval: {
    http: 404,
    exit: 1,
    hint: "ai-intercom approvals shows what waits and what is granted",
  },
  unknown_tool: { http: 404, exit: 2 },
  no_active_session: { http: 404, exit: 1 },
  method_not_allowed: { http: 405, exit: 2, hint: "docs/architecture.md lists the routes" },
  conflict: { http: 409, exit: 1, hint: "look at what is there, then try again: ai-intercom status" },
  upgrade_unwell: { http: 409, exit: 1 },
  message_too_large: { http: 413, exit: 1, hint: "write the text to a file and send its path, or split it" },
  bad_media_type: { http: 415, exit: 2, hint: "send content-type: application/json" },
  rate_limited: { http: 429, exit: 1 },
  inbox_full: { http: 429, exit: 1, hint: "the recipient must read its mail first" },
  unparsable_file: { http: 500, exit: 1 },
  unsafe_file: { http: 500, exit: 1 },
  not_supported: { http: 501, exit: 1, hint: "ai-intercom --help" },
  service_failed: { http: 500, exit: 1, hint: "ai-intercom service status; ai-intercom logs" },
  internal: { http: 500, exit: 1, hint: "the log of the hub or the daemon (its stderr) says more" },
  hub_unreachable: { http: 503, exit: 3, hint: "is the hub running? start it with: ai-intercom standalone" },
  daemon_unreachable: {
    http: 503,
    exit: 3,
    hint: "is the daemon running? start it with: ai-intercom standalone (or ai-intercom daemon)",
  },
} as const satisfies Record<string, Kind>;

export type ErrorCode = keyof typeof errorTable;

/** The shape of an error on every wire: `{error:{code, message, hint}}`. */
export type ErrorBody = { error: { code: ErrorCode; message: string; hint?: string } };

export class IntercomError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "IntercomError";
    this.code = code;
    this.hint = options.hint ?? hintFor(code);
  }

  get httpStatus(): number {
    return errorTable[this.code].http;
  }

  get exitCode(): number {
    return errorTable[this.code].exit;
  }

  /** The hint says something of this error alone, not of its code. */
  get hasOwnHint(): boolean {
    return this.hint !== hintFor(this.code);
  }

  body(): ErrorBody {
    return { error: { code: this.code, message: this.message, ...(this.hint ? { hint: this.hint } : {}) } };
  }
}

/** What to try where an error of this code says nothing else. */
export function hintFor(code: ErrorCode): string | undefined {
  const kind: Kind = errorTable[code];
  return kind.hint;
}

/** What the operating system says of files, in words, and what to try. */
const fileErrors: Record<string, [string, string]> = {
  ENOSPC: ["the disk is full", "free some space: df -h"],
  EDQUOT: ["the disk quota is used up", "free some space: quota"],
  EROFS: ["the disk is read-only", "choose another home with AI_INTERCOM_HOME, or mount it writable"],
  EACCES: ["permission denied", "look at owner and mode: ls -ld"],
  EPERM: ["not permitted", "look at owner and mode: ls -ld"],
  ENOTDIR: ["a part of the path is not a directory", "look at the path: ls -ld"],
  EISDIR: ["a directory stands where a file belongs", "move it away"],
  EEXIST: ["a file stands where a directory belongs", "move it away"],
  ELOOP: ["a link stands where a file belongs", "move it away"],
  EMFILE: ["too many open files", "raise the limit: ulimit -n"],
  EIO: ["the disk reports an error", "look at the system log: dmesg"],
};

/** Anything thrown → an IntercomError. What is not ours becomes `internal`, its text kept only as the cause. */
export function toIntercomError(thrown: unknown): IntercomError {
  if (thrown instanceof IntercomError) return thrown;
  const known = thrown instanceof Error && "code" in thrown ? fileErrors[String(thrown.code)] : undefined;
  if (known) {
    const path = thrown instanceof Error && "path" in thrown ? `${String(thrown.path)}: ` : "";
    return new IntercomError("unsafe_file", `${path}${known[0]}`, { hint: known[1], cause: thrown });
  }
  const detail = thrown instanceof Error ? thrown.message : String(thrown);
  return new IntercomError("internal", `unexpected failure: ${detail}`, { cause: thrown });
}

/** An error body from a wire → the error it was; undefined when `body` is not one. */
export function errorFromBody(body: unknown): IntercomError | undefined {
  if (typeof body !== "object" || body === null || !("error" in body)) return undefined;
  const { error } = body;
  if (typeof error !== "object" || error === null || !("code" in error) || !("message" in error))
    return undefined;
  const hint = "hint" in error && typeof error.hint === "string" ? error.hint : undefined;
  const code = isErrorCode(error.code) ? error.code : "internal";
  return new IntercomError(code, String(error.message), { hint });
}

function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(errorTable, value);
}
