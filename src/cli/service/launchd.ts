// The launchd agent of macOS. Written from launchd.plist(5) and launchctl(1); never run, for lack of a Mac.
import { existsSync, mkdirSync } from "node:fs";
import { userInfo } from "node:os";
import { dirname } from "node:path";
import { IntercomError } from "../../protocol/errors.ts";
import { replaceFile, unlinkIfPresent } from "../../system/files.ts";
import { runTool, type ServiceJob, type ServiceManager } from "./manager.ts";

const label = "dev.ai-intercom";

export function launchd(): ServiceManager {
  const file = `${process.env.HOME || userInfo().homedir}/Library/LaunchAgents/${label}.plist`;
  const domain = `gui/${process.getuid?.() ?? 0}`;
  const target = `${domain}/${label}`;
  return {
    name: "launchd",
    file,
    definition: propertyList,
    requireAnswer: async () => {}, // a Mac has no other, and it is always there
    install: async (job) => {
      mkdirSync(dirname(file), { recursive: true });
      await runTool(["launchctl", "bootout", target], { quiet: true });
      replaceFile(file, propertyList(job), { mode: 0o644 });
      try {
        await runTool(["launchctl", "bootstrap", domain, file]);
      } catch (error) {
        unlinkIfPresent(file);
        throw error;
      }
    },
    uninstall: async () => {
      if (!existsSync(file)) return false;
      await runTool(["launchctl", "bootout", target], { quiet: true });
      unlinkIfPresent(file);
      return true;
    },
    restart: async () => {
      if (!existsSync(file)) throw new IntercomError("not_found", "the service is not installed");
      await runTool(["launchctl", "kickstart", "-k", target]);
    },
    status: async () => {
      const { code, stdout } = await runTool(["launchctl", "print", target], { quiet: true });
      const pid = /^\s*pid = (\d+)/m.exec(stdout)?.[1];
      return {
        manager: "launchctl",
        file,
        installed: existsSync(file),
        running: pid !== undefined,
        enabled: code === 0,
        pid: pid === undefined ? null : Number(pid),
        detail: /^\s*state = (.+)$/m.exec(stdout)?.[1] ?? "not loaded",
      };
    },
    notes: async () => [],
  };
}

/** `AbandonProcessGroup`: missions outlive a restart of the daemon, which finds them again. */
function propertyList({ program, mode, home, searchPath }: ServiceJob): string {
  const words = [...program, mode].map((word) => `    <string>${xml(word)}</string>`).join("\n");
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- written by \`ai-intercom service install\`, removed by \`ai-intercom service uninstall\` -->
<plist version="1.0">
<dict>
  <key>Label</key><string>${label}</string>
  <key>ProgramArguments</key>
  <array>
${words}
  </array>
  <key>EnvironmentVariables</key>
  <dict>
    <key>AI_INTERCOM_HOME</key><string>${xml(home)}</string>
    <key>PATH</key><string>${xml(searchPath)}</string>
  </dict>
  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
  <key>AbandonProcessGroup</key><true/>
  <key>ProcessType</key><string>Background</string>
  <key>Umask</key><integer>63</integer>
  <key>StandardErrorPath</key><string>/dev/null</string>
</dict>
</plist>
`;
}

function xml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
