#!/bin/bash
# Prints the sha256 over the bins of an LMDB's words, and of JPEG copies of them, under several
# releases of Pillow: `prepare` must give the same with each.
#
#   tests/environments/pillows.sh LMDB [FOLDER]
#
# Makes a virtual environment for each release in FOLDER (default: a temporary one, removed at the
# end), so that it needs a package index, and the Pythons named below on the PATH; a release whose
# Python is missing is left out, and said to be.
set -euo pipefail

if [[ $# -lt 1 || $# -gt 2 ]]; then
    sed -n '2,9p' "$0" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
data=$(realpath "$1")
if [[ $# -eq 2 ]]; then
    mkdir -p "$2"
    folder=$(realpath "$2")
else
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
fi

# Python and Pillow.
environments=(
    "python3.8 8.4.0"
    "python3.9 9.5.0"
    "python3.11 11.3.0"
    "python3.11 12.2.0"
    "python3.11 13.0.0"
)

first=
for environment in "${environments[@]}"; do
    read -r python pillow <<<"$environment"
    if ! command -v "$python" >/dev/null || ! "$python" --version >/dev/null 2>&1; then
        echo "Pillow $pillow: left out, $python is missing" >&2
        continue
    fi
    venv=$folder/pillow-$pillow
    if [[ ! -x $venv/bin/python ]]; then
        "$python" -m venv "$venv"
        "$venv/bin/python" -m pip install -q --disable-pip-version-check \
            --only-binary :all: "Pillow==$pillow" numpy 'lmdb<2'
    fi
    # One Pillow makes the copies, and all read the same.
    if [[ ! -d $folder/copies ]]; then
        "$venv/bin/python" "$here/bins_hash.py" copies "$data" "$folder/copies.part"
        mv "$folder/copies.part" "$folder/copies"
    fi
    for source in "$data" "$folder"/copies/*; do
        bins=$folder/bins-$pillow/$(basename "$source")
        PYTHONPATH=$root "$venv/bin/python" "$here/bins_hash.py" hash "$source" "$bins"
        if [[ -n $first && $first != "$pillow" ]]; then
            "$venv/bin/python" "$here/bins_hash.py" differ \
                "$folder/bins-$first/$(basename "$source")" "$bins"
        fi
    done
    first=${first:-$pillow}
done
