// The completion scripts for bash, zsh and fish. They hold everything and ask nobody: a key press starts no program.
import type { Completion, Option } from "./completions.ts";

const program = "ai-intercom";
const takesValue = ({ takes }: Option): boolean => takes !== "nothing";

/** For bash 3.2 (macOS) and later. */
export function bashScript(all: Completion[]): string {
  const flags = (one: Completion) => one.options.map(({ flag }) => flag).join(" ");
  const valued = all.flatMap((one) =>
    one.options.filter(takesValue).map(({ flag }) => `${one.name}:${flag}`),
  );
  return `# bash completion of ${program}, made by \`${program} completions bash\`
_ai_intercom() {
  local cur=\${COMP_WORDS[COMP_CWORD]} command=\${COMP_WORDS[1]} place=0 value='' words='' i
  COMPREPLY=()
  for ((i = 2; i < COMP_CWORD; i++)); do
    if [ -n "$value" ]; then value=''; continue; fi
    case $command:\${COMP_WORDS[i]} in
      ${valued.join(" | ")}) value=\${COMP_WORDS[i]} ;;
      *:-*) ;;
      *) place=$((place + 1)) ;;
    esac
  done
  if [ "$COMP_CWORD" -eq 1 ]; then
    words='${all.map(({ name }) => name).join(" ")} help --help --version'
  elif [ -n "$value" ]; then
    case $command:$value in
${indent(6, all.flatMap(bashValues))}
    esac
  elif [ "$command" = help ]; then
    words='${all.map(({ name }) => name).join(" ")}'
  else
    case $cur in
      -*) case $command in
${indent(
  8,
  all.map((one) => `${one.name}) words='${flags(one)}' ;;`),
)}
      esac ;;
      *) case $command:$place in
${indent(8, all.flatMap(bashPlaces))}
      esac ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _ai_intercom ${program}`;
}

function bashValues({ name, options }: Completion): string[] {
  return options.flatMap(({ flag, takes }) => {
    if (Array.isArray(takes)) return [`${name}:${flag}) words='${takes.join(" ")}' ;;`];
    return takes === "path" ? [`${name}:${flag}) COMPREPLY=($(compgen -f -- "$cur")); return ;;`] : [];
  });
}

function bashPlaces({ name, places }: Completion): string[] {
  return places.flatMap((words, at) =>
    words.length > 0 ? [`${name}:${at}) words='${words.join(" ")}' ;;`] : [],
  );
}

export function zshScript(all: Completion[]): string {
  return `#compdef ${program}
# zsh completion of ${program}, made by \`${program} completions zsh\`
_ai_intercom() {
  local -a commands
  commands=(
${indent(
  4,
  all.map(({ name, description }) => quote(`${name}:${description}`)),
)}
    'help:what a command does'
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
    help) _describe command commands ;;
${indent(4, all.map(zshCommand))}
  esac
}
if [ "$funcstack[1]" = _ai_intercom ] || [ "$funcstack[1]" = _ai-intercom ]; then
  _ai_intercom "$@"
else
  compdef _ai_intercom ${program}
fi`;
}

function zshCommand({ name, options, places }: Completion): string {
  const specs = [
    ...options.map(({ flag, description, takes }) => `${flag}[${zshText(description)}]${zshValue(takes)}`),
    ...places.map((words, at) => `${at + 1}:word:${words.length > 0 ? `(${words.join(" ")})` : " "}`),
  ];
  return `${name}) _arguments ${specs.map(quote).join(" ")} ;;`;
}

function zshValue(takes: Option["takes"]): string {
  if (takes === "nothing") return "";
  if (takes === "path") return ":file:_files";
  return takes === "any" ? ":value: " : `:value:(${takes.join(" ")})`;
}

const zshText = (text: string): string => text.replace(/[[\]:\\]/g, "\\$&");

export function fishScript(all: Completion[]): string {
  const first = `complete -c ${program} -n 'test (count (commandline -opc)) -eq 1'`;
  const lines = all.flatMap((one) => [
    `${first} -a ${one.name} -d ${quote(one.description)}`,
    ...fishCommand(one),
  ]);
  return `# fish completion of ${program}, made by \`${program} completions fish\`
function __ai_intercom_at
    set -l words (commandline -opc)
    test (count $words) -ge 2; and test $words[2] = $argv[1]; or return 1
    test (count $argv) -eq 1; or test (count $words) -eq $argv[2]
end
complete -c ${program} -f
${lines.join("\n")}
${first} -a help -d 'what a command does'
complete -c ${program} -n '__ai_intercom_at help 2' -a '${all.map(({ name }) => name).join(" ")}'`;
}

function fishCommand({ name, options, places }: Completion): string[] {
  const at = (place?: number) =>
    `complete -c ${program} -n '__ai_intercom_at ${name}${place === undefined ? "" : ` ${place + 2}`}'`;
  return [
    ...options.map(
      ({ flag, description, takes }) =>
        `${at()} -l ${flag.slice(2)}${fishValue(takes)} -d ${quote(description)}`,
    ),
    ...places.flatMap((words, place) => (words.length > 0 ? [`${at(place)} -a '${words.join(" ")}'`] : [])),
  ];
}

function fishValue(takes: Option["takes"]): string {
  if (takes === "nothing") return "";
  if (takes === "path") return " -r -F";
  return takes === "any" ? " -x" : ` -x -a '${takes.join(" ")}'`;
}

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

const indent = (columns: number, lines: string[]): string =>
  lines.map((line) => `${" ".repeat(columns)}${line}`).join("\n");
