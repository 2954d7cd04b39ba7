#!/bin/bash
# Runs, under emulation, what the embedded aarch64 boards do: `prepare`, and the evaluation of an OM
# on bins with NumPy alone, in the simulator, which keeps time but computes nothing. And whether the
# faster decoders give there what Pillow gives, and Pillow what it gives here, for every file of
# tests/images.py.
#
#   tests/environments/aarch64.sh LMDB [FOLDER]
#
# Prints the sha256 over the bins, one after the other, as prepared on aarch64 and here. Needs
# mmdebstrap and qemu-aarch64 (Debian: mmdebstrap, qemu-user), package indexes, and .venv (make
# setup). FOLDER keeps the Debian tree and the wheels for the next time (default: a temporary one,
# removed at the end).
set -euo pipefail

if [[ $# -lt 1 || $# -gt 2 ]]; then
    sed -n "2,12p" "$0" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
native=$root/.venv/bin/python
data=$(realpath "$1")
if [[ $# -eq 2 ]]; then
    mkdir -p "$2"
    folder=$(realpath "$2")
else
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
fi
tree=$folder/debian
wheels=$folder/wheels
numpy_alone=$folder/numpy-alone
emulated=(qemu-aarch64 -L "$tree" "$tree/usr/bin/python3.11")

if [[ ! -d $tree ]]; then
    mmdebstrap --quiet --variant=extract --architectures=arm64 \
        --include=python3,libstdc++6,libgomp1,zlib1g bookworm "$tree.part"
    mv "$tree.part" "$tree"
fi

# install FOLDER PACKAGE…: wheels for the tree's Python and processor.
install() {
    local target=$1
    shift
    if [[ ! -d $target ]]; then
        "$native" -m pip install -q --disable-pip-version-check --only-binary :all: \
            --python-version 3.11 --platform manylinux2014_aarch64 \
            --platform manylinux_2_27_aarch64 --platform manylinux_2_28_aarch64 \
            --target "$target.part" "$@"
        mv "$target.part" "$target"
    fi
}
install "$wheels" -c "$root/constraints.txt" numpy Pillow lmdb
install "$numpy_alone" -c "$root/constraints.txt" numpy

decoders=$folder/decoders
install "$decoders" --no-deps -c "$root/constraints.txt" simplejpeg pyspng isal

hash_of() {
    find "$1" -name 'test_*.bin' | sort -V | xargs -d '\n' cat | sha256sum | cut -d ' ' -f 1
}

work=$(mktemp -d "$folder/run-XXXXXX")
cd "$work"
export PYTHONPATH=$root
"$native" -m crnn prepare "$data" native --label native.txt
PYTHONPATH=$root:$wheels "${emulated[@]}" -m crnn prepare "$data" input_bin --threads 1
echo "here:    $(hash_of native)"
echo "aarch64: $(hash_of input_bin)"

# The decoders: what becomes of each image, on aarch64 with them and without, and here.
"$native" -m tests.images write images.pickle
CRNN_DECODERS=pillow "$native" -m tests.images images.pickle >here.json
for which in pillow fast; do
    CRNN_DECODERS=$which PYTHONPATH=$root:$wheels:$decoders \
        "${emulated[@]}" -m tests.images images.pickle >"aarch64-$which.json"
done
"$native" "$here/same_images.py" aarch64-pillow.json aarch64-fast.json
# Of damaged JPEGs libjpeg-turbo makes other pixels by other processors' instructions: told, not
# refused.
"$native" "$here/same_images.py" here.json aarch64-pillow.json || true

"$native" -m crnn export "$root/examples/crnn_small.pth" crnn.onnx >/dev/null
"$native" -m crnn.simulator -- "$native" -m crnn compile crnn.onnx crnn --batch 16 >/dev/null
# The launcher runs here, and what it launches is emulated: its wheels come after the launcher's
# own path.
# shellcheck disable=SC2016
"$native" -m crnn.simulator --timing-only -- \
    bash -c 'PYTHONPATH=$PYTHONPATH:$0 exec "$@"' "$numpy_alone" \
    "${emulated[@]}" -m crnn evaluate crnn.om input_bin --label label.txt --json result.json

# ONNX Runtime under emulation: said, and nothing depends on it.
install "$folder/onnxruntime" -c "$root/constraints.txt" numpy onnxruntime
if PYTHONPATH=$folder/onnxruntime "${emulated[@]}" -c 'import onnxruntime'; then
    echo "ONNX Runtime can be imported under emulation"
else
    echo "ONNX Runtime does not start under emulation"
fi
[[ $(hash_of native) == "$(hash_of input_bin)" ]]
