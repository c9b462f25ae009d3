// `doctor` and `setup --telegram` against the fake Bot API: every way in which a bot cannot do its work has a reason
// code and a fix, the keys get into config.yml for this user alone, and nobody prints the token.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { type DoctorReport, doctor } from "../rig/doctor";
import { Fleet, type Machine } from "../rig/fleet";
import { botToken, FakeTelegram, owner } from "../rig/telegram";

let fleet: Fleet;
let fake: FakeTelegram;
let plain: FakeTelegram;
beforeAll(async () => {
  fleet = await Fleet.empty();
  fake = new FakeTelegram();
  plain = new FakeTelegram({ forum: false });
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  await fake.stop();
  await plain.stop();
});

let made = 0;
const variables = (api = fake) => ({
  TELEGRAM_BOT_TOKEN: botToken,
  TELEGRAM_SUPERGROUP_ID: String(api.chat),
  TELEGRAM_OWNER_ID: String(owner.id),
  AI_INTERCOM_TELEGRAM_API_ROOT: api.url,
});
/** A clean home; nothing of another person's Claude Code is in reach. */
function newcomer(env: Record<string, string> = {}): Machine {
  const name = `t${++made}`;
  const home = fleet.add(name).directory("home");
  mkdirSync(home, { recursive: true });
  return fleet.add(name, {
    HOME: home,
    XDG_RUNTIME_DIR: "/nonexistent",
    AI_INTERCOM_HUB_LISTEN: "127.0.0.1:0",
    ...env,
  });
}
const aboutTelegram = ({ codes }: DoctorReport) => codes.filter((code) => code.startsWith("telegram"));

describe("doctor", () => {
  test("all is well: the bot, its group with topics, its rights, whom it obeys", async () => {
    const report = await doctor(newcomer(variables()));
    expect(aboutTelegram(report)).toEqual(["telegram", "telegram_chat", "telegram_rights", "telegram_users"]);
    expect(report.text("telegram")).toContain("@intercom_bot");
    expect(report.text("telegram_chat")).toContain("a supergroup with topics");
    expect(report.text("telegram_users")).toBe("obeys 4711");
  });

  test("a plain group is well too, and said to be one", async () => {
    const report = await doctor(newcomer(variables(plain)));
    expect(report.text("telegram_chat")).toContain("a plain group");
    expect(aboutTelegram(report)).toContain("telegram_rights");
  });

  test("no token, or a machine without a hub: not a word, not a call", async () => {
    const { TELEGRAM_BOT_TOKEN: _, ...without } = variables();
    expect(aboutTelegram(await doctor(newcomer(without)))).toEqual([]);
    await using asked = new FakeTelegram();
    expect(
      aboutTelegram(await doctor(newcomer({ ...variables(asked), AI_INTERCOM_MODE: "daemon" }))),
    ).toEqual([]);
    expect(asked.calls).toEqual([]);
  });

  const settings: [what: string, env: Record<string, string>, code: string, state: string, fix: RegExp][] = [
    ["a wrong token", { TELEGRAM_BOT_TOKEN: "999:wrong" }, "telegram_token", "fail", /@BotFather/],
    [
      "nothing at the address",
      { AI_INTERCOM_TELEGRAM_API_ROOT: "http://127.0.0.1:1" },
      "telegram_unreachable",
      "fail",
      /api_root/,
    ],
    ["no group", { TELEGRAM_SUPERGROUP_ID: "" }, "telegram_chat_unset", "fail", /TELEGRAM_SUPERGROUP_ID/],
    [
      "another group",
      { TELEGRAM_SUPERGROUP_ID: "-77" },
      "telegram_chat_unreachable",
      "fail",
      /add @intercom_bot/,
    ],
    ["nobody obeyed", { TELEGRAM_OWNER_ID: "" }, "telegram_users_none", "warn", /TELEGRAM_OWNER_ID/],
  ];
  test.each(settings)("%s", async (_what, env, code, state, fix) => {
    const report = await doctor(newcomer({ ...variables(), ...env }));
    expect(report.notOk.find((one) => one.code === code)?.state).toBe(state as "fail" | "warn");
    expect(report.fix(code)).toMatch(fix);
    for (const token of [botToken, "999:wrong"]) expect(JSON.stringify(report.checks)).not.toContain(token);
  });

  type Rights = [what: string, member: Record<string, unknown>, code: string | undefined, fix: RegExp];
  const rights: Rights[] = [
    ["not in the group", { status: "left" }, "telegram_rights_missing", /add @intercom_bot to the group/],
    ["thrown out", { status: "kicked" }, "telegram_rights_missing", /add @intercom_bot to the group/],
    [
      "silenced",
      { status: "restricted", is_member: true, can_send_messages: false },
      "telegram_rights_missing",
      /administrator/,
    ],
    ["no topics", { status: "administrator" }, "telegram_topics_denied", /right to manage topics/],
    ["a member in privacy mode", { status: "member" }, "telegram_deaf", /setprivacy/],
    ["the owner", { status: "creator" }, undefined, /./],
  ];
  test.each(rights)("rights: %s", async (_what, member, code, fix) => {
    await using api = new FakeTelegram();
    api.member = member;
    const report = await doctor(newcomer(variables(api)));
    if (code === undefined) expect(aboutTelegram(report)).toContain("telegram_rights");
    else {
      expect(report.fix(code)).toMatch(fix);
      expect(aboutTelegram(report)).not.toContain("telegram_rights");
    }
  });

  test("what the group allows its members counts; a channel is no group", async () => {
    await using api = new FakeTelegram({ forum: false });
    api.member = { status: "member" };
    api.botFacts = { can_read_all_group_messages: true };
    expect(aboutTelegram(await doctor(newcomer(variables(api))))).toContain("telegram_rights");
    api.chatFacts = { permissions: { can_send_messages: false } };
    expect((await doctor(newcomer(variables(api)))).fix("telegram_rights_missing")).toContain(
      "administrator",
    );
    api.chatFacts = { type: "channel" };
    expect((await doctor(newcomer(variables(api)))).fix("telegram_chat_unusable")).toContain("a group's id");
  });

  test("a group that became a supergroup: the new one is looked at, and its id named", async () => {
    await using api = new FakeTelegram({ forum: false });
    const before = variables(api);
    const { to } = api.becomesSupergroup({ told: false });
    const report = await doctor(newcomer(before));
    expect(report.fix("telegram_chat_moved")).toContain(`to ${to}`);
    expect(report.text("telegram_chat")).toContain("a supergroup with topics");
    expect(aboutTelegram(report)).toContain("telegram_rights");
  });

  test("too many calls, and a server's error, are not a wrong token", async () => {
    await using api = new FakeTelegram();
    api.fault("getMe", "429");
    expect((await doctor(newcomer(variables(api)))).text("telegram_unreachable")).toContain("again in 2 s");
    api.fault("getChat", "500");
    expect((await doctor(newcomer(variables(api)))).codes).toContain("telegram_unreachable");
    api.fault("getChatMember", "cut");
    expect((await doctor(newcomer(variables(api)))).codes).toContain("telegram_rights_unknown");
  });
});

