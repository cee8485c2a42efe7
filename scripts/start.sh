#!/usr/bin/env bash
# Installs, builds and serves: ./scripts/start.sh, with the settings of .env.example in the environment or in .env.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=install.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/install.sh"

install_packages
find_node
build
say 'Starting the service.'
# a small young generation: otherwise a burst for one slow reader costs tens of megabytes before it is collected
exec "$NODE" --max-semi-space-size=8 dist/main.js "$@"
