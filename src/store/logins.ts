// Persons on joined machines, in SQLite: codes that work once, and logins. Only digests of either are kept. Every
// function runs inside a transaction of the caller.
import type { Database } from "bun:sqlite";
import type { MissionStore } from "./mission-store.ts";

export function createLoginCode(db: Database, { hash, expires_at }: { hash: string; expires_at: string }) {
  db.query("INSERT INTO login_codes (hash, expires_at) VALUES (?, ?)").run(hash, expires_at);
}

export function useLoginCode(
  db: Database,
  codeHash: string,
  login: Parameters<MissionStore["useLoginCode"]>[1],
): boolean {
  const { token_hash, machine, name, expires_at, at } = login;
  const { changes } = db
    .query("UPDATE login_codes SET used_by = ? WHERE hash = ? AND used_by IS NULL AND expires_at > ?")
    .run(machine, codeHash, at);
  if (changes === 0) return false;
  db.query(
    "INSERT INTO logins (token_hash, machine_id, name, created_at, expires_at) VALUES (?, ?, ?, ?, ?)",
  ).run(token_hash, machine, name, at, expires_at);
  return true;
}

export function findLogin(db: Database, tokenHash: string, machine: string, at: string): string | undefined {
  return db
    .query<{ name: string }, [string, string, string]>(
      "SELECT name FROM logins WHERE token_hash = ? AND machine_id = ? AND expires_at > ?",
    )
    .get(tokenHash, machine, at)?.name;
}

export function endLogin(db: Database, tokenHash: string, machine: string): void {
  db.query("DELETE FROM logins WHERE token_hash = ? AND machine_id = ?").run(tokenHash, machine);
}

/** A machine that was revoked comes back with an invite, its persons with a new login. */
export function endLogins(db: Database, machine: string): void {
  db.query("DELETE FROM logins WHERE machine_id = ?").run(machine);
}

export function forgetLogins(db: Database, at: string): void {
  db.query("DELETE FROM login_codes WHERE expires_at < ?").run(at);
  db.query("DELETE FROM logins WHERE expires_at < ?").run(at);
}
