// A launcher in a process of its own, which tests end without a word. Reports are appended to a file, one line each:
// `bun launcher-process.ts ROOT SETTINGS [ORDER]`. With an order it takes that first.
import { appendFileSync } from "node:fs";
import type { MissionOrder } from "../../src/protocol/mission.ts";
import { Scene } from "./launcher-scene.ts";

const [root = "", settings = "{}", order] = process.argv.slice(2);
const scene = new Scene(JSON.parse(settings), root);
const take = scene.hub.take.bind(scene.hub);
scene.hub.take = (report) => {
  const answer = take(report);
  appendFileSync(`${root}/reports`, `${JSON.stringify(report)}\n`);
  return answer;
};
scene.launcher.start();
appendFileSync(`${root}/unfinished`, `${JSON.stringify(scene.launcher.unfinished())}\n`);
if (order !== undefined) for (const one of JSON.parse(order) as MissionOrder[]) scene.begin(one);
console.log("ready");
setInterval(() => {}, 1_000);
