// Reading a table of a damaged file: everything that SQLite can still reach, in the order of its key, with what lies on
// unreadable pages stepped over: growing steps up to the next readable row, down from there to the edge, and a look at
// places in between. Reads only; memory holds one batch.
import { type Database, SQLiteError } from "bun:sqlite";

type Value = string | number | bigint | boolean | Uint8Array | null;
export type Row = Value[];
type Key = Value[];

/** A table as it is read and written. `key`: by which it is ordered on disk; for the others the first one is its text. */
export type Shape = {
  name: string;
  /** `rowid` first where no column is its name */
  columns: string[];
  key: string[];
  /** places of `key` in `columns` */
  places: number[];
  numeric: boolean;
};

/** What could not be read lies between these two keys, which were; undefined: the table's end. */
export type Gap = { after: Value | undefined; before: Value | undefined };

/** rows of one read, and what is tried when those cannot be read together */
const batches = [512, 64, 8, 1] as const;
/** places looked at inside of what cannot be read */
const looks = 1024;
/** the largest number that is stepped to: far beyond any sequence */
const highestNumber = 2 ** 48;
/** characters of a text key that places are counted in, each one of 96: exact in a double */
const digits = 7;
const base = 96;
const highestText = base ** digits - 1;

export function shapeOf(db: Database, name: string): Shape {
  type Column = { name: string; type: string; pk: number };
  const columns = db.query<Column, [string]>("SELECT name, type, pk FROM pragma_table_info(?)").all(name);
  const { wr = 0 } =
    db
      .query<{ wr: number }, [string]>("SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?")
      .get(name) ?? {};
  const primary = columns.filter(({ pk }) => pk > 0).sort((one, other) => one.pk - other.pk);
  const names = columns.map((column) => column.name);
  const [first] = primary;
  const isRowid = wr === 0 && primary.length === 1 && first?.type === "INTEGER";
  if (wr === 0 && !isRowid)
    return { name, columns: ["rowid", ...names], key: ["rowid"], places: [0], numeric: true };
  const key = primary.map((column) => column.name);
  const places = key.map((one) => names.indexOf(one));
  return { name, columns: names, key, places, numeric: first?.type === "INTEGER" };
}

/** Hands every readable row to `take`, in batches and roughly in the order of the key; returns what was not. */
export function readTable(db: Database, shape: Shape, take: (rows: Row[]) => void): Gap[] {
  const reading = new Reading(db, shape, take);
  let from: Key | undefined;
  for (;;) {
    const { last, whole } = reading.up(from);
    if (whole) return reading.gaps;
    const next = reading.next(last);
    reading.between(last, next);
    if (next === undefined) return reading.gaps;
    reading.take([next]);
    from = reading.keyOf(next);
  }
}

class Reading {
  readonly gaps: Gap[] = [];
  readonly #db: Database;
  readonly #shape: Shape;
  readonly take: (rows: Row[]) => void;
  readonly #columns: string;
  readonly #key: string;
  readonly #marks: string;

  constructor(db: Database, shape: Shape, take: (rows: Row[]) => void) {
    this.#db = db;
    this.#shape = shape;
    this.take = take;
    this.#columns = shape.columns.join(", ");
    this.#key = `(${shape.key.join(", ")})`;
    this.#marks = `(${shape.key.map(() => "?").join(", ")})`;
  }

