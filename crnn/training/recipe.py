"""A recipe:

every choice of a training run, read from YAML, every key of it open to ``key=value``.
"""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Type

from crnn import dialects, plain_yaml
from crnn.alphabet_file import alphabet_of
from crnn.errors import InputError, KitError, UsageError, brief, needs
from crnn.filekind import require_file
from crnn.files import read_text, write_text
from crnn.labels import DIGITS_AND_LETTERS, Alphabet
from crnn.limits import advice, limit
from crnn.presets import PRESETS, VARIANTS
from crnn.spelling import did_you_mean
from crnn.widths import Widths, widths_of

FOLDER = Path(__file__).parent / "recipes"
"""The recipes that the kit brings, by their names."""

Parser = Callable[[Any], Any]
Say = Callable[[str], None]

ALPHABETS = ("alphabet", "start_alphabet")
"""The keys that take characters, or ``@FILE``."""

_MESSAGE = 200
"""The most characters of a value that a message repeats."""
_WIDEST = 16_384
"""Channels and hidden values: a CRNN has 512 and 256."""
_BATCH = 1 << 20
_COUNT = 2**31 - 1
_LARGE = 1e6
NARROWEST = 8
"""The least width that the network takes, in pixels."""
_LEAST_SCALE, _SCALE = 1e-30, 1e30
"""Float32, in which PyTorch holds them, ends at 3.4e38."""


@dataclass(frozen=True)
class Span:
    """A length of training: so many steps or epochs."""

    count: int
    unit: str

    def steps(self, steps_per_epoch: int) -> int:
        """Return the length in steps."""
        return self.count * (steps_per_epoch if self.unit == "epochs" else 1)

    def __str__(self) -> str:
        return f"{self.count} {self.unit}"


@dataclass(frozen=True)
class Data:
    """A source of words to train on: an LMDB or a folder of images at ``path``, or words rendered
    as they are needed.

    ``annotation`` is the folder's list of names and labels where it is not its only text file.

    ``weight`` is the source's share of an epoch, in proportion to the others'; without one a source
    gives all of its words once. ``size`` is the number of rendered words in an epoch; ``words``,
    ``fonts`` and ``effects`` are files of the renderer's, its own where None.
    """

    path: Optional[str] = None
    annotation: Optional[str] = None
    render: bool = False
    weight: Optional[float] = None
    size: int = 100_000
    words: Optional[str] = None
    fonts: Optional[str] = None
    effects: Optional[str] = None


def _whole(least: int, most: int = 2**63 - 1) -> Parser:
    def parse(value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        raise ValueError(f"a whole number from {least} to {most}")

    return parse


def _number(low: float, high: float = math.inf, *, above: bool = False) -> Parser:
    def parse(value: Any) -> float:
        try:
            # YAML reads 1e-3, which has no point, as text.
            if isinstance(value, (int, float, str)) and not isinstance(value, bool):
                number = float(value)
            else:
                number = math.nan
        except (ValueError, OverflowError):
            number = math.nan
        if (low < number if above else low <= number) and number <= high and math.isfinite(number):
            return number
        if high == math.inf:
            upper = ""
        else:
            upper = f" and at most {high:g}"
        raise ValueError(f"a number {'above' if above else 'from'} {low:g}{upper}")

    return parse


def _widths(value: Any) -> Widths:
    """Read widths in pixels: a list of them, or an object with the rule's factor and the list."""
    found = widths_of(value)
    if found.list[0] < NARROWEST:
        raise ValueError(f"widths from {NARROWEST} on")
    return found


def _one_of(*choices: str) -> Parser:
    def parse(value: Any) -> str:
        if value in choices:
            return str(value)
        raise ValueError(f"one of {', '.join(choices)}")

    return parse


def _network(value: Any) -> str:
    if value in VARIANTS:
        return str(value)
    question = did_you_mean(value, VARIANTS)
    preset = PRESETS.get(str(value))
    if preset is not None and preset.stands_for:
        question = f"; {value} is the order of classes of a system's own files: train"
        question += f" {preset.stands_for}, which has the same network"
    raise ValueError(f"one of {', '.join(VARIANTS)}{question}")


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("true or false")


def _text(value: Any) -> str:
    # A file's name may look like a number to YAML.
    if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "":
        return str(value)
    raise ValueError("text")


def _alphabet(value: Any) -> str:
    text = _text(value)
    Alphabet(text)
    return text


def _optional(parser: Parser) -> Parser:
    return lambda value: None if value is None else parser(value)


def _span(value: Any) -> Span:
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d{1,9})\s*(step|epoch)s?\s*", value)
    else:
        match = None
    if not match:
        raise ValueError("a length such as '20 epochs' or '5000 steps'")
    return Span(int(match[1]), f"{match[2]}s")


