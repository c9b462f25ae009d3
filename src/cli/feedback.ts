// What agents reported about ai-intercom itself.
import { z } from "zod";
import { StoredFeedback } from "../protocol/mission.ts";
import { actAsPerson } from "./access.ts";
import { command, json, limitOf } from "./command.ts";
import { ago, bold, dim, indent, plain, print, printJson } from "./output.ts";

const FeedbackList = z.object({ feedback: z.array(StoredFeedback) });

export const feedback = command({
  name: "feedback",
  description: "what agents reported about ai-intercom: bugs, improvements, notes",
  args: {
    limit: { type: "string", default: "50", description: "the newest so many", valueHint: "N" },
    json,
  },
  examples: ["ai-intercom feedback", "ai-intercom feedback --json"],
  run: async (args) => {
    const { feedback } = FeedbackList.parse(
      await actAsPerson("feedback_list", { limit: limitOf(args.limit) }),
    );
    if (args.json) return printJson({ feedback });
    if (feedback.length === 0) return print("no feedback yet; agents give it with intercom_report_feedback");
    for (const one of feedback) {
      print(
        `${bold(one.type)}  ${plain(one.from_agent)}  ${dim(ago(one.timestamp))}\n${indent(one.description)}`,
      );
      if (one.context !== "") print(dim(indent(one.context)));
    }
  },
});
