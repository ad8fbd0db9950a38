#!/usr/bin/env bash
# The plugin's Lua: formatted by stylua (npm), free of luacheck's warnings (Debian, Ubuntu: lua-check). Gets what is
# missing where it can; what it cannot get fails in CI and is left out elsewhere. `--fix` formats instead.
set -euo pipefail

cd "$(dirname "$0")/.."
tools=../../.cache/stylua
version=2.5.2

missing() {
    echo "$1 is missing: the plugin's Lua is not checked with it" >&2
    if [[ -n ${CI:-} ]]; then exit 1; fi
}

if command -v node >/dev/null && command -v npm >/dev/null; then
    module=$tools/node_modules/@johnnymorganz/stylua
    if ! grep -qs "\"version\": \"$version\"" "$module/package.json"; then
        mkdir -p "$tools"
        npm install --silent --no-audit --no-fund --prefix "$tools" "@johnnymorganz/stylua@$version"
    fi
    mapfile -t files < <(find lsp lua plugin -name '*.lua' | sort)
    node scripts/stylua.mjs "$(realpath "$module")" "$([[ ${1:-} == --fix ]] && echo --write || echo --check)" "${files[@]}"
else
    missing node
fi
if [[ ${1:-} == --fix ]]; then exit 0; fi

if ! command -v luacheck >/dev/null && [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends lua-check >/dev/null
fi
if command -v luacheck >/dev/null; then
    luacheck --quiet .
else
    missing luacheck
fi
