// Puts our entries into an agent's files and takes them out again: plans every file first, keeps a copy of what was
// there, writes whole files, and undoes its own writes when a later one fails. What an entry looks like is the
// editors' business.
import { dirname } from "node:path";
import {
  type AgentFile,
  deleteAgentFile,
  missingDirectories,
  readAgentFile,
  removeEmptyDirectories,
  writeAgentFile,
} from "./agent-file.ts";
import { Backups, digest, type FileRecord } from "./backups.ts";

/** One change in one file, in words for the person. */
export type Change = { file: string; what: string };

export type Edited = {
  text: string;
  /** one phrase per change; none = nothing to change */
  what: string[];
  /** the text holds nothing any more: a file that we created can go */
  empty: boolean;
};

/** How our entries get into one file and out of it. Both ways: same input, same output, nothing written. */
export type FileEditor = {
  path: string;
  add(text: string): Edited;
  /** `original`: the text before we came, where known; containers that it had stay, even empty */
  remove(text: string, original: string | undefined): Edited;
};

/** What `add` would change; nothing is written. */
export function plannedChanges(editors: readonly FileEditor[]): Change[] {
  return editors.flatMap((editor) => planAdd(editor).changes);
}

/** What of ours stands in the files, current or not. */
export function presentEntries(editors: readonly FileEditor[]): Change[] {
  return editors.flatMap((editor) => {
    const { what } = editor.remove(readAgentFile(editor.path).text ?? "", undefined);
    return what.map((phrase) => ({ file: editor.path, what: phrase }));
  });
}

/** Adds our entries to every file, or changes none. */
export function addEntries(editors: readonly FileEditor[], backupsDirectory: string): Change[] {
  const plans = editors.map(planAdd).filter((plan) => plan.changes.length > 0);
  if (plans.length === 0) return [];
  const backups = new Backups(backupsDirectory);
  allOrNothing(plans, (plan) => {
    backups.save(plan.file.target, recordFor(plan, backups));
    writeAgentFile(plan.file, plan.after);
  });
  return plans.flatMap((plan) => plan.changes);
}

/**
 * Takes our entries out of every file, or changes none; a file unchanged since `add` gets its old bytes back.
 * `directories`: those that we once created, and our own; the caller removes the empty ones when its locks are gone from
 * them.
 */
export function removeEntries(
  editors: readonly FileEditor[],
  backupsDirectory: string,
  { dryRun = false } = {},
): { changes: Change[]; directories: string[] } {
  const backups = new Backups(backupsDirectory);
  const plans = editors.map((editor) => planRemove(editor, backups));
  const changes = plans.flatMap((plan) => plan.changes);
  const created = plans.flatMap((plan) => plan.record?.directories ?? []);
  // ours, and of no use to a machine on which nothing but hooks was ever installed
  const directories = [...created, backupsDirectory, dirname(backupsDirectory)];
  if (dryRun) return { changes, directories };
  const writing = plans.filter((plan) => plan.after !== plan.file.text);
  allOrNothing(writing, ({ file, after }) => {
    if (after === undefined) deleteAgentFile(file);
    else writeAgentFile(file, after);
  });
  for (const { file, record, exact } of plans) if (record) backups.drop(file.target, { copy: exact });
  return { changes, directories };
}

type AddPlan = { editor: FileEditor; file: AgentFile; after: string; changes: Change[] };
type RemovePlan = {
  file: AgentFile;
  /** undefined: the file goes */
  after: string | undefined;
  changes: Change[];
  record: FileRecord | undefined;
  /** the result is byte for byte what the copy holds */
  exact: boolean;
};

function planAdd(editor: FileEditor): AddPlan {
  const file = readAgentFile(editor.path);
  const { text, what } = editor.add(file.text ?? "");
  return { editor, file, after: text, changes: what.map((phrase) => ({ file: editor.path, what: phrase })) };
}

function planRemove(editor: FileEditor, backups: Backups): RemovePlan {
  const file = readAgentFile(editor.path);
  const record = backups.find(file.target);
  const copy = record && backups.read(record);
  // the copy itself can hold entries of another installation of ours
  const original = copy === undefined ? undefined : editor.remove(copy, undefined).text;
  const { text, what, empty } = editor.remove(file.text ?? "", original);
  const changes = what.map((phrase) => ({ file: editor.path, what: phrase }));
  const plan = { file, changes, record };
  if (file.text === undefined || what.length === 0)
    return { ...plan, after: file.text, exact: file.text === original };
  const untouched = record?.written === digest(file.text);
  if (record && untouched && !record.existed) return { ...plan, after: undefined, exact: true };
  if (untouched && original !== undefined) return { ...plan, after: original, exact: true };
  const gone = empty && record?.existed === false;
  return { ...plan, after: gone ? undefined : text, exact: gone || text === original };
}

/** What must be remembered before the file changes, so that `removeEntries` can restore it. */
function recordFor({ editor, file, after }: AddPlan, backups: Backups): FileRecord {
  const before = file.text;
  const known = backups.find(file.target);
  const alreadyOurs = before !== undefined && editor.remove(before, undefined).what.length > 0;
  if (known && alreadyOurs)
    return { ...known, written: known.written === digest(before) ? digest(after) : null };
  if (known) backups.drop(file.target, { copy: true });
  return {
    existed: before !== undefined,
    copy: before === undefined ? null : backups.keep(file.path, before),
    directories: missingDirectories(dirname(file.target)),
    // entries of another installation: the old bytes must not come back with them
    written: alreadyOurs ? null : digest(after),
  };
}

function allOrNothing<Plan extends { file: AgentFile }>(
  plans: readonly Plan[],
  write: (plan: Plan) => void,
): void {
  const done: AgentFile[] = [];
  const missing = plans.flatMap((plan) => missingDirectories(dirname(plan.file.target)));
  try {
    for (const plan of plans) {
      write(plan);
      done.push(plan.file);
    }
  } catch (error) {
    for (const { path, text, mode } of done.reverse()) {
      const now = readAgentFile(path);
      if (text === undefined) deleteAgentFile(now);
      else writeAgentFile({ ...now, mode }, text);
    }
    removeEmptyDirectories(missing);
    throw error;
  }
}
