// A process that opens a store, and may be killed over it.
import { openStore } from "../../src/store/open.ts";

const [path = ""] = process.argv.slice(2);
await openStore(path).close();
