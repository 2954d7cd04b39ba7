"""Small sources of every kind, each with the words that it holds."""

from __future__ import annotations

import io
import json
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
from PIL import Image, ImageDraw

WORDS = ["Hello", "7th", "it's", "CAFÉ", 'say "hi"', "a,b", "x:y"]


def encoded(
    word: str, kind: str = "PNG", size: tuple[int, int] = (60, 20), mode: str = "RGB"
) -> bytes:
    """An image that differs from word to word."""
    image = Image.new(mode, size, "white")
    ImageDraw.Draw(image).text((2, 2), word.encode("ascii", "replace").decode(), fill="black")
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def put(path: Path, data: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def images(folder: Path, words: list[str], suffix: str = ".png") -> list[str]:
    names = [f"word_{number}{suffix}" for number in range(1, len(words) + 1)]
    for name, word in zip(names, words):
        put(folder / name, encoded(word, "JPEG" if suffix == ".jpg" else "PNG"))
    return names


def scene(size: tuple[int, int] = (200, 100)) -> bytes:
    """A scene whose pixel (x, y) is (x, y, 0)."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    file = io.BytesIO()
    Image.fromarray(np.stack([x, y, 0 * x], axis=2).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def iiit5k(folder: Path, split: str = "test") -> Path:
    from scipy.io import savemat

    words = ["Hello", "7TH", "CAFÉ"]
    rows = np.zeros(
        (1, 3),
        dtype=[(name, object) for name in ("ImgName", "GroundTruth", "smallLexi", "mediumLexi")],
    )
    for number, word in enumerate(words):
        put(folder / f"{split}/{number}.png", encoded(word))
        small = np.array([[word, "ELSE"]], dtype=object)
        medium = np.array([[word, "ELSE", "MORE", "WORDS"]], dtype=object)
        rows[0, number] = (f"{split}/{number}.png", word, small, medium)
    savemat(folder / f"{split}data.mat", {f"{split}data": rows}, do_compression=True)
    put(folder / "lexicon.txt", "CAFÉ\r\nELSE\r\nHello\r\n")
    return folder


def charbound(folder: Path) -> Path:
    from scipy.io import savemat

    rows = np.zeros((1, 2), dtype=[("ImgName", object), ("chars", object), ("charBB", object)])
    for number, word in enumerate(["You", "iPod"]):
        put(folder / f"train/{number}.png", encoded(word))
        rows[0, number] = (f"train/{number}.png", word, np.ones((len(word), 4), np.float32))
    savemat(folder / "trainCharBound.mat", {"trainCharBound": rows})
    return folder


def rectangle(label: str, x: str, y: str, width: str, height: str) -> str:
    return (
        f'<taggedRectangle x="{x}" y="{y}" width="{width}" height="{height}" offset="0.0">'
        f"<tag>{label}</tag></taggedRectangle>"
    )


def scenes(*images: str) -> str:
    return '<?xml version="1.0" encoding="UTF-8"?><tagset>' + "".join(images) + "</tagset>"


def tagged(name: str, *rectangles: str, lex: str = "") -> str:
    lexicon = f"<lex>{lex}</lex>" if lex else ""
    return (
        f"<image><imageName>{name}</imageName>{lexicon}"
        f"<taggedRectangles>{''.join(rectangles)}</taggedRectangles></image>"
    )


def ic03_scenes(folder: Path) -> Path:
    put(folder / "park/a.png", scene())
    boxes = (
        rectangle("one", "10.9", "20.9", "30.9", "10.9"),
        rectangle("B&amp;H", "-5.0", "-3.0", "25.0", "13.0"),
    )
    put(
        folder / "words.xml",
        scenes(tagged("park/a.png", *boxes, rectangle("edge", "190.0", "90.0", "50.0", "50.0"))),
    )
    return folder


def ic03_crops(folder: Path) -> Path:
    lines = []
    for number, word in enumerate(["self", "A & B", '"quote"']):
        put(folder / f"word/1/{number}.jpg", encoded(word, "JPEG"))
        lines.append(f'<image file="word/1/{number}.jpg" tag={quoteattr(word)} />')
    put(
        folder / "word.xml",
        f'<?xml version="1.0" encoding="ISO-8859-1"?><imagelist>{"".join(lines)}</imagelist>',
    )
    return folder


def svt(folder: Path) -> Path:
    put(folder / "img/00_01.png", scene())
    put(folder / "img/00_02.png", scene())
    first = tagged(
        "img/00_01.png", rectangle("LIVING", "0", "0", "50", "20"), lex="LIVING,ROOM,THEATERS"
    )
    second = tagged("img/00_02.png", rectangle("ROOM", "10", "10", "50", "20"), lex="ROOM,DOOR")
    put(folder / "test.xml", scenes(first, second))
    return folder


def ic13(folder: Path) -> Path:
    names = images(folder, WORDS)
    lines = [
        f'{name}, "{word}"'.replace('say "hi"', r"say \"hi\"") for name, word in zip(names, WORDS)
    ]
    put(folder / "gt.txt", "\ufeff" + "\r\n".join(lines) + "\r\n")
    return folder


def synth90k(folder: Path) -> Path:
    put(folder / "1/2/1_Lube_2.jpg", encoded("lube", "JPEG"))
    put(folder / "1/2/2_CAT_0.jpg", encoded("cat", "JPEG"))
    put(folder / "lexicon.txt", "cat\n\nlube\n")
    put(folder / "annotation_train.txt", "./1/2/1_Lube_2.jpg 2\n./1/2/2_CAT_0.jpg 0\n")
    put(folder / "label.txt", "1/2/1_Lube_2.jpg Lube\n1/2/2_CAT_0.jpg CAT\n")
    return folder


def synth90k_archive(folder: Path) -> Path:
    """As the published archive is unpacked."""
    synth90k(folder / "mnt/ramdisk/max/90kDICT32px")
    return folder


def synth90k_deepspark(folder: Path) -> Path:
    """As DeepSpark's page lays it out: its own lists beside the unpacked archive."""
    synth90k_archive(folder)
    put(folder / "shuffle_labels.txt", "./1/2/2_CAT_0.jpg CAT\n./1/2/1_Lube_2.jpg Lube\n")
    put(folder / "label.txt", "./1/2/1_Lube_2.jpg Lube\n./1/2/2_CAT_0.jpg CAT\n")
    put(folder / "label.lmdb", "not an LMDB")
    return folder


def synthtext(folder: Path) -> Path:
    from scipy.io import savemat

    put(folder / "8/a.png", scene())
    put(folder / "8/b.png", scene())
    corners = np.array(
        [[[10.5, 40.2, 40.2, 10.5], [5.5, 5.5, 20.1, 20.1]], [[50, 90, 90, 50], [30, 35, 60, 55]]]
    )
    names, boxes, texts = (np.empty((1, 2), dtype=object) for _ in range(3))
    names[0, :] = ["8/a.png", "8/b.png"]
    boxes[0, 0] = corners.transpose(1, 2, 0)
    boxes[0, 1] = corners[1]
    texts[0, 0] = np.array(["Lines: ", "  lost\n"])
    texts[0, 1] = np.array(["Kevin's"])
    savemat(folder / "gt.mat", {"imnames": names, "wordBB": boxes, "txt": texts, "charBB": boxes})
    return folder


ORD_CLASSES = "zg9uwikavctpq7fr564d231l0bexymn8jsho"


def tfrecord(folder: Path) -> Path:
    from tests.tfrecords import write_examples

    (folder / "tfrecords").mkdir(parents=True, exist_ok=True)
    for part, words in (("1", ["cab", "7up"]), ("2", ["hello"])):
        with open(folder / f"tfrecords/train_{part}.tfrecords", "wb") as file:
            write_examples(file, [example(word) for word in words])
    table = {f"{index}_index": str(ord(letter)) for index, letter in enumerate(ORD_CLASSES)}
    table.update({f"{ord(letter)}_ord": str(index) for index, letter in enumerate(ORD_CLASSES)})
    put(folder / "ord_map.json", json.dumps(table))
    return folder


def example(word: str) -> dict[str, list[int] | list[bytes]]:
    pixels = Image.open(io.BytesIO(encoded(word, size=(100, 32)))).convert("RGB").tobytes()
    return {
        "labels": [ORD_CLASSES.index(letter) for letter in word],
        "images": [pixels],
        "imagepaths": [f"a/1_{word}_2.jpg".encode()],
        "labels_length": [len(word)],
    }


def tsv(folder: Path) -> Path:
    names = images(folder, WORDS, ".jpg")
    put(folder / "labels.tsv", "".join(f"{name}\t{word}\n" for name, word in zip(names, WORDS)))
    return folder


def named(folder: Path) -> Path:
    for number, word in enumerate(["Hello", "7th"]):
        put(folder / f"{number}_scene_{word}.png", encoded(word))
    return folder
