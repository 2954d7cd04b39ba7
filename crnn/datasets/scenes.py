"""The XML of ICDAR 2003 and SVT:

scenes with tagged rectangles, or ready crops; which of them, the content decides.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, Optional, Tuple

from crnn.batch import Problem
from crnn.datasets.options import ConvertOptions, locate
from crnn.datasets.pictures import (
    BAD_BOX,
    BAD_LINE,
    Dropped,
    Item,
    Lexicons,
    Picture,
    PictureSource,
    Tag,
)
from crnn.errors import InputError, needs

IC03_NAMES = {"test": ("word.xml", "words.xml"), "train": ("word.xml", "words.xml")}
SVT_NAMES = {"test": ("test.xml",), "train": ("train.xml",)}


def read_ic03(source: Path, options: ConvertOptions) -> PictureSource:
    """Read ``word.xml`` or ``words.xml``; the splits are separate downloads."""
    annotation, root = locate(source, options, IC03_NAMES, "ICDAR 2003's word.xml or words.xml")
    return PictureSource(root, _items(annotation))


def read_svt(source: Path, options: ConvertOptions) -> PictureSource:
    """Read ``test.xml`` or ``train.xml``, with each scene's lexicon (``lex``)."""
    annotation, root = locate(source, options, SVT_NAMES, "SVT's test.xml or train.xml")
    return PictureSource(root, _items(annotation))


def _items(path: Path) -> Iterator[Item]:
    """Stream the ``image`` elements. Entities and external references are refused by the parser."""
    with needs("defusedxml", extra="datasets"):
        import defusedxml.common
        import defusedxml.ElementTree
    count = 0
    try:
        events = iter(defusedxml.ElementTree.iterparse(str(path), events=("start", "end")))
        _, root = next(events)
        for event, element in events:
            if event == "end" and element.tag == "image":
                count += 1
                yield from _image(element, count)
                root.clear()
    except defusedxml.common.DefusedXmlException as error:
        raise InputError(
            f"{path} is refused: it holds what XML bombs are made of: {error}"
        ) from error
    except (defusedxml.ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f"{path} cannot be read as XML: {error}") from error
    if not count:
        raise InputError(f"{path} holds no <image>; expected the XML of ICDAR 2003 or SVT")


def _image(element: Any, number: int) -> Iterator[Item]:
    name = _child(element, "imageName") or element.get("file")
    if not name:
        yield Dropped(f"image {number}", Problem(BAD_LINE, "neither <imageName> nor file="))
        return
    lexicons = _lexicons(_child(element, "lex"))
    rectangles = element.findall("taggedRectangles/taggedRectangle")
    if element.find("taggedRectangles") is not None and not rectangles:
        return  # a scene without words
    if not rectangles:
        label = element.get("tag", _child(element, "tag"))
        if label is None:
            yield Dropped(name, Problem(BAD_LINE, "neither tagged rectangles nor a tag"))
        else:
            yield Picture(name, (Tag(label, lexicons=lexicons),))
        return
    tags = []
    for place, rectangle in enumerate(rectangles, start=1):
        tag = _rectangle(rectangle, lexicons)
        if tag is None:
            yield Dropped(
                f"{name}, rectangle {place}", Problem(BAD_BOX, f"{dict(rectangle.attrib)}"[:200])
            )
        else:
            tags.append(tag)
    if tags:
        yield Picture(name, tags)


def _rectangle(element: Any, lexicons: Lexicons) -> Optional[Tag]:
    """Return the word of a rectangle:

    x, y, width, height, each with its fraction cut off, as the older tools did.
    """
    try:
        left, top, width, height = (
            int(float(element.get(key))) for key in ("x", "y", "width", "height")
        )
    except (TypeError, ValueError, OverflowError):
        return None
    return Tag(_child(element, "tag") or "", (left, top, left + width, top + height), lexicons)


def _lexicons(words: Optional[str]) -> Lexicons:
    found: Tuple[str, ...] = tuple(
        word.strip() for word in (words or "").split(",") if word.strip()
    )
    if found:
        return (found,)
    return ()


def _child(element: Any, name: str) -> Optional[str]:
    child = element.find(name)
    if child is None:
        return None
    return (child.text or "").strip()
