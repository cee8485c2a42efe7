#!/usr/bin/env bash
# Installs and runs every check; the first that fails ends it. The last line is "N passed, N failed", or "FAILED: step".
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=install.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/install.sh"

[ -t 1 ] || export NO_COLOR=1

STEP=
RESULTS=.cache/test-results.$$.json

trap 'release_lock; report' EXIT

report() {
  [ -z "$STEP" ] || printf '\nFAILED: %s\n' "$STEP"
  [ ! -f "$RESULTS" ] || print_summary
  rm -f "$RESULTS"
}

# A test file that does not even load has no failed tests, yet fails.
print_summary() {
  local failed
  failed=$(count numFailedTests)
  [ -z "$STEP" ] || [ "$failed" != 0 ] || failed=$(count numFailedTestSuites)
  printf '%s passed, %s failed\n' "$(count numPassedTests)" "$failed"
}

count() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$RESULTS" | head -n 1; }

step() {
  local started=$SECONDS
  STEP=$1
  shift
  printf '\n== %s\n' "$STEP"
  "$@"
  printf '   %s s\n' "$((SECONDS - started))"
  STEP=
}

# Tests of what is kept in Redis start one of their own; where there is none they are left out.
redis_server() {
  has_redis || ! is_apt_root || install_redis || true
  has_redis || say 'redis-server is not installed: the tests that need it are left out.'
}

has_redis() { command -v redis-server >/dev/null; }

is_apt_root() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

install_redis() {
  say 'Installing redis-server for the tests.'
  apt_install >/dev/null 2>&1 || { apt-get -qq update && apt_install; } >/dev/null 2>&1
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=60 -o Acquire::http::Timeout=20 \
    install --no-install-recommends redis-server </dev/null
}

packages() {
  install_packages
  redis_server
  find_node
  export PATH="${NODE%/*}:$ROOT/node_modules/.bin:$PATH"
}

step 'Packages' packages
step 'Format and lint' run biome ci --error-on-warnings ${NO_COLOR:+--colors=off}
step 'Protocol' run buf lint
step 'Types' run tsc -p tsconfig.check.json
step 'Unused code' run knip
step 'Build' build
step 'Tests' run vitest run --reporter=default --reporter=json --outputFile.json="$RESULTS"
