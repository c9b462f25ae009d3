// A hub with its bot in a process of its own, to be killed: prints its address when both have begun.
import { Hub } from "../../src/hub/hub.ts";
import { Telegram } from "../../src/oversight/telegram/telegram.ts";
import { Config } from "../../src/system/config.ts";
import { homePaths } from "../../src/system/paths.ts";
import { fastClock } from "../rig/telegram.ts";

const [home = "", settings = "{}", speed = "1"] = process.argv.slice(2);
const config = Config.parse(JSON.parse(settings));
const hub = await Hub.start({ config, paths: homePaths(home) });
await Telegram.start({ hub: hub.view, config, clock: fastClock(Number(speed)) });
process.stdout.write(`${hub.url}\n`);
