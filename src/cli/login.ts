// `login` and `logout`: a person at a joined machine shows the hub who they are, by a code that the hub showed them.
import { IntercomError } from "../protocol/errors.ts";
import { Invite, Login } from "../protocol/hub-api.ts";
import { LoggedOut } from "../protocol/local-api.ts";
import { userName } from "../system/user.ts";
import { actAsPerson, askDaemon, isHubHost } from "./access.ts";
import { command, json } from "./command.ts";
import { print, printJson } from "./output.ts";

export const login = command({
  name: "login",
  description: "at the hub: show a code, good once and for 10 minutes; on a joined machine: log in with it",
  args: {
    code: { type: "positional", required: false, description: "from `ai-intercom login` at the hub" },
    json,
  },
  examples: [
    "ai-intercom login                        # at the hub",
    "ai-intercom login 7K3M-9QXT-2BVN-84HD    # on a joined machine",
  ],
  run: async (args) => {
    if (isHubHost()) return showCode(args.code, args.json);
    if (args.code === undefined)
      throw new IntercomError("bad_usage", "logging in needs a code from the hub", {
        hint: "at the hub: ai-intercom login; then here: ai-intercom login CODE",
      });
    const { name, expires_at } = Login.omit({ token: true }).parse(
      await askDaemon("/api/login", { code: args.code, name: userName() }),
    );
    if (args.json) return printJson({ name, expires_at });
    print(
      `logged in as ${name} until ${expires_at}\nthis machine's commands act for you now: chat, ask, approvals, …`,
    );
  },
});

export const logout = command({
  name: "logout",
  description: "end this machine's login at the hub",
  args: { json },
  examples: ["ai-intercom logout"],
  run: async (args) => {
    const answer = LoggedOut.parse(await askDaemon("/api/logout", {}));
    if (args.json) return printJson(answer);
    const { status, hint = "logged out" } = answer;
    print(status === "logged_out" ? hint : "nobody was logged in here");
  },
});

async function showCode(given: string | undefined, asJson: boolean): Promise<void> {
  if (given !== undefined)
    throw new IntercomError("bad_usage", "this is the hub's own host: a person needs no login here", {
      hint: `on a joined machine: ai-intercom login ${given}`,
    });
  const answer = Invite.parse(await actAsPerson("login_code", {}));
  if (asJson) return printJson(answer);
  print(
    `${answer.code}\n\non the joined machine, before ${answer.expires_at}:\n  ai-intercom login ${answer.code}`,
  );
}
