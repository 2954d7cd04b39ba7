"""``crnn VERB …``: the parser, the verbs, and how a command ends.

A verb's module in `crnn.cli.verbs` has ``HELP`` (one line), ``EXAMPLE`` (a command or more),
``add_arguments(parser)`` and ``run(args) -> int``; heavy imports happen inside ``run``. Its name
is the verb's, with ``-`` as ``_``, and a ``_`` after a word of Python's.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import keyword
import re
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any, Callable, Dict, Generator, List, NoReturn, Optional, Sequence

from crnn import __version__, dialects
from crnn.cli import console
from crnn.cli.arguments import path, put_back, refuse_overwriting, require_json
from crnn.errors import DISTRIBUTIONS, InputError, KitError, UnavailableError, by_own_python
from crnn.interpreter import KIT, require
from crnn.signals import ENDING, too_late
from crnn.spelling import nearest

VERBS = (
    "import",
    "export",
    "prepare",
    "compile",
    "evaluate",
    "score",
    "compare",
    "report",
    "read",
    "inspect",
    "spec",
    "explain",
    "doctor",
    "dataset",
    "quantize",
    "calibrate",
    "bench",
    "train",
)


BOX_VERBS = ("prepare", "evaluate", "score", "explain", "doctor")
"""Those that Python 3.7 runs too: what a box with an old CANN needs, and the preprocessor."""


class Formatter(argparse.RawDescriptionHelpFormatter):
    """argparse's, with sentences broken at blanks and commands whole."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines: List[str] = []
        for line in text.splitlines():
            lines += _help_lines(line, width)
        return "\n".join(indent + line for line in lines)

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        """Show an argument that other options may stand for as one that may be lacking."""
        shown = super()._format_args(action, default_metavar)
        if getattr(action, "may_lack", False):
            return f"[{shown}]"
        return shown


def _help_lines(line: str, width: int) -> List[str]:
    """Break a line of a help: what is said of a command goes below it where both are too wide."""
    command, gap, comment = line.lstrip(" ").partition("   ")
    if len(line) <= width or not line.startswith(" "):
        return console.wrapped(line, width)
    if not gap:
        return [line]
    return [f"  {command}", *console.wrapped(comment.strip(" "), width, "      ", "      ")]


class Parser(argparse.ArgumentParser):
    """argparse, with the nearest spelling suggested for an unknown word.

    Abbreviations are refused, and paths that name no file: an empty one, and ``-``.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.register("type", Path, path)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """See argparse; what was given is kept for the message of `error`."""
        self._given = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print usage and the message to stderr, and exit 2."""
        choice = re.search(r"invalid choice: '(.+?)' \(choose from (.+)\)", message)
        if choice:
            message += self._meant_word(choice[1], re.findall(r"[^\s,']+", choice[2]))
        elif message.startswith("unrecognized arguments"):
            message += self._meant_options(message.split())
        elif message.startswith("the following arguments are required"):
            message += self._meant_options(self._given)
        self.print_usage(sys.stderr)
        console.note(f"{self.prog}: error: {message}")
        sys.exit(2)

    def _meant_word(self, word: str, known: List[str]) -> str:
        own = dialects.WORDS.get(self.prog, {}).get(word.lower())
        if own is not None:
            return f"; here {word} is {own}"
        near = nearest(word, known)
        if near is None:
            return ""
        return f" (did you mean {near}?)"

    def _meant_options(self, words: Sequence[str]) -> str:
        """Return what is said of each option of these words that this parser does not know."""
        names = [word.partition("=")[0] for word in words if word.startswith("--")]
        said: List[str] = []
        meant: List[str] = []
        form = ""
        for name in names:
            if name in self._option_string_actions:
                continue
            own = self._own_words(name)
            near = nearest(name, list(self._option_string_actions))
            if own == dialects.UNNAMED:
                form = f"; the command is {self._form()}"
            elif own is not None:
                said.append(f"; here {name} is {own}")
            elif near is not None:
                meant.append(near)
        if meant:
            said.append(f" (did you mean {', '.join(meant)}?)")
        return "".join(said) + form

    def _own_words(self, name: str) -> Optional[str]:
        """Return what this verb calls an option of another system, None where it has none such."""
        own = _here(name, self.prog)
        if own is None or not own.startswith("--") or self.prog == "crnn train":
            return own
        if own.split()[0] in self._option_string_actions:
            return own
        if own == dialects.OUTPUTS:
            return dialects.UNNAMED
        return None

    def _form(self) -> str:
        """Return the command with what it must be given."""
        words = [self.prog]
        for action in self._actions:
            named = str(action.metavar or action.dest)
            if not action.option_strings:
                words.append(named)
            elif action.required:
                words.append(f"{action.option_strings[-1]} {named}")
        return " ".join(words)


