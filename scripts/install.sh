#!/usr/bin/env bash
# What start.sh, build.sh and test.sh share: installs packages and builds, each only when something changed.
# Run by itself it installs. Works with bash 3.2 and without GNU tools.
set -euo pipefail
unset CDPATH
ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
cd -- "$ROOT"

LOCK=.cache/setup.lock
CHILD=

say() { printf '%s\n' "$*" >&2; }

die() {
  say "$*"
  exit 1
}

# A signal must end the running step too, not wait for it.
run() {
  local status=0
  "$@" &
  CHILD=$!
  wait "$CHILD" || status=$?
  CHILD=
  return "$status"
}

stop_child() { [ -z "$CHILD" ] || kill "$CHILD" 2>/dev/null || true; }

trap release_lock EXIT
trap 'stop_child; exit 130' INT
trap 'stop_child; exit 143' TERM HUP

# --- one at a time: the lock is a link that names its owner

take_lock() {
  local owner waited=0
  { mkdir -p .cache && [ -w .cache ]; } || die "Cannot write to $ROOT."
  until ln -s "$$" "$LOCK" 2>/dev/null; do
    if owner=$(readlink "$LOCK"); then
      is_running "$owner" || drop_stale_lock "$owner"
      [ "$waited" -ne 5 ] || say "Waiting for process $owner, which is installing or building."
    fi
    [ "$waited" -lt 1500 ] || die "Gave up waiting; if nothing is installing or building, remove $ROOT/$LOCK."
    waited=$((waited + 1))
    sleep 0.2
  done
  rm -rf .cache/install.* .cache/build.* .cache/old.*
}

# A lock with our own number was left by an earlier process that had it.
is_running() {
  [ "$1" != "$$" ] || return 1
  kill -0 "$1" 2>/dev/null || ps -p "$1" >/dev/null 2>&1
}

# Renaming first lets only one of several waiting processes win, and shows whose lock it was.
drop_stale_lock() {
  local taken="$LOCK.$$"
  mv "$LOCK" "$taken" 2>/dev/null || return 0
  [ "$(readlink "$taken")" = "$1" ] || mv "$taken" "$LOCK"
  rm -f "$taken"
}

release_lock() { [ "$(readlink "$LOCK" 2>/dev/null)" != "$$" ] || rm -f "$LOCK"; }

# --- packages

install_packages() {
  is_installed && return
  check_tools
  take_lock
  is_installed || install_now
  release_lock
}

install_stamp() { { uname -sm && cat "$1"; } | cksum; }

is_installed() {
  [ -f node_modules/typescript/bin/tsc ] &&
    [ "$(cat node_modules/.install-stamp 2>/dev/null)" = "$(install_stamp package-lock.json)" ]
}

check_tools() {
  local version
  version=$(node --version 2>/dev/null) || die 'Node.js is needed: install version 20 or later from https://nodejs.org.'
  version=${version#v}
  [ "${version%%.*}" -ge 20 ] || die "Node.js 20 or later is needed; this is $version."
  command -v npm >/dev/null || die 'npm is needed: install it together with Node.js from https://nodejs.org.'
}

# Installs beside and renames, so that neither an interrupted install nor a running service sees half of it.
install_now() {
  local directory=.cache/install.$$ file
  say 'Installing packages (npm ci).'
  mkdir -p "$directory"
  for file in package.json package-lock.json .npmrc; do
    [ ! -f "$file" ] || cp "$file" "$directory/"
  done
  if ! run npm_ci "$directory"; then
    say 'npm ci failed; trying once more.'
    sleep 1
    run npm_ci "$directory" || die 'Installing failed: npm ci failed twice, see its message above.'
  fi
  install_stamp "$directory/package-lock.json" >"$directory/node_modules/.install-stamp"
  put_in_place "$directory/node_modules" node_modules
  rm -rf "$directory"
}

# The flags undo what a user's npm configuration or NODE_ENV may say against a complete install.
npm_ci() {
  cd "$1" || exit
  use_writable_home
  exec npm ci --include=dev --ignore-scripts=false --engine-strict=false --no-audit --no-fund \
    --no-update-notifier --loglevel=error >&2
}

use_writable_home() {
  if [ ! -d "${HOME:-}" ]; then
    export HOME="$ROOT/.cache/home"
    mkdir -p "$HOME"
  elif [ -z "${npm_config_cache:-}" ] && ! { mkdir -p "$HOME/.npm" 2>/dev/null && [ -w "$HOME/.npm" ]; }; then
    export npm_config_cache="$ROOT/.cache/npm"
  fi
}

put_in_place() {
  [ ! -e "$2" ] || mv "$2" ".cache/old.$$"
  mv "$1" "$2"
  rm -rf ".cache/old.$$"
}

# --- Node 24 from the packages; where its binary does not run (no install scripts, musl), a recent system one

find_node() {
  local version
  NODE="$ROOT/node_modules/node/bin/node"
  "$NODE" --version >/dev/null 2>&1 && return
  NODE=$(command -v node) || die 'Node.js is needed: install version 22.19 or later from https://nodejs.org.'
  version=$(node --version)
  case ${version#v} in
    ?.* | 1?.* | 20.* | 21.* | 22.?.* | 22.1[0-8].*)
      die "The installed Node 24 does not run here and Node $version is too old: install 22.19 or later." ;;
  esac
}

# --- dist

build() {
  is_built && return
  take_lock
  is_built || build_now
  release_lock
}

build_stamp() { find src tsconfig.json package-lock.json -type f -exec cksum {} + | LC_ALL=C sort | cksum; }

is_built() { [ -f dist/main.js ] && [ "$(cat dist/.build-stamp 2>/dev/null)" = "$(build_stamp)" ]; }

build_now() {
  local directory=.cache/build.$$ stamp file
  say 'Building (tsc).'
  stamp=$(build_stamp)
  run "$NODE" node_modules/typescript/bin/tsc -p tsconfig.json --outDir "$directory" \
    --incremental false --tsBuildInfoFile null >&2 || die 'The build failed; what was built before is untouched.'
  find src -type f ! -name '*.ts' | while IFS= read -r file; do
    mkdir -p "$directory/$(dirname "${file#src/}")"
    cp "$file" "$directory/${file#src/}"
  done
  printf '%s\n' "$stamp" >"$directory/.build-stamp"
  put_in_place "$directory" dist
}

[ "${BASH_SOURCE[0]}" != "$0" ] || install_packages
