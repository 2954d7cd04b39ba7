"""The file beside an OM:

``NAME.om.json`` keeps what ATC drops, the spec and where the model comes from.
"""

from __future__ import annotations

import dataclasses
import json
import re
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from crnn.ascend.reference import Reference, parse_reference
from crnn.errors import InputError
from crnn.filekind import sha256
from crnn.files import read_bounded, write_text
from crnn.fingerprint import Fingerprint, parse_fingerprint
from crnn.spec import ModelSpec, format_of, is_new, newest, numbered, optional_keys

FORMAT = "crnn-om/1"
ADDED = (
    frozenset(["external_data"]),
    frozenset(["reference"]),
    frozenset(["widths"]),
    frozenset(["inputs"]),
    frozenset(["probe"]),
)
"""The keys that the formats 2, 3 … of a sidecar added (`numbered`)."""
MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Probe:
    """Which tensors of the ONNX an OM's outputs are, in their order, and which one the logits."""

    tensors: Tuple[str, ...]
    logits: str


@dataclass(frozen=True)
class Sidecar:
    """What is known of an OM beside its content. Hashes are SHA-256 in lower-case hexadecimal.

    ``checkpoint_sha256`` is None where the ONNX did not tell it; ``command`` is ATC's command line,
    a word each; ``versions`` names what the model was made with (crnn, cann, atc …);
    ``external_data`` has the hashes of the files that held the ONNX's weights, by name;
    ``reference`` what the ONNX read of the built-in pictures; ``widths`` the widths in pixels that
    the OM takes, ascending, each at every one of ``batch_sizes``: empty for a model of one width;
    ``inputs`` what the spec makes of the built-in patterns; ``probe`` which of the
    ONNX's tensors its outputs are, None where it has the logits alone.
    """

    spec: ModelSpec
    om_sha256: str
    onnx_sha256: str
    checkpoint_sha256: Optional[str]
    command: Tuple[str, ...]
    versions: Mapping[str, str]
    batch_sizes: Tuple[int, ...]
    simulated: bool
    external_data: Mapping[str, str] = dataclasses.field(default_factory=dict)
    reference: Optional[Reference] = None
    widths: Tuple[int, ...] = ()
    inputs: Optional[Fingerprint] = None
    probe: Optional[Probe] = None

    def to_json(self) -> str:
        """Return the file's text: JSON with sorted keys, a line end at the end."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        values.update(spec=self.spec.to_dict(), versions=dict(self.versions))
        if not self.external_data:
            del values["external_data"]
        if not self.widths:
            del values["widths"]
        del values["probe"]
        if self.probe is not None:
            tensors = list(self.probe.tensors)
            values["probe"] = {"logits": self.probe.logits, "tensors": tensors}
        del values["reference"]
        if self.reference is not None:
            values["reference"] = self.reference.to_dict()
        del values["inputs"]
        if self.inputs is not None:
            values["inputs"] = self.inputs.to_dict()
        values["format"] = numbered(FORMAT, ADDED, values)
        return (
            json.dumps(values, sort_keys=True, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
        )


def sidecar_path(om: Path) -> Path:
    """Return where the file beside an OM stands: ``NAME.om.json``.

    Args:
        om: An OM's path.

    Returns:
        The path beside it, whether it exists or not.
    """
    return om.with_name(f"{om.name}.json")


def write_sidecar(om: Path, sidecar: Sidecar) -> Path:
    """Write the file beside an OM, whole or not at all.

    Args:
        om: The OM's path.
        sidecar: What is to stand beside it.

    Returns:
        The path that was written.

    Raises:
        InputError: The folder cannot be written to.
    """
    path = sidecar_path(om)
    write_text(path, sidecar.to_json())
    return path


def read_sidecar(path: Path) -> Sidecar:
    """Read what `write_sidecar` wrote.

    Args:
        path: The file beside an OM.

    Returns:
        What it holds.

    Raises:
        InputError: A key is missing, unknown or wrong; it is named.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise InputError(f"{path} has {size} bytes; at most {MAX_BYTES} are read")
    return parse_sidecar(read_bounded(path), path)


def parse_sidecar(text: bytes, path: Path) -> Sidecar:
    """Read the bytes of such a file; ``path`` names it in errors. Raises `InputError`."""
    try:
        data = json.loads(text.decode("utf-8"))
        # JSON can spell half characters, which nothing could print or write later.
        json.dumps(data, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}", hint=_hint(path)) from error
    found = format_of(data)
    known = optional_keys(FORMAT, ADDED, found)
    if known is None:
        raise InputError(
            f"{path}: the format is {reprlib.repr(found)}; expected {_expected()}",
            hint=_hint(path),
        )
    required = {key for key in _CHECKS if not is_new(key, ADDED)}
    odd = sorted((set(data) ^ required) - {"format"} - known)
    if odd:
        raise InputError(f"{path}: unknown or missing keys: {', '.join(odd)}", hint=_hint(path))
    for key, (expected, check) in _CHECKS.items():
        if key in data and not check(data[key]):
            raise InputError(
                f"{path}: {key} is {reprlib.repr(data[key])}; expected {expected}", hint=_hint(path)
            )
    return Sidecar(
        spec=ModelSpec.from_dict(data["spec"], where=str(path)),
        om_sha256=data["om_sha256"],
        onnx_sha256=data["onnx_sha256"],
        checkpoint_sha256=data["checkpoint_sha256"],
        command=tuple(data["command"]),
        versions=data["versions"],
        batch_sizes=tuple(data["batch_sizes"]),
        simulated=data["simulated"],
        external_data=data.get("external_data", {}),
        reference=_reference(data, path),
        widths=tuple(data.get("widths", ())),
        inputs=parse_fingerprint(data.get("inputs")),
        probe=_probe(data),
    )