def _here(option: str, program: str) -> Optional[str]:
    """Return what the kit calls an option that another system has, or a recipe's key."""
    if program == "crnn train":
        from crnn.training.recipe import KEYS

        key = option.lstrip("-").replace("-", "_")
        if key in KEYS:
            return f"a key of the recipe, without dashes: {key}=VALUE"
    return dialects.here(option, program)


def build_parser(verbs: Sequence[str] = VERBS) -> Parser:
    """Build the parser of ``crnn`` with these verbs."""
    parser = Parser(
        prog="crnn", description=importlib.import_module("crnn").__doc__, allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"crnn {__version__}")
    commands = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in verbs:
        module = importlib.import_module(f"crnn.cli.verbs.{_module(verb)}")
        command = add_command(commands, verb, module)
        command.set_defaults(run=module.run, parser=command)
    return parser


def add_command(commands: Any, name: str, module: Any) -> argparse.ArgumentParser:
    """Add the parser of a verb's or subcommand's module to ``commands`` (of ``add_subparsers``) and
    return it.
    """
    command = add_parser(commands, name, module.HELP, module.EXAMPLE)
    module.add_arguments(command)
    return command


def add_parser(commands: Any, name: str, what: str, example: str) -> argparse.ArgumentParser:
    """Add a parser without arguments to ``commands`` (of ``add_subparsers``) and return it.

    Args:
        commands: The verbs, or the words that follow one.
        name: The word.
        what: What it does, a sentence.
        example: A command or more, a line each.

    Returns:
        The parser.
    """
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=what,
        description=what,
        epilog=f"example:\n{example}",
        formatter_class=Formatter,
        allow_abbrev=False,
    )
    return command


def _wanted(words: Sequence[str]) -> Sequence[str]:
    """Return the verb asked for, which alone is imported; all where it is none, for the message."""
    for verb in VERBS:
        if verb not in words[:1]:
            continue
        if verb not in BOX_VERBS:
            require(KIT, f"crnn {verb}")
        return [verb]
    return VERBS


def _module(verb: str) -> str:
    if keyword.iskeyword(verb):
        return f"{verb}_"
    return verb.replace("-", "_")


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run a command line and return its exit code; a user's error is printed, never raised."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words:
        console.note_text(build_parser().format_help().rstrip())
        return 2
    try:
        args, unknown = build_parser(_wanted(words)).parse_known_args(words)
        # argparse takes a list of words in one place only; a recipe's pairs may stand anywhere.
        if hasattr(args, "overrides"):
            args.overrides += [word for word in unknown if not word.startswith("-")]
            unknown = [word for word in unknown if word.startswith("-")]
        if unknown:
            args.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    except SystemExit as stop:
        return int(stop.code or 0)
    except KitError as error:  # of a list that comes from a pipe
        console.error(error)
        return error.exit_code
    args.typed = ["crnn", *words]
    return run(args)


def script() -> None:
    """Run ``crnn`` on the process's own arguments and end the process with its exit code."""
    code = main()
    # From here on there is nothing to clear up, and nothing to say.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


def script_parser(program: str, description: str, example: str) -> Parser:
    """Build the parser of a script, in the form of the verbs'.

    Args:
        program: The script's name.
        description: What it does.
        example: A command or more, a line each.

    Returns:
        A parser without arguments yet.
    """
    return Parser(
        prog=program,
        description=description,
        epilog=f"example:\n{example}",
        formatter_class=Formatter,
        allow_abbrev=False,
    )


def run_script(
    parser: Parser,
    argv: Optional[Sequence[str]],
    command: Callable[[argparse.Namespace], int],
    check: Callable[[argparse.Namespace], None] = lambda args: None,
) -> int:
    """Run the command of a script on its command line and return its exit code, as `main` does for
    a verb.

    ``check`` refuses, by ``parser.error``, arguments that do not go together.
    """
    try:
        args = parser.parse_args(argv)
        check(args)
    except SystemExit as stop:
        return int(stop.code or 0)
    except KitError as error:  # of a list that comes from a pipe
        console.error(error)
        return error.exit_code
    args.typed = [parser.prog, *(sys.argv[1:] if argv is None else argv)]
    args.run = command
    return run(args)


