#!/usr/bin/env bash
# Compiles an ONNX model to an OM: ./atc_crnn.sh crnn.onnx crnn_bs1 [--batch 16] [--soc Ascend310P3] …
# An atc on PATH is used as it is; otherwise CANN is looked for and its variables are set for this run.
# Everything after the script's name goes to "crnn compile", whose --help lists it.

# "sh atc_crnn.sh", as it has long been called, may be another shell.
if [ -z "${BASH_VERSION:-}" ]; then
    exec bash "$0" "$@"
fi
set -euo pipefail

here=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")" && pwd)

if [ ! -d "$here/crnn" ]; then
    echo "atc_crnn.sh: not beside the folder crnn: call it where its checkout is" >&2
    exit 4
fi
case $(uname -m) in
aarch64 | arm64) env_script=$here/acl_env_arm.sh ;;
*) env_script=$here/acl_env_x86.sh ;;
esac

needs_atc=yes
# Where an argument is missing, the usage is what helps.
[ $# -ge 2 ] || needs_atc=no
for word in "$@"; do
    case $word in
    --dry-run | -h | --help) needs_atc=no ;;
    esac
done

if ! command -v atc >/dev/null 2>&1; then
    if [ $needs_atc = no ]; then
        # shellcheck source=/dev/null
        . "$env_script" 2>/dev/null || true
    else
        # shellcheck source=/dev/null
        . "$env_script" || exit 4
        if ! command -v atc >/dev/null 2>&1; then
            echo "atc_crnn.sh: this CANN has no ATC: compile where the toolkit package is" >&2
            echo "  installed, and copy the .om here" >&2
            exit 4
        fi
    fi
fi

# The kit's own Python is called by its path, never activated: ATC starts the python3 that the caller's PATH names.
if [ -n "${CRNN_PYTHON:-}" ]; then
    python=$CRNN_PYTHON
elif [ -x "$here/.venv/bin/python" ]; then
    python=$here/.venv/bin/python
else
    python=python3
fi
exec "$python" -c 'import sys
sys.path = [sys.argv.pop(1), *filter(None, sys.path)]
from crnn.cli.main import script
script()' "$here" compile "$@"
