// The version, from package.json alone. Not for the hook: it has no use for it.
import { version as packageVersion } from "../../package.json";

export const version: string = packageVersion;