describe("setup --telegram", () => {
  const setup = ["setup", "--yes", "--no-service"];

  test("takes the environment into config.yml, for this user alone; a second time there is nothing to do", async () => {
    const machine = newcomer();
    mkdirSync(machine.home, { mode: 0o700 });
    writeFileSync(
      `${machine.home}/config.yml`,
      `# mine\nmode: standalone\nmachine:\n  id: ${machine.name}\n`,
      {
        mode: 0o644,
      },
    );
    const { code, out, err } = await machine.run([...setup, "--telegram"], { env: variables() });
    expect([code, err]).toEqual([0, ""]);
    expect(out).toContain("config.yml: telegram.bot_token, telegram.supergroup_id");
    expect(out).toContain("ok    telegram_rights: ");
    expect(out).toContain("the answer comes back");
    expect(out).not.toContain(botToken);
    const file = `${machine.home}/config.yml`;
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const text = readFileSync(file, "utf8");
    expect(text).toStartWith("# mine\n");
    expect(Bun.YAML.parse(text)).toEqual({
      mode: "standalone",
      machine: { id: machine.name },
      telegram: {
        bot_token: botToken,
        supergroup_id: fake.chat,
        api_root: fake.url,
        security: { allowed_users: [owner.id] },
      },
    });
    // from the file alone now
    const again = await machine.json(...setup, "--telegram");
    expect(again.changes).toEqual([]);
    expect(again.found.map(({ state }: { state: string }) => state)).toEqual(["ok", "ok", "ok", "ok"]);
    expect(aboutTelegram(await doctor(machine))).toHaveLength(4);
    const more = await machine.json(...setup, "--telegram-owner", "815");
    expect(more.changes).toHaveLength(1);
    expect(Bun.YAML.parse(readFileSync(file, "utf8"))).toMatchObject({
      telegram: { security: { allowed_users: [owner.id, 815] } },
    });
  }, 60_000);

  test("what is missing is said, and the rest is written", async () => {
    await using api = new FakeTelegram();
    api.member = { status: "administrator" };
    const machine = newcomer({
      TELEGRAM_BOT_TOKEN: botToken,
      AI_INTERCOM_TELEGRAM_API_ROOT: api.url,
    });
    const { code, out } = await machine.run([...setup, "--telegram-group", String(api.chat)]);
    expect(code).toBe(0);
    expect(out).toContain("warn  telegram_topics_denied: ");
    expect(out).toContain("warn  telegram_users_none: ");
    expect(out).toContain("fix: ");
    expect(Bun.YAML.parse(readFileSync(`${machine.home}/config.yml`, "utf8"))).toMatchObject({
      telegram: { supergroup_id: api.chat },
    });
  });

  const refused: [what: string, words: string[], env: Record<string, string>, error: string][] = [
    ["no token", ["--telegram"], {}, "error: there is no bot token\ntry: ask @BotFather"],
    [
      "a token that Telegram does not know",
      ["--telegram"],
      { TELEGRAM_BOT_TOKEN: "999:wrong" },
      "error: Telegram does not know the token",
    ],
    ["no token at all", ["--telegram"], { TELEGRAM_BOT_TOKEN: "hello" }, "error: TELEGRAM_BOT_TOKEN: "],
    ["an id that is none", ["--telegram-group", "x"], variablesOfNobody(), "error: TELEGRAM_SUPERGROUP_ID: "],
    [
      "a machine that joins a hub",
      ["--telegram", "--hub-url", "http://127.0.0.1:1"],
      {},
      "error: the bot is the hub's",
    ],
  ];
  test.each(refused)("%s: an error, and nothing is changed", async (_what, words, env, error) => {
    const machine = newcomer({ AI_INTERCOM_TELEGRAM_API_ROOT: fake.url, ...env });
    const { code, out, err } = await machine.run([...setup, ...words]);
    expect(code).not.toBe(0);
    expect(err).toStartWith(error);
    expect(out + err).not.toContain("999:wrong");
    expect(existsSync(machine.home)).toBe(false);
  });
});

function variablesOfNobody() {
  return { TELEGRAM_BOT_TOKEN: botToken };
}
