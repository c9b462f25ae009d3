#!/bin/sh
# Installs the ai-intercom executable for this user: finds the platform, fetches the release, verifies its SHA-256,
# puts it in place with one rename. No sudo, no profile edits. All of it is in functions: cut short, it does nothing.
set -eu

# a forge's releases: below are latest/download/FILE and download/vVERSION/FILE; the build of a release fills it in
releases=''

usage() {
  cat <<'END'
usage: install.sh [--version V] [--yes | --no-setup] [--uninstall [--all]] [--help]
  --yes runs `ai-intercom setup --yes` afterwards; without a terminal, or with --no-setup, no setup is offered
  --uninstall removes hooks, MCP entries, service and program; its data stays, and with --all goes too
  AI_INTERCOM_BASE_URL: where SHA256SUMS and the files it lists are: http(s)://…, file://… or a folder
  AI_INTERCOM_BIN_DIR: where the program goes (default ~/.local/bin)
END
}
fail() { # what happened, what to try
  printf 'error: %s\ntry: %s\n' "$1" "$2" >&2
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }
fetch() { # name, file to write; a redirect may not leave https
  case $base in /*) cp -- "$base/$1" "$2"; return ;; https:*) allowed='=https' ;; *) allowed='=http,https' ;; esac
  if has curl; then curl -fsSL --proto "$allowed" --connect-timeout 20 -o "$2" "$base/$1"
  elif has wget; then wget -q -t 2 -O "$2" "$base/$1"
  else fail 'neither curl nor wget is here' 'install one of them'; fi
}
sha256() {
  if has sha256sum; then sha256sum <"$1"
  elif has shasum; then shasum -a 256 <"$1"
  elif has openssl; then openssl dgst -sha256 -r <"$1"
  else fail 'nothing here computes SHA-256' 'install sha256sum, shasum or openssl'; fi
}
platform() { # sets target, and cpu=baseline for an x64 processor without AVX2
  cpu=''
  case $(uname -s) in Linux) os=linux ;; Darwin) os=darwin ;; *) os=other ;; esac
  case $(uname -m) in x86_64 | amd64) arch=x64 ;; aarch64 | arm64) arch=arm64 ;; *) os=other ;; esac
  case $os in
    darwin) [ "$(sysctl -n sysctl.proc_translated 2>/dev/null || :)" != 1 ] || arch=arm64 ;; # under Rosetta
    linux) [ "$arch" = arm64 ] || grep -qw avx2 /proc/cpuinfo || cpu=baseline ;;
    *) fail "there is no ai-intercom for $(uname -s) $(uname -m)" 'Linux and macOS on x86_64 and arm64 are built' ;;
  esac
  target=$os-$arch
  if [ "$os" = linux ] && is_musl; then target=$target-musl; fi
}
is_musl() { # ldd knows; where there is none, the loader that is there tells
  if has ldd; then (ldd --version 2>&1 || :) | grep -qi musl
  else ls /lib/ld-musl-* >/dev/null 2>&1; fi
}
choose() { # sets sum and file from SHA256SUMS: the wished version, else the highest; baseline where needed and listed
  release='[0-9]+[.][0-9]+[.][0-9]+'
  for name in ${cpu:+"$target-$cpu"} "$target"; do
    line=$(grep -E "^[0-9a-f]{64}  ai-intercom-${version:-$release}-${name}[.]gz\$" "$work/SHA256SUMS" |
      sed 's/^.*  ai-intercom-\([0-9.]*\)/\1 &/' | sort -t . -k 1,1n -k 2,2n -k 3,3n | tail -n 1 | cut -d ' ' -f 2-)
    sum=${line%% *} file=${line##* }; [ -z "$line" ] || return 0
  done
  fail "$base/SHA256SUMS lists no ai-intercom${version:+ $version} for $target" 'read that list'
}
install() {
  platform; has gzip || fail 'gzip is not here' 'install it'
  kept=$bin; while [ ! -d "$kept" ]; do kept=$(dirname -- "$kept"); done # what is made below it goes again on failure
  work=$(mktemp -d) new=$bin/.ai-intercom.$$
  trap 'rm -rf -- "$work" "$new"; [ "$kept" = "$bin" ] || (cd -- "$kept" && rmdir -p -- "./${bin#"$kept"/}") 2>/dev/null || :' EXIT
  trap 'exit 130' HUP INT TERM
  fetch SHA256SUMS "$work/SHA256SUMS" || fail "$base/SHA256SUMS cannot be fetched" 'check address, version and network'
  choose; echo "fetching $file"
  fetch "$file" "$work/gz" || fail "$base/$file cannot be fetched whole" 'run this again'
  case $(sha256 "$work/gz") in "$sum "*) ;; *) fail "$file is not what SHA256SUMS says" 'run this again later' ;; esac
  { mkdir -p -- "$bin" && [ ! -d "$bin/ai-intercom" ] && touch -- "$new"; } 2>/dev/null ||
    fail "$bin/ai-intercom cannot be written" 'set AI_INTERCOM_BIN_DIR'
  { gzip -dc <"$work/gz" >"$new" && chmod 755 "$new"; } || fail "$file cannot be unpacked" "df -h $bin"
  said=$("$new" --version) || case $? in
    126) fail "$file cannot be executed in $bin" 'the line above says why; where it is mounted noexec: set AI_INTERCOM_BIN_DIR' ;;
    *) fail "$file does not run on this machine (exit $?)" 'on Alpine: apk add libstdc++ libgcc; exit 132: the processor is too old for it' ;;
  esac
  mv -f -- "$new" "$bin/ai-intercom" || fail "$bin/ai-intercom cannot be replaced" "ls -ld $bin"
  echo "installed ai-intercom $said as $bin/ai-intercom"
  case :$PATH: in *":$bin:"*) ;; *) echo "add it to your shell's PATH: export PATH=\"$bin:\$PATH\"" ;; esac
}
offer_setup() { # a script that came through a pipe asks at the terminal itself
  if [ "$setup" = ask ] && [ -t 1 ] && (: </dev/tty) 2>/dev/null; then
    printf 'set this machine up now? [Y/n] '; read -r answer </dev/tty || answer=n
    case $answer in [nN]*) ;; *) "$bin/ai-intercom" setup </dev/tty && return ;; esac
  fi
  if [ "$setup" = yes ]; then "$bin/ai-intercom" setup --yes && return; fi
  echo "next: $bin/ai-intercom setup"; [ "$setup" != yes ]
}
remove() {
  [ -e "$bin/ai-intercom" ] || fail "there is no $bin/ai-intercom" 'set AI_INTERCOM_BIN_DIR to where it is'
  { touch -- "$bin/.ai-intercom.$$" && rm -f -- "$bin/.ai-intercom.$$"; } 2>/dev/null ||
    fail "$bin/ai-intercom cannot be removed; nothing was changed" "ls -ld $bin"
  AI_INTERCOM_INSTALLER=1 "$bin/ai-intercom" uninstall --all "$data" || fail 'the program was not removed' 'do what the lines above say'
  rm -f -- "$bin/ai-intercom" "$bin/ai-intercom.previous" || fail "$bin/ai-intercom cannot be removed" "ls -ld $bin"
  echo "removed $bin/ai-intercom"; home=${AI_INTERCOM_HOME:-$HOME/.config/ai-intercom}
  [ "$data" = --yes ] || [ ! -d "$home" ] || echo "its data stays: $home"
}
main() {
  version='' setup=ask action=install data=--keep-data bin=${AI_INTERCOM_BIN_DIR:-$HOME/.local/bin} base=${AI_INTERCOM_BASE_URL:-}
  while [ $# -gt 0 ]; do
    case $1 in
      --version) [ $# -gt 1 ] || fail '--version needs a value' 'install.sh --help'; version=${2#v}; shift ;;
      --yes) setup=yes ;; --no-setup) setup=no ;;
      --uninstall) action=remove ;; --all) data=--yes ;;
      --help) usage; return ;; *) fail "unknown option $1" 'install.sh --help' ;;
    esac
    shift
  done
  if [ $action = remove ]; then remove; return; fi
  case $version in *[!A-Za-z0-9.-]*) fail "\"$version\" is no version" 'for example --version 0.1.0' ;; esac
  if [ -z "$base" ] && [ -n "$releases" ]; then base=$releases/${version:+download/v}${version:-latest/download}; fi
  case ${base#file://} in
    http://* | https://*) ;;
    '') fail 'this install.sh comes from the source and knows no release' 'set AI_INTERCOM_BASE_URL' ;;
    *) dir=$(cd -- "${base#file://}" 2>/dev/null && pwd) || fail "there is no folder $base" 'install.sh --help'; base=$dir ;;
  esac
  base=${base%/}; install; offer_setup
}
main "$@"
