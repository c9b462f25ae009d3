// Enrolment from the command line: invite, join, and the list of machines with a person's decisions.

import { IntercomError } from "../protocol/errors.ts";
import { Invite } from "../protocol/hub-api.ts";
import { type ListedMachine, MachineList } from "../protocol/session.ts";
import { actAsPerson, askFacts } from "./access.ts";
import { command, json, oneOf } from "./command.ts";
import { askedToJoin, joinHub, ownMachine } from "./enrolment.ts";
import { upgradeMachine } from "./machine-upgrade.ts";
import { ago, print, printJson, table } from "./output.ts";

export const invite = command({
  name: "invite",
  description: "make a code that lets one machine join, once, within 10 minutes",
  args: { json },
  examples: ["ai-intercom invite", "ai-intercom invite --json"],
  run: async (args) => {
    const answer = Invite.parse(await actAsPerson("invite", {}));
    if (args.json) return printJson(answer);
    print(
      `${answer.code}\n\non the other machine, before ${answer.expires_at}:\n  ai-intercom setup --join ${answer.code}\nor, to enrol it and no more:\n  ai-intercom join ${answer.code}`,
    );
    if (/@http:\/\/(127\.|localhost|\[::1\])/.test(answer.code))
      print(
        "\nthis hub listens on this computer only; for others set hub.listen to an address they reach (a Tailscale address, or TLS in front)",
      );
  },
});

export const join = command({
  name: "join",
  description:
    "enrol this machine at a hub: at once with an invite code, else after a person's approval there",
  args: {
    code: { type: "positional", required: false, description: "from `ai-intercom invite` at the hub" },
    "hub-url": {
      type: "string",
      description: "the hub's address, when the code does not hold it",
      valueHint: "URL",
    },
    "machine-id": {
      type: "string",
      description: "this machine's name in addresses (default: its host name)",
      valueHint: "NAME",
    },
    json,
  },
  examples: [
    "ai-intercom join 7K3M-9QXT-2BVN-84HD@http://100.64.0.1:7700",
    "ai-intercom join --hub-url http://100.64.0.1:7700   # asks; a person approves at the hub",
  ],
  run: async (args) => {
    const { url, machine, isOwnHub, answer } = await joinHub({
      code: args.code,
      url: args["hub-url"],
      machine: args["machine-id"],
    });
    if (args.json) return printJson({ ...answer, hub_url: url });
    if (answer.status === "approved" && isOwnHub) print(`${machine} is enrolled at this machine's own hub`);
    else if (answer.status === "approved") print(`joined ${url} as ${machine}\nnext: ai-intercom daemon`);
    else
      print(
        `${askedToJoin(url, machine, answer.fingerprint)}\nnext, here: ai-intercom daemon; it links as soon as it is approved`,
      );
  },
});

export const machines = command({
  name: "machines",
  description: "list the machines, decide about one, or upgrade one that allows it (upgrade.allowed there)",
  args: {
    action: { type: "positional", required: false, description: "approve, deny, revoke or upgrade" },
    id: { type: "positional", required: false, description: "the machine" },
    version: {
      type: "string",
      description: "upgrade: to this version instead of the latest",
      valueHint: "V",
    },
    force: { type: "boolean", default: false, description: "revoke the hub's own machine too" },
    json,
  },
  choices: { action: ["approve", "deny", "revoke", "upgrade"] },
  examples: [
    "ai-intercom machines",
    "ai-intercom machines approve laptop",
    "ai-intercom machines revoke laptop   # closes its link at once",
    "ai-intercom machines upgrade laptop  # it fetches and verifies by itself, and goes back if it is not well",
  ],
  run: async (args) => {
    if (args.action === undefined) return list(args.json);
    const action = oneOf("machines", args.action, ["approve", "deny", "revoke", "upgrade"]);
    if (args.id === undefined)
      throw new IntercomError("bad_usage", `which machine shall I ${action}?`, {
        hint: "ai-intercom machines lists them",
      });
    if (action === "upgrade") return upgradeMachine(args.id, args.version, args.json);
    if (action === "revoke" && !args.force && args.id === (await ownMachine()))
      throw new IntercomError(
        "conflict",
        `${args.id} is this machine, the hub's own; its agents would be cut off`,
        {
          hint: `ai-intercom machines revoke ${args.id} --force`,
        },
      );
    const answer = await actAsPerson("machine_decide", { id: args.id, decision: action });
    if (args.json) return printJson(answer);
    print(`${args.id}: ${{ approve: "approved", deny: "denied", revoke: "revoked" }[action]}`);
  },
});

/** `offline: its clock is 7 min ahead` */
const standing = ({ status, reason }: ListedMachine) =>
  reason === undefined ? status : `${status}: ${reason}`;

async function list(asJson: boolean): Promise<void> {
  const { machines } = MachineList.parse(await askFacts("machines", {}));
  if (asJson) return printJson({ machines });
  if (machines.length === 0) return print("no machines yet; enrol one: ai-intercom invite");
  print(
    table(
      ["machine", "status", "last seen", "fingerprint"],
      machines.map((one) => [one.id, standing(one), ago(one.last_seen), one.fingerprint]),
    ),
  );
}
