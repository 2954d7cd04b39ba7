"""The kinds of hostile input."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import struct
import zlib
from pathlib import Path
from typing import Callable, Dict, Sequence, Tuple

from tests.conftest import ROOT
from tests.fuzz import hostile_onnx, hostile_pth
from tests.fuzz.forked import Child, put
from tests.fuzz.hostile import Commands, Kind

CHECKPOINT = ROOT / "examples" / "crnn_small.pth"
TINY = (
    "channels=[4,4,6,6,8,8,8] hidden=8 batch_size=8 plot=false workers=0 threads=1"
    " precision=float32"
).split()
TINY += ["length=1 steps", "schedule_length=1 steps", "save_every=1 steps"]


def sound_inputs(inputs: Path) -> None:
    """Write what is sound: ``crnn.onnx``, and ``words``, an LMDB with values of all sizes."""

    def write() -> int:
        from crnn.cli.main import main

        main(["export", str(CHECKPOINT), str(inputs / "crnn.onnx")])
        write_words(inputs / "words", 60)
        words, bins, label = inputs / "words", inputs / "bins", inputs / "label.txt"
        return main(["prepare", str(words), str(bins), "--label", str(label)])

    ended = Child(write).end()
    assert ended.code == 0, ended.text


def write_words(folder: Path, count: int) -> None:
    """Write an LMDB whose tree has branch pages, and values in and outside of its leaves."""
    import io

    from PIL import Image

    from crnn.samples.lmdb import LmdbSamples
    from crnn.samples.lmdb_writer import LmdbWriter

    folder.mkdir()
    writer = LmdbWriter(folder)
    samples = LmdbSamples(ROOT / "examples" / "words_lmdb")
    for number in range(1, count + 1):
        sample = samples.sample(number)
        assert sample.image is not None
        image = sample.image
        if number % 3 == 0:
            file = io.BytesIO()
            Image.open(io.BytesIO(image)).resize((100 + number, 40)).save(file, "BMP")
            image = file.getvalue()
        writer.add(image, sample.label or "")
    writer.finish()
    writer.close()


def readers(data: Path, place: Path, inputs: Path) -> Commands:
    """Return the verbs that read words: of one file, all four."""
    out = place / "out"
    train = ["train", "modelzoo-1p", f"train={data}", f"valid={inputs / 'words'}", *TINY]
    return [
        ["dataset", "check", data],
        ["evaluate", inputs / "crnn.onnx", data, "--threads", 1],
        ["prepare", data, out / "bins", "--label", out / "label.txt"],
        [*train, "--out", out / "run"],
    ]


# LMDBs


def _damaged_lmdb(chance: random.Random, place: Path, inputs: Path) -> Commands:
    data = bytearray((inputs / "words" / "data.mdb").read_bytes())
    chance.choice(_DAMAGES)(data, chance)
    folder = place / "damaged"
    folder.mkdir()
    (place / "out").mkdir()
    (folder / "data.mdb").write_bytes(data)
    return readers(folder, place, inputs)


def _bytes(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 4, 100))):
        data[chance.randrange(len(data))] = chance.randrange(256)


def _structure(data: bytearray, chance: random.Random) -> None:
    """Change bytes among the first of pages, where their numbers stand."""
    for _ in range(chance.choice((1, 1, 2, 5))):
        page = chance.randrange(len(data) // 4096)
        data[page * 4096 + chance.randrange(64)] = chance.randrange(256)


def _zeros(data: bytearray, chance: random.Random) -> None:
    size = chance.choice((64, 512, 4096, 65536))
    start = chance.randrange(len(data)) // size * size
    data[start : start + size] = bytes(len(data[start : start + size]))


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.choice((chance.randrange(len(data)), len(data) - chance.randrange(4096))) :]


def _page_number(data: bytearray, chance: random.Random) -> None:
    """Put another page's number where a page, a branch or a value holds one."""
    pages = len(data) // 4096
    number = struct.pack(
        "<Q", chance.choice((0, 1, chance.randrange(pages), pages, 2**47, 2**64 - 1))
    )
    how = chance.randrange(4)
    page = chance.randrange(pages)
    if how == 0:  # the root's, in one of the metadata or both
        for meta in chance.choice(((0,), (1,), (0, 1))):
            data[meta * 4096 + 128 : meta * 4096 + 136] = number
    elif how == 1:  # a page's own
        data[page * 4096 : page * 4096 + 8] = number
    elif how == 2:  # a value's
        for page in _pages(data, 2, chance):
            place = _node(data, page, chance)
            flags, key = struct.unpack_from("<HH", data, place + 4)
            if flags == 1:
                data[place + 8 + key : place + 16 + key] = number
                return
    else:  # a branch's
        for page in _pages(data, 1, chance)[:1]:
            place = _node(data, page, chance)
            data[place : place + 4] = number[:4]


