#!/bin/bash
# Runs the tests of clusters (tests/cluster) under several releases of Ray, the oldest that
# pyproject.toml allows among them, each with a Python that it has wheels for.
#
#   tests/environments/rays.sh [FOLDER]
#
# Makes a virtual environment for each release in FOLDER (default: a temporary one, removed at the
# end), so that it needs a package index, and the Pythons named below on the PATH; a release whose
# Python is missing is left out, and said to be. Exits 1 where a test failed.
set -euo pipefail

if [[ $# -gt 1 ]]; then
    sed -n '2,9p' "$0" >&2
    exit 2
fi
root=$(cd "$(dirname "$0")/../.." && pwd)
if [[ $# -eq 1 ]]; then
    mkdir -p "$1"
    folder=$(realpath "$1")
else
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
fi

# Python and Ray.
environments=(
    "python3.8 2.10.0"
    "python3.12 2.40.0"
)

failed=0
for environment in "${environments[@]}"; do
    read -r python ray <<<"$environment"
    if ! command -v "$python" >/dev/null || ! "$python" --version >/dev/null 2>&1; then
        echo "Ray $ray: left out, $python is missing" >&2
        continue
    fi
    venv=$folder/ray-$ray-$python
    if [[ ! -x $venv/bin/pytest ]]; then
        "$python" -m venv "$venv"
        "$venv/bin/python" -m pip install -q --disable-pip-version-check \
            "${root}[oldest]" "ray==$ray"
        # The tests run the checkout's own files.
        "$venv/bin/python" -m pip uninstall -q -y crnn-ascend
    fi
    echo "Ray $ray, $("$venv/bin/python" --version)"
    (cd "$root" && PYTHONPATH=$root "$venv/bin/python" -m pytest -q -p no:cacheprovider tests/cluster) ||
        failed=1
done
exit "$failed"
