// Each saying of the hub and its machines, and the same in French. `{}` stands for a name or a number, `{*}` for a saying
// in a saying; `{1}`, `{2}` are what stood there. A test reads them out of the sources: none is missing.

export const french: Record<string, string> = {
  // states
  pending: "en attente",
  approved: "approuvé",
  denied: "refusé",
  revoked: "révoqué",
  expired: "expiré",
  withdrawn: "retiré",
  failed: "échec",
  queued: "en attente",
  running: "en cours",
  completed: "terminé",
  cancelled: "annulé",
  timed_out: "délai dépassé",
  lost: "perdu",
  pending_approval: "attend une approbation",
  launched: "lancé",
  launch_failed: "non lancé",
  active: "actif",
  working: "au travail",
  idle: "inactif",
  waiting: "attend sa personne",
  unread: "non lu",
  "not started": "non commencé",
  "no reason given": "sans raison donnée",

  // errors of every kind
  "ai-intercom COMMAND --help, or the tool's description, says what is allowed":
    "/help dit ce qui est permis",
  "ai-intercom --help": "/help",
  "/help": "/help",
  "every key and its meaning: ai-intercom standalone --help":
    "toutes les clés et leur sens : ai-intercom standalone --help",
  "enrol this machine: ai-intercom join CODE (a code comes from `ai-intercom invite` at the hub)":
    "inscrivez cette machine : ai-intercom join CODE (un code vient de `ai-intercom invite` au hub)",
  "set this machine's clock; a signature is valid for 300 s around the hub's time":
    "réglez l'horloge de cette machine ; une signature vaut 300 s autour de l'heure du hub",
  "each signed request carries a nonce of its own; sign it anew":
    "chaque demande signée porte un nonce à elle ; signez-la de nouveau",
  "each machine and each agent acts for itself only": "chaque machine et chaque agent n'agit que pour soi",
  "this is a person's act: run it in a terminal that no agent started":
    "c'est l'acte d'une personne : dans un terminal qu'aucun agent n'a ouvert",
  "a person approves it at the hub: ai-intercom machines":
    "une personne l'approuve au hub : ai-intercom machines",
  "ask the person at the hub for an invite code": "demandez un code d'invitation à la personne du hub",
  "ask the person at the hub for a new invite code, then: ai-intercom join CODE":
    "demandez un nouveau code d'invitation à la personne du hub, puis : ai-intercom join CODE",
  "choose another name: the same command with --machine-id NAME":
    "choisissez un autre nom : la même commande avec --machine-id NOM",
  "codes work once and for 10 minutes; for a new one, at the hub: ai-intercom invite":
    "les codes servent une fois et pendant 10 minutes ; pour un nouveau, au hub : ai-intercom invite",
  "codes work once and for 10 minutes; ask for a new one at the hub: ai-intercom login":
    "un code sert une fois, pendant 10 minutes ; demandez-en un autre au hub : ai-intercom login",
  "log in: ai-intercom login CODE (a code comes from `ai-intercom login` at the hub)":
    "identifiez-vous : ai-intercom login CODE (un code vient de `ai-intercom login` au hub)",
  "only both ends of a thread and the person may write in it; open your own with intercom_chat":
    "seuls les deux bouts d'un fil et la personne peuvent y écrire ; ouvrez le vôtre : /chat machine/projet texte",
  "docs/architecture.md lists the routes": "docs/architecture.md montre les routes",
  "ai-intercom agents (or intercom_list_agents) shows who can be reached":
    "/agents montre qui peut être joint",
  "check the thread id; a new chat opens a thread of its own":
    "vérifiez l'identifiant du fil ; un nouveau message ouvre un fil à lui",
  "use the message_id that the send answered; `ai-intercom watch` shows them too":
    "utilisez le message_id reçu à l'envoi ; `ai-intercom watch` les montre aussi",
  "use the mission_id that intercom_ask answered; `ai-intercom missions` lists them": "/missions les montre",
  "ai-intercom approvals shows what waits and what is granted":
    "/approvals montre ce qui attend, /policy ce qui est accordé",
  "look at what is there, then try again: ai-intercom status":
    "regardez ce qui est là, puis réessayez : ai-intercom status",
  "write the text to a file and send its path, or split it":
    "écrivez le texte dans un fichier et envoyez son chemin, ou coupez-le",
  "send content-type: application/json": "envoyez content-type: application/json",
  "the recipient must read its mail first": "le destinataire doit d'abord lire son courrier",
  "ai-intercom service status; ai-intercom logs": "ai-intercom service status ; ai-intercom logs",
  "the log of the hub or the daemon (its stderr) says more": "le journal du hub ou du démon en dit plus",
  "is the hub running? start it with: ai-intercom standalone":
    "le hub tourne-t-il ? lancez-le : ai-intercom standalone",
  "is the daemon running? start it with: ai-intercom standalone (or ai-intercom daemon)":
    "le démon tourne-t-il ? lancez-le : ai-intercom standalone (ou ai-intercom daemon)",
  "unexpected failure: {}": "échec inattendu : {1}",
  "the disk is full": "le disque est plein",
  "the disk quota is used up": "le quota du disque est épuisé",
  "the disk is read-only": "le disque est en lecture seule",
  "permission denied": "accès refusé",
  "not permitted": "non permis",
  "a part of the path is not a directory": "une partie du chemin n'est pas un répertoire",
  "a directory stands where a file belongs": "un répertoire est à la place d'un fichier",
  "a file stands where a directory belongs": "un fichier est à la place d'un répertoire",
  "a link stands where a file belongs": "un lien est à la place d'un fichier",
  "too many open files": "trop de fichiers ouverts",
  "the disk reports an error": "le disque signale une erreur",
  "free some space: df -h": "libérez de la place : df -h",
  "free some space: quota": "libérez de la place : quota",
  "choose another home with AI_INTERCOM_HOME, or mount it writable":
    "choisissez un autre dossier par AI_INTERCOM_HOME, ou montez-le en écriture",
  "look at owner and mode: ls -ld": "regardez propriétaire et mode : ls -ld",
  "look at the path: ls -ld": "regardez le chemin : ls -ld",
  "move it away": "déplacez-le",
  "raise the limit: ulimit -n": "relevez la limite : ulimit -n",
  "look at the system log: dmesg": "regardez le journal du système : dmesg",

  // before the shorter ones, which they would match too
  "machine {} is stopping it": "la machine {1} l'arrête",
  "machine {} is offline: it is stopped when that is back":
    "la machine {1} est hors ligne : elle sera arrêtée à son retour",
  "{*}, and nobody came for it": "{1}, et personne n'est venu le chercher",

  // who can be reached
  'no machine named "{}" is enrolled': "aucune machine nommée « {1} » n'est inscrite",
  'no machine named "{}"': "aucune machine nommée « {1} »",
  'machine {} has no project named "{}"': "la machine {1} n'a pas de projet nommé « {2} »",
  "there is no session {}": "il n'y a pas de session {1}",
  'there is no project "{}" on this machine': "il n'y a pas de projet « {1} » sur cette machine",
  "did you mean {} or {} or {}?": "vouliez-vous dire {1}, {2} ou {3} ?",
  "did you mean {} or {}?": "vouliez-vous dire {1} ou {2} ?",
  "did you mean {}?": "vouliez-vous dire {1} ?",
  "the session {} has ended": "la session {1} est terminée",
  "session ended; delivered if it resumes": "session terminée ; remis si elle reprend",
  "session ended": "session terminée",
  "no other session of {} is open": "aucune autre session de {1} n'est ouverte",
  "no session of {} is open": "aucune session de {1} n'est ouverte",
  "waits for a session": "attend une session",
  "several sessions of this project are open: write to one of these addresses":
    "plusieurs sessions de ce projet sont ouvertes : écrivez à l'une de ces adresses",
  'with if_no_session="queue" the message is kept for its next session':
    'attendez qu\'un agent y soit ouvert, ou lancez-en un : /start_agent machine/projet "mission"',
  "machine {} is offline": "la machine {1} est hors ligne",
  "machine {} is offline: {*}": "la machine {1} est hors ligne : {2}",
  "its clock is {} ahead": "son horloge avance de {1}",
  "its clock is {} behind": "son horloge retarde de {1}",
  "machine {} is not linked": "la machine {1} n'est pas reliée",
  "machine {} is {*}": "la machine {1} est dans l'état : {2}",
  "machine {} was {*}": "la machine {1} : accès {2}",
  "the link to {} ended": "la liaison avec {1} s'est rompue",
  "{} did not answer within {} s": "{1} n'a pas répondu en {2} s",
  "not confirmed by machine {} yet": "pas encore confirmé par la machine {1}",
  '"{}" is not an address': "« {1} » n'est pas une adresse",
  "write machine/project, machine/project@session or human; `ai-intercom agents` lists them":
    "écrivez machine/projet ou machine/projet@session ; /agents les montre",
  "that is the sender itself": "c'est l'expéditeur lui-même",

  // mail
  "a message needs a recipient or a thread": "un message a besoin d'un destinataire ou d'un fil",
  "the message is empty": "le message est vide",
  "the message has {} bytes; at most {} are allowed": "le message a {1} octets ; {2} au plus sont permis",
  "the message takes {} bytes on the link; at most {} are possible":
    "le message prend {1} octets sur la liaison ; {2} au plus sont possibles",
  "to_agent: a message of type {} has one recipient": "un message de type {1} a un seul destinataire",
  "only type send takes a list": "seul le type send prend une liste",
  "messages of type {} are the hub's own": "les messages de type {1} sont ceux du hub lui-même",
  "use chat, send, ask or start_agent": "utilisez chat, send, ask ou start_agent",
  "message ids like {} are the hub's own": "les identifiants comme {1} sont ceux du hub lui-même",
  "choose another message_id": "choisissez un autre message_id",
  "too many messages from one session ({} a second, {} at once); wait {} ms":
    "trop de messages d'un seul expéditeur ({1} par seconde, {2} à la fois) ; attendez {3} ms",
  "send it again in {} s": "envoyez-le de nouveau dans {1} s",
  "too many messages wait for {} already": "trop de messages attendent déjà {1}",
  "message {} is not in the store": "le message {1} n'est pas dans la base",
  "message id {} stands for another message": "l'identifiant {1} désigne un autre message",
  "each message needs an id of its own; a retry repeats the message unchanged":
    "chaque message a besoin d'un identifiant à lui ; une reprise répète le message inchangé",
  "thread id {} is taken": "l'identifiant de fil {1} est pris",
  "propose another thread id": "proposez un autre identifiant de fil",
  "{*} long ago; its record is no longer kept": "il y a longtemps ({1}) ; sa trace n'est plus gardée",
  "a person lets it go: ai-intercom release {}": "écrivez dans son sujet pour le laisser passer",
  "it is delivered by itself; intercom_status(message_id) tells when": "il sera remis de lui-même",
  "the inbox is full": "la boîte est pleine",
  "the machine could not store it; it is tried again":
    "la machine n'a pas pu l'enregistrer ; un nouvel essai suivra",
  "refused: {*}": "refusé : {1}",
  "{} agent messages in a row without a person": "{1} messages d'agents de suite sans une personne",
  "Thread {} has had {} agent messages in a row without a person. Further ones are held until a person writes in the thread or runs: ai-intercom release {}":
    "Le fil {1} compte {2} messages d'agents de suite sans une personne. Les suivants sont retenus jusqu'à ce qu'une personne écrive dans le fil ou lance : ai-intercom release {3}",
  "there is no thread {}": "il n'y a pas de fil {1}",
  "{} is not in thread {}": "{1} n'est pas dans le fil {2}",
  "thread {} has no other end": "le fil {1} n'a pas d'autre bout",
  "{} is not the other end of thread {}": "{1} n'est pas l'autre bout du fil {2}",
  "in it: {}": "dans ce fil : {1}",
  "thread {} is between others": "le fil {1} est entre d'autres",
  "hand over a thread of your own": "transmettez un fil à vous",

  // missions
  "there is no mission {} of yours": "aucune mission {1} n'est à vous",
  "there is no mission {}": "il n'y a pas de mission {1}",
  "mission {} is not in the store": "la mission {1} n'est pas dans la base",
  "mission {} is in {}, not in {}": "la mission {1} est dans {2}, pas dans {3}",
  // before the shorter one, which it would match too
  "mission {} is {*}, and {*}": "la mission {1} est dans l'état : {2}, et {3}",
  "mission {} is {*}": "la mission {1} est dans l'état : {2}",
  "while it runs, write to it: intercom_chat to {}":
    "tant qu'elle est en cours, écrivez-lui : /chat {1} texte",
  "mission id {} is taken": "l'identifiant de mission {1} est pris",
  "propose another mission id": "proposez un autre identifiant de mission",
  "a mission has a thread of its own": "une mission a un fil à elle",
  "hand a thread over with context_thread, or continue a finished mission by its mission_id":
    "transmettez un fil par context_thread, ou poursuivez une mission terminée par son mission_id",
  "only an ask continues a mission": "seule une demande (ask) poursuit une mission",
  "mission {} was asked for by {}": "la mission {1} a été demandée par {2}",
  "only who asked for it, or the person, may cancel it": "seul son demandeur, ou la personne, peut l'annuler",
  "{} asked for a mission and is no session": "{1} a demandé une mission et n'est pas une session",
  "to_agent: a mission runs in machine/project": "une mission a lieu dans machine/projet",
  "ai-intercom agents lists them; a session that runs is reached with chat":
    "/agents les montre ; une session en cours se joint par /chat",
  "after: that is no place in a mission's history": "ce n'est pas un endroit de l'historique d'une mission",
  "use the `next` of the page before": "utilisez le `next` de la page précédente",
  "a mission id looks like m-20261122-1a2b3c": "un identifiant de mission a la forme m-20261122-1a2b3c",
  "id: {*}": "{1}",
  "filter: {*}": "{1}",
  "a filter is all, online or machine:ID": "un filtre est all, online ou machine:ID",
  "an approval id is a- and 12 hex digits": "un identifiant d'approbation est a- et 12 chiffres hexadécimaux",
  "a grant id is g- and 12 hex digits": "un identifiant d'accord est g- et 12 chiffres hexadécimaux",
  "cancelled by {}": "annulée par {1}",
  "it had ended already": "elle était déjà finie",
  "denied by {}": "refusé par {1}",
  "nobody decided in time": "personne n'a décidé à temps",
  "it waited for 7 days: {*}": "elle a attendu 7 jours : {1}",
  "the hub does not want it any more": "le hub n'en veut plus",
  "waits for its turn on {}": "attend son tour sur {1}",
  "machine {} does not know of it any more": "la machine {1} ne la connaît plus",
  "machine {} gave an answer that cannot be read; it is tried again":
    "la réponse de la machine {1} est illisible ; un nouvel essai suivra",
  "machine {}: {*}; it is tried again": "machine {1} : {2} ; un nouvel essai suivra",
  "a person must allow it": "une personne doit l'autoriser",
  "its answer comes into your inbox by itself; a person decides with: ai-intercom approvals":
    "la réponse vient d'elle-même ; une personne décide : /approvals",
  "it starts by itself; its answer comes into your inbox": "elle commencera d'elle-même",

  // approvals and grants
  "there is no approval {}": "il n'y a pas d'approbation {1}",
  "there is no grant {}, or it was revoked": "il n'y a pas d'accord {1}, ou il a été révoqué",
  "approval {} was {*} by {} at {}": "approbation {1} : déjà {2} par {3}, {4}",
  "approval {} was {*} at {}": "approbation {1} : déjà {2}, {3}",
  "approval {} was {*} by {}": "approbation {1} : déjà {2} par {3}",
  "approval {} was {*}": "approbation {1} : déjà {2}",
  "ai-intercom missions show {}": "/missions {1}",

  // machines
  "to shut it out: ai-intercom machines revoke {}": "pour l'exclure : ai-intercom machines revoke {1}",
  "it comes back with an invite only: ai-intercom invite":
    "elle ne revient qu'avec une invitation : ai-intercom invite",
  "ai-intercom machines": "/machines",
  "no machine of this name asked to join": "aucune machine de ce nom n'a demandé à rejoindre",
  "only a person may do this": "seule une personne peut faire cela",
  "only an enrolled machine may do this": "seule une machine inscrite peut faire cela",
  'the hub has no operation "{}"': "le hub n'a pas d'opération « {1} »",
  "unreadable input": "entrée illisible",
  "look at the disk that holds hub.db: is it full, or read-only?":
    "regardez le disque qui porte hub.db : est-il plein, ou en lecture seule ?",
  "the hub's database is damaged": "la base du hub est endommagée",
  "restart the hub on its host: it goes on with what can be read; ai-intercom doctor there says how":
    "redémarrez le hub sur son hôte : il continue avec ce qui peut être lu ; ai-intercom doctor y dit comment",
  "the hub's database was damaged": "la base du hub était endommagée",
  "the hub's database was damaged; it may have arrived":
    "la base du hub était endommagée ; il est peut-être arrivé",
  "the hub's store is closed": "la base du hub est fermée",
  "the hub's store cannot write: {*}": "la base du hub ne peut pas écrire : {1}",

  // a machine's launcher
  'there is no program "{}" on this machine': "il n'y a pas de programme « {1} » sur cette machine",
  "install it there, or set agent_launcher.commands.{}.command; it is looked for in the daemon's PATH":
    "installez-le là-bas, ou réglez agent_launcher.commands.{1}.command ; il est cherché dans le PATH du démon",
  'the directory of project "{}" is not there': "le répertoire du projet « {1} » n'est pas là",
  "look at it on that machine; intercom_list_agents shows where it was":
    "regardez sur cette machine ; `ai-intercom agents --json` montre où il était",
  'no agent may be started in project "{}" on this machine':
    "aucun agent ne peut être lancé dans le projet « {1} » sur cette machine",
  "its person allows it in config.yml there: agent_launcher.allowed_paths must hold a directory above {}":
    "sa personne l'autorise là-bas dans config.yml : agent_launcher.allowed_paths doit contenir un répertoire au-dessus de {1}",
  'the file "{}" is not inside the project': "le fichier « {1} » n'est pas dans le projet",
  "name files by their paths in the receiving project, without ..":
    "nommez les fichiers par leur chemin dans le projet destinataire, sans ..",
  '"{}" is not an agent command of this machine': "« {1} » n'est pas une commande d'agent de cette machine",
  "agent_command is one of {}, or empty; more are named in agent_launcher.commands there":
    "agent_command est l'un de {1}, ou vide ; d'autres se nomment là-bas dans agent_launcher.commands",
  "this agent cannot continue an earlier conversation":
    "cet agent ne peut pas poursuivre une conversation antérieure",
  "start a new mission, and tell it in the message what it must know":
    "lancez une nouvelle mission, et dites-lui dans le message ce qu'elle doit savoir",
  "another agent command led the conversation of mission {}":
    "une autre commande d'agent a mené la conversation de la mission {1}",
  "continue it without an agent_command, or start a new mission":
    "poursuivez-la sans agent_command, ou lancez une nouvelle mission",
  "this machine no longer has the conversation of mission {}":
    "cette machine n'a plus la conversation de la mission {1}",
  "what would run now is not what was decided on": "ce qui serait lancé n'est plus ce qui a été décidé",
  "the project, the command or its arguments changed on that machine; ask again":
    "le projet, la commande ou ses arguments ont changé sur cette machine ; demandez de nouveau",
  "this machine's policy wants an approval, and nobody gave one":
    "la politique de cette machine veut une approbation, et personne ne l'a donnée",
  "{} missions wait on this machine already": "{1} missions attendent déjà sur cette machine",
  "this machine's policies cannot be used: {*}": "les politiques de cette machine sont inutilisables : {1}",
  "correct policies.yml on that machine; until then nothing is started there":
    "corrigez policies.yml sur cette machine ; rien n'y est lancé jusque-là",
  "correct policies.yml": "corrigez policies.yml",
  "{}: not valid YAML: {}": "{1} : YAML non valide : {2}",
  "{}: rules.{}.message_pattern is not a regular expression: {}":
    "{1} : rules.{2}.message_pattern n'est pas une expression régulière : {3}",
  "only ask and start_agent can wait for an approval; for other types write never":
    "seuls ask et start_agent peuvent attendre une approbation ; pour les autres types, écrivez never",
  "this machine cannot keep it: {*}": "cette machine ne peut pas l'enregistrer : {1}",
  "run {} of mission {} was taken before, for another order":
    "la passe {1} de la mission {2} a déjà été prise, pour un autre ordre",
  "it could not be started: {*}": "elle n'a pas pu être lancée : {1}",
  "it could not be started": "elle n'a pas pu être lancée",
  "{} is not there, or the interpreter that it names": "{1} n'est pas là, ou l'interpréteur qu'il nomme",
  "{} may not be executed": "{1} ne peut pas être exécuté",
  "{} is no program of this machine": "{1} n'est pas un programme de cette machine",
  "its arguments and environment are too long": "ses arguments et son environnement sont trop longs",
  "it was still running after its {} s": "elle était encore en cours après ses {1} s",
  "it printed more than 1 GiB": "elle a écrit plus de 1 Gio",
  "it reported an error": "elle a signalé une erreur",
  "how it ended was not seen, for the daemon was restarted meanwhile, and its output does not say it":
    "sa fin n'a pas été vue, car le démon a redémarré entre-temps, et sa sortie ne la dit pas",
  "{*}; it said: {}": "{1} ; elle a dit : {2}",
  "it ended without a result, {*}": "elle s'est terminée sans résultat, {1}",
  // of messages that the hub wrote in French itself, around a reason that is a machine's
  "Mission {} ({}) {} : {*}.": "Mission {1} ({2}) {3} : {4}.",
  "Votre message {} à {} n'a pas pu être remis : {*}.":
    "Votre message {1} à {2} n'a pas pu être remis : {3}.",
  "Votre message {} à {} a expiré sans être remis : {*}. Écrivez de nouveau si nécessaire.":
    "Votre message {1} à {2} a expiré sans être remis : {3}. Écrivez de nouveau si nécessaire.",
  "exit code {}": "code de sortie {1}",
  "ended by {}": "terminée par {1}",
  "a line that was too long was passed over": "une ligne trop longue a été sautée",
  "further steps are not kept": "les étapes suivantes ne sont pas gardées",
  "not permitted: {}": "non permis : {1}",
  "no agent ran for it": "aucun agent n'a tourné pour elle",
  "its agent has ended": "son agent a fini",
  'intercom_ask(to="{}", mission_id="{}", message="…") continues it':
    'intercom_ask(to="{1}", mission_id="{2}", message="…") la continue',
};
