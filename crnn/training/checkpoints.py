"""The checkpoints of a run:

each appears whole, can be resumed, and is read by the rest of the kit like any other.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Mapping

import torch

from crnn.errors import InputError
from crnn.files import atomic_file, natural_key
from crnn.network import CRNN
from crnn.spec import ModelSpec
from crnn.training.recipe import Recipe, unlike
from crnn.training.state import wrong_part
from crnn.weights.checkpoint import checkpoint_content
from crnn.weights.torch_file import read_torch_file

LAST, BEST = "last.pth", "best.pth"
PATTERN = "checkpoint_*_acc_*.pth"
TRAINING_KEY = "crnn.training"


@dataclass
class Counters:
    """How far a run has come:

    steps done, and the best accuracy with the step that it was measured after.
    """

    step: int = 0
    accuracy: float = 0.0
    best: float = 0.0
    best_step: int = 0


class Checkpoints:
    """The files in a run's folder; of the numbered ones the newest ``keep`` stay.

    With ``keep`` 0 none is written, and none that is there already is removed.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self._keep = keep

    @property
    def last(self) -> Path:
        """The file that a run goes on from."""
        return self.folder / LAST

    def save_last(self, content: Mapping[str, Any]) -> None:
        """Write ``last.pth``."""
        with atomic_file(self.last) as file:
            torch.save(content, file)

    def save_numbered(self, content: Mapping[str, Any], name: str) -> None:
        """Write ``last.pth``, and the same as ``name``; remove what is more than ``keep``."""
        self.save_last(content)
        if self._keep == 0:
            return
        self._copy(name)
        # By age, not by number: another run's files may have higher ones.
        numbered = sorted(
            self.folder.glob(PATTERN),
            key=lambda path: (path.stat().st_mtime_ns, natural_key(path.name)),
        )
        for path in numbered[: -self._keep]:
            path.unlink()

    def save_best(self, content: Mapping[str, Any]) -> None:
        """Write ``best.pth``."""
        with atomic_file(self.folder / BEST) as file:
            torch.save(content, file)

    def _copy(self, name: str) -> None:
        with open(self.last, "rb") as source, atomic_file(self.folder / name) as target:
            shutil.copyfileobj(source, target)


def checkpoint_name(epoch: int, accuracy: float, step: int, *, by_steps: bool) -> str:
    """Return ModelZoo's name, its epochs counted from 0; with the step in it where the run is saved
    by steps.
    """
    return f"checkpoint_{epoch}{f'_step_{step}' if by_steps else ''}_acc_{accuracy:.4f}.pth"


def content_of(
    model: CRNN,
    raw: CRNN,
    spec: ModelSpec,
    counters: Counters,
    epoch: int,
    state: Mapping[str, Any],
) -> Dict[str, Any]:
    """Return a checkpoint's content.

    ``state_dict`` holds the weights to use, the averaged ones where there are such; ``epoch``,
    ``best_acc`` and ``optimizer`` stand where ModelZoo's files have them. ``raw``'s weights are
    added where they are others.
    """
    content = checkpoint_content(_weights(model), model.config, spec)
    training = {
        **state,
        "step": counters.step,
        "accuracy": counters.accuracy,
        "best_step": counters.best_step,
        **({} if raw is model else {"raw": _weights(raw)}),
    }
    optimizer = training.pop("optimizer")
    return {
        **content,
        "epoch": epoch,
        "best_acc": counters.best,
        "optimizer": optimizer,
        TRAINING_KEY: training,
    }


def read_state(path: Path) -> Dict[str, Any]:
    """Read a checkpoint that a run can go on from. Raises `InputError` for any other file."""
    content = read_torch_file(path)
    if not isinstance(content, dict) or TRAINING_KEY not in content or "optimizer" not in content:
        raise InputError(
            f"{path} holds no run to go on with: it was not written by this trainer",
            hint="Its weights can begin a new run: start_from=" + str(path),
        )
    wrong = wrong_part(content, content[TRAINING_KEY])
    if wrong:
        raise InputError(
            f"{path}: its {wrong} is not as this trainer writes it: the file has been altered",
            hint=f"Go on from another of the run's checkpoints: copy it to {path.name}",
        )
    return content


def require_same_run(
    path: Path, training: Mapping[str, Any], data: Mapping[str, int], recipe: Recipe
) -> None:
    """Refuse to go on from a checkpoint of other data or of another recipe.

    Args:
        path: the checkpoint, for messages.
        training: what it holds of its run.
        data: this run's numbers of words, by what they are counted over.
        recipe: this run's.

    Raises:
        InputError: the data, or a key of the recipe that must stay, differs.
    """
    if training["data"] != data:
        raise InputError(
            f"{path} was trained with {_told(training['data'])}; this run has {_told(data)}",
            hint=(
                "Going on needs the same data, batch_size and number of processes; to begin"
                f" anew from its weights: start_from={path}"
            ),
        )
    changed = unlike(recipe, training["recipe"])
    if changed:
        raise InputError(
            f"{path} was trained with another {' and '.join(changed)} than this recipe's",
            hint=f"Going on needs the same; to begin anew from its weights: start_from={path}",
        )


def restore_counters(content: Mapping[str, Any]) -> Counters:
    """Return how far the run of a checkpoint had come."""
    training = content[TRAINING_KEY]
    return Counters(
        training["step"], training["accuracy"], content["best_acc"], training["best_step"]
    )


def _told(state: Mapping[str, int]) -> str:
    return ", ".join(f"{value} {name}" for name, value in state.items())


def _weights(model: CRNN) -> Dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
