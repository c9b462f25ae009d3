// `language: fr`: whatever a person reads in Telegram is French: answers, refusals with what to try, reasons, states,
// cards, buttons. Names, commands and what agents say are theirs.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { ask } from "../hub/launcher.ts";
import { Peer } from "../hub/peer.ts";
import { waitFor } from "../rig/wait.ts";
import { type Stage, setStage } from "./stage.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await setStage({
    speed: 200,
    settings: { language: "fr", dispatcher: { enabled: true, target: "limn/weg" } },
  });
});
afterAll(() => stage[Symbol.asyncDispose]());

const english =
  /\b(the|there|is|are|was|were|with|not|no|nobody|waits|try|write|this|it|by|of|and|or|to|an|idle|working|running|queued|denied|approved|offline|online|session ended|always|name|machine named)\b/i;

const refusals: [text: string, answer: string][] = [
  ["/agents", "@s-b · claude · inactif"],
  ["/agents nonsens", "⚠️ un filtre est all, online ou machine:ID\nEssayez : /help dit ce qui est permis"],
  ["/machines", "🟢 en ligne"],
  ["/missions nonsens", "⚠️ un identifiant de mission a la forme m-20261122-1a2b3c"],
  ["/stop", "Écrivez : /stop"],
  [
    "/stop m-20261122-000000",
    "⚠️ aucune mission m-20261122-000000 n'est à vous\nEssayez : /missions les montre",
  ],
  ["/policy revoke g-000000000000", "⚠️ il n'y a pas d'accord g-000000000000, ou il a été révoqué"],
  ["/chat", "⚠️ Écrivez : /chat machine/projet texte\nEssayez : /help"],
  ["/chat limm/api x", "aucune machine nommée « limm » n'est inscrite\nEssayez : vouliez-vous dire limn ?"],
  ["/chat @@ x", "⚠️ « @@ » n'est pas une adresse\nEssayez : écrivez machine/projet"],
  ["/chat mac/web x", "⚠️ plusieurs sessions de ce projet sont ouvertes"],
  ["/ask limn/api@s-b x", "⚠️ une mission a lieu dans machine/projet\nEssayez : /agents les montre"],
  ["/ask limn/rien x", "⚠️ la machine limn n'a pas de projet nommé « rien »"],
  ["bonjour", "⚠️ la machine limn n'a pas de projet nommé « weg »"],
  ["/policy", "Rien d'autre n'est accordé."],
];
test.each(refusals)("%s", async (text, part) => {
  const id = stage.fake.say(text);
  const shown = await waitFor(
    `an answer to ${text}`,
    () => stage.fake.shown().find(({ replyTo }) => replyTo === id),
    { detail: () => JSON.stringify(stage.fake.shown().map((one) => one.text)) },
  );
  expect(shown.text).toContain(part);
  expect(shown.text.replace("all, online", "")).not.toMatch(english);
});

test("cards: a refused chat, one that waits, a mission that waits, is refused and ends, an approval, a machine", async () => {
  const { limn, mac, fake } = stage;
  const quiet = (text: string) =>
    fake.sees(text).then((one) => one.text.replace(/mac\/web\S*|limn\/api\S*/g, ""));
  limn.plan = () => ({
    verdict: "refused",
    status: "denied",
    reason: 'no agent may be started in project "api" on this machine',
    hint: "its person allows it in config.yml there: agent_launcher.allowed_paths must hold a directory above /api",
  });
  await ask(mac, "web@s-a", "refuse-moi");
  const refused = await quiet("⛔ refusée");
  expect(refused).toContain(
    "aucun agent ne peut être lancé dans le projet « api » sur cette machine (sa personne",
  );
  expect(refused).not.toMatch(english);
  limn.plan = (order) => limn.ready(order);

  const { mission_id = "" } = await ask(mac, "web@s-a", "échoue");
  await limn.end(mission_id, "failed", { reason: "exit code 3; it said: panne" });
  expect(await quiet("code de sortie 3 ; elle a dit : panne")).not.toMatch(english);
  expect(await quiet("a échoué")).not.toMatch(english);

  limn.level = "once";
  await ask(mac, "web@s-a", "demande d'abord");
  const card = await fake.sees("🔐 Approbation");
  for (const label of ["Tâche", "Répertoire", "Commande", "❓ Demande"])
    expect(card.text).toContain(`${label} :`);
  expect(card.text.replace("agent -p", "")).not.toMatch(english);
  expect(card.buttons.map(({ text }) => text).join(" ")).not.toMatch(english);
  fake.press(card, "Refuser");
  await fake.sees("refusé par @owner");
  limn.level = "never";

  await limn.peer.request("presence", {
    sessions: [],
    projects: [{ project_id: "api", path: "/api", description: "", capabilities: [], tags: [] }],
  });
  expect((await mac.chat("web@s-a", "limn/api", "personne ?")).status).toBe("no_active_session");
  expect(await quiet("personne ?\nSession : ⚠️ aucune session active")).not.toMatch(english);
  const said = fake.say("/chat limn/api salut");
  const answer = await waitFor("its answer", () => fake.shown().find(({ replyTo }) => replyTo === said));
  expect(answer.text).not.toMatch(english);
  expect(answer.text).toContain("aucune session de limn/api n'est ouverte");
  limn.peer.cut();
  await fake.sees("la machine limn est hors ligne");
  await mac.chat("web@s-a", "limn/api@s-b", "plus tard", { if_no_session: "queue" });
  expect(await quiet("plus tard")).toContain("⏳ en attente (session terminée ; remis si elle reprend)");
  await ask(mac, "web@s-a", "attends");
  expect(await quiet("⏳ en attente\n")).toContain("la machine limn est hors ligne");

  const late = new Peer(stage.hub, "tard");
  await late.join();
  // as it was before it is decided elsewhere
  const join = { ...(await fake.sees("🖥 Une machine demande")) };
  expect(join.text).not.toMatch(english);
  await stage.hub.person("POST", "/api/machines/tard/deny", {});
  const query = fake.press(join, "Approuver");
  const toast = await waitFor("the toast", () => fake.acknowledged.find(({ id }) => id === query)?.text);
  expect(toast).toBe("C'est déjà décidé.");
}, 60_000);
