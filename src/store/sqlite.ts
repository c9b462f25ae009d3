// The store in one SQLite file: for one hub process. Reads see what is committed; writes go through the group commit.
import { Database, SQLiteError } from "bun:sqlite";
import { chmodSync, closeSync, constants, lstatSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { IntercomError } from "../protocol/errors.ts";
import { isErrno } from "../system/files.ts";
import { type Lock, takeLock } from "../system/lock.ts";
import * as approvals from "./approvals.ts";
import { Damage, type Starter } from "./damage.ts";
import * as deadlines from "./deadlines.ts";
import * as deliveries from "./deliveries.ts";
import { addFeedback, listFeedback } from "./feedback.ts";
import { GroupCommit } from "./group-commit.ts";
import { isDamage, isDiskTrouble, unusable } from "./integrity.ts";
import * as logins from "./logins.ts";
import { release } from "./loop-guard.ts";
import * as machines from "./machines.ts";
import * as messages from "./messages.ts";
import { migrate } from "./migrations.ts";
import * as reports from "./mission-reports.ts";
import type { MissionStore } from "./mission-store.ts";
import * as missions from "./missions.ts";
import { prune, prunedMessage } from "./prune.ts";
import { applyReceipts } from "./receipts.ts";
import { rescueDamaged, rescueIfMarked } from "./rescue.ts";
import { rescuesBeside } from "./rescue-files.ts";
import { findTargets, keepTargets } from "./sends.ts";
import * as sessions from "./sessions.ts";
import type { Counts, Store } from "./store.ts";
import { telegramStore } from "./telegram.ts";

/**
 * Opens or creates the file (0600) and brings its schema up to date. Throws `conflict` while another hub has it, from
 * whatever home: each would know only its own links, and mail would wait at the wrong one.
 */
export function openSqlite(path: string, starter?: Starter): Store {
  makePrivate(path);
  const lock = takeLock(`${path}.lock`, "hub", "uses this database");
  try {
    rescueIfMarked(path);
    return sqliteStore(openWhole(path), lock, new Damage(path, starter));
  } catch (error) {
    lock.release();
    if (isDiskTrouble(error)) throw diskTrouble(path, error);
    throw error instanceof SQLiteError ? unusable(path, error) : error;
  }
}

/** Rescues what can be read, once, where opening meets damage. */
function openWhole(path: string): Database {
  try {
    return open(path);
  } catch (error) {
    if (!isDamage(error)) throw error;
    rescueDamaged(path, error);
    return open(path);
  }
}

function open(path: string): Database {
  const db = new Database(path, { strict: true });
  try {
    configure(db);
    migrate(db, path);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function sqliteStore(db: Database, lock: Lock, damage: Damage): Store {
  const commit = new GroupCommit(db, damage);
  const write: Access = (work) => commit.write(work);
  const read: Access = async (work) => {
    try {
      return work(db);
    } catch (error) {
      throw damage.told(error);
    }
  };
  return {
    ...missionPart(read, write),
    machine: (id) => read(() => machines.findMachine(db, id)),
    machines: () => read(machines.allMachines),
    join: (request) => write(() => machines.join(db, request)),
    enrolLocal: (request) => write(() => enrolLocal(db, request)),
    decideMachine: (id, decision, at) => write(() => machines.decideMachine(db, id, decision, at)),
    acquireEpoch: (machine) => write(() => machines.acquireEpoch(db, machine)),
    sawMachine: (machine, at) => write(() => machines.sawMachine(db, machine, at)),
    createInvite: (invite) => write(() => machines.createInvite(db, invite)),
    useNonce: (machine, nonce, expiresAt) => write(() => machines.useNonce(db, machine, nonce, expiresAt)),

    presence: (machine, snapshot, options) =>
      write(() => {
        fence(db, machine, options.epoch);
        return sessions.applyPresence(db, machine, snapshot, options);
      }),
    session: (machine, session) => read(() => sessions.findSession(db, machine, session)),
    sessionOfProcess: (process) => read(() => sessions.sessionOfProcess(db, process)),
    openSessions: (where) => read(() => sessions.openSessions(db, where)),
    projects: (machine) => read(() => sessions.allProjects(db, machine)),

    accept: (message, recipients, options) => write(() => messages.accept(db, message, recipients, options)),
    release: (thread, { at, expires_at }) =>
      write(() => (messages.threadMembers(db, thread) ? release(db, thread, at, expires_at) : undefined)),
    dueDeadlines: (at, limit) => read(() => deadlines.dueDeadlines(db, at, limit)),
    deadlineTold: (deadline) => write(() => deadlines.deadlineTold(db, deadline)),
    message: (id) => read(() => messages.findMessage(db, id)),
    pruned: (id) => read(() => prunedMessage(db, id)?.state),
    states: (id) => read(() => messages.messageStates(db, id)),
    members: (thread) => read(() => messages.threadMembers(db, thread)),
    thread: (id, limit) => read(() => messages.threadMessages(db, id, limit)),
    readHumanInbox: (options) => write(() => messages.readHumanInbox(db, options)),

    undelivered: (machine, after, limit) => read(() => deliveries.undelivered(db, machine, after, limit)),
    settle: (machine, seq, finding, { at, epoch }) =>
      write(() => {
        fence(db, machine, epoch);
        return deliveries.settle(db, machine, seq, finding, at);
      }),
    applyReceipts: (machine, receipts, options) => write(() => applyReceipts(db, machine, receipts, options)),
    deliveredCopies: (machine, session, after) =>
      read(() => deliveries.deliveredCopies(db, machine, session, after)),
    queueAccepted: (machine, reason, at) => write(() => deliveries.queueAccepted(db, machine, reason, at)),
    expire: (at) => write(() => deliveries.expire(db, at)),
    dueNotices: (limit) => read(() => deliveries.dueNotices(db, limit)),
    noticeDone: (notice) => write(() => deliveries.noticeDone(db, notice)),

    telegram: telegramStore(read, write),

    rescued: rescuesBeside(db.filename).at(-1),
    get damaged() {
      return damage.met;
    },
    check: async () => {
      damage.refuse();
      await write(rewriteVersion);
    },
    counts: () => read(counts),
    maintain: async (at) => {
      await write(() => {
        machines.forgetUsed(db, at);
        logins.forgetLogins(db, at);
      });
      await read(() => db.run("PRAGMA wal_checkpoint(TRUNCATE)"));
    },
    prune: (step) => write(() => prune(db, step)),
    close: async () => {
      commit.close();
      db.close();
      lock.release();
    },
  };
}

type Access = <T>(work: (db: Database) => T) => Promise<T>;

function missionPart(read: Access, write: Access): MissionStore {
  return {
    createMission: (mission) => write((db) => missions.createMission(db, mission)),
    continueMission: (id, version, next) => write((db) => missions.continueMission(db, id, version, next)),
    mission: (id) => read((db) => missions.findMission(db, id)),
    missionOfMessage: (id) => read((db) => missions.missionOfMessage(db, id)),
    missions: (where) => read((db) => missions.listMissions(db, where)),
    liveMissions: (machine) => read((db) => missions.liveMissions(db, machine)),
    moveMission: (id, version, change, at) =>
      write((db) => missions.moveMission(db, id, version, change, at)),
    reportMission: (machine, report, at) => write((db) => reports.reportMission(db, machine, report, at)),
    missionOutput: (id, from, length) => read((db) => reports.missionOutput(db, id, from, length)),
    missionEntries: (id, limit) => read((db) => reports.missionEntries(db, id, limit)),
    missionSteps: (id, after, limit) => read((db) => reports.missionSteps(db, id, after, limit)),
    owedResponses: (limit, length) => read((db) => reports.owedResponses(db, limit, length)),
    responseSent: (id, run) => write((db) => missions.responseSent(db, id, run)),

    requestApproval: (approval, version) => write((db) => approvals.requestApproval(db, approval, version)),
    approval: (id) => read((db) => approvals.findApproval(db, id)),
    approvals: (where) => read((db) => approvals.listApprovals(db, where)),
    decideApproval: (id, decision, how) => write((db) => approvals.decideApproval(db, id, decision, how)),
    expireApprovals: (at) => write((db) => approvals.expireApprovals(db, at)),
    grants: () => read(approvals.allGrants),
    matchingGrant: (ask) => read((db) => approvals.matchingGrant(db, ask)),
    revokeGrant: (id, at) => write((db) => approvals.revokeGrant(db, id, at)),

    createLoginCode: (code) => write((db) => logins.createLoginCode(db, code)),
    useLoginCode: (hash, login) => write((db) => logins.useLoginCode(db, hash, login)),
    login: (hash, machine, at) => read((db) => logins.findLogin(db, hash, machine, at)),
    endLogin: (hash, machine) => write((db) => logins.endLogin(db, hash, machine)),

    keepTargets: (send, targets) => write((db) => keepTargets(db, send, targets)),
    targets: (id) => read((db) => findTargets(db, id)),

    addFeedback: (feedback) => write((db) => addFeedback(db, feedback)),
    feedback: (limit) => read((db) => listFeedback(db, limit)),
  };
}

/** A link that was replaced has no say any more. */
function fence(db: Database, machine: string, epoch: number | undefined): void {
  if (epoch !== undefined && !machines.isCurrentEpoch(db, machine, epoch))
    throw new IntercomError("conflict", `a newer link of ${machine} has taken over`);
}

function enrolLocal(db: Database, request: Parameters<typeof machines.enrolLocal>[1]) {
  const machine = machines.enrolLocal(db, request);
  if (machine !== "taken") return machine;
  throw new IntercomError("machine_taken", `another machine is enrolled as ${request.id}`, {
    hint: `choose another name in config.yml (machine.id), or remove that one: ai-intercom machines revoke ${request.id}`,
  });
}

/** The smallest thing that has to be written: what changes nothing is written too. */
function rewriteVersion(db: Database): void {
  const { user_version = 0 } = db.query<{ user_version: number }, []>("PRAGMA user_version").get() ?? {};
  db.run(`PRAGMA user_version = ${user_version}`);
}

function counts(db: Database): Counts {
  const row = db
    .query<Counts, []>(
      `SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'messages'), 0) AS messages,
         (SELECT count(*) FROM deliveries WHERE state IN ('accepted', 'queued')) AS waiting,
         (SELECT count(*) FROM sessions WHERE ended_at IS NULL) AS open_sessions,
         (SELECT count(*) FROM machines WHERE status = 'approved') AS machines,
         (SELECT coalesce(max(seq), 0) FROM missions) AS missions,
         (SELECT count(*) FROM mission_runs WHERE status = 'queued'
            AND status IN ('pending_approval', 'queued', 'running')) AS missions_queued,
         (SELECT count(*) FROM mission_runs WHERE status = 'running'
            AND status IN ('pending_approval', 'queued', 'running')) AS missions_running,
         (SELECT count(*) FROM approvals WHERE status = 'pending') AS approvals_pending,
         (SELECT count(*) FROM mission_runs WHERE response_owed = 1) AS responses_owed`,
    )
    .get();
  if (row) return row;
  throw new IntercomError("internal", "the store counted nothing");
}

function configure(db: Database): void {
  // busy_timeout first: switching to WAL can meet another process.
  db.run("PRAGMA busy_timeout = 5000");
  db.run("PRAGMA journal_mode = WAL");
  db.run("PRAGMA synchronous = FULL");
  db.run("PRAGMA foreign_keys = ON");
  // macOS: fsync alone does not reach the platter.
  db.run("PRAGMA fullfsync = ON");
  db.run("PRAGMA checkpoint_fullfsync = ON");
}

/** The file itself may be whole: nobody should move it away. */
function diskTrouble(path: string, cause: Error): IntercomError {
  return new IntercomError("unsafe_file", `${path} cannot be used: ${cause.message}`, {
    hint: `is the disk full or read-only? df -h ${dirname(path)}`,
    cause,
  });
}

/** The file exists as ours alone before SQLite opens it; its -wal and -shm files inherit the mode. */
function makePrivate(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  try {
    closeSync(openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_RDWR, 0o600));
    chmodSync(path, 0o600);
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
  }
  const stat = lstatSync(path);
  if (!stat.isFile() || stat.uid !== process.getuid?.())
    throw new IntercomError("unsafe_file", `${path} is not a regular file of yours`, {
      hint: "name another file in hub.store",
    });
  if ((stat.mode & 0o077) !== 0)
    throw new IntercomError("unsafe_file", `${path} can be used by other users`, {
      hint: `chmod 600 ${path}`,
    });
}
