#!/usr/bin/env bash
# Builds the VS Code extension (lint, types, unit tests, .vsix) and gets what its tests drive: code-server from npm,
# Chromium and ripgrep from Debian's or Ubuntu's packages. What cannot be had fails in CI and is left out elsewhere.
set -euo pipefail

here=$(dirname "$(realpath "$0")")
root=$(realpath "$here/../..")
python=$(realpath -s "${1:-python3}")

missing() {
    echo "$1 is missing: the tests in VS Code will not run" >&2
    if [[ -n ${CI:-} ]]; then exit 1; fi
    exit 0
}

if ! command -v rg >/dev/null || ! { command -v chromium || command -v chromium-browser; } >/dev/null; then
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium ripgrep >/dev/null
    else
        missing "Chromium or ripgrep"
    fi
fi
for program in node npm g++ make; do
    command -v "$program" >/dev/null || missing "$program"
done

"$here/setup_code_server.sh" >/dev/null
cd "$root/editors/vscode"
if [[ package-lock.json -nt node_modules/.package-lock.json ]]; then
    npm ci --no-audit --no-fund --loglevel=error
fi
npm run --silent lint
npm run --silent typecheck
npm test --silent >/dev/null
PYTHON=$python npm run --silent package >/dev/null
