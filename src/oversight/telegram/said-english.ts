// What the hub and its machines say to agents and in a terminal that reads otherwise in Telegram: there it names the
// command that a person has here. Written as said-french.ts is; a test compares the two.

export const english: Record<string, string> = {
  "ai-intercom COMMAND --help, or the tool's description, says what is allowed": "/help says what is allowed",
  "ai-intercom --help": "/help",
  "filter: a filter is all, online or machine:ID": "a filter is all, online or machine:ID",
  "id: a mission id looks like m-20261122-1a2b3c": "a mission id looks like m-20261122-1a2b3c",
  "id: an approval id is a- and 12 hex digits": "an approval id is a- and 12 hex digits",
  "id: a grant id is g- and 12 hex digits": "a grant id is g- and 12 hex digits",
  "ai-intercom agents (or intercom_list_agents) shows who can be reached": "/agents shows who can be reached",
  "write machine/project, machine/project@session or human; `ai-intercom agents` lists them":
    "write machine/project or machine/project@session; /agents lists them",
  'with if_no_session="queue" the message is kept for its next session':
    'wait until an agent is open there, or start one: /start_agent machine/project "mission"',
  "only both ends of a thread and the person may write in it; open your own with intercom_chat":
    "only both ends of a thread and the person may write in it; open your own: /chat machine/project text",
  "a person lets it go: ai-intercom release {}": "write in its topic to let it go",
  "it is delivered by itself; intercom_status(message_id) tells when": "it is delivered by itself",
  "use the mission_id that intercom_ask answered; `ai-intercom missions` lists them": "/missions lists them",
  "while it runs, write to it: intercom_chat to {}": "while it runs, write to it: /chat {1} text",
  "ai-intercom agents lists them; a session that runs is reached with chat":
    "/agents lists them; a session that runs is reached with /chat",
  "ai-intercom missions show {}": "/missions {1}",
  "ai-intercom approvals shows what waits and what is granted":
    "/approvals shows what waits, /policy what is granted",
  "its answer comes into your inbox by itself; a person decides with: ai-intercom approvals":
    "its answer comes by itself; a person decides: /approvals",
  "ai-intercom machines": "/machines",
  "look at it on that machine; intercom_list_agents shows where it was":
    "look at it on that machine; `ai-intercom agents --json` shows where it was",
};