def _interval(value: Any) -> Span:
    span = _span(value)
    if not span.count:
        raise ValueError("a length of at least one step or epoch")
    return span


def _list(parser: Parser, length: Optional[int] = None) -> Parser:
    def parse(value: Any) -> Tuple[Any, ...]:
        if not isinstance(value, (list, tuple)) or (length is not None and len(value) != length):
            raise ValueError("a list" if length is None else f"a list of {length}")
        return tuple(parser(entry) for entry in value)

    return parse


def _data(value: Any) -> Data:
    if isinstance(value, Data):
        return value
    if isinstance(value, str):
        return Data(path=value)
    if not isinstance(value, dict):
        raise ValueError("an LMDB's path, or a mapping with path or render")
    for key in value:
        _known(key, list(_DATA), UsageError, "the training data's key")
    entry = Data(**{key: _parsed(key, _DATA[key], given) for key, given in value.items()})
    if (entry.path is None) != entry.render:
        raise ValueError("either a path or render: true in each source")
    if entry.annotation is not None and entry.path is None:
        raise ValueError("a path beside an annotation: the folder of the images that it names")
    return entry


def _sources(value: Any) -> Tuple[Data, ...]:
    """Read one source of training words, or several."""
    return tuple(_data(entry) for entry in (value if isinstance(value, (list, tuple)) else [value]))


def _paths(value: Any) -> Tuple[str, ...]:
    """Read one path, or several."""
    return tuple(_text(entry) for entry in (value if isinstance(value, (list, tuple)) else [value]))


def _scale(value: Any) -> Any:
    """Read a loss scale: a number, or dynamic."""
    if value == "dynamic":
        return value
    return _number(_LEAST_SCALE, _SCALE)(value)


_DATA: Mapping[str, Parser] = {
    "path": _optional(_text),
    "annotation": _optional(_text),
    "render": _flag,
    "weight": _optional(_number(1e-9, 1e9)),
    "size": _whole(1, 10**9),
    "words": _optional(_text),
    "fonts": _optional(_text),
    "effects": _optional(_text),
}


_TEXTS = frozenset(
    (
        "alphabet start_alphabet start_from data_path train valid base path annotation words fonts"
        " effects"
    ).split()
)
"""The keys, of a recipe and of its training data, whose values are text."""


def _key(default: Any, parser: Parser) -> Any:
    return field(default=default, metadata={"parse": parser})


