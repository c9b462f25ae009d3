// The systemd unit: for the user, or as root for the computer. Hardened as far as agents that missions start can still
// do a developer's work; what is left out, and why, stands beside it.
import { existsSync, mkdirSync } from "node:fs";
import { userInfo } from "node:os";
import { dirname } from "node:path";
import { IntercomError } from "../../protocol/errors.ts";
import { replaceFile, unlinkIfPresent } from "../../system/files.ts";
import { userName } from "../../system/user.ts";
import { runTool, type ServiceJob, type ServiceManager, type ServiceStatus } from "./manager.ts";

const unitName = "ai-intercom.service";

export function systemd({ system }: { system: boolean }): ServiceManager {
  if (system && process.getuid?.() !== 0)
    throw new IntercomError("bad_usage", "only root may install a service for the whole computer", {
      hint: "without --system it is yours alone: ai-intercom service install",
    });
  const file = system ? `/etc/systemd/system/${unitName}` : `${userConfig()}/systemd/user/${unitName}`;
  const systemctl = (...words: string[]): [string, ...string[]] =>
    system ? ["systemctl", ...words] : ["systemctl", "--user", ...words];
  const status = () => statusOf(file, systemctl);
  return {
    name: system ? "systemd" : "systemd --user",
    file,
    definition: (job) => unitText(job, system),
    status,
    requireAnswer: () => requireManager(systemctl, system),
    install: async (job) => {
      await requireManager(systemctl, system);
      const before = existsSync(file) ? await Bun.file(file).text() : undefined;
      mkdirSync(dirname(file), { recursive: true });
      replaceFile(file, unitText(job, system), { mode: 0o644 });
      try {
        await runTool(systemctl("daemon-reload"));
        await runTool(systemctl("enable", unitName));
        await runTool(systemctl("restart", unitName));
      } catch (error) {
        await putBack(file, before, systemctl);
        throw error;
      }
    },
    uninstall: async () => {
      if (!existsSync(file)) return false;
      await runTool(systemctl("disable", "--now", unitName), { quiet: true });
      unlinkIfPresent(file);
      await runTool(systemctl("daemon-reload"), { quiet: true });
      await runTool(systemctl("reset-failed", unitName), { quiet: true });
      return true;
    },
    restart: async () => {
      await runTool(systemctl("restart", unitName));
    },
    notes: async () => (system ? [] : lingerNotes()),
  };
}

/** Where the user's units live (XDG base directories). */
function userConfig(): string {
  const { HOME = userInfo().homedir, XDG_CONFIG_HOME } = process.env;
  return XDG_CONFIG_HOME || `${HOME}/.config`;
}

function unitText(
  { program: [executable, ...words], mode, home, searchPath }: ServiceJob,
  system: boolean,
): string {
  const environment = [`AI_INTERCOM_HOME=${home}`, `PATH=${searchPath}`];
  if (system) environment.push(`HOME=${userInfo().homedir}`);
  return `# Written by \`ai-intercom service install\`, removed by \`ai-intercom service uninstall\`.
[Unit]
Description=ai-intercom: coding agents talk to each other (${mode})
${system ? "After=network-online.target\nWants=network-online.target\n" : ""}StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${[unitWord(executable), ...[...words, mode].map(argument)].join(" ")}
${environment.map((entry) => `Environment=${unitWord(entry)}`).join("\n")}
Restart=on-failure
RestartSec=1
# missions outlive a restart of the daemon, which finds them again
KillMode=process
TimeoutStopSec=20
UMask=0077

# What a developer's agent never needs. Left out on purpose: file system and namespace restrictions (agents build,
# test and sandbox themselves), MemoryDenyWriteExecute (JavaScript compiles at run time).
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallFilter=~@clock @cpu-emulation @module @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM
KeyringMode=private
${system ? systemOnly : ""}
[Install]
WantedBy=${system ? "multi-user.target" : "default.target"}
`;
}

/** In a user's manager these would imply PrivateUsers, and every foreign file would belong to nobody. */
const systemOnly = `ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
CapabilityBoundingSet=~CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_MODULE CAP_SYS_PTRACE CAP_SYS_RAWIO CAP_SYS_TIME CAP_NET_ADMIN CAP_NET_RAW CAP_MKNOD CAP_AUDIT_WRITE CAP_BPF CAP_PERFMON CAP_WAKE_ALARM CAP_SYSLOG CAP_SYS_TTY_CONFIG CAP_SYS_PACCT CAP_LEASE CAP_BLOCK_SUSPEND CAP_LINUX_IMMUTABLE CAP_IPC_LOCK CAP_SYS_CHROOT CAP_MAC_ADMIN CAP_MAC_OVERRIDE
`;

/** systemd.syntax(7): double quotes, \\ before quote and backslash, %% for itself. */
function unitWord(word: string): string {
  const escaped = word
    .replaceAll("\\", "\\\\")
    .replaceAll('"', '\\"')
    .replaceAll("\n", "\\n")
    .replaceAll("%", "%%");
  return `"${escaped}"`;
}

/** systemd.service(5): variables are put into a command's arguments; in its path and in Environment= a $ is a $. */
const argument = (word: string) => unitWord(word).replaceAll("$", "$$$$");

type Systemctl = (...words: string[]) => [string, ...string[]];

async function requireManager(systemctl: Systemctl, system: boolean): Promise<void> {
  const { code, stderr } = await runTool(systemctl("show-environment"), { quiet: true });
  if (code === 0) return;
  throw new IntercomError(
    "not_supported",
    `systemd does not answer here${stderr ? `: ${stderr.split("\n")[0]}` : ""}`,
    {
      hint: system
        ? "run it in a terminal instead: ai-intercom standalone"
        : "log in with a session of your own (not su), or run it in a terminal: ai-intercom standalone",
    },
  );
}

async function putBack(file: string, before: string | undefined, systemctl: Systemctl): Promise<void> {
  if (before === undefined) {
    await runTool(systemctl("disable", "--now", unitName), { quiet: true });
    unlinkIfPresent(file);
  } else replaceFile(file, before, { mode: 0o644 });
  await runTool(systemctl("daemon-reload"), { quiet: true });
}

async function statusOf(file: string, systemctl: Systemctl): Promise<ServiceStatus> {
  const { stdout, stderr } = await runTool(
    systemctl("show", unitName, "--property=ActiveState,SubState,UnitFileState,MainPID,Result"),
    { quiet: true },
  );
  const facts = Object.fromEntries(
    stdout.split("\n").flatMap((line) => {
      const at = line.indexOf("=");
      return at > 0 ? [[line.slice(0, at), line.slice(at + 1)]] : [];
    }),
  );
  const pid = Number(facts.MainPID);
  return {
    manager: systemctl().join(" "),
    file,
    installed: existsSync(file),
    running: facts.ActiveState === "active",
    enabled: facts.UnitFileState === "enabled",
    pid: pid > 0 ? pid : null,
    detail:
      facts.ActiveState === undefined
        ? stderr || "systemd does not answer here"
        : `${facts.ActiveState} (${facts.SubState})${facts.Result && facts.Result !== "success" ? `, ${facts.Result}` : ""}`,
  };
}

/** A user's services end with the last log-out unless the user lingers (loginctl(1)). */
async function lingerNotes(): Promise<string[]> {
  const username = userName();
  if (Bun.which("loginctl") === null) return [];
  const { stdout } = await runTool(["loginctl", "show-user", username, "--property=Linger"], { quiet: true });
  return stdout === "Linger=yes"
    ? []
    : [`It ends when you log out; to keep it running: loginctl enable-linger ${username}`];
}
