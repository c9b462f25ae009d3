// Addresses, ids, invite codes, errors and the tool table: the shapes that everyone shares.
import { expect, test } from "bun:test";
import { formatAddress, nearMatches, parseAddress, slug } from "../../src/protocol/address.ts";
import { errorFromBody, IntercomError, toIntercomError } from "../../src/protocol/errors.ts";
import { newMessageId, newSessionId, newThreadId } from "../../src/protocol/ids.ts";
import { formatInvite, newInviteSecret, parseInvite } from "../../src/protocol/invite.ts";
import { missionIdFor } from "../../src/protocol/mission.ts";
import { failedAnswer, instructions, isToolName, parseToolInput, tools } from "../../src/protocol/tools.ts";

test("addresses: read and written the same", () => {
  for (const text of ["human", "limn/mnemos", "limn/mnemos@s-20261122-1a2b3c", "A.b_c-9/x@y"])
    expect(formatAddress(parseAddress(text))).toBe(text);
});

const badAddresses = [
  "",
  "limn",
  "/x",
  "limn/",
  "limn/a/b",
  "limn/a@b@c",
  "limn/a@",
  "-x/y",
  "limn/ü",
  "limn/a b",
  "Human",
  `${"x".repeat(65)}/y`,
  "limn/..@../x",
];
for (const text of badAddresses)
  test(`not an address: ${JSON.stringify(text.slice(0, 20))}`, () => {
    expect(() => parseAddress(text)).toThrow(
      expect.objectContaining({ code: "bad_request", hint: expect.stringContaining("machine/project") }),
    );
  });

test("a slug is always a valid name", () => {
  expect(slug("My App (2)", "x")).toBe("My-App-2");
  expect(slug("été", "x")).toBe("ete");
  expect(slug("...", "x")).toBe("x");
  expect(slug("漢字", "project")).toBe("project");
  for (const name of ["a".repeat(100), ".hidden", "-dash-", "a/b\\c"])
    expect(parseAddress(`m/${slug(name, "x")}`).kind).toBe("project");
});

test("near matches: the nearest first, nothing far-fetched", () => {
  expect(nearMatches("mnemo", ["website", "mnemos", "memos"])).toEqual(["mnemos", "memos"]);
  expect(nearMatches("zzz", ["website", "mnemos"])).toEqual([]);
});

test("ids have the public forms and do not repeat", () => {
  expect(newThreadId()).toMatch(/^t-[0-9a-f]{12}$/);
  expect(newSessionId(new Date("2026-11-22T23:59:00Z"))).toMatch(/^s-20261122-[0-9a-f]{6}$/);
  expect(new Set(Array.from({ length: 1000 }, newMessageId)).size).toBe(1000);
});

test("invite codes survive being copied by hand", () => {
  const secret = newInviteSecret();
  const code = formatInvite({ secret, url: "http://127.0.0.1:7700" });
  expect(parseInvite(code)).toEqual({ secret, url: "http://127.0.0.1:7700" });
  expect(parseInvite(formatInvite({ secret }).toLowerCase().replaceAll("-", " "))).toEqual({ secret });
  for (const bad of [
    "",
    "ABCD",
    `${formatInvite({ secret })}X`,
    code.replace("http", "ftp"),
    `${secret}@http://a/b`,
  ])
    expect(() => parseInvite(bad)).toThrow(IntercomError);
});

test("an error survives the wire; a foreign one becomes internal", () => {
  const error = new IntercomError("unknown_machine", 'no machine "x"', { hint: "y" });
  expect(errorFromBody(JSON.parse(JSON.stringify(error.body())))).toMatchObject({
    code: "unknown_machine",
    message: 'no machine "x"',
    hint: "y",
  });
  expect(errorFromBody({ error: { code: "from the future", message: "m" } })).toMatchObject({
    code: "internal",
    message: "m",
  });
  for (const body of [undefined, null, 1, "x", {}, { error: 1 }, { error: {} }])
    expect(errorFromBody(body)).toBeUndefined();
  expect(toIntercomError(new TypeError("boom"))).toMatchObject({
    code: "internal",
    exitCode: 1,
    httpStatus: 500,
  });
});

test("status and history want exactly one of their two ids; the error names both", () => {
  for (const [name, one, other] of [
    ["intercom_status", { message_id: "msg-1" }, { mission_id: "m-20261122-1a2b3c" }],
    ["intercom_history", { thread_id: "t-0123456789ab" }, { mission_id: "m-20261122-1a2b3c" }],
  ] as const) {
    expect(parseToolInput(name, one)).toMatchObject(one);
    expect(parseToolInput(name, other)).toMatchObject(other);
    const [[first], [second]] = [Object.keys(one), Object.keys(other)];
    for (const given of [{}, { ...one, ...other }])
      expect(() => parseToolInput(name, given)).toThrow(`give exactly one of ${first} and ${second}`);
  }
});

test("mission ids: the same for every retry, of the day of the first", () => {
  const at = new Date("2026-11-22T23:59:59Z");
  expect(missionIdFor("msg-1", at)).toMatch(/^m-20261122-[0-9a-f]{6}$/);
  expect(missionIdFor("msg-1", at)).toBe(missionIdFor("msg-1", at));
  expect(missionIdFor("msg-2", at)).not.toBe(missionIdFor("msg-1", at));
});

test("a call that failed fits the output of its tool", () => {
  for (const [name, tool] of Object.entries(tools)) {
    if (!isToolName(name)) throw new Error(name);
    const answer = failedAnswer(name, { message: "gone", hint: "try" });
    expect({ name, ok: tool.output.safeParse(answer).success }).toEqual({ name, ok: true });
  }
});

test("each tool is described within what clients keep (2 KB), with an object for input and output", () => {
  expect(Buffer.byteLength(instructions)).toBeLessThan(2048);
  for (const [name, tool] of Object.entries(tools)) {
    expect(name).toMatch(/^intercom_[a-z_]+$/);
    expect(Buffer.byteLength(tool.description)).toBeLessThan(2048);
    expect(Object.keys(tool.output.shape)).toContain("inbox_waiting");
  }
});
