// A process that becomes another program and stays the same process (execve): its pid, its terminal, its place under
// systemd or launchd. So a daemon takes up a new program without whoever started it noticing.
import { dlopen, FFIType, ptr } from "bun:ffi";
import { IntercomError } from "../protocol/errors.ts";

/** Does not return. Throws when the program cannot be started; whatever was open must be closed before. */
export function become(program: string, words: readonly string[]): never {
  const library = process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6";
  const { symbols } = dlopen(library, {
    execve: { args: [FFIType.ptr, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
  });
  const environment = Object.entries(process.env).map(([name, value]) => `${name}=${value ?? ""}`);
  // held until the call: the kernel copies what the pointers point to
  const file = text(program);
  const argv = vector([program, ...words]);
  const envp = vector(environment);
  symbols.execve(file, argv.pointers, envp.pointers);
  throw new IntercomError("internal", `${program} cannot be started in this process's place`, {
    hint: `start it again by hand: ${program} ${words.join(" ")}`,
    cause: { argv: argv.texts.length, envp: envp.texts.length },
  });
}

const text = (value: string) => Buffer.from(`${value}\0`);

/** A C array of strings, ended by a null pointer. */
function vector(values: readonly string[]): { pointers: BigUint64Array; texts: Buffer[] } {
  const texts = values.map(text);
  const pointers = new BigUint64Array(texts.length + 1);
  for (const [at, one] of texts.entries()) pointers[at] = BigInt(ptr(one));
  return { pointers, texts };
}
