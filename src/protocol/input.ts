// What a caller sent, read by its schema: as it is meant, or a `bad_request` that names each field that is not.
import type { z } from "zod";
import { IntercomError } from "./errors.ts";

/** `hint`: where the shapes stand, for a caller to whom the hint of every `bad_request` says nothing. */
export function readInput<S extends z.ZodType>(schema: S, given: unknown, hint?: string): z.output<S> {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path, message }) =>
    path.length > 0 ? `${path.join(".")}: ${message}` : message,
  );
  throw new IntercomError("bad_request", issues.join("; "), { hint });
}
