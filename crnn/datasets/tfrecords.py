"""The TFRecords of CRNN for TensorFlow: features ``images``, ``labels``, ``imagepaths``."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Iterator, List, Mapping, Optional, Tuple

from PIL import Image

from crnn.alphabet_file import read_ord_map
from crnn.batch import Problem
from crnn.datasets.options import ConvertOptions
from crnn.datasets.pictures import BAD_LINE, Dropped, Item, Picture, PictureSource, Tag
from crnn.datasets.tfrecord_file import Values, read_examples
from crnn.errors import InputError, UsageError
from crnn.files import natural_key
from crnn.image import ImageError, size_of

SIZE = (100, 32)
"""Width and height of the raw images, three bytes a pixel, red first."""


def read(source: Path, options: ConvertOptions) -> PictureSource:
    """Stream a file, or the files of a folder whose names begin with the split, in natural order.

    Labels are class numbers, whose order was another for each training: ``options.ord_map`` or
    ``alphabet`` says it. Images are stored as PNG, pixel for pixel; encoded ones as they are.
    """
    if source.is_file():
        files = [source]
    else:
        files = _files(source, options.split)
    return PictureSource(
        source.parent if source.is_file() else source, _items(files, _classes(options))
    )


def _files(folder: Path, split: Optional[str]) -> List[Path]:
    found = [
        file
        for pattern in ("*.tfrecord", "*.tfrecords")
        for file in folder.rglob(pattern)
        if file.is_file()
    ]
    files = [file for file in found if split is None or file.name.startswith(split)]
    if not files:
        what = ""
        if split:
            what = f", let alone any that begins with {split!r}"
        raise InputError(
            f"{folder} holds no .tfrecords"
            f" file{what if not found else f' that begins with {split!r}'}"
        )
    return sorted(files, key=lambda file: natural_key(str(file.relative_to(folder))))


def _classes(options: ConvertOptions) -> Mapping[int, str]:
    if options.ord_map is not None:
        return dict(enumerate(read_ord_map(options.ord_map)))
    if options.alphabet is not None:
        return dict(enumerate(options.alphabet))
    raise UsageError(
        "the labels of TFRecords are class numbers, and which character is which differs from one"
        " training to the next",
        hint=(
            "Give the training's ord_map.json with --ord-map FILE, or its characters in class order"
            " with --alphabet."
        ),
    )


def _items(files: List[Path], classes: Mapping[int, str]) -> Iterator[Item]:
    for file in files:
        for number, example in enumerate(read_examples(file), start=1):
            place = f"{file.name} record {number}"
            try:
                name, label, image = _sample(example, classes)
            except ValueError as error:
                yield Dropped(place, Problem(BAD_LINE, str(error)))
            else:
                yield Picture(name or place, (Tag(label),), image)


def _sample(example: Mapping[str, Values], classes: Mapping[int, str]) -> Tuple[str, str, bytes]:
    numbers, images = example.get("labels", []), example.get("images", [])
    unknown = [number for number in numbers if number not in classes]
    if unknown:
        raise ValueError(f"class {unknown[0]!r} has no character; there are {len(classes)}")
    if len(images) != 1 or not isinstance(images[0], bytes):
        raise ValueError(f"{len(images)} images; expected one")
    paths = example.get("imagepaths", [])
    name = ""
    if paths and isinstance(paths[0], bytes):
        name = paths[0].decode("utf-8", errors="replace")
    return name, "".join(classes[int(number)] for number in numbers), _encoded(images[0])


def _encoded(data: bytes) -> bytes:
    if not _is_raw(data):
        return data  # that it is an encoded image is checked with all others
    file = io.BytesIO()
    Image.frombytes("RGB", SIZE, data).save(file, "PNG", compress_level=3)
    return file.getvalue()


def _is_raw(data: bytes) -> bool:
    width, height = SIZE
    if len(data) != width * height * 3:
        return False
    try:
        # An encoded image may have this length by chance; pixels may begin like one (a pale orange
        # is JPEG's mark), but they do not go on like its header.
        size_of(data)
    except ImageError:
        return True
    return False
