import { afterAll, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { Inbox } from "../../src/inbox/inbox.ts";
import {
  codeOf,
  drain,
  filesOf,
  freshDirectory,
  freshInbox,
  idsOf,
  lines,
  mail,
  openInbox,
  reader,
  removeDirectories,
} from "./support.ts";

afterAll(removeDirectories);

describe("foreign hands", () => {
  test("a script's line in another spelling is read, rewritten and delivered", () => {
    const directory = freshDirectory();
    const inbox = openInbox(directory);
    inbox.append([mail("a")]);
    const { from_agent, timestamp } = mail("x");
    appendFileSync(
      inbox.path,
      `${JSON.stringify({ id: "b", read: false, message: "m", thread_id: "t-b", from_agent, timestamp }, null, 1).replaceAll("\n", " ")}\n`,
    );
    appendFileSync(
      inbox.path,
      `{"thread_id":"t-c","from_agent":"x","timestamp":"y","message":"old","read":true,"id":"c"}\n`,
    );
    expect(idsOf(drain(inbox))).toEqual(["a", "b"]);
    expect(lines(inbox.path).map((line) => JSON.parse(line).read)).toEqual([true, true, true]);
  });

  test("an edit that keeps the size is noticed when it matters, and mended", () => {
    const inbox = freshInbox();
    inbox.append([mail("a"), mail("b")]);
    const fd = openSync(inbox.path, "r+");
    writeSync(fd, "}", 3);
    closeSync(fd);
    expect(codeOf(() => inbox.claim(reader()))).toBe("internal");
    expect(idsOf(drain(inbox))).toEqual(["b"]);
  });

  test("a message of a kind that only a later version knows is delivered", () => {
    const directory = freshDirectory();
    const inbox = openInbox(directory);
    inbox.append([{ ...mail("a"), type: "chat" }]);
    writeFileSync(inbox.path, readFileSync(inbox.path, "utf8").replace('"chat"', '"hologram"'));
    expect(idsOf(drain(openInbox(directory)))).toEqual(["a"]);
  });

  test("a file that was removed is an empty inbox; a claim of it settles without harm", () => {
    const inbox = freshInbox();
    inbox.append([mail("a"), mail("b")]);
    const { nonce = "" } = inbox.claim(reader(9)) ?? {};
    rmSync(inbox.path);
    inbox.drop(nonce);
    expect([inbox.unread, inbox.openClaims().length, inbox.records().length]).toEqual([0, 0, 0]);
    inbox.append([mail("a")]);
    expect(idsOf(drain(inbox))).toEqual(["a"]);
  });

  test("no path leaves the directory, no link is followed, nothing but a plain file is read", () => {
    const directory = freshDirectory();
    for (const id of ["../x", "a/b", "", "a".repeat(65), "a.b"])
      expect(codeOf(() => Inbox.open({ directory, sessionId: id, unreadLimit: 1 }))).toBe("bad_request");
    mkdirSync(directory, { recursive: true });
    writeFileSync(`${directory}/target`, "");
    const { mail: path } = filesOf(directory);
    symlinkSync(`${directory}/target`, path);
    expect(codeOf(() => openInbox(directory))).toBe("unsafe_file");
    expect(readFileSync(`${directory}/target`, "utf8")).toBe("");
    rmSync(path);
    mkdirSync(path);
    expect(codeOf(() => openInbox(directory))).toBe("unsafe_file");
  });

  test("a directory or a file that others may use is refused or closed to them", () => {
    const directory = freshDirectory();
    openInbox(directory).append([mail("a")]);
    chmodSync(filesOf(directory).mail, 0o644);
    openInbox(directory);
    expect(statSync(filesOf(directory).mail).mode & 0o777).toBe(0o600);
    chmodSync(directory, 0o755);
    expect(codeOf(() => openInbox(directory))).toBe("unsafe_file");
  });

  test("a closed inbox does nothing more", () => {
    const inbox = freshInbox();
    inbox.close();
    expect(codeOf(() => inbox.append([mail("a")]))).toBe("internal");
    expect(existsSync(inbox.path)).toBe(false);
  });
});
