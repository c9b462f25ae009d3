// Where everything lives under the home. Light: the hook imports this file, so it uses no module at all.

/** `$AI_INTERCOM_HOME`, else `~/.config/ai-intercom`. */
export function homeDirectory(env: Record<string, string | undefined> = process.env): string {
  return env.AI_INTERCOM_HOME || `${env.HOME ?? ""}/.config/ai-intercom`;
}

/** Every path of the product, from the home directory. Only this function knows names of files. */
export function homePaths(home: string = homeDirectory()) {
  return {
    home,
    config: `${home}/config.yml`,
    policies: `${home}/policies.yml`,
    machineKey: `${home}/machine.key`,
    /** 0700; one `<session>.jsonl` and `<session>.ledger` per session */
    inbox: `${home}/inbox`,
    /** markers: one file per agent pid with unread mail */
    pending: `${home}/inbox/pending`,
    /** pipes: one per agent pid whose hook waits to be rung */
    bell: `${home}/inbox/bell`,
    run: `${home}/run`,
    daemonSocket: `${home}/run/daemon.sock`,
    /** the hub's door for the person on its own host */
    hubSocket: `${home}/run/hub.sock`,
    hubDatabase: `${home}/hub.db`,
    /** what the daemon must remember: sessions, projects, enrolment */
    daemonState: `${home}/daemon.json`,
    /** accepted from our agents or owed to the hub, not yet acked by it */
    outbox: `${home}/outbox.jsonl`,
    /** what the hub and the daemon logged: `<role>.log`, turned over */
    logs: `${home}/logs`,
    /** how the latest self-upgrade went */
    upgrade: `${home}/run/upgrade.json`,
    /** the token of a person who logged in at the hub from this machine; 0600 */
    login: `${home}/login.json`,
    /** is there: agents' permission questions may be put to the person elsewhere; not empty: of every session */
    askPerson: `${home}/ask-person`,
    /** 0700; one directory per run of a mission */
    missions: `${home}/missions`,
    /** copies of agents' files as they were before `install` */
    backups: `${home}/backups`,
  };
}
export type HomePaths = ReturnType<typeof homePaths>;
