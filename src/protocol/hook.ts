// What `check-inbox` and the daemon agree on. Light: the hook imports this file.

/** Header names of the local API: whose child asks (the agent), and who asks. */
export const pidHeaders = { agent: "x-ai-intercom-agent-pid", asker: "x-ai-intercom-pid" } as const;
