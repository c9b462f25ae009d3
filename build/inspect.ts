// What an executable is, read from its bytes alone: a foreign target cannot be run here.
import { type Build, readStamp } from "../src/protocol/version.ts";

export type Executable = {
  format: "ELF" | "Mach-O" | "PE";
  machine: "x64" | "arm64";
  /** ELF: path of the loader, which tells glibc from musl */
  interpreter?: string;
  build: Build;
};

/** Throws with what is wrong when the file is no executable of ours. */
export async function inspect(path: string): Promise<Executable> {
  const bytes = Buffer.from(await Bun.file(path).arrayBuffer());
  const build = stampIn(bytes);
  if (!build) throw new Error(`${path} holds no build stamp`);
  return { ...headerOf(path, bytes), build };
}

/** The first text that reads as a stamp: the pattern that reads it stands in the file too. */
function stampIn(bytes: Buffer): Build | undefined {
  const start = "ai-intercom-build version=";
  for (let at = bytes.indexOf(start); at >= 0; at = bytes.indexOf(start, at + 1)) {
    const build = readStamp(bytes.toString("latin1", at, at + 400));
    if (build) return build;
  }
  return undefined;
}

function headerOf(path: string, bytes: Buffer): Omit<Executable, "build"> {
  if (bytes.readUInt32BE(0) === 0x7f454c46) return elf(path, bytes);
  // mach-o/loader.h: MH_MAGIC_64, little endian
  if (bytes.readUInt32LE(0) === 0xfeedfacf) return { format: "Mach-O", machine: machO(path, bytes) };
  if (bytes.toString("latin1", 0, 2) === "MZ") return { format: "PE", machine: pe(path, bytes) };
  throw new Error(`${path} is neither ELF, Mach-O nor PE`);
}

/** ELF64, elf(5): e_machine at 18, e_phoff at 32, e_phentsize at 54, e_phnum at 56; PT_INTERP is 3. */
function elf(path: string, bytes: Buffer): Omit<Executable, "build"> {
  const machine = machineNamed(path, bytes.readUInt16LE(18), { 62: "x64", 183: "arm64" });
  const table = Number(bytes.readBigUInt64LE(32));
  const size = bytes.readUInt16LE(54);
  for (let n = 0; n < bytes.readUInt16LE(56); n++) {
    const header = table + n * size;
    if (bytes.readUInt32LE(header) !== 3) continue;
    const start = Number(bytes.readBigUInt64LE(header + 8));
    const length = Number(bytes.readBigUInt64LE(header + 32));
    const interpreter = bytes.toString("latin1", start, start + length).replace(/\0+$/, "");
    return { format: "ELF", machine, interpreter };
  }
  return { format: "ELF", machine };
}

/** mach/machine.h: CPU_TYPE_X86_64, CPU_TYPE_ARM64 */
function machO(path: string, bytes: Buffer): Executable["machine"] {
  return machineNamed(path, bytes.readUInt32LE(4), { 16777223: "x64", 16777228: "arm64" });
}

/** PE format: e_lfanew at 0x3c, then "PE\0\0", then Machine. */
function pe(path: string, bytes: Buffer): Executable["machine"] {
  const header = bytes.readUInt32LE(0x3c);
  if (bytes.toString("latin1", header, header + 4) !== "PE\0\0")
    throw new Error(`${path}: MZ without a PE header`);
  return machineNamed(path, bytes.readUInt16LE(header + 4), { 34404: "x64", 43620: "arm64" });
}

function machineNamed(
  path: string,
  code: number,
  known: Record<number, Executable["machine"]>,
): Executable["machine"] {
  const machine = known[code];
  if (machine) return machine;
  throw new Error(`${path}: unknown machine 0x${code.toString(16)}`);
}

/** What `inspect` must find for a target of this name. */
export function expected(name: string): Omit<Executable, "build"> {
  const [os = "", cpu] = name.split("-");
  const machine = cpu === "arm64" ? "arm64" : "x64";
  switch (os) {
    case "darwin":
      return { format: "Mach-O", machine };
    case "windows":
      return { format: "PE", machine };
    default:
      return { format: "ELF", machine, interpreter: interpreterOf(machine, name.includes("-musl")) };
  }
}

function interpreterOf(machine: Executable["machine"], musl: boolean): string {
  if (musl) return `/lib/ld-musl-${machine === "x64" ? "x86_64" : "aarch64"}.so.1`;
  return machine === "x64" ? "/lib64/ld-linux-x86-64.so.2" : "/lib/ld-linux-aarch64.so.1";
}