@contextlib.contextmanager
def ended_as_interrupted() -> Generator[List[int], None, None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does, so that files and devices are left in
    order.

    A signal that is ignored, or that somebody else handles, is left alone.

    Yields:
        A list that gets the number of each signal that came, Ctrl-C's too. Python drops what is
        raised while it clears up: such a signal shows only here.
    """
    ended: List[int] = []

    def end(number: int, frame: Optional[FrameType]) -> None:
        ended.append(number)
        # By way of SIGINT where that is not ignored: what must not be interrupted holds it back.
        if callable(signal.getsignal(signal.SIGINT)):
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        else:
            raise KeyboardInterrupt

    def interrupt(number: int, frame: Optional[FrameType]) -> None:
        if not ended:  # else it comes by way of `end`
            ended.append(number)
        raise KeyboardInterrupt

    before: Dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for ending in ENDING:
            if signal.getsignal(ending) is signal.SIG_DFL:
                before[ending] = signal.signal(ending, end)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            before[signal.SIGINT] = signal.signal(signal.SIGINT, interrupt)
    try:
        yield ended
    finally:
        for taken, earlier in before.items():
            signal.signal(taken, earlier)


def run(args: argparse.Namespace) -> int:
    """Run the command of a command line, ``args.run``, and turn a user's error, Ctrl-C, a call to
    end or a closed pipe into its exit code.

    So is what the machine refuses, such as a full disk or a file that may not be read: an error of
    the user's, told without traceback.
    """
    console.prepare_streams()
    with ended_as_interrupted() as ended:
        try:
            for sentence in put_back(args):
                console.note(sentence)
            refuse_overwriting(args)
            require_json(getattr(args, "json", None))
            code: int = args.run(args)
            console.flush()
            if ended:
                console.note(too_late(ended[0]))
            return code
        except KeyboardInterrupt:
            console.note("interrupted")
            return 128 + (ended[0] if ended else signal.SIGINT)
        except BrokenPipeError:
            console.close_stdout()
            return 141
        except _MAY_BE_TOLD as error:
            told = _told(error)
            if told is None:
                raise
            console.error(told)
            return _flushed(told.exit_code)


def _told(error: Exception) -> Optional[KitError]:
    """Return an error as the user is told of it; None for what would be the kit's own bug."""
    if isinstance(error, KitError):
        return error
    if isinstance(error, MemoryError):
        return UnavailableError(f"not enough memory: {error or 'the system gives no more'}")
    if isinstance(error, ModuleNotFoundError) and error.name in DISTRIBUTIONS:
        package = DISTRIBUTIONS[error.name]
        hint = f"pip install {package}{by_own_python()}"
        return UnavailableError(f"this needs {package}, which is not installed", hint=hint)
    # Surrogates are Python's signs for bytes of a file's name that are no UTF-8.
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return InputError(
            f"{error.object!a} is not UTF-8, as names must be here",
            hint="Rename the file or folder.",
        )
    # Path.resolve, before Python 3.13.
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):
        return InputError(f"a link leads back to itself: {error}")
    if isinstance(error, OSError):
        return _refused(error)
    return None


def _refused(error: OSError) -> Optional[KitError]:
    """Return what the machine refuses as the user is told of it; None for the kit's own bug."""
    if error.errno in _REFUSALS:
        where = ""
        if error.filename:
            where = f"{error.filename}: "
        return InputError(f"{where}{error.strerror}")
    if isinstance(error, FileNotFoundError) and not _stands_somewhere():
        return InputError(
            "the folder that this command was started in has been removed",
            hint="Change into one that is there: cd DIR",
        )
    return None


_MAY_BE_TOLD = (
    KitError,
    MemoryError,
    ModuleNotFoundError,
    UnicodeEncodeError,
    OSError,
    RuntimeError,
)
_REFUSALS = frozenset(
    (
        *(errno.EACCES, errno.EPERM, errno.EROFS),
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ESTALE),
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN),
        *(errno.ENAMETOOLONG, errno.ELOOP),
        # Devices that are not there, sockets, servers of files that have gone, damaged disks.
        *(errno.ENXIO, errno.ENODEV, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN),
        *(errno.EREMOTEIO, errno.EUCLEAN, errno.ENOLCK, errno.EBUSY, errno.ETXTBSY),
    )
)
"""What the machine refuses.

Other errors of the system would be the kit's own, and keep their traceback.
"""


def _stands_somewhere() -> bool:
    """Say whether the folder that this process works in is still there."""
    try:
        Path.cwd()
    except OSError:
        return False
    return True


def _flushed(code: int) -> int:
    try:
        console.flush()
    except OSError:
        console.close_stdout()
    return code