  /** where stepping ends */
  get #highest(): number {
    return this.#shape.numeric ? highestNumber : highestText;
  }

  keyOf(row: Row): Key {
    return this.#shape.places.map((place) => row[place] ?? null);
  }

  /** Reads on behind `after`, up to `before`, until the end or a row that cannot be read. */
  up(after: Key | undefined, before?: Key): { last: Key | undefined; whole: boolean } {
    return this.#run(after, (from, limit) => this.#rows(">", from, before, limit));
  }

  /** The first readable row behind what cannot be read at `after`; undefined: there is none. */
  next(after: Key | undefined): Row | undefined {
    const start = this.#placeOf(after);
    for (let step = 1; start + step <= this.#highest; step *= 2) {
      const rows = this.#attempt(() => this.#rows(">=", this.#keyAt(start + step), undefined, 1));
      if (rows) return rows[0];
    }
    return undefined;
  }

  /** Takes what can be read between `after` and the row `next`, both taken elsewhere, and notes what cannot. */
  between(after: Key | undefined, next: Row | undefined): void {
    let low = after;
    let high = next && this.keyOf(next);
    if (high) {
      const { last, whole } = this.#down(low, high);
      if (whole) return;
      high = last;
    }
    const [from, to] = [this.#placeOf(low), high ? this.#placeOf(high) : this.#highest];
    const count = Math.min(looks, to - from - 1);
    for (let look = 1; look <= count; look++) {
      const place = from + Math.ceil(((to - from) * look) / (count + 1));
      if (low && place <= this.#placeOf(low)) continue;
      const rows = this.#attempt(() => this.#rows(">=", this.#keyAt(place), high, 1));
      if (rows === undefined) continue;
      const [found] = rows;
      if (!found) break;
      low = this.#island(low, found, high);
    }
    this.#note(low, high);
  }

  /** A row amid what cannot be read, and its readable neighbours. Returns the last key of them. */
  #island(low: Key | undefined, found: Row, high: Key | undefined): Key | undefined {
    const key = this.keyOf(found);
    const below = this.#down(low, key);
    if (!below.whole) this.#note(low, below.last);
    this.take([found]);
    return this.up(key, high).last;
  }

  #down(after: Key | undefined, before: Key): { last: Key | undefined; whole: boolean } {
    return this.#run(before, (from, limit) => this.#rows("<", from, after, limit));
  }

  #run(
    from: Key | undefined,
    read: (from: Key | undefined, limit: number) => Row[],
  ): { last: Key | undefined; whole: boolean } {
    let last = from;
    for (const size of batches)
      for (;;) {
        const rows = this.#attempt(() => read(last, size));
        if (rows === undefined) break;
        const end = rows.at(-1);
        if (end === undefined) return { last, whole: true };
        this.take(rows);
        last = this.keyOf(end);
        if (rows.length < size) return { last, whole: true };
      }
    return { last, whole: false };
  }

  #rows(how: ">" | ">=" | "<", from: Key | undefined, to: Key | undefined, limit: number): Row[] {
    const bounds = [
      ...(from ? [`${this.#key} ${how} ${this.#marks}`] : []),
      ...(to ? [`${this.#key} ${how === "<" ? ">" : "<"} ${this.#marks}`] : []),
    ];
    const where = bounds.length > 0 ? ` WHERE ${bounds.join(" AND ")}` : "";
    const order = this.#shape.key.map((one) => (how === "<" ? `${one} DESC` : one)).join(", ");
    const sql = `SELECT ${this.#columns} FROM ${this.#shape.name}${where} ORDER BY ${order} LIMIT ?`;
    const rows = this.#db.query<unknown, Value[]>(sql).values(...(from ?? []), ...(to ?? []), limit);
    this.#requireOrder(how, from, rows, to);
    return rows;
  }

  /** On a page whose cells are mixed up SQLite finds rows where they cannot be, and would be asked for them for ever. */
  #requireOrder(how: ">" | ">=" | "<", from: Key | undefined, rows: Row[], to: Key | undefined): void {
    const keys = [
      ...(from ? [from] : []),
      ...rows.map((row) => this.keyOf(row)),
      ...(rows[0] && to ? [to] : []),
    ];
    const sign = how === "<" ? -1 : 1;
    for (let at = 1; at < keys.length; at++) {
      const order = sign * compared(keys[at] ?? [], keys[at - 1] ?? []);
      if (order < 0 || (order === 0 && !(how === ">=" && at === 1 && from))) throw new Disorder();
    }
  }

  /** undefined: it cannot be read. */
  #attempt(read: () => Row[]): Row[] | undefined {
    try {
      return read();
    } catch (error) {
      if (error instanceof Disorder || isUnreadable(error)) return undefined;
      throw error;
    }
  }

  #note(after: Key | undefined, before: Key | undefined): void {
    const gap = { after: after?.[0], before: before?.[0] };
    const { numeric, key } = this.#shape;
    if (numeric && key.length === 1 && Number(gap.before) - Number(gap.after) === 1) return;
    this.gaps.push(gap);
  }

  #placeOf(key: Key | undefined): number {
    if (!key) return -1;
    if (this.#shape.numeric) return Number(key[0]);
    let place = 0;
    const text = String(key[0]);
    for (let at = 0; at < digits; at++) {
      const digit = at < text.length ? text.charCodeAt(at) - 0x20 : 0;
      place = place * base + Math.min(base - 1, Math.max(0, digit));
    }
    return place;
  }

  #keyAt(place: number): Key {
    const rest = this.#shape.key.slice(1).map(() => (this.#shape.numeric ? Number.MIN_SAFE_INTEGER : ""));
    if (this.#shape.numeric) return [place, ...rest];
    let [text, left] = ["", place];
    for (let at = 0; at < digits; at++) {
      text = String.fromCharCode(0x20 + (left % base)) + text;
      left = Math.floor(left / base);
    }
    return [text, ...rest];
  }
}

class Disorder extends Error {}

/** As SQLite does: numbers, and text by its bytes. */
function compared(one: Key, other: Key): number {
  for (const [at, value] of one.entries()) {
    const beside = other[at];
    if (value === beside) continue;
    if (typeof value === "string" && typeof beside === "string")
      return Buffer.compare(Buffer.from(value), Buffer.from(beside));
    return Number(value) < Number(beside) ? -1 : 1;
  }
  return 0;
}

/**
 * What SQLite says of a page that is not what it wrote, or that the disk does not give: IOERR is a bad sector here, and
 * a length that damage made absurd is TOOBIG or NOMEM.
 */
function isUnreadable(error: unknown): boolean {
  return error instanceof SQLiteError && /^SQLITE_(CORRUPT|IOERR|TOOBIG|NOMEM)/.test(error.code ?? "");
}
