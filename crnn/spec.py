"""How an image becomes a model's input and how its logits are read:

the contract that travels with a model.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import (
    Any,
    Callable,
    Dict,
    FrozenSet,
    Iterable,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
)

import numpy as np

from crnn import labels
from crnn.errors import InputError, UsageError
from crnn.filekind import require_file
from crnn.files import read_text
from crnn.labels import DIGITS_AND_LETTERS, Alphabet
from crnn.limits import advice, limit
from crnn.spelling import did_you_mean
from crnn.widths import Widths, widths_of

FORMAT = "crnn-spec/1"
ADDED: Sequence[FrozenSet[str]] = (
    frozenset(("orient", "background", "widths", "temperature", "views")),
)
"""The keys that the formats 2, 3 … of a spec added (`numbered`)."""
FLOAT32_MAX = float(np.finfo(np.float32).max)
METADATA_KEY = "crnn.spec"
"""The key under which an ONNX file's ``metadata_props`` hold the spec's JSON."""
CHECKPOINT_KEY = "crnn.checkpoint_sha256"
"""The key under which they hold the SHA-256 of the checkpoint."""

COLORS: Mapping[str, int] = {"gray": 1, "rgb": 3, "bgr": 3}
RESIZERS = ("pil-bicubic", "pil-bilinear", "cv2-linear", "cv2-cubic", "cv2-cubic-two-step")
INPUT_DTYPES = ("float32", "float16", "uint8")
OUTPUT_AXES = ("TNK", "NTK", "NKT")
ODD_AXES = ("KTN", "KNT", "TKN")
"""Orders that no system is known to write, and the kit does not read."""

_TYPES: Mapping[str, Tuple[type, ...]] = {
    "height": (int,),
    "width": (int,),
    "color": (str,),
    "resizer": (str,),
    "divisor": (int, float),
    "mean": (int, float),
    "std": (int, float),
    "input_dtype": (str,),
    "alphabet": (str,),
    "blank": (int,),
    "fold_case": (bool,),
    "time_steps": (int,),
    "output_axes": (str,),
    "orient": (bool,),
    "background": (str,),
    "widths": (list, dict),
    "temperature": (int, float),
    "views": (str,),
}
BACKGROUND = re.compile("|#[0-9a-f]{6}")
"""What `ModelSpec.background` may be."""
TEMPERATURES = (0.01, 100.0)
"""The least and the most that `ModelSpec.temperature` may be."""


@dataclass(frozen=True)
class ModelSpec:
    """What must be known of a model to prepare its input and to read its output.

    A pixel x becomes ``(x / divisor - mean) / std``, each step in float32, in this order: it is the
    training's, and not the same bits as ``(x - 127.5) / 127.5``. ``output_axes`` names the axes of
    the file's logits: time steps T, batch N, classes K; whoever runs the model gives them out as
    (T, N, K). ``orient`` turns an image as its EXIF tag says; ``background`` is the colour, as
    "#ffffff", that is put under transparent pixels, and with "" their own colour is taken, whatever
    it is: both defaults are the training's. ``widths`` are those that images are read at by their
    aspect; None where all are of ``width``, the fixed one, whose time steps ``time_steps`` are (the
    others' are measured as a model first runs at them). Logits are divided by ``temperature`` where
    the probability of a text is computed (`crnn.decoding.probability`), and nowhere else. ``views``
    says in which ways a word is read where ``--views`` does not (`crnn.views`); "" for one. The
    defaults are the kit's historical contract: Pillow 'L', bicubic to 100x32 without keeping the
    aspect, blank 0 then 0-9a-z, logits (26, N, 37).
    Raises `InputError` for a value outside its range.
    """

    height: int = 32
    width: int = 100
    color: str = "gray"
    resizer: str = "pil-bicubic"
    divisor: float = 255.0
    mean: float = 0.5
    std: float = 0.5
    input_dtype: str = "float32"
    characters: str = DIGITS_AND_LETTERS
    blank: int = 0
    fold_case: bool = True
    time_steps: int = 26
    output_axes: str = "TNK"
    orient: bool = False
    background: str = ""
    widths: Optional[Widths] = None
    temperature: float = 1.0
    views: str = ""

    def __post_init__(self) -> None:
        _one_of("color", self.color, tuple(COLORS))
        _one_of("resizer", self.resizer, RESIZERS)
        _one_of("input_dtype", self.input_dtype, INPUT_DTYPES)
        _one_of("output_axes", self.output_axes, OUTPUT_AXES)
        if not BACKGROUND.fullmatch(self.background):
            raise InputError(
                f"spec: background is {self.background!r}; expected a colour such as '#ffffff', or"
                " nothing"
            )
        for name in ("height", "width", "time_steps"):
            if not 1 <= getattr(self, name) <= 65535:
                raise InputError(f"spec: {name} is {getattr(self, name)}; expected 1 to 65535")
        _at_most("steps", self.time_steps, "time_steps is")
        _at_most("input_values", self.channels * self.height * self.width, "values of an image are")
        if self.widths is not None:
            widest = self.channels * self.height * self.widths.list[-1]
            _at_most("input_values", widest, "values of an image of the widest width are")
        _at_most("output_values", self.time_steps * self.classes, "values of an image's logits are")
        for name in ("divisor", "mean", "std"):
            # A comparison, not a conversion: JSON may hold an integer that no float can.
            if not abs(getattr(self, name)) <= FLOAT32_MAX:
                raise InputError(f"spec: {name} is {getattr(self, name)}; expected a finite number")
        least, most = TEMPERATURES
        if not least <= self.temperature <= most:
            raise InputError(
                f"spec: temperature is {self.temperature}; expected {least:g} to {most:g}"
            )
        for name in ("divisor", "std"):
            if np.float32(getattr(self, name)) == 0:
                raise InputError(f"spec: {name} is 0; pixels are divided by it")
        if self.views:
            _refuse_views(self.views)
        self.alphabet  # noqa: B018  an alphabet that cannot be built refuses the spec

    @classmethod
    def default(cls) -> ModelSpec:
        """Return the historical contract."""
        return cls()

    @property
    def alphabet(self) -> Alphabet:
        """The characters with the blank, as CTC classes."""
        return Alphabet(self.characters, self.blank)

    @property
    def classes(self) -> int:
        """K, the number of CTC classes."""
        return len(self.characters) + 1

    @property
    def channels(self) -> int:
        """1 for gray, 3 for rgb and bgr."""
        return COLORS[self.color]

    @property
    def image_shape(self) -> Tuple[int, int, int]:
        """The shape of one image as (C, H, W)."""
        return (self.channels, self.height, self.width)

    @property
    def read_widths(self) -> Tuple[int, ...]:
        """The widths that an image may have as the model's input, ascending."""
        if self.widths is None:
            return (self.width,)
        return self.widths.list

    def at_width(self, width: int, time_steps: int) -> ModelSpec:
        """Return the spec as it is at one width.

        Args:
            width: Of the images, in columns.
            time_steps: What the model gives at that width, measured.

        Returns:
            A spec of that fixed width, without widths to choose from.
        """
        return dataclasses.replace(self, width=width, time_steps=time_steps, widths=None)

    @property
    def table(self) -> np.ndarray:
        """The float32 values of the 256 pixel values, shape (256,)."""
        pixels = np.arange(256, dtype=np.float32)
        return (pixels / np.float32(self.divisor) - np.float32(self.mean)) / np.float32(self.std)

    def normalise(self, pixels: np.ndarray, out: Optional[np.ndarray] = None) -> np.ndarray:
        """Return ``table[pixels]`` for uint8 pixels of any shape, bit for bit but cheaper; into
        ``out`` if given.
        """
        values: np.ndarray = np.divide(pixels, np.float32(self.divisor), out=out, dtype=np.float32)
        np.subtract(values, np.float32(self.mean), out=values)
        np.divide(values, np.float32(self.std), out=values)
        return values

    def fold(self, label: str) -> str:
        """Return the label as it is compared with what the model reads."""
        return labels.fold(label, folds_case=self.fold_case)

    def output_shape(self, batch: Optional[int]) -> Tuple[Optional[int], ...]:
        """Return the shape of the file's logits for a batch; None stands for any size, as that of
        the time steps does where the spec has several widths.
        """
        return self._shape_of(self.output_axes, batch)

    def fitting_axes(self, shape: Sequence[Optional[int]], batch: Optional[int]) -> List[str]:
        """Say by which orders of axes logits can have a shape.

        Args:
            shape: The logits' shape; None for an axis of any size.
            batch: N; None for any.

        Returns:
            Those of `OUTPUT_AXES` that fit, the spec's own first.
        """
        orders = sorted(OUTPUT_AXES, key=lambda axes: axes != self.output_axes)
        return [axes for axes in orders if fits(shape, self._shape_of(axes, batch))]

    def odd_axes(self, shape: Sequence[Optional[int]]) -> Optional[str]:
        """Say by which order of axes, none of `OUTPUT_AXES`, logits have a shape.

        Args:
            shape: The logits' shape; None for an axis of any size.

        Returns:
            The one of `ODD_AXES` by which the numbers of time steps and of classes stand at their
            places; None where there is none, or one of `OUTPUT_AXES` does as well.
        """
        exact = [axes for axes in (*OUTPUT_AXES, *ODD_AXES) if self._is_exact(shape, axes)]
        if exact and exact[0] in ODD_AXES:
            return exact[0]
        return None

    def _is_exact(self, shape: Sequence[Optional[int]], axes: str) -> bool:
        """Say whether the time steps and the classes of an order are a shape's, not any number."""
        own = self._shape_of(axes, None)
        if not fits(shape, own):
            return False
        known = [size for size, expected in zip(shape, own) if expected is not None]
        return None not in known

    def _shape_of(self, axes: str, batch: Optional[int]) -> Tuple[Optional[int], ...]:
        steps: Optional[int] = self.time_steps
        if self.widths is not None:
            steps = None
        sizes = {"T": steps, "N": batch, "K": self.classes}
        return tuple(sizes[axis] for axis in axes)

    def to_json(self) -> str:
        """Return the spec as one line of JSON with sorted keys."""
        return json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False)

    def to_dict(self) -> Dict[str, Any]:
        """Return the spec as plain data, with its format's name and version."""
        values = dataclasses.asdict(self)
        values["alphabet"] = values.pop("characters")
        if self.widths is not None:
            values["widths"] = self.widths.to_dict()
        for field in dataclasses.fields(self):
            if is_new(field.name, ADDED) and values[field.name] == field.default:
                del values[field.name]
        return {"format": numbered(FORMAT, ADDED, values), **values}

    @classmethod
    def from_json(cls, text: str, *, where: str = "spec") -> ModelSpec:
        """Read what `to_json` wrote; ``where`` names the source in errors."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: not JSON: {error}") from error
        return cls.from_dict(data, where=where)

    @classmethod
    def from_dict(cls, data: Any, *, where: str = "spec") -> ModelSpec:
        """Read what `to_dict` gave; unknown formats, unknown or missing keys and wrong types are
        refused.
        """
        found = format_of(data)
        known = optional_keys(FORMAT, ADDED, found)
        if known is None:
            raise InputError(
                f"{where}: the format is {found!r}; expected {newest(FORMAT, ADDED)!r}",
                hint=(
                    "The file was written by another version of the kit: export the model again"
                    " with this one."
                ),
            )
        values = {key: value for key, value in data.items() if key != "format"}
        required = {key for key in _TYPES if not is_new(key, ADDED)}
        odd = sorted((set(values) ^ required) - known)
        if odd:
            raise InputError(f"{where}: unknown or missing keys: {', '.join(odd)[:300]}")
        for key, value in values.items():
            # bool is an int to Python, but "width": true is not a width.
            if not isinstance(value, _TYPES[key]) or (
                isinstance(value, bool) and _TYPES[key] != (bool,)
            ):
                raise InputError(
                    f"{where}: {key} is {value!r}; expected {_TYPES[key][-1].__name__}"
                )
        values["characters"] = values.pop("alphabet")
        try:
            if "widths" in values:
                values["widths"] = widths_of(values["widths"])
            return cls(**values)
        except InputError as error:
            raise InputError(f"{where}: {error.message}", hint=error.hint) from error


def _refuse_views(text: str) -> None:
    # Of models that name views alone.
    from crnn.views import parsed

    try:
        parsed(text)
    except UsageError as error:
        raise InputError(f"spec: views: {error.message}", hint=error.hint) from error


def numbered(first: str, added: Sequence[FrozenSet[str]], keys: Iterable[str]) -> str:
    """Return the format of a file: the lowest one that knows its keys.

    Args:
        first: The first format, such as "crnn-spec/1".
        added: The keys that the formats 2, 3 … added.
        keys: The file's keys.

    Returns:
        The format's name, such as "crnn-spec/2".

    >>> numbered("crnn-om/1", [frozenset(["external_data"])], ["external_data"])
    'crnn-om/2'
    """
    present = set(keys)
    number = 1
    for later, new in enumerate(added, 2):
        if present & new:
            number = later
    return f"{_stem(first)}{number}"


def newest(first: str, added: Sequence[FrozenSet[str]]) -> str:
    """Return the newest format that this kit reads.

    Args:
        first: The first format, such as "crnn-spec/1".
        added: The keys that the formats 2, 3 … added.

    Returns:
        The format's name with its newest number.
    """
    return f"{_stem(first)}{len(added) + 1}"


def format_of(data: object) -> object:
    """Return the format that a file says it has.

    Args:
        data: What the file's JSON holds.

    Returns:
        The value of its key "format"; the name of the type of data that is not a JSON object.
    """
    if isinstance(data, dict):
        return data.get("format")
    return type(data).__name__


def optional_keys(
    first: str, added: Sequence[FrozenSet[str]], found: object
) -> Optional[FrozenSet[str]]:
    """Return the keys that a file of a format may have beside those of the first format.

    Args:
        first: The first format, such as "crnn-spec/1".
        added: The keys that the formats 2, 3 … added.
        found: The file's format.

    Returns:
        The keys; None where this kit does not know the format.
    """
    known: FrozenSet[str] = frozenset()
    if found == first:
        return known
    for later, new in enumerate(added, 2):
        known |= new
        if found == f"{_stem(first)}{later}":
            return known
    return None


def is_new(key: str, added: Sequence[FrozenSet[str]]) -> bool:
    """Say whether a later format than the first added a key.

    Args:
        key: A key of the format.
        added: The keys that the formats 2, 3 … added.

    Returns:
        True where the first format lacks it.
    """
    return any(key in new for new in added)


def _stem(first: str) -> str:
    return first[: first.index("/") + 1]


def spec_in(metadata: Mapping[str, str], path: Path) -> Optional[ModelSpec]:
    """Return the spec that an ONNX file carries.

    Args:
        metadata: The file's ``metadata_props``.
        path: The file, for the error.

    Returns:
        The spec; None where the file carries none.

    Raises:
        InputError: What it carries cannot be read.
    """
    text = metadata.get(METADATA_KEY)
    if not text:
        return None
    if len(text) > limit("text"):
        raise InputError(f"{path}, metadata {METADATA_KEY}: {len(text)} characters")
    return ModelSpec.from_json(text, where=f"{path}, metadata {METADATA_KEY}")


def read_spec(path: Path) -> ModelSpec:
    """Read a whole spec from a file.

    Args:
        path: A file that holds a spec's JSON, or holds it as ``spec``, as ``NAME.om.json`` does.

    Returns:
        The spec.

    Raises:
        InputError: There is none in it.
    """
    return ModelSpec.from_dict(spec_json(path), where=str(path))


def spec_json(path: Path) -> Any:
    """Read what a file says of a spec.

    Args:
        path: A file that holds a spec's JSON, or holds it as ``spec``, as ``NAME.om.json`` does.

    Returns:
        The JSON's value: all keys of a spec, or those that differ.

    Raises:
        InputError: It is not JSON.
    """
    require_file(path, "a spec's JSON")
    try:
        data = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON: {error}") from error
    if isinstance(data, dict) and "spec" in data:
        return data["spec"]
    return data


def changed_spec(
    own: ModelSpec, data: Any, *, where: str, steps: Callable[[int], Optional[int]]
) -> ModelSpec:
    """Return a spec with the keys that a JSON has in the place of its own.

    What hangs together stays so where the JSON does not say otherwise: a blank after the old
    characters comes after the new ones, labels are folded where they have no capitals, and a new
    width brings its time steps.

    Args:
        own: The spec that is changed.
        data: The JSON's value; with all keys of a spec it is that spec.
        where: Its source, for errors.
        steps: Gives the time steps of a width; None where they cannot be told.

    Returns:
        The spec.

    Raises:
        InputError: A key is unknown, or a value is of a wrong type or outside its range.
    """
    required = {key for key in _TYPES if not is_new(key, ADDED)}
    if not isinstance(data, dict) or required <= set(data):
        return ModelSpec.from_dict(data, where=where)
    odd = sorted(set(data) - set(_TYPES) - {"format"})
    if odd:
        question = did_you_mean(odd[0], _TYPES)
        raise InputError(
            f"{where}: unknown key {odd[0]!r}{question}", hint=f"There are {', '.join(_TYPES)}."
        )
    if "format" in data and optional_keys(FORMAT, ADDED, data["format"]) is None:
        return ModelSpec.from_dict(data, where=where)
    values = {**own.to_dict(), **_with_alphabet(own, data.get("alphabet")), **data}
    width = data.get("width")
    if type(width) is int and width > 0 and "time_steps" not in data:
        values["time_steps"] = steps(width) or own.time_steps
    if values.get("widths", own) is None:
        del values["widths"]
    del values["format"]
    return ModelSpec.from_dict({"format": numbered(FORMAT, ADDED, values), **values}, where=where)


def _with_alphabet(own: ModelSpec, alphabet: object) -> Mapping[str, object]:
    """Return what changes with other characters."""
    if not isinstance(alphabet, str):
        return {}
    blank = 0
    if own.blank:
        blank = len(alphabet)
    return {"blank": blank, "fold_case": alphabet == alphabet.lower()}


def fits(shape: Sequence[Optional[int]], expected: Sequence[Optional[int]]) -> bool:
    """Say whether a tensor can have a shape.

    Args:
        shape: What it has; None for an axis of any size.
        expected: What it should have; None likewise.

    Returns:
        True where each axis agrees or is open.
    """
    if len(shape) != len(expected):
        return False
    return all(None in pair or pair[0] == pair[1] for pair in zip(shape, expected))


def _at_most(name: str, value: int, what: str) -> None:
    most = limit(name)
    if value > most:
        raise InputError(f"spec: {what} {value}; at most {most}", hint=advice(name))


def _one_of(name: str, value: str, choices: Tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"spec: {name} is {value!r}; expected one of {', '.join(choices)}")
