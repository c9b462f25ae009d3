// The second way into Claude Code: a plugin with the same hooks, the MCP server and a skill, which the agent's own
// `plugin` command installs. Written by `bun run plugin` into `.claude-plugin/`; a test holds both together.
import { wantedHooks } from "./claude-hooks.ts";
import { serverName } from "./claude-server.ts";

const description =
  "Lets the coding agents that you run now, on this and other machines, talk to each other: messages arrive in the other agent's context by themselves.";
const author = { name: "the ai-intercom engineers" };

/** Paths from the marketplace's folder, and what stands there. */
export function claudePlugin(version: string): Record<string, unknown> {
  const root = `.claude-plugin/${serverName}`;
  return {
    ".claude-plugin/marketplace.json": {
      name: serverName,
      description,
      owner: author,
      plugins: [{ name: serverName, source: `./${root}`, description }],
    },
    [`${root}/.claude-plugin/plugin.json`]: {
      name: serverName,
      version,
      description,
      author,
      license: "MIT",
      keywords: ["agents", "messages", "mcp"],
      mcpServers: {
        [serverName]: { type: "stdio", command: `\${HOME}/.local/bin/${serverName}`, args: ["mcp-server"] },
      },
    },
    [`${root}/hooks/hooks.json`]: { hooks: pluginHooks() },
  };
}

type Hook = { type: string; command: string; timeout: number; asyncRewake?: true };

/**
 * Where `install claude` has put the same hooks into the settings, one introduction is enough: the plugin's start hook
 * stands aside. The others need not: mail is given out once, whoever asks, and one waiter listens at a pipe.
 */
function pluginHooks(): Record<string, { hooks: Hook[] }[]> {
  const hooks: Record<string, { hooks: Hook[] }[]> = {};
  for (const { event, kind, handler } of wantedHooks({ portable: true })) {
    const command =
      event === "SessionStart" && kind === "inbox" ? `${standAside}${handler.command}` : handler.command;
    hooks[event] = [{ hooks: [...(hooks[event]?.[0]?.hooks ?? []), { ...handler, command }] }];
  }
  return hooks;
}

const standAside = `grep -qs "check-inbox --format hook" "\${CLAUDE_CONFIG_DIR:-$HOME/.claude}/settings.json" && exit 0; `;