def _reference(data: Mapping[str, Any], path: Path) -> Optional[Reference]:
    if "reference" not in data:
        return None
    return parse_reference(data["reference"], str(path))


def _probe(data: Mapping[str, Any]) -> Optional[Probe]:
    if "probe" not in data:
        return None
    return Probe(tuple(data["probe"]["tensors"]), data["probe"]["logits"])


def find_sidecar(om: Path, om_sha256: Optional[str] = None) -> Optional[Sidecar]:
    """Read the file that stands beside an OM.

    Args:
        om: The OM's path.
        om_sha256: The OM's hash where the caller has it; it is computed otherwise.

    Returns:
        What the file holds, None where there is none.

    Raises:
        InputError: The file is damaged or belongs to another OM: a model that is read by another's
            spec gives wrong texts and no error.
    """
    path = sidecar_path(om)
    if not path.is_file():
        return None
    sidecar = read_sidecar(path)
    actual = om_sha256 or sha256(om)
    if sidecar.om_sha256 != actual:
        raise InputError(
            f"{path} belongs to another OM: it names {sidecar.om_sha256[:12]}…, {om.name} is"
            f" {actual[:12]}…",
            hint=f"{_hint(path)} To read the OM by the default spec, move {path.name} away.",
        )
    return sidecar


def find_spec(om: Path, om_sha256: Optional[str] = None) -> Tuple[ModelSpec, str]:
    """Find the spec that an OM is read by.

    Args:
        om: The OM's path.
        om_sha256: The OM's hash where the caller has it.

    Returns:
        The spec, and "file" or "default": a bare OM is read by the default spec.

    Raises:
        InputError: The file beside it is damaged or belongs to another OM.
    """
    sidecar = find_sidecar(om, om_sha256)
    if sidecar is None:
        return (ModelSpec.default(), "default")
    return (sidecar.spec, "file")


def describe_sidecar(om: Path, om_sha256: str) -> Dict[str, Any]:
    """Describe the file beside an OM; one that cannot be used is described, not raised.

    Args:
        om: The OM's path.
        om_sha256: The OM's hash.

    Returns:
        Fields to be printed.
    """
    try:
        sidecar = find_sidecar(om, om_sha256)
    except InputError as error:
        return {"spec_from": f"nothing: {error.message}", "spec": {}}
    if sidecar is None:
        where = f"default (no {sidecar_path(om).name} stands beside it)"
        return {"spec_from": where, "spec": ModelSpec.default().to_dict()}
    source: Dict[str, Any] = {}
    if sidecar.widths:
        source["widths"] = list(sidecar.widths)
    source.update(
        {
            "onnx_sha256": sidecar.onnx_sha256,
            "checkpoint_sha256": sidecar.checkpoint_sha256 or "unknown",
        }
    )
    if sidecar.external_data:
        source["external_data"] = dict(sidecar.external_data)
    return {
        "spec_from": "file",
        "spec": sidecar.spec.to_dict(),
        "versions": dict(sidecar.versions),
        **source,
    }


def _hint(path: Path) -> str:
    return (
        "Compile again, which writes it anew: crnn compile MODEL.onnx"
        f" {path.name[: -len('.om.json')]}"
    )


def _expected() -> str:
    return f"{FORMAT!r} to {newest(FORMAT, ADDED)!r}"


def _is_hashes(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_hash, value.values()))


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def _is_batch(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(map(_is_batch, value))


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_versions(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


def _is_probe(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != {"logits", "tensors"}:
        return False
    return _is_texts(value["tensors"]) and value["tensors"].count(value["logits"]) == 1


_HASH = "a SHA-256 of 64 hexadecimal digits"
_CHECKS: Dict[str, Tuple[str, Callable[[Any], bool]]] = {
    "spec": ("an object", lambda value: isinstance(value, dict)),
    "om_sha256": (_HASH, _is_hash),
    "onnx_sha256": (_HASH, _is_hash),
    "checkpoint_sha256": (f"{_HASH}, or null", lambda value: value is None or _is_hash(value)),
    "command": ("a list of texts", _is_texts),
    "versions": ("texts by name", _is_versions),
    "batch_sizes": ("a list of positive numbers", _are_sizes),
    "widths": ("a list of positive numbers", _are_sizes),
    "external_data": (f"{_HASH} for each file", _is_hashes),
    "reference": ("an object", lambda value: isinstance(value, dict)),
    "inputs": ("an object", lambda value: isinstance(value, dict)),
    "probe": ("the tensors of the outputs, and which one the logits are", _is_probe),
    "simulated": ("true or false", lambda value: isinstance(value, bool)),
}
