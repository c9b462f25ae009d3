// policies.yml: who is asked before an agent starts here. First match wins, and what cannot be used denies.
import { expect, test } from "bun:test";
import { mkdtempSync, utimesSync, writeFileSync } from "node:fs";
import { type Asked, Policies } from "../../src/daemon/policies.ts";
import { orderOf, sceneOf } from "./launcher-scene.ts";

const asked = (more: Partial<Asked> = {}): Asked => ({
  from: "atlas/web@s-20261122-aaaaaa",
  to: "limn/app",
  type: "ask",
  text: "run the tests\nand tell me",
  ...more,
});
const policies = (text?: string) => {
  const path = `${mkdtempSync("/tmp/aii-pol-")}/policies.yml`;
  if (text !== undefined) writeFileSync(path, text);
  return { path, policies: new Policies(path) };
};
const level = (text: string, more: Partial<Asked> = {}) => {
  const verdict = policies(text).policies.decide(asked(more));
  return verdict.verdict === "level" ? verdict.approval : verdict.reason;
};

test("without a file a person is asked once, for every asker and type, the person too", () => {
  const { policies: none } = policies();
  for (const more of [{}, { from: "human" }, { type: "start_agent" as const }])
    expect(none.decide(asked(more))).toEqual({ verdict: "level", approval: "once" });
  expect(level("")).toBe("once");
});

test("the first rule that fits decides; else the defaults", () => {
  const text = `
defaults: {require_approval: session}
rules:
  - {from: "atlas/web", type: start_agent, approval: mission}
  - {from: "atlas/*", message_pattern: "rm -rf|DROP TABLE", approval: once, label: dangerous}
  - {from: "atlas/*", to: "limn/app", approval: never}
  - {from: human, approval: always_allow}
`;
  expect(level(text)).toBe("never");
  expect(level(text, { type: "start_agent" })).toBe("mission");
  expect(level(text, { to: "limn/other" })).toBe("session");
  expect(level(text, { from: "human" })).toBe("always_allow");
  expect(level(text, { from: "limn/x@s-1" })).toBe("session");
  const { policies: found } = policies(text);
  expect(found.decide(asked({ text: "first\nthen rm -rf /" }))).toEqual({
    verdict: "level",
    approval: "once",
    label: "dangerous",
  });
});

test.each([
  ["*", "human", true],
  ["*", "a/b@c", true],
  ["*/*", "a/b@c", true],
  ["*/*", "human", false],
  ["a/b", "a/b@c", true],
  ["a/b@c", "a/b@c", true],
  ["a/b@d", "a/b@c", false],
  ["a/b@*", "a/b@c", true],
  ["a*", "a/b@c", false],
  ["a/b*", "a/bcd@x", true],
  ["a/b?", "a/bc@x", true],
  ["a/b?", "a/b@x", false],
  ["a.b/c", "axb/c@x", false],
  ["hum*", "human", true],
])("glob %s on %s: %p", (from, who, fits) => {
  expect(level(`rules: [{from: "${from}", approval: never}]`, { from: who })).toBe(fits ? "never" : "once");
});

test("a pattern sees the whole text, over line breaks", () => {
  const rule = (pattern: string) => `rules: [{message_pattern: '${pattern}', approval: never}]`;
  expect(level(rule("tests.and"))).toBe("never");
  expect(level(rule("^run the tests$"))).toBe("once");
  expect(level(rule("tell me$"))).toBe("never");
  expect(level(rule("TELL"))).toBe("once");
  expect(level(rule("(?i:TELL)"))).toBe("never");
  expect(level(rule("x{9}"), { text: `${"a".repeat(60_000)}xxxxxxxxx` })).toBe("never");
});

test.each([
  [
    "rules:\n  - {type: chat, approval: once}\n",
    /rules\.0\.approval: only ask and start_agent can wait for an approval/,
  ],
  [
    "rules: [{message_pattern: '(', approval: never}]",
    /rules\.0\.message_pattern is not a regular expression/,
  ],
  ["rules: [{approval: sometimes}]", /rules\.0\.approval/],
  ["rules: [{from: a/b}]", /rules\.0\.approval/],
  ["rules: [{form: a/b, approval: never}]", /form/],
  ["defaults: {require_approval: no}", /defaults\.require_approval/],
  ["rules: never", /rules/],
  ["- never", /the file/],
  ["rules: [", /not valid YAML/],
])("unusable: %s", (text, why) => {
  const { path, policies: bad } = policies(text);
  const verdict = bad.decide(asked());
  if (verdict.verdict !== "unusable") throw new Error(JSON.stringify(verdict));
  expect(verdict.reason).toStartWith(`${path}: `);
  expect(verdict.reason).toMatch(why);
});

test("read anew when it changed: closed while it is broken, right again after", () => {
  const { path, policies: live } = policies("rules: [{approval: never}]");
  const decide = () => live.decide(asked());
  expect(decide()).toMatchObject({ approval: "never" });
  writeFileSync(path, "rules: [{approval: ");
  expect(decide().verdict).toBe("unusable");
  writeFileSync(path, "rules: [{approval: always_allow}]");
  expect(decide()).toMatchObject({ approval: "always_allow" });
  utimesSync(path, 1, 1);
  expect(decide()).toMatchObject({ approval: "always_allow" });
});

test("a directory in its place denies", () => {
  expect(new Policies(mkdtempSync("/tmp/aii-pol-")).decide(asked()).verdict).toBe("unusable");
});

test("at the launcher: an unusable file runs nothing, and what wants approval does not start without one", () => {
  using scene = sceneOf("true");
  const order = orderOf(1);
  const plan = scene.launcher.plan(order);
  if (plan.verdict !== "ready") throw new Error(plan.reason);
  expect(plan.approval).toBe("once");
  const { hash } = plan.plan;
  expect(scene.launcher.take({ order, hash })).toMatchObject({ verdict: "refused", status: "denied" });
  scene.policies("rules: [{approval: never, message_pattern: '['}]");
  expect(scene.launcher.plan(order)).toMatchObject({ verdict: "refused", status: "denied" });
  expect(scene.launcher.take({ order, hash, approved_by: "me" })).toMatchObject({ status: "denied" });
  scene.policies("rules: [{approval: never, message_pattern: 'task 1'}]");
  expect(scene.launcher.plan(order)).toMatchObject({ verdict: "ready", approval: "never" });
  expect(scene.launcher.take({ order, hash })).toMatchObject({ verdict: "taken" });
});