@dataclass(frozen=True)
class Recipe:
    """Every choice of a run; docs/training.md says what each key means.

    Paths are relative to the current folder.
    """

    # the network
    network: str = _key("modelzoo", _network)
    channels: Optional[Tuple[int, ...]] = _key(None, _optional(_list(_whole(1, _WIDEST), 7)))
    hidden: int = _key(256, _whole(1, _WIDEST))
    alphabet: str = _key(DIGITS_AND_LETTERS, _alphabet)
    width: Optional[int] = _key(None, _optional(_whole(NARROWEST, 65535)))
    widths: Optional[Widths] = _key(None, _optional(_widths))
    initialise: str = _key("pytorch", _one_of("pytorch", "modelzoo", "mindspore", "tensorflow"))
    dropout: float = _key(0.0, _number(0, 0.95))
    dropout_at: str = _key("first", _one_of("first", "last"))
    start_from: Optional[str] = _key(None, _optional(_text))
    start_alphabet: Optional[str] = _key(None, _optional(_alphabet))
    start_gate_order: str = _key("ifgo", _one_of("ifgo", "igfo"))
    # the data
    data_path: Optional[str] = _key(None, _optional(_text))
    train: Tuple[Data, ...] = _key((), _sources)
    valid: Tuple[str, ...] = _key((), _paths)
    oov: str = _key("drop", _one_of("drop", "strip"))
    valid_oov: str = _key("wrong", _one_of("wrong", "drop"))
    max_text_length: Optional[int] = _key(None, _optional(_whole(1, _COUNT)))
    too_long: str = _key("drop", _one_of("drop", "cut"))
    min_text_length: int = _key(1, _whole(1, _COUNT))
    augment: str = _key("none", _one_of("none", "light"))
    batch_size: int = _key(64, _whole(1, _BATCH))
    valid_batch_size: int = _key(256, _whole(1, _BATCH))
    workers: Optional[int] = _key(None, _optional(_whole(0, 1024)))
    # the optimisation
    length: Span = _key(Span(1, "epochs"), _interval)
    optimizer: str = _key("adadelta", _one_of("adadelta", "sgd", "adamw"))
    learning_rate: float = _key(1.0, _number(0, _LARGE, above=True))
    momentum: float = _key(0.0, _number(0, 0.9999))
    nesterov: bool = _key(False, _flag)
    betas: Tuple[float, float] = _key((0.9, 0.999), _list(_number(0, 0.99999), 2))
    rho: float = _key(0.9, _number(0, 1))
    epsilon: Optional[float] = _key(None, _optional(_number(0, _LARGE, above=True)))
    weight_decay: float = _key(0.0, _number(0, _LARGE))
    schedule: str = _key("constant", _one_of("constant", "cosine", "polynomial"))
    schedule_unit: str = _key("step", _one_of("step", "epoch"))
    schedule_length: Optional[Span] = _key(None, _optional(_interval))
    final_learning_rate: float = _key(0.0, _number(0, _LARGE))
    power: float = _key(1.0, _number(0, _LARGE, above=True))
    warmup: Span = _key(Span(0, "steps"), _span)
    ctc_reduction: str = _key("mean", _one_of("mean", "batch_mean", "sum"))
    zero_infinity: bool = _key(True, _flag)
    clip_norm: Optional[float] = _key(None, _optional(_number(0, _SCALE, above=True)))
    clip_before_reduce: bool = _key(False, _flag)
    ema: Optional[float] = _key(None, _optional(_number(0, 0.999999)))
    # the machine
    precision: str = _key("float32", _one_of("auto", "float32", "float16", "bfloat16"))
    loss_scale: Any = _key("dynamic", _scale)
    loss_scale_start: float = _key(65536.0, _number(_LEAST_SCALE, _SCALE))
    loss_scale_interval: int = _key(2000, _whole(1, _COUNT))
    compile: bool = _key(False, _flag)
    threads: Optional[int] = _key(None, _optional(_whole(1, 1024)))
    seed: int = _key(1234, _whole(0))
    # what is kept and shown
    evaluate_from: Span = _key(Span(0, "steps"), _span)
    evaluate_every: Span = _key(Span(1, "epochs"), _interval)
    save_every: Span = _key(Span(1, "epochs"), _interval)
    keep: int = _key(5, _whole(0, _COUNT))
    log_every: int = _key(100, _whole(1, _COUNT))
    log_style: str = _key("plain", _one_of("plain", "modelzoo", "mindspore", "tensorflow"))
    examples: int = _key(10, _whole(0, _COUNT))
    diverged: float = _key(5.0, _number(1, _SCALE, above=True))
    tensorboard: bool = _key(False, _flag)
    plot: bool = _key(True, _flag)

    def to_dict(self) -> Dict[str, Any]:
        """Return plain data that reads back as the same recipe."""
        values = {key: _plain(getattr(self, key)) for key in KEYS}
        if self.widths is None:
            # A key that older kits do not know is written only where it is set.
            del values["widths"]
        return values

    def to_yaml(self) -> str:
        """Return the whole recipe as YAML, every key of it."""
        with needs("PyYAML", extra="torch"):
            import yaml
        text: str = yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True, width=120)
        return text

    def save(self, path: Path) -> None:
        """Write the whole recipe, so that the run can be repeated from it."""
        write_text(path, self.to_yaml())


KEYS = tuple(entry.name for entry in dataclasses.fields(Recipe))
"""What a recipe may hold."""

_FIELDS: Mapping[str, Parser] = {
    entry.name: entry.metadata["parse"] for entry in dataclasses.fields(Recipe)
}


SAME = frozenset(
    (
        "network channels hidden alphabet width widths optimizer precision seed oov min_text_length"
        " max_text_length too_long"
    ).split()
)
"""Keys that a run that goes on must not change:

they decide what its state means, or the order of its words.
"""


