// An agent asks whether it may use a tool: what its session's machine tells the hub, and what a person answered there.
// The question stands in the agent's own terminal too; the first answer wins.
import { z } from "zod";
import { SessionId } from "./address.ts";
import { randomHex } from "./ids.ts";

/** characters; a longer question is left to the terminal: nobody shall allow what is not shown whole */
export const permissionTextLimit = 20_000;

export const newPermissionId = (): string => `p-${randomHex(6)}`;

/** Asked again every second while the agent waits: the same `id` is the same question. */
export const PermissionAsk = z.object({
  id: z.string().regex(/^p-[0-9a-f]{12}$/, "a permission id is p- and 12 hex digits"),
  session_id: SessionId,
  tool: z.string().max(200),
  /** what the tool would do, for a person to read */
  text: z.string().max(permissionTextLimit),
  /** the agent does not wait any more */
  withdrawn: z.boolean().default(false),
});
export type PermissionAsk = z.infer<typeof PermissionAsk>;

export const PermissionAnswer = z.object({
  /** `nobody`: there is nobody to ask here */
  status: z.enum(["pending", "allowed", "denied", "withdrawn", "nobody"]),
  by: z.string().optional(),
});
export type PermissionAnswer = z.infer<typeof PermissionAnswer>;