def _count(data: bytearray, chance: random.Random) -> None:
    """Put a wrong count, length or place into the metadata, a page's head or a node."""
    value = chance.choice((0, 1, 2, 7, 255, 4095, 4096, 32767, 65535))
    how = chance.randrange(3)
    if how == 0:
        place = chance.choice((24, 32, 40, 88, 92, 94, 96, 104, 112, 120, 136, 144))
        for meta in chance.choice(((0,), (1,), (0, 1))):
            struct.pack_into("<H", data, meta * 4096 + place, value)
        return
    pages = _pages(data, chance.choice((1, 2, 2, 4)), chance)
    if not pages:
        return
    if how == 1:
        struct.pack_into("<H", data, pages[0] * 4096 + chance.choice((10, 12, 14)), value)
        return
    place = _node(data, pages[0], chance)
    struct.pack_into("<H", data, place + chance.choice((0, 2, 4, 6)), value)


def _pages(data: bytearray, kind: int, chance: random.Random) -> Sequence[int]:
    found = [
        page for page in range(2, len(data) // 4096)
        if data[page * 4096 + 10] == kind and data[page * 4096 + 11] == 0
        and data[page * 4096 : page * 4096 + 8] == struct.pack("<Q", page)
    ]  # fmt: skip
    chance.shuffle(found)
    return found


def _node(data: bytearray, page: int, chance: random.Random) -> int:
    (lower,) = struct.unpack_from("<H", data, page * 4096 + 12)
    keys = max(1, (lower - 16) // 2)
    (place,) = struct.unpack_from("<H", data, page * 4096 + 16 + 2 * chance.randrange(keys))
    return min(page * 4096 + place, len(data) - 600)


_Damage = Callable[[bytearray, random.Random], None]
_DAMAGES: Tuple[_Damage, ...] = (
    *(_bytes, _structure, _structure, _zeros, _cut),
    *(_page_number, _page_number, _count, _count),
)


# What is no regular file


def _synth(place: Path, words: Path, *more: object) -> Sequence[object]:
    """Return the command that renders two words of a list."""
    return ["dataset", "synth", place / "s", "--count", 2, "--words", words, *more]


def _not_regular(chance: random.Random, place: Path, inputs: Path) -> Commands:
    """Put a pipe, or a link to a device that gives bytes for ever, in the place of a file."""
    bins, label, model = place / "bins", place / "label.txt", inputs / "crnn.onnx"
    shutil.copytree(inputs / "bins", bins)
    shutil.copy(inputs / "label.txt", label)
    images = place / "images"
    images.mkdir()
    for name in ("a.png", "b.png"):
        put(images / name, picture())
    put(images / "gt.txt", b"a.png\tone\nb.png\ttwo\n")
    results = place / "results"
    results.mkdir()
    for number in (1, 2, 3):
        put(results / f"test_{number}_0.bin", bytes(26 * 37 * 4))
    words = place / "words"
    words.mkdir()
    evaluate = ["evaluate", model, bins, "--label", label, "--threads", 1]
    of_images = ["evaluate", model, images, "--threads", 1]
    spec, recipe, earlier = place / "spec.json", place / "recipe.yaml", place / "earlier.json"
    places: Dict[Path, Sequence[object]] = {
        bins / "test_2.bin": evaluate,
        label: evaluate,
        images / "a.png": of_images,
        images / "gt.txt": of_images,
        images / "b.png": ["prepare", images, place / "out", "--label", place / "l.txt"],
        results / "test_2_0.bin": ["score", results, "--label", label],
        results / "test_1_0.bin": ["score", results, "--label", label],
        place / "word.png": ["read", model, place / "word.png"],
        place / "other.onnx": ["read", place / "other.onnx", images / "a.png"],
        place / "m.onnx": ["inspect", place / "m.onnx"],
        place / "m.pth": ["export", place / "m.pth", place / "m2.onnx"],
        place / "m.om": ["inspect", place / "m.om"],
        spec: [*evaluate, "--spec", spec],
        recipe: ["train", recipe, "--show"],
        earlier: [*evaluate, "--against", earlier],
        words / "data.mdb": ["dataset", "check", words],
        place / "list.txt": _synth(place, place / "list.txt"),
        place / "effects.yaml": _synth(
            place, inputs / "label.txt", "--effects", place / "effects.yaml"
        ),
        place / "alphabet.txt": [
            "export",
            CHECKPOINT,
            place / "x.onnx",
            "--alphabet",
            f"@{place / 'alphabet.txt'}",
        ],
    }
    target = chance.choice(list(places))
    target.unlink(missing_ok=True)
    how = chance.choice(("pipe", "pipe", "/dev/zero", "/dev/full", "folder", "loop"))
    if how == "pipe":
        os.mkfifo(target)
    elif how == "folder":
        target.mkdir()
    elif how == "loop":
        target.symlink_to(target.name)
    else:
        target.symlink_to(how)
    return [places[target]]


def picture(size: Tuple[int, int] = (60, 20), kind: str = "PNG") -> bytes:
    """Return an encoded image."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("L", size, 200).save(file, kind)
    return file.getvalue()


# What has no end


def _endless(chance: random.Random, place: Path, inputs: Path) -> Commands:
    """Give a text of gigabytes without a line break (it has a hole), a long line, or many lines."""
    text, model, bins = place / "text.txt", inputs / "crnn.onnx", inputs / "bins"
    images = place / "images"
    images.mkdir()
    how = chance.randrange(4)
    if how == 0:
        with open(text, "wb") as file:
            file.truncate(chance.choice((1, 3, 6)) << 30)
    elif how == 1:
        put(text, b"test_1.bin:" + b"a" * (50 << 20) + b"\n")
    elif how == 2:
        lines = (f"test_{number}.bin:w\n" for number in range(1000, chance.choice((10**5, 10**6))))
        put(text, "".join(lines).encode())
    else:
        put(text, b"{" + b'"a":' * chance.randrange(10**6) + b"[" * chance.randrange(10**6))
    evaluate = ["evaluate", model, bins, "--threads", 1, "--label"]
    commands: Commands = [
        [*evaluate, text],
        [*evaluate, inputs / "label.txt", "--spec", text],
        [*evaluate, inputs / "label.txt", "--against", text],
        ["evaluate", model, images, "--annotation", text],
        ["score", images, "--label", text],
        ["train", text, "--show"],
        ["dataset", "convert", "tsv", text, place / "out"],
        ["dataset", "synth", place / "out", "--count", 2, "--words", text],
        [
            "dataset",
            "synth",
            place / "out",
            "--count",
            2,
            "--words",
            inputs / "label.txt",
            "--effects",
            text,
        ],
        ["export", CHECKPOINT, place / "x.onnx", "--alphabet", f"@{text}"],
    ]
    return [chance.choice(commands)]


# Images


def _bomb(chance: random.Random, place: Path, inputs: Path) -> Commands:
    """Give images of few bytes and very many pixels, several at once."""
    long = chance.choice((66_000, 1_000_000, 50_000_000, 49_999_999))
    sizes = [
        (1, long),
        (long, 1),
        (7000, 7000),
        (49_000, 1000),
        (65_535, 760),
        (8000, 8000),
        (2**31 - 1, 2**31 - 1),
    ]
    size = chance.choice(sizes)
    data = chance.choice((_png, _png, _bmp, _gif))(size)
    images = place / "images"
    # What is right in size is decoded, and may take its time.
    count = 2
    if size[0] * size[1] > 50_000_000 or max(size) > 65_535:
        count = chance.choice((4, 16))
    for number in range(count):
        put(images / f"{number}.png", data)
    put(images / "gt.txt", "".join(f"{number}.png\tw\n" for number in range(count)).encode())
    put(images / f"{count}.png", picture())
    commands: Commands = [
        ["read", inputs / "crnn.onnx", images / "0.png"],
        ["evaluate", inputs / "crnn.onnx", images, "--threads", 4],
        ["dataset", "convert", "folder", images, place / "out"],
        ["dataset", "check", images],
        ["prepare", images, place / "bins", "--label", place / "l.txt", "--threads", 4],
    ]
    return [chance.choice(commands)]


def _png(size: Tuple[int, int]) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    width, height = size
    row = (width + 7) // 8 + 1
    pack = zlib.compressobj(9)
    data = b"".join(pack.compress(bytes(1 << 20)) for _ in range(min(row * height, 60 << 20) >> 20))
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = data + pack.compress(bytes(min(row * height, 60 << 20) & 0xFFFFF)) + pack.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def _bmp(size: Tuple[int, int]) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, *size, 1, 8, 1, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 2000, 0, 0, 54) + head + bytes(1500)


def _gif(size: Tuple[int, int]) -> bytes:
    width, height = (min(65535, side) for side in size)
    return (
        b"GIF89a"
        + struct.pack("<HH", width, height)
        + b"\x80\0\0"
        + bytes(6)
        + b","
        + struct.pack("<HHHHB", 0, 0, width, height, 0)
        + b"\x02\x02\x4c\x01\0;"
    )


# ONNX


def _hostile_onnx(chance: random.Random, place: Path, inputs: Path) -> Commands:
    path = place / "m.onnx"
    hostile_onnx.CASES[chance.choice(list(hostile_onnx.CASES))](chance, path, inputs / "crnn.onnx")
    put(place / "a.png", picture())
    commands: Commands = [
        ["inspect", path],
        ["read", path, place / "a.png"],
        ["evaluate", path, inputs / "words", "--threads", 1],
        ["quantize", path, place / "q.onnx", "--calibrate", inputs / "words", "--count", 4],
    ]
    return chance.sample(list(commands), 2)


# Text for terminals

ESCAPES = (
    "\x1b[2J",
    "\x1b]0;x\x07",
    "\x9b31m",
    "\u202e",
    "\u2066",
    "\r",
    "\n",
    "\x08",
    "\u2028",
    "\x7f",
)


def _escapes(chance: random.Random, place: Path, inputs: Path) -> Commands:
    """Put escapes into labels, names, keys, metadata, recipes, specs and arguments."""
    bad = f"a{chance.choice(ESCAPES)}b{chance.choice(ESCAPES)}"
    model, bins = inputs / "crnn.onnx", inputs / "bins"
    flat = bad.replace("\n", "").replace("\r", "").replace("\u2028", "")
    name = bad.replace("\0", "")
    label = place / "label.txt"
    put(label, f"test_1.bin:{flat}\ntest_2.bin:{bad}\n".encode())
    words = place / "words"

    def lmdb() -> int:
        from crnn.samples.lmdb_writer import LmdbWriter

        words.mkdir()
        writer = LmdbWriter(words)
        writer.add(picture(), bad)
        writer.add(bad.encode(), bad)
        writer._put(bad.encode(), b"x")
        writer.finish()
        writer.close()
        return 0

    ended = Child(lmdb).end()
    assert ended.code == 0, ended.text
    images = place / f"i{name}"
    put(images / f"{name}.png", picture())
    put(images / "gt.txt", f"{flat}.png\t{flat}\nx{flat}.png\tw\n".encode())
    put(place / "recipe.yaml", f"{json.dumps(bad, ensure_ascii=False)}: 1\n".encode())
    put(place / "value.yaml", f"network: {json.dumps(bad)}\n".encode())
    put(place / "spec.json", json.dumps({"format": "crnn-spec/1", bad: bad}).encode())
    put(place / "format.json", json.dumps({"format": bad}).encode())
    put(place / "effects.yaml", json.dumps({bad: {bad: 1}}).encode())
    put(place / f"m{name}.onnx", b"not a model")
    named = place / "named.onnx"
    hostile_onnx.with_names(named, inputs / "crnn.onnx", bad)
    hostile_pth.with_key(place / "k.pth", bad)
    evaluate = ["evaluate", model, bins, "--threads", 1, "--label"]
    commands: Commands = [
        ["evaluate", model, bins, "--threads", 1, "--show-misses", 5, "--label", label],
        ["evaluate", model, words, "--threads", 1, "--show-misses", 5],
        ["evaluate", model, images, "--threads", 1, "--show-misses", 5],
        ["dataset", "check", words],
        ["dataset", "stats", words],
        ["dataset", "convert", "folder", images, place / "out"],
        ["dataset", "extract", words, place / "out"],
        ["prepare", words, place / f"o{name}", "--label", place / f"l{name}.txt"],
        ["read", model, images / f"{name}.png", place / f"x{name}.png"],
        ["inspect", named],
        ["read", named, images / f"{name}.png"],
        ["inspect", place / f"m{name}.onnx"],
        ["export", place / "k.pth", place / "k.onnx"],
        ["train", place / "recipe.yaml", "--show"],
        ["train", place / "value.yaml", "--show"],
        ["train", "modelzoo-1p", f"network={json.dumps(bad)}"],
        ["train", "modelzoo-1p", f"{bad}=1"],
        [*evaluate, inputs / "label.txt", "--spec", place / "spec.json"],
        [*evaluate, inputs / "label.txt", "--spec", place / "format.json"],
        _synth(place, inputs / "label.txt", "--effects", place / "effects.yaml"),
        ["explain", bad],
        [bad],
        ["read", f"--{bad}"],
        ["evaluate", model, words, "--format", bad],
        ["evaluate", model, words, "--protocol", bad],
        ["dataset", "convert", bad, words, place / "o"],
    ]
    return chance.sample(list(commands), 3)


# YAML and recipes

_YAML = (
    *("!!int x", "!!float x", "!!bool x", "!!timestamp x", "!!binary x", "!!set {a, b}"),
    *("!!python/object/apply:os.system [id]", "!!omap [a: 1]", "!x y", "2001-99-99", "0o9"),
    *("2001-01-01", "0x", "0b2", "_", "1__", "._", "+_1", "9" * 5000, "0x" + "f" * 5000),
    *("1" * 400 + ".5", "1.0e+999999999", ".inf", "-.nan", "190:20:30", "1e5", "&a [1]", "*a"),
    *("<<: x", "[" * 5000, "{" * 5000, "- " * 5000, "? x", "? [a]", "{[a]: b}", "%TAG ! x"),
    *("--- a\n--- b", "\x07", "\ufeff", "'", '"', "|\n  x", ">\n x", "@x", "`x", "a: b: c", "\t x"),
)


def _laughs(chance: random.Random) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, chance.randrange(3, 12))
    ]
    return "\n".join(lines)


def _hostile_yaml(chance: random.Random, place: Path, inputs: Path) -> Commands:
    key = chance.choice(
        (
            "seed",
            "network",
            "alphabet",
            "learning_rate",
            "channels",
            "train",
            "length",
            "oops",
            "0",
            "~",
        )
    )
    value = chance.choice(_YAML)
    text = chance.choice(
        (
            f"{key}: {value}",
            value,
            f"{value}: 1",
            f"[{value}]",
            f"{key}: [{value}, {value}]",
            _laughs(chance),
            "a: " * 2000,
            f"{key}: |\n" + " x\n" * 100_000,
        )
    )
    path = put(place / "hostile.yaml", text.encode())
    effects = [
        "dataset",
        "synth",
        place / "s",
        "--count",
        1,
        "--words",
        inputs / "label.txt",
        "--effects",
    ]
    commands: Commands = [
        ["train", path, "--show"],
        ["train", "modelzoo-1p", f"{key}={value}", "--show"],
        ["train", "modelzoo-1p", f"train={text[:3000]}", "--show"],
        [*effects, path],
    ]
    return commands


def _training_values(chance: random.Random, place: Path, inputs: Path) -> Commands:
    """Give values that no machine can compute with."""
    large = [
        *("1000000000", "1e9", "1e39", "1e308", "1e400", "-1", "0", "1e-320", "2147483648"),
        *("9223372036854775807", "10" * 30, ".inf", ".nan", "true", "[]", "{}", "~", "''"),
    ]
    keys = (
        "hidden channels width batch_size valid_batch_size learning_rate weight_decay momentum"
        " epsilon rho betas power clip_norm loss_scale loss_scale_start loss_scale_interval"
        " diverged ema dropout keep log_every examples seed max_text_length min_text_length"
        " workers threads"
    ).split()
    key = chance.choice(keys)
    value = chance.choice(large)
    if key == "channels":
        value = f"[{', '.join(chance.choice((value, '4', '1000000')) for _ in range(7))}]"
    if key == "betas":
        value = f"[{value}, {value}]"
    words = inputs / "words"
    pairs = ["precision=float16"] if chance.random() < 0.3 else []
    if chance.random() < 0.5:
        pairs.append("optimizer=adamw")
    out = place / "run"
    return [
        [
            "train",
            "modelzoo-1p",
            f"train={words}",
            f"valid={words}",
            *TINY,
            *pairs,
            f"{key}={value}",
            "--out",
            out,
        ]
    ]


# Checkpoints


def _hostile_pth(chance: random.Random, place: Path, inputs: Path) -> Commands:
    path = place / "m.pth"
    hostile_pth.write(chance, path)
    put(place / "a.png", picture())
    commands: Commands = [
        ["export", path, place / "m.onnx"],
        ["inspect", path],
        ["read", path, place / "a.png"],
        ["import", "torch", path, place / "o.pth"],
        [
            "train",
            "modelzoo-1p",
            f"train={inputs / 'words'}",
            f"valid={inputs / 'words'}",
            *TINY,
            f"start_from={path}",
            "--out",
            place / "run",
        ],
    ]
    return chance.sample(list(commands), 2)


KINDS = (
    Kind("lmdb", _damaged_lmdb),
    Kind("not regular", _not_regular),
    Kind("endless", _endless),
    Kind("images", _bomb),
    Kind("onnx", _hostile_onnx),
    Kind("escapes", _escapes),
    Kind("yaml", _hostile_yaml),
    Kind("training values", _training_values),
    Kind("pth", _hostile_pth),
)