def unlike(recipe: Recipe, text: str) -> List[str]:
    """Return the keys of `SAME` in which a recipe differs from a saved one, given as its YAML."""
    saved, own = plain_yaml.load(text), recipe.to_dict()
    if saved.get("widths") != own.get("widths"):
        return ["widths"]
    return [key for key in own if key in SAME and key in saved and saved[key] != own[key]]


def precision_of(text: str) -> str:
    """Read the precision out of a saved recipe.

    Args:
        text: the recipe's YAML, as a checkpoint holds it.

    Returns:
        float32, bfloat16 or float16: a run's files hold what ``auto`` was decided to be.
    """
    return str(plain_yaml.load(text).get("precision", Recipe.precision))


def load_recipe(name: str, overrides: Sequence[str] = (), say: Say = lambda text: None) -> Recipe:
    """Read a recipe and put ``key=value`` pairs in the place of its own.

    A file's ``base`` names the recipe whose keys it takes where it has none itself: one beside it,
    or the kit's own.

    Args:
        name: a file's path, or the name of a recipe that the kit brings.
        overrides: the pairs, such as ``learning_rate=0.1``; the values are YAML.
        say: told, a line each, what was done to files of characters.

    Returns:
        The recipe.

    Raises:
        InputError: the file has a key or a value that is wrong.
        UsageError: a pair has. Both name the key and what it takes; for an unknown one the nearest.
    """
    path = find_recipe(name)
    values = _values(path, say)
    for pair in overrides:
        key, value = _pair(pair)
        _known(key, list(_FIELDS), UsageError, f"{pair}: the key")
        value = _characters(key, key, value, say)
        values[key] = _parsed(key, _FIELDS[key], value, UsageError)
    recipe = Recipe(**values)
    _check(recipe, str(path))
    return recipe


def find_recipe(name: str) -> Path:
    """Find a recipe file, or the kit's own of that name.

    Args:
        name: a file's path, or the name of a recipe that the kit brings.

    Returns:
        The file's path.

    Raises:
        InputError: there is neither.
    """
    path = Path(name)
    if path.is_file() or (len(path.parts) > 1 and path.parts[:-1] != (FOLDER.name,)):
        require_file(path, "a recipe (YAML)")
        return path
    own = FOLDER / f"{path.stem if path.suffix == '.yaml' else path.name}.yaml"
    if not own.is_file():
        there = sorted(found.stem for found in FOLDER.glob("*.yaml"))
        question = did_you_mean(own.stem, there)
        raise InputError(
            f"there is no recipe {name}, neither here nor among the kit's own{question}",
            hint=f"The kit's own: {', '.join(there)}",
        )
    return own


def _characters(where: str, key: str, value: Any, say: Say) -> Any:
    """Return the characters of an alphabet's ``@FILE``; any other value as it is."""
    if key not in ALPHABETS or not isinstance(value, str):
        return value
    try:
        given = alphabet_of(value)
    except InputError as error:
        raise InputError(f"{where}: {error.message}", hint=error.hint) from error
    for note in given.notes:
        say(note)
    return given.characters


def _values(path: Path, say: Say, below: Tuple[Path, ...] = ()) -> Dict[str, Any]:
    if path in below:
        raise InputError(f"{path} is its own base, by way of {' and '.join(map(str, below))}")
    content = _read(path)
    base = content.pop("base", None)
    values = {}
    if base is not None:
        beside = path.parent / str(base)
        above = find_recipe(str(beside if beside.is_file() else base))
        values = _values(above, say, (*below, path))
    for key, value in content.items():
        _known(key, list(_FIELDS), InputError, f"{path}: the key")
        value = _characters(f"{path}: {key}", key, value, say)
        values[key] = _parsed(f"{path}: {key}", _FIELDS[key], value)
    return values


def _read(path: Path) -> Dict[Any, Any]:
    try:
        content = _loaded(read_text(path))
    except ValueError as error:
        hint = ""
        if "'@'" in str(error):
            hint = "YAML wants quotes around it: alphabet: '@FILE'"
        raise InputError(f"{path} is not YAML: {error}", hint=hint) from error
    if not isinstance(content, dict):
        raise InputError(
            f"{path} holds {type(content).__name__}; expected a recipe, a line for each key and its"
            " value"
        )
    return content


