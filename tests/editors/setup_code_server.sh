#!/usr/bin/env bash
# Installs code-server (the VS Code workbench, for a browser) for the editor tests, from package registries only.
# Where: $REDRAFT_CODE_SERVER, else .cache/code-server in the repository. Does nothing when it is there already.
# Prints the path of the entry script. Needs Node 20, a C++ compiler, ripgrep and, for the tests, chromium:
#   apt-get install -y build-essential chromium python3 ripgrep
set -euo pipefail

version=4.100.3 # VS Code 1.100.3, the last one for Node 20
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=${REDRAFT_CODE_SERVER:-$root/.cache/code-server}
entry=$folder/node_modules/code-server/out/node/entry.js
ready=$folder/.ready-$version

if [[ -e $ready ]]; then
    echo "$entry"
    exit 0
fi
for program in node npm g++ make rg; do
    command -v "$program" >/dev/null || { echo "$program is missing: see the head of $0" >&2; exit 1; }
done

mkdir -p "$folder"
exec 9>"$folder/.lock" # two installs at once would tread on each other; the second waits and finds it done
flock 9
if [[ -e $ready ]]; then
    echo "$entry"
    exit 0
fi
cd "$folder"
echo '{"private": true}' >package.json
# Install scripts would download binaries from elsewhere; the native modules are built from source here instead.
npm install --ignore-scripts --no-audit --no-fund --loglevel=error "code-server@$version" >&2
npm rebuild --build-from-source argon2 >&2
cd node_modules/code-server/lib/vscode
npm install --ignore-scripts --omit=dev --no-audit --no-fund --loglevel=error >&2
npm rebuild @vscode/spdlog native-watchdog >&2
npm rebuild node-pty >/dev/null 2>&1 || test -e node_modules/node-pty/build/Release/pty.node # its post-install step fails after the build
ln -sfn node_modules node_modules.asar
mkdir -p node_modules/@vscode/ripgrep/bin
ln -sf "$(command -v rg)" node_modules/@vscode/ripgrep/bin/rg
touch "$ready"
echo "$entry"
