// Pages of a SQLite file, and what a bad disk makes of them.
import { Database } from "bun:sqlite";
import { readFileSync, writeFileSync } from "node:fs";

export const pageBytes = 4096;

type Page = { number: number; kind: "leaf" | "interior" | "overflow" };

/** Every page of this table or index, in the order of its keys. https://www.sqlite.org/fileformat2.html */
export function pagesOf(path: string, name: string): Page[] {
  using db = new Database(path, { readonly: true });
  const { rootpage: root } =
    name === "sqlite_schema"
      ? { rootpage: 1 }
      : (db
          .query<{ rootpage: number }, [string]>("SELECT rootpage FROM sqlite_master WHERE name = ?")
          .get(name) ?? {});
  if (root === undefined) throw new Error(`no table ${name}`);
  const bytes = readFileSync(path);
  const walk = (number: number): Page[] => {
    const page = bytes.subarray((number - 1) * pageBytes, number * pageBytes);
    const head = number === 1 ? 100 : 0;
    const type = page[head];
    const cells = page.readUInt16BE(head + 3);
    if (type === 0x0d || type === 0x0a) return [{ number, kind: "leaf" }];
    if (type !== 0x05 && type !== 0x02) throw new Error(`page ${number} has type ${type}`);
    const children = Array.from({ length: cells }, (_, n) =>
      page.readUInt32BE(page.readUInt16BE(head + 12 + 2 * n)),
    );
    children.push(page.readUInt32BE(head + 8));
    return [{ number, kind: "interior" }, ...children.flatMap(walk)];
  };
  return walk(root);
}

export const fills = {
  pattern: (page: Buffer) => void page.fill(0xa5),
  zeros: (page: Buffer) => void page.fill(0),
  /** the page's second half belongs to another time */
  torn: (page: Buffer) => void page.copyWithin(page.length / 2, 0, page.length / 2),
};

/** Overwrites these pages, 1 is the first; returns what the file holds then. */
export function damage(
  path: string,
  pages: readonly number[],
  spoil: (page: Buffer) => void = fills.pattern,
): Buffer {
  const bytes = readFileSync(path);
  if (pages.length === 0) throw new Error("no page to damage");
  for (const number of pages) spoil(bytes.subarray((number - 1) * pageBytes, number * pageBytes));
  writeFileSync(path, bytes);
  return bytes;
}

/** The leaf that holds the text. */
export function pageWith(path: string, table: string, text: string): number {
  const bytes = readFileSync(path);
  const found = pagesOf(path, table).find(
    ({ number, kind }) =>
      kind === "leaf" && bytes.subarray((number - 1) * pageBytes, number * pageBytes).includes(text),
  );
  if (!found) throw new Error(`no page of ${table} holds ${text}`);
  return found.number;
}
