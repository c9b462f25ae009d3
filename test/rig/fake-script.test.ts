import { describe, expect, test } from "bun:test";
import { type ModelMessage, mail, nextTurn, prompt, type Script } from "./fake-script";

const twoTurns: Script = [[{ text: "first" }], [{ text: "second" }]];
const user = (content: ModelMessage["content"]): ModelMessage => ({ role: "user", content });
const text = (value: string) => ({ type: "text", text: value });
const assistant: ModelMessage = { role: "assistant", content: [text("…")] };

describe("nextTurn", () => {
  test("counts the assistant messages since the script, neighbours once", () => {
    const asked = user(prompt("hello", twoTurns));
    expect(nextTurn([asked])).toEqual([{ text: "first" }]);
    expect(nextTurn([asked, assistant, assistant, user("result")])).toEqual([{ text: "second" }]);
    expect(nextTurn([asked, assistant, user("a"), assistant, user("b")])).toBeUndefined();
  });

  test("finds a script inside a larger text, with brackets and quotes in its strings", () => {
    const script: Script = [[{ tool: "Bash", input: { command: 'echo "]]" \\ [[' } }]];
    expect(nextTurn([user(`before ${prompt("x", script)} after ]] FAKE: nothing`)])).toEqual(script[0]);
  });

  test("does not look into the strings of a script", () => {
    const inner = prompt("inner", [[{ text: "inner" }]]);
    const outer: Script = [[{ tool: "Agent", input: { prompt: inner } }]];
    expect(nextTurn([user(prompt("outer", outer))])).toEqual(outer[0]);
  });

  test("takes the newest script, the last one of a merged message", () => {
    const merged = user([text(prompt("old", [[{ text: "old" }]])), text(prompt("new", [[{ text: "new" }]]))]);
    expect(nextTurn([user(prompt("older", twoTurns)), assistant, merged])).toEqual([{ text: "new" }]);
  });

  test.each([
    ["a reminder", user(`<system-reminder>\n${prompt("x", twoTurns)}\n</system-reminder>`)],
    ["a tool result", user([{ type: "tool_result", content: prompt("x", twoTurns) }])],
    ["a system message", { role: "system", content: prompt("x", twoTurns) }],
    ["the assistant's own words", { role: "assistant", content: mail("x", twoTurns) }],
  ])("ignores a prompt's script in %s", (_, message) => {
    expect(nextTurn([message])).toBeUndefined();
  });

  test.each([
    ["a reminder", user(`<system-reminder>\n| ${mail("x", twoTurns)}\n</system-reminder>`)],
    ["a tool result", user([{ type: "tool_result", content: [text(mail("x", twoTurns))] }])],
    ["a system message", { role: "system", content: mail("x", twoTurns) }],
  ])("takes a mail's script in %s", (_, message) => {
    expect(nextTurn([user(prompt("older", twoTurns)), message])).toEqual([{ text: "first" }]);
  });

  test("a script that does not parse is an error, not silence", () => {
    expect(() => nextTurn([user('FAKE:[[{"txt":"typo"}]]')])).toThrow("not a script");
  });
});