def _loaded(text: str, key: Optional[str] = None) -> Any:
    """Return what a YAML text says; what a text key has is text, as it was typed.

    YAML 1.1 takes 012345 for an octal number, 12:34 for one to the base of sixty, yes for true and
    2024-01-02 for a date (https://yaml.org/type/), all of which are alphabets and files' names.

    Args:
        text: A recipe, or the value of one key.
        key: The key; None for a recipe.
    """
    return _as_typed(plain_yaml.parse(text), key)


def _as_typed(node: plain_yaml.Node, key: Optional[str]) -> Any:
    """Return the value of a key, with its text in the place of what YAML made of it."""
    if isinstance(node, dict):
        return {name: _as_typed(one, name) for name, one in node.items()}
    if isinstance(node, list):
        return [_as_typed(one, key) for one in node]
    if key not in _TEXTS:
        return node.value
    # No file is meant where a key says null; an alphabet may have these letters, or the sign ~.
    if node.value is None and (key != "alphabet" or not node.text):
        return None
    return node.text


def _pair(pair: str) -> Tuple[str, Any]:
    key, equals, text = pair.partition("=")
    if not equals:
        raise UsageError(
            f"{pair!r} is not a key=value pair",
            hint="Options come with two dashes: see crnn train --help",
        )
    # No value of YAML begins with this sign.
    if key in ALPHABETS and text.startswith("@"):
        return key, text
    try:
        return key, _loaded(text, key)
    except plain_yaml.YamlError as error:
        raise UsageError(f"{brief(pair, _MESSAGE)}: the value is not YAML: {error}") from error


def _known(key: Any, known: List[str], error: Type[KitError], what: str) -> None:
    if key in known:
        return
    own = dialects.here(str(key), "crnn train")
    bare = str(key).rpartition(".")[2].lower()
    if own is None and bare in known:
        own = f"{bare}=VALUE"
    if own is not None:
        raise error(f"{what} {brief(repr(key), _MESSAGE)} is unknown; here it is {own}")
    question = did_you_mean(key, known)
    hint = f"There are {', '.join(known)}."
    if question:
        hint = ""
    raise error(f"{what} {brief(repr(key), _MESSAGE)} is unknown{question}", hint=hint)


def _parsed(where: str, parser: Parser, value: Any, error: Type[KitError] = InputError) -> Any:
    try:
        return parser(value)
    except ValueError as problem:
        raise error(f"{where} is {brief(repr(value), _MESSAGE)}; expected {problem}") from problem
    except KitError as problem:
        raise error(f"{where}: {problem.message}", hint=problem.hint) from problem


def _check(recipe: Recipe, where: str) -> None:
    """Refuse keys that contradict each other."""
    if recipe.nesterov and not recipe.momentum:
        raise InputError(f"{where}: nesterov needs a momentum above 0")
    if recipe.clip_before_reduce and recipe.clip_norm is None:
        raise InputError(f"{where}: clip_before_reduce needs a clip_norm")
    weights, most = _weights(recipe), limit("weights")
    if weights > most:
        told = f"{where}: channels and hidden make a network of about {weights} weights"
        raise InputError(f"{told}; at most {most}", hint=advice("weights"))
    weighted = [entry.weight is not None for entry in recipe.train]
    if any(weighted) and not all(weighted):
        raise InputError(
            f"{where}: some of the training data have a weight and some have none; give all or none"
        )


def _weights(recipe: Recipe) -> int:
    """Return about how many weights the network has: convolutions of 3x3, two LSTM layers."""
    channels = recipe.channels or VARIANTS[recipe.network].channels
    count = sum(9 * first * second for first, second in zip(channels, channels[1:]))
    hidden = recipe.hidden
    for inside in (channels[-1], hidden):
        count += 8 * hidden * (inside + hidden) + 2 * hidden * hidden
    return count + 2 * hidden * len(recipe.alphabet)


def _plain(value: Any) -> Any:
    if isinstance(value, Span):
        return str(value)
    if isinstance(value, Widths):
        return value.to_dict()
    if isinstance(value, Data):
        return {
            key: given
            for key, given in dataclasses.asdict(value).items()
            if given != getattr(Data, key)
        }
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    return value
