"""Which Python runs the kit: this one, or the checkout's own where this one lacks something.

Python 2.7 and 3.6 can read this file and ``crnn/__init__.py``, so that whoever starts the kit by
them gets a sentence. What runs on Python 3.7 stands in docs/architecture.md.
"""

import os
import sys

MYPY = False  # true for type checkers
if MYPY:
    from typing import List, NoReturn, Optional, Sequence, Tuple

BOX = (3, 7)
"""The oldest Python that evaluates an OM and writes bins; CANN 3.x to 5.0 live with it."""

KIT = (3, 8)
"""The oldest Python that everything else runs on."""

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# What a verb needs beside NumPy and what its model's file needs.
_OF_VERBS = {
    "compile": ["onnx"],
    "dataset": ["PIL", "lmdb"],
    "export": ["onnx", "torch"],
    "import": ["torch"],
    "prepare": ["PIL"],
    "quantize": ["onnx", "onnxruntime"],
    "report": ["jinja2"],
    "train": ["torch", "yaml"],
}

# Set in the environment of the Python that has taken over, which does not hand over again.
_MARK = "CRNN_TAKEN_OVER"
_taken_over = os.environ.pop(_MARK, "") != ""


def require(version, name):
    # type: (Tuple[int, int], str) -> None
    """Go on only with a Python that is new enough, this one or the checkout's own.

    Args:
        version: the oldest release that will do.
        name: what needs it, for the message.

    Raises:
        SystemExit: neither is new enough; the code is 4, and a line on stderr says so.
    """
    if sys.version_info >= version:
        return
    _hand_over()
    _refuse(version, name)


def prefer(packages):
    # type: (Sequence[str]) -> None
    """Go on with the checkout's own Python where this one lacks a package, if there is one; with
    that of CRNN_PYTHON, where that is set, in any case.

    Where there is none the package is asked for when it is needed, and missed by its name.

    Args:
        packages: names of modules.
    """
    import importlib.util

    if os.environ.get("CRNN_PYTHON"):
        _hand_over()
        return
    for name in packages:
        if importlib.util.find_spec(name) is None:
            _hand_over()
            return


def of_model(words):
    # type: (Sequence[str]) -> List[str]
    """Return the modules that reading with the model of a command line needs: an OM NumPy alone.

    Args:
        words: the command line.

    Returns:
        Names of modules.
    """
    needed = ["numpy"]
    for word in words:
        if word.endswith(".onnx"):
            needed.append("onnxruntime")
        elif word.endswith((".pth", ".pt")):
            needed.append("torch")
    return needed


def of_verb(words):
    # type: (Sequence[str]) -> List[str]
    """Return the modules that a command line of ``crnn`` needs: for an OM no more than NumPy,
    since a box keeps the Python that has pyACL.

    Args:
        words: the command line, without the program's name.

    Returns:
        Names of modules.
    """
    needed = of_model(words)
    for word in words:
        if not word.startswith("-"):
            needed.extend(_OF_VERBS.get(word, ()))
            break
    return needed


def own_prefix():
    # type: () -> Optional[str]
    """Return the folder of the checkout's ``.venv``, None where there is none or it runs this."""
    folder = os.path.join(CHECKOUT, ".venv")
    if not os.path.exists(os.path.join(folder, "bin", "python")):
        return None
    if os.path.realpath(sys.prefix) == os.path.realpath(folder):
        return None
    return folder


def _hand_over():
    # type: () -> None
    """Start the same command by the Python of CRNN_PYTHON or .venv, and return where it cannot."""
    python = _other_python()
    words = _command()
    if _taken_over or python is None or not _is_own(words):
        return
    os.environ[_MARK] = "1"
    try:
        os.execvp(python, [python] + words[1:])  # noqa: S606
    except OSError as error:
        del os.environ[_MARK]
        sys.stderr.write("crnn: cannot start %s: %s\n" % (python, error.strerror))


def _other_python():
    # type: () -> Optional[str]
    named = os.environ.get("CRNN_PYTHON")
    if named:
        return named
    own = os.path.join(CHECKOUT, ".venv", "bin", "python")
    if os.path.exists(own):
        return own
    return None


def _command():
    # type: () -> List[str]
    """Return this process's command line as it was typed; empty where the system does not tell."""
    try:
        with open("/proc/self/cmdline") as file:
            return file.read().split("\0")[:-1]
    except (IOError, OSError, UnicodeDecodeError):
        return []


def _is_own(words):
    # type: (List[str]) -> bool
    """Say whether a command line starts a script or a module of the kit, not somebody's program."""
    position = 1
    while position < len(words):
        word = words[position]
        if word == "-m":
            module = words[position + 1].split(".")[0]
            return module == "crnn"
        if word.startswith("-m"):
            return word[2:].split(".")[0] == "crnn"
        if word in ("-W", "-X"):
            position += 1
        elif not word.startswith("-"):
            # By a link to the script, or to a folder above it.
            folder = os.path.dirname(os.path.realpath(word))
            return folder == os.path.realpath(CHECKOUT)
        elif word == "-c":
            return False
        position += 1
    return False


def _refuse(version, name):
    # type: (Tuple[int, int], str) -> NoReturn
    sys.stderr.write(
        "crnn: error: %s needs Python %d.%d or later; this is Python %d.%d (%s)\n"
        % ((name,) + version + sys.version_info[:2] + (sys.executable,))
    )
    sys.exit(4)
