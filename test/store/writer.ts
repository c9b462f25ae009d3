// A process that writes to a store until it is killed, and prints the id of each message that was accepted.
import { writeSync } from "node:fs";
import { openStore } from "../../src/store/open.ts";
import { b, newMessage, roomy } from "./fixtures.ts";

const [path = "", round = ""] = process.argv.slice(2);
const store = openStore(path);
let next = 0;
const writer = async () => {
  for (;;) {
    const message = newMessage("text", { id: `${round}-${next++}` });
    await store.accept(message, [b], roomy);
    writeSync(1, `${message.id}\n`);
  }
};
await Promise.all(Array.from({ length: 20 }, writer));
