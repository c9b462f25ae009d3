// A hub in a process of its own, to be killed: prints its address when its doors are open.
import { Hub } from "../../src/hub/hub.ts";
import { Config } from "../../src/system/config.ts";
import { homePaths } from "../../src/system/paths.ts";

const [home = ""] = process.argv.slice(2);
const config = Config.parse({ hub: { listen: "127.0.0.1:0" }, limits: { rate: 1e6, burst: 1e6 } });
const hub = await Hub.start({ config, paths: homePaths(home) });
process.stdout.write(`${hub.url}\n`);
