// Which route a request means: `:name` parts of a pattern become parameters. For both HTTP servers.
import { IntercomError } from "./errors.ts";

export type RoutePattern = { method: string; path: string };

/** Throws `not_found`, `method_not_allowed` with the methods that would do, or `bad_request` for a broken escape. */
export function findRoute<R extends RoutePattern>(
  routes: readonly R[],
  method: string,
  pathname: string,
): { route: R; params: Record<string, string> } {
  const matching = routes.flatMap((route) => {
    const params = matchPath(route.path, pathname);
    return params ? [{ route, params }] : [];
  });
  const found = matching.find(({ route }) => route.method === method);
  if (found) return found;
  if (matching.length > 0)
    throw methodNotAllowed(
      method,
      matching.map(({ route }) => route.method),
    );
  throw new IntercomError("not_found", `there is no ${pathname.slice(0, 100)}`);
}

export function methodNotAllowed(method: string, allowed: string[]): IntercomError {
  return new IntercomError("method_not_allowed", `${method} is not for this path`, {
    hint: `use ${allowed.join(" or ")}`,
  });
}

/** A part of a path as it was meant. */
export function decodePart(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new IntercomError("bad_request", "the path holds a broken escape", { cause });
  }
}

function matchPath(pattern: string, pathname: string): Record<string, string> | undefined {
  const wanted = pattern.split("/");
  const given = pathname.split("/");
  if (wanted.length !== given.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? "";
    if (part.startsWith(":")) params[part.slice(1)] = decodePart(value);
    else if (part !== value) return undefined;
  }
  return params;
}
