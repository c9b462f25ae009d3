// What may run and where: real paths inside allowed ones, commands from the configuration only, and a hash over all of
// it.
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { keyOf, orderOf, Scene, sceneOf, script } from "./launcher-scene.ts";

const planOf = (scene: Scene, more: Parameters<typeof orderOf>[1] = {}) =>
  scene.launcher.plan(orderOf(1, more));
const ready = (scene: Scene, more: Parameters<typeof orderOf>[1] = {}) => {
  const answer = planOf(scene, more);
  if (answer.verdict !== "ready") throw new Error(`${answer.status}: ${answer.reason}`);
  return answer.plan;
};

test("inside an allowed path: the real directory, the program's own path, no shell", () => {
  using scene = sceneOf("true", {}, { args: ["a b", "$(x)"] });
  expect(ready(scene)).toMatchObject({
    directory: realpathSync(`${scene.root}/code/app`),
    argv: [`${scene.root}/bin/agent-program`, "a b", "$(x)"],
    permission: "default",
  });
});

test("no allowed path: nothing may run, and the hint names the key", () => {
  using scene = sceneOf("true", { allowed_paths: [] });
  expect(planOf(scene)).toMatchObject({
    verdict: "refused",
    status: "denied",
    hint: expect.stringContaining("agent_launcher.allowed_paths"),
  });
});

test("path tricks: a link out, a prefix sibling, a way back up, a link as the allowed path", () => {
  using scene = sceneOf("true");
  const { root, projects } = scene;
  mkdirSync(`${root}/outside`);
  mkdirSync(`${root}/code-too`);
  symlinkSync(`${root}/outside`, `${root}/code/link`);
  const found = (name: string, path: string) => {
    projects.discovered({ projects: [{ path, description: "" }], complete: false });
    return projects.nameOf(path) && planOf(scene, { project: name });
  };
  const denied = { verdict: "refused", status: "denied" };
  expect(found("link", `${root}/code/link`)).toMatchObject(denied);
  expect(found("code-too", `${root}/code-too`)).toMatchObject(denied);
  expect(found("outside", `${root}/code/../outside`)).toMatchObject(denied);
  // a project that becomes a link after it was found
  rmSync(`${root}/code/app`, { recursive: true });
  symlinkSync(`${root}/outside`, `${root}/code/app`);
  expect(planOf(scene)).toMatchObject(denied);
  // a link as an allowed path allows what it leads to, and only that
  symlinkSync(`${root}/outside`, `${root}/allowed-link`);
  scene.settings.allowed_paths = [`${root}/allowed-link`];
  expect(planOf(scene)).toMatchObject({
    verdict: "ready",
    plan: { directory: realpathSync(`${root}/outside`) },
  });
  scene.settings.allowed_paths = [`${root}/allowed-link/..//code`];
  expect(planOf(scene)).toMatchObject(denied);
});

test("a directory that is gone, a project that nobody knows: never another directory", () => {
  using scene = sceneOf("true");
  expect(planOf(scene, { project: "ap" })).toMatchObject({
    verdict: "refused",
    status: "error",
    reason: 'there is no project "ap" on this machine',
    hint: "did you mean app?",
  });
  scene.projects.ensure("nowhere");
  expect(planOf(scene, { project: "nowhere" })).toMatchObject({
    verdict: "refused",
    status: "launch_failed",
  });
  renameSync(`${scene.root}/code/app`, `${scene.root}/code/moved`);
  expect(planOf(scene)).toMatchObject({ verdict: "refused", status: "launch_failed" });
});

test("agent_command is a name from the configuration, never a command line", () => {
  using scene = sceneOf("true");
  for (const agent_command of [
    "/bin/sh",
    "agent-program",
    "sh -c true",
    "agents",
    "__proto__",
    "constructor",
  ])
    expect(planOf(scene, { agent_command })).toMatchObject({ verdict: "refused", status: "denied" });
  expect(planOf(scene, { agent_command: "agents" })).toMatchObject({
    hint: expect.stringContaining("agent_command is one of agent,"),
  });
  expect(planOf(scene, { agent_command: "agent" }).verdict).toBe("ready");
});

test("neither the project's directory nor a relative PATH decides what runs", () => {
  using scene = sceneOf("true", { commands: { agent: { command: "evil" } } });
  script(`${scene.root}/code/app`, "evil", "true");
  Object.assign(scene.env, { PATH: `./bin:bin::${process.env.PATH}` });
  scene.restart();
  expect(planOf(scene)).toMatchObject({ verdict: "refused", status: "launch_failed" });
});

