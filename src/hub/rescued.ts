// Tells the person once that the database was damaged and what could not be read of it: mail from the hub, which the
// event stream and Telegram show like all their mail.
import { threadIdFor } from "../protocol/ids.ts";
import type { Rescue } from "../store/rescue-files.ts";
import { storeMessage } from "./acceptance.ts";
import { isoAt, type Parts } from "./parts.ts";

/** A rescue is told once, for ever: the message's id is derived from its time. */
export async function tellRescued(parts: Parts): Promise<void> {
  const { store, config, now } = parts;
  if (!store.rescued) return;
  const id = `rescued-${store.rescued.at.replace(/\W/g, "")}`;
  await storeMessage(
    parts,
    {
      id,
      hash: "",
      thread_id: threadIdFor(id),
      opens_thread: true,
      type: "status",
      from: { kind: "hub" },
      to_agent: "human",
      text: texts[config.language](store.rescued),
      at: isoAt(now()),
    },
    [{ kind: "human" }],
    { owed: true },
  );
}

/** `messages (101 to 112), nonces (everything)`; empty: nothing is missing */
function lostOf({ tables }: Rescue): string {
  return Object.entries(tables)
    .filter(([, { lost }]) => lost.length > 0)
    .map(
      ([table, { lost }]) =>
        `${table} (${[...lost.slice(0, 3), ...(lost.length > 3 ? ["…"] : [])].join(", ")})`,
    )
    .join(", ");
}

const texts: Record<"en" | "fr", (rescue: Rescue) => string> = {
  en: (rescue) =>
    `The hub's database was damaged. What could be read was kept, and the hub goes on with it. Lost: ${lostOf(rescue) || "nothing"}. What happened to whom, and the file as it was: ${rescue.directory}`,
  fr: (rescue) =>
    `La base du hub était endommagée. Ce qui pouvait être lu a été gardé, et le hub continue avec cela. Perdu : ${lostOf(rescue) || "rien"}. Les détails, et le fichier tel qu'il était : ${rescue.directory}`,
};
