#!/usr/bin/env bash
# Builds dist from src, when something changed. The packages must be installed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=install.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/install.sh"

find_node
build
