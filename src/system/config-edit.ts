// Writes single keys into `config.yml` and leaves the person's comments, order and other keys as they are.
import { isCollection, parseDocument } from "yaml";
import { IntercomError } from "../protocol/errors.ts";
import { readTextIfPresent, replaceFile } from "./files.ts";

export type ConfigValue = string | number | number[];

/** Sets keys such as `hub.url`; writes only when something changes. Refuses a file that is not valid YAML. */
export function setConfigKeys(path: string, values: Record<string, ConfigValue>): void {
  const before = readTextIfPresent(path) ?? "";
  const document = parseDocument(before);
  const [problem] = document.errors;
  if (problem)
    throw new IntercomError(
      "unparsable_file",
      `${path} is not valid YAML: ${problem.message.split("\n")[0]}`,
      { hint: "correct the file, then try again" },
    );
  for (const [key, value] of Object.entries(values)) {
    const held = document.getIn(key.split("."));
    // a plain value keeps the comment behind the old one; a node would replace it
    if (!Bun.deepEquals(isCollection(held) ? held.toJSON() : held, value))
      document.setIn(key.split("."), Array.isArray(value) ? document.createNode(value) : value);
  }
  const after = document.toString();
  if (after !== before) replaceFile(path, after);
}