test("claude is built in: its fixed arguments, then the person's, permission in words, --resume for a further run", () => {
  const root = mkdtempSync("/tmp/aii-msn-");
  script(root, "claude", "true");
  using scene = new Scene(
    {
      default_command: "claude",
      default_args: ["--permission-mode", "acceptEdits", "--allowedTools", "Bash", "Read"],
    },
    root,
  );
  const { argv, permission } = ready(scene);
  expect(argv).toEqual([
    ...[`${root}/bin/claude`, "-p", "--output-format", "stream-json", "--verbose"],
    ...["--permission-mode", "acceptEdits", "--allowedTools", "Bash", "Read"],
  ]);
  expect(permission).toBe("acceptEdits, allowed tools: Bash Read");
  expect(planOf(scene, { run: 2 })).toMatchObject({
    verdict: "refused",
    status: "error",
    reason: "this machine no longer has the conversation of mission m-20261122-000001",
  });
});

test.each([
  [[], "default"],
  [["--dangerously-skip-permissions"], "bypassPermissions"],
  [["--permission-mode=plan"], "plan"],
  [["--permission-mode", "plan", "--permission-mode", "acceptEdits"], "acceptEdits"],
])("permission of %j: %s", (default_args, words) => {
  const root = mkdtempSync("/tmp/aii-msn-");
  script(root, "claude", "true");
  using scene = new Scene({ default_command: "claude", default_args }, root);
  expect(ready(scene).permission).toBe(words);
});

test("a conversation is resumed by the command that led it, and by no other", async () => {
  const root = mkdtempSync("/tmp/aii-msn-");
  const line = JSON.stringify({ type: "system", subtype: "init", session_id: "c-1" });
  script(root, "claude", `cat >/dev/null; echo '${line}'; echo '{"type":"result","result":"ok"}'`);
  const other = { command: "claude", args: ["--other"], format: "claude" };
  using scene = new Scene({ default_command: "claude", commands: { other } }, root);
  scene.launcher.start();
  const first = orderOf(1);
  scene.begin(first);
  await scene.hub.end(keyOf(first));
  expect(planOf(scene, { run: 2, agent_command: "other" })).toMatchObject({
    verdict: "refused",
    status: "error",
    reason: `another agent command led the conversation of mission ${first.mission_id}`,
  });
  const fresh = ready(scene).argv;
  for (const agent_command of ["", "claude"]) {
    const plan = ready(scene, { run: 2, agent_command });
    expect(plan.argv).toContain("c-1");
    expect(plan.fresh_argv).toEqual(fresh);
  }
});

test("text agents cannot continue", () => {
  using scene = sceneOf("true");
  expect(planOf(scene, { run: 2 })).toMatchObject({ verdict: "refused", status: "error" });
});

test("files stay inside the project", () => {
  using scene = sceneOf("true");
  for (const file of ["/etc/passwd", "..", "../x", "a/../../x"])
    expect(planOf(scene, { files: [file] })).toMatchObject({ verdict: "refused", status: "error" });
  expect(planOf(scene, { files: ["docs/a.md", "./b", "..c"] }).verdict).toBe("ready");
});

test("the hash covers all of the order and all that would run; another one is refused", () => {
  using scene = sceneOf("true", {}, { args: ["--one"] });
  const { hash } = ready(scene);
  expect(ready(scene).hash).toBe(hash);
  const others = [
    ready(scene, { message: "task 1 " }),
    ready(scene, { from_agent: "human" }),
    ready(scene, { type: "start_agent" }),
    ready(scene, { timeout: 60 }),
    ready(scene, { files: ["a"] }),
    ready(scene, { context: [{ from_agent: "a/b@c", message: "x" }] }),
    ready(scene, { agent_command: "agent" }),
    ready(scene, { mission_id: "m-20261122-00000f" }),
  ];
  const { commands } = scene.settings;
  commands.agent?.args.push("--two");
  others.push(ready(scene));
  expect(new Set([hash, ...others.map((one) => one.hash)]).size).toBe(others.length + 1);
  expect(scene.launcher.take({ order: orderOf(1), hash, approved_by: "me" })).toMatchObject({
    verdict: "refused",
    status: "denied",
    reason: "what would run now is not what was decided on",
  });
  expect(scene.launcher.unfinished()).toEqual([]);
});
