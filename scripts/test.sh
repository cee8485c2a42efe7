#!/usr/bin/env bash
# Installs and runs every check; the first that fails ends it. The last line is "N passed, N failed", or "FAILED: step".
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=install.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/install.sh"

[ -t 1 ] || export NO_COLOR=1

STEP=
RESULTS=.cache/test-results.$$.json
POLICY=/usr/sbin/policy-rc.d
IS_POLICY_OURS=

trap 'release_lock; allow_starts; report' EXIT

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

# Tests of what is kept in Redis, and of rules and dashboards, start servers of their own; where there are none they are left out.
servers() {
  local missing
  missing=$(missing_servers)
  [ -n "$missing" ] || return 0
  if is_apt_root; then
    say "Installing $missing for the tests."
    # shellcheck disable=SC2086 # two names are two arguments
    install_servers $missing || true
  fi
  for missing in $(missing_servers); do
    say "$missing is not installed: the tests that need it are left out."
  done
}

# The programs are called as their packages are.
missing_servers() {
  local name missing=
  for name in redis-server prometheus; do
    command -v "$name" >/dev/null || missing="$missing $name"
  done
  printf '%s' "${missing# }"
}

is_apt_root() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

install_servers() {
  keep_stopped
  apt_install "$@" >/dev/null 2>&1 || { apt-get -qq update && apt_install "$@"; } >/dev/null 2>&1
  allow_starts
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=60 -o Acquire::http::Timeout=20 \
    install --no-install-recommends "$@" </dev/null
}

# The packages would start their servers, which nobody asked for; a machine with a policy of its own keeps it.
keep_stopped() {
  [ ! -e "$POLICY" ] || return 0
  printf '#!/bin/sh\n# by scripts/test.sh, which removes it when it has installed what tests need\nexit 101\n' >"$POLICY" && chmod +x "$POLICY" && IS_POLICY_OURS=yes
}

allow_starts() {
  [ -z "$IS_POLICY_OURS" ] || rm -f "$POLICY"
  IS_POLICY_OURS=
}

packages() {
  install_packages
  servers
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
