// `GET /metrics`: the numbers a monitor needs, as Prometheus text.
import type { Parts } from "./parts.ts";

export async function metricsText({ store, links }: Parts): Promise<string> {
  const counts = await store.counts();
  const { messages, waiting, open_sessions, machines } = counts;
  const rows: [name: string, type: "counter" | "gauge", help: string, value: number][] = [
    ["messages_total", "counter", "messages accepted", messages],
    ["deliveries_waiting", "gauge", "copies not yet on their recipient's disk", waiting],
    ["sessions_open", "gauge", "open sessions", open_sessions],
    ["machines_approved", "gauge", "enrolled machines", machines],
    ["machines_linked", "gauge", "machines with a live link", links.count],
    ["missions_total", "counter", "missions asked for", counts.missions],
    ["missions_queued", "gauge", "missions that have not begun", counts.missions_queued],
    ["missions_running", "gauge", "missions that run", counts.missions_running],
    ["approvals_pending", "gauge", "approvals that wait for a person", counts.approvals_pending],
    ["responses_owed", "gauge", "ends that the asker has not been told", counts.responses_owed],
    ["telegram_waiting", "gauge", "items not yet shown in Telegram", await store.telegram.waitingCount()],
    ["resident_memory_bytes", "gauge", "memory of this process", process.memoryUsage.rss()],
  ];
  return rows
    .map(([name, type, help, value]) => {
      const full = `ai_intercom_${name}`;
      return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${full} ${value}\n`;
    })
    .join("");
}
