"""What can go wrong, by whose fault, and the exit code that says so; somebody else's text in a
message.

::

    KitError                 1   the root; never raised itself
    ├── InputError           1   a file, image, label or value that the user gave is wrong
    ├── UsageError           2   the command line contradicts itself
    ├── CheckError           3   a check that was asked for did not hold (accuracy, parity,
    strictness) └── UnavailableError     4   the environment lacks something (a package, CANN, a
    device)

Anything else that leaves the kit is a bug of the kit and keeps its traceback.
"""

from __future__ import annotations

import contextlib
import re
from typing import ClassVar, Iterator, Sequence

from crnn.interpreter import own_prefix


class KitError(Exception):
    """An error whose cause the user can mend.

    ``message`` says what is wrong, where, and what was expected; ``hint``, shown on a line of its
    own, says what to do next. ``lines`` are further lines of the message, each shown on its own:
    a line break in any of these texts is somebody else's, and is shown as an escape.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", lines: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.parts = (message, *lines)
        self.message = "\n".join(self.parts)
        self.hint = hint

    def __str__(self) -> str:
        if self.hint:
            return f"{self.message}\n{self.hint}"
        return self.message


class InputError(KitError):
    """A file, image, label or value that the user gave is wrong."""


class UsageError(KitError):
    """The command line contradicts itself."""

    exit_code = 2


class CheckError(KitError):
    """A check that was asked for did not hold."""

    exit_code = 3


class UnavailableError(KitError):
    """The environment lacks something: a package, CANN, a device, a provider."""

    exit_code = 4


DISTRIBUTIONS = {
    "PIL": "Pillow",
    "cv2": "opencv-python-headless",
    "defusedxml": "defusedxml",
    "jinja2": "Jinja2",
    "lmdb": "lmdb",
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "pyarrow": "pyarrow",
    "ray": "ray",
    "rich": "rich",
    "torch": "torch",
    "yaml": "PyYAML",
}
"""What others make and the kit imports: what pip calls it, by module.

Their absence is the machine's, not the kit's.
"""


def by_own_python() -> str:
    """Return the end of a remedy that names the checkout's own Python.

    Returns:
        The text; empty where there is no such Python, or it runs this.
    """
    own = own_prefix()
    if own is None:
        return ""
    return f"; or run it by the Python of this checkout: {own}/bin/python"


@contextlib.contextmanager
def needs(package: str, *, extra: str = "") -> Iterator[None]:
    """Turn the ImportError of an import inside the block into the kit's own error.

    Args:
        package: The distribution's name, as pip takes it.
        extra: The kit's extra that brings it, where there is one.

    Raises:
        UnavailableError: An import inside the block fails; the message has the line that installs
            it.
    """
    try:
        yield
    except ImportError as error:
        if extra:
            target = f"'crnn-ascend[{extra}]'"
        else:
            target = package
        hint = f"Install it with: pip install {target}"
        if extra:
            hint += f"   (in a checkout: pip install -e '.[{extra}]')"
        hint += by_own_python()
        raise UnavailableError(
            f"this needs {package}, which cannot be imported here: {error}", hint=hint
        ) from error


_UNSAFE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f"  # all controls but the tab: escape, C1, line breaks
    "\u2028\u2029"  # what Unicode calls line and paragraph separators
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks that turn the direction of what follows
    "\ud800-\udfff]"  # bytes of a name that is not UTF-8
)


def shown(text: str) -> str:
    r"""Return a text with everything as an escape that could steer a terminal or begin a line.

    Args:
        text: Any text: a label, a file's name, a key, a library's message.

    Returns:
        One line; what was in it is written as Python writes it, such as ``\x1b``.

    >>> shown("a\x1b[2Jb\nc\u202ed")
    'a\\x1b[2Jb\\nc\\u202ed'
    """
    return _UNSAFE.sub(_escape, text)


def json_shown(text: str) -> str:
    r"""Return JSON with everything as an escape that could steer a terminal or begin a line.

    Args:
        text: A JSON value on one line.

    Returns:
        The same value.

    >>> json_shown('"a\u202eb"')
    '"a\\u202eb"'
    """
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def brief(text: str, most: int = 80) -> str:
    """Return as much of a text as a message has room for.

    Args:
        text: Any text.
        most: The most characters that are kept.

    Returns:
        The text; its beginning and an ellipsis where it is longer.
    """
    if len(text) > most:
        return f"{text[:most]}…"
    return text


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
