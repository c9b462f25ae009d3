// What several tools of the table have in common: fields of their arguments and answers.
import { z } from "zod";

export type ToolDefinition = {
  title: string;
  description: string;
  input: z.ZodObject;
  output: z.ZodObject;
  readOnly: boolean;
};

/** Part of every answer. */
export const waiting = {
  inbox_waiting: z
    .number()
    .optional()
    .describe("unread messages in your own inbox; read them with intercom_check_inbox"),
};

export const failure = {
  error: z.string().optional().describe("what went wrong, when status is error"),
  hint: z.string().optional().describe("what to try"),
};

export const message = z.string().min(1).describe("plain text or Markdown, up to 64 KiB");
