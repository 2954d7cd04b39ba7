"""Words in the order that they are trained on:

a function of seed, epoch and step, so that any step can be resumed.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import (
    Any,
    Counter,
    Dict,
    Generator,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    Union,
    cast,
)

import numpy as np
import torch

from crnn.batch import MISSING_IMAGE, Problem, ProblemCounts, Sample
from crnn.datasets.synth.render import Renderer
from crnn.errors import InputError, KitError, UnavailableError
from crnn.image import ImageError, decode_remarked
from crnn.labels import NO_LABEL
from crnn.samples.lmdb import lmdbs_below
from crnn.samples.source import open_labelled
from crnn.signals import ENDING, interrupts_blocked, left_to_parent
from crnn.spec import ModelSpec
from crnn.training.labels import LabelRules
from crnn.training.recipe import Data, Recipe

TRAIN_FOLDER, VALID_FOLDER = "MJ_LMDB", "IIIT5K_lmdb"
"""What ModelZoo's scripts look for below ``data_path``; case does not matter."""


class LabelledWords:
    """The words of an LMDB, or of a folder of images, that are trained on; ``skipped`` counts the
    others by reason, and ``named`` are the first few of each.
    """

    def __init__(self, path: Path, labels: LabelRules, annotation: Optional[Path] = None) -> None:
        self._samples = open_labelled(path, annotation, in_order=False)
        self.name = str(path)
        problems = ProblemCounts()
        self.skipped: Mapping[str, int] = problems.counts
        self.named: Sequence[Tuple[str, Problem]] = problems.named
        kept = []
        for index, label in self._samples.labels():
            reason = labels.take(label)[1]
            if reason:
                problems.add(self._samples.key_of(index), Problem(reason, repr(label)))
            else:
                kept.append(index)
        for key in self._samples.unlabelled():
            problems.add(key, Problem(NO_LABEL))
        self._kept = np.array(kept, dtype=np.int32)
        if not kept:
            raise InputError(
                f"{path} holds no word that can be trained on: {describe(self.skipped)}"
            )

    def __len__(self) -> int:
        return len(self._kept)

    def resized(self, count: int) -> LabelledWords:
        """Return the source for epochs that take ``count`` of its words."""
        return self

    def sample(self, epoch: int, position: int) -> Sample:
        """Return a word; the same in every epoch."""
        return self._samples.sample(int(self._kept[position]))


class RenderedWords:
    """Words rendered when they are asked for, no two epochs alike."""

    name = "rendered words"

    def __init__(self, renderer: Renderer, size: int) -> None:
        self._renderer = renderer
        self._size = size
        self.skipped: Mapping[str, int] = {}
        self.named: Sequence[Tuple[str, Problem]] = ()

    def __len__(self) -> int:
        return self._size

    def resized(self, count: int) -> RenderedWords:
        """Return the source for epochs that take ``count`` of its words."""
        return RenderedWords(self._renderer, count)

    def sample(self, epoch: int, position: int) -> Sample:
        """Return a word of an epoch."""
        return self._renderer.sample(1 + epoch * self._size + position)


@dataclass(frozen=True)
class Part:
    """A source and how many of its words an epoch takes."""

    words: Any
    count: int

    def positions(self, generator: np.random.Generator) -> np.ndarray:
        """Return ``count`` of the source's positions in random order, each as often as any other,
        within one.
        """
        size = len(self.words)
        rounds = [generator.permutation(size) for _ in range(-(-self.count // size))]
        return np.concatenate(rounds)[: self.count]


class Mixture:
    """Several sources as one, in an order of its own for each epoch."""

    def __init__(self, parts: Sequence[Part], seed: int) -> None:
        self.parts = parts
        self._seed = seed
        self._starts = np.cumsum([0, *(len(part.words) for part in parts)])

    def __len__(self) -> int:
        return sum(part.count for part in self.parts)

    def order(self, epoch: int) -> np.ndarray:
        """Return the words of an epoch, as numbers for `sample`, in their order."""
        generator = np.random.default_rng([self._seed, epoch])
        numbers = [
            start + part.positions(generator) for start, part in zip(self._starts, self.parts)
        ]
        if len(numbers) == 1:
            alone: np.ndarray = numbers[0]
            return alone
        mixed: np.ndarray = generator.permutation(np.concatenate(numbers))
        return mixed

    def sample(self, epoch: int, number: int) -> Sample:
        """Return a word by its number."""
        part = int(np.searchsorted(self._starts, number, side="right")) - 1
        sample: Sample = self.parts[part].words.sample(epoch, number - int(self._starts[part]))
        return sample


@dataclass(frozen=True)
class DataPlan:
    """The words of one step on one device."""

    epoch: int
    numbers: np.ndarray


class Plans:
    """The plans of a run, step by step, for the device ``rank`` of ``size``; an epoch's incomplete
    batch is left out.

    Iterating starts at the step ``start`` and ends before the step ``end``.
    """

    def __init__(
        self, mixture: Mixture, batch: int, rank: int, size: int, start: int, end: int
    ) -> None:
        self._mixture = mixture
        self._batch, self._rank, self._size = batch, rank, size
        self._start, self._end = start, end
        self._epoch, self._order = -1, np.empty(0)
        self.steps_per_epoch = len(mixture) // (batch * size)
        if not self.steps_per_epoch:
            raise InputError(
                f"an epoch has {len(mixture)} words, fewer than the {batch * size} of a step "
                f"({batch} on each of {size} device{'s' if size > 1 else ''})",
                hint="Give more data or a smaller batch_size.",
            )

    def __len__(self) -> int:
        return max(0, self._end - self._start)

    def __iter__(self) -> Iterator[DataPlan]:
        return self.between(self._start, self._end)

    def between(self, start: int, end: int) -> Iterator[DataPlan]:
        """Yield the plans from a step on to before another."""
        epoch, order = self._epoch, self._order
        for step in range(start, end):
            wanted, place = divmod(step, self.steps_per_epoch)
            if wanted != epoch:
                epoch, order = wanted, self._mixture.order(wanted)
                self._epoch, self._order = epoch, order
            first = (place * self._size + self._rank) * self._batch
            yield DataPlan(epoch, order[first : first + self._batch])


@dataclass(frozen=True)
class TrainBatch:
    """Pixels uint8 (n, C, H, W), the classes of all labels in a row, and each label's length; both
    int64.

    ``skipped`` counts the planned words that are not in it, by reason, ``remarks`` what else its
    pictures depend on (`crnn.image.remark_lines`).
    """

    images: torch.Tensor
    targets: torch.Tensor
    lengths: torch.Tensor
    skipped: Mapping[str, int] = field(default_factory=dict)
    remarks: Mapping[str, int] = field(default_factory=dict)

    def pin_memory(self) -> TrainBatch:
        """Return the batch in memory that a GPU can copy from by itself."""
        return TrainBatch(
            self.images.pin_memory(),
            self.targets.pin_memory(),
            self.lengths.pin_memory(),
            self.skipped,
            self.remarks,
        )


class Batches:
    """Plans to batches; what a `torch.utils.data.DataLoader` takes for a data set."""

    def __init__(self, mixture: Mixture, labels: LabelRules) -> None:
        self._mixture = mixture
        self._labels = labels
        self._classes = class_table(labels.spec)

    def __getitem__(self, plan: DataPlan) -> Union[TrainBatch, KitError]:
        # An error raised in another process would come as the text of its traceback.
        try:
            return self._batch(plan)
        except KitError as error:
            return error

    def _batch(self, plan: DataPlan) -> TrainBatch:
        images: List[np.ndarray] = []
        texts: List[str] = []
        skipped: Counter[str] = collections.Counter()
        remarks: Counter[str] = collections.Counter()
        for number in plan.numbers.tolist():
            sample = self._mixture.sample(plan.epoch, number)
            text, reason = self._labels.take(sample.label)
            if not reason and sample.image is None:
                reason = MISSING_IMAGE
            if not reason:
                assert sample.image is not None
                try:
                    pixels, remarked = decode_remarked(sample.image, self._labels.spec)
                    images.append(pixels)
                    texts.append(text)
                    remarks.update(remarked)
                except ImageError as error:
                    reason = error.problem.reason
            if reason:
                skipped[reason] += 1
        if not images:
            raise InputError(
                f"none of a step's {len(plan.numbers)} words can be used: {describe(skipped)}"
            )
        targets, lengths = encode(texts, self._classes)
        stacked = torch.from_numpy(np.stack(images))
        return TrainBatch(stacked, targets, lengths, dict(skipped), dict(remarks))


def open_training_data(
    recipe: Recipe, spec: ModelSpec, most_steps: Optional[int] = None
) -> Tuple[Mixture, LabelRules]:
    """Open what a recipe trains on; ``most_steps`` are the time steps at the network's widest
    width, where it has several. Raises `InputError` with the path that was tried.
    """
    labels = LabelRules(
        spec,
        recipe.oov == "strip",
        recipe.min_text_length,
        recipe.max_text_length,
        recipe.too_long == "cut",
        most_steps,
    )
    entries = recipe.train or tuple(
        Data(path=str(path)) for path in _below(recipe.data_path, TRAIN_FOLDER)
    )
    if not entries:
        raise InputError(
            "the recipe names no training data",
            hint=(
                "Give train=DATA (an LMDB, or a folder of images with its list),"
                " train='[{render: true}]' for rendered words, or data_path=DIR with MJ_LMDB in it."
            ),
        )
    entries = tuple(_expanded(entries))
    words: List[Any] = [_words(entry, labels, recipe.seed) for entry in entries]
    total, weights = sum(map(len, words)), sum(entry.weight or 0 for entry in entries)
    counts = [
        len(source) if entry.weight is None else max(1, round(total * entry.weight / weights))
        for source, entry in zip(words, entries)
    ]
    return (
        Mixture(
            [Part(source.resized(count), count) for source, count in zip(words, counts)],
            recipe.seed,
        ),
        labels,
    )


def _expanded(entries: Sequence[Data]) -> Sequence[Data]:
    """Return the sources with the LMDBs below a folder in its place; they share its weight."""
    expanded: List[Data] = []
    for entry in entries:
        below = []
        if entry.path is not None and entry.annotation is None:
            below = lmdbs_below(Path(entry.path))
        if not below:
            expanded.append(entry)
        weight = entry.weight
        if weight is not None and below:
            weight = weight / len(below)
        for path in below:
            expanded.append(dataclasses.replace(entry, path=str(path), weight=weight))
    return expanded


def valid_sets(recipe: Recipe) -> Sequence[Tuple[Path, str]]:
    """Return the LMDBs that a run is evaluated on, each of them there, with names that tell them
    apart.
    """
    paths = [Path(path) for path in recipe.valid] or _below(recipe.data_path, VALID_FOLDER)
    found: List[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"there is no data set to evaluate on at {path}")
        found.extend(lmdbs_below(path) or [path])
    paths = found
    return [(path, _name_among(path, paths)) for path in paths]


def _name_among(path: Path, paths: Sequence[Path]) -> str:
    """Return as much of the path's end as no other ends with."""
    others = [other for other in paths if other != path]
    for length in range(1, len(path.parts) + 1):
        end = path.parts[-length:]
        if all(other.parts[-length:] != end for other in others):
            return "/".join(end)
    return str(path)


@contextlib.contextmanager
def _unwarned() -> Iterator[None]:
    """How many processes work is the recipe's to say, on one core too."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")
        yield


def load(batches: Any, plans: Any, *, workers: int, pin: bool) -> Generator[Any, None, None]:
    """Yield what `Batches` make of `Plans`, in order; ``workers`` processes prepare them, none of
    them this one's work.

    Closing the generator ends the processes. Raises what `Batches` does, and `UnavailableError`
    where one of the processes died.
    """
    processes: Dict[str, Any] = {}
    if workers:
        # Spawned: neither LMDB nor OpenCV survives a fork.
        processes = {
            "multiprocessing_context": "spawn",
            "prefetch_factor": 4,
            "worker_init_fn": _start_worker,
        }
    with _unwarned():
        # Its types ask for more than it uses.
        loader: Any = torch.utils.data.DataLoader(
            cast(Any, batches),
            batch_size=None,
            sampler=cast(Any, plans),
            num_workers=workers,
            collate_fn=cast(Any, _as_it_is),
            pin_memory=pin,
            **processes,
        )
    # The processes hear of no signal, from their start on: when to stop is this one's to say.
    with interrupts_blocked(*ENDING), _unwarned():
        iterator = iter(loader)
    try:
        for batch in iterator:
            if isinstance(batch, KitError):
                raise batch
            yield batch
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise UnavailableError(
            f"a process that prepares words ended: {error}",
            hint=(
                "It may have been killed for want of memory: see dmesg. Fewer processes: workers=1."
                " Going on from the last checkpoint: --resume"
            ),
        ) from error
    finally:
        # Deleting the iterator stops its worker processes.
        del iterator


def class_table(spec: ModelSpec) -> Mapping[str, int]:
    """Return each character's class."""
    blank = spec.alphabet.blank
    return {
        character: index for index, character in enumerate(spec.alphabet.table) if index != blank
    }


def encode(texts: Sequence[str], classes: Mapping[str, int]) -> Tuple[torch.Tensor, torch.Tensor]:
    """Return all texts' classes in a row, and their lengths; both int64."""
    targets = torch.tensor(
        [classes[character] for text in texts for character in text], dtype=torch.int64
    )
    return targets, torch.tensor([len(text) for text in texts], dtype=torch.int64)


def describe(skipped: Mapping[str, int]) -> str:
    """Return the reasons and their counts in a line."""
    return (
        ", ".join(f"{count} {reason}" for reason, count in sorted(skipped.items())) or "it is empty"
    )


def _words(entry: Data, labels: LabelRules, seed: int) -> Any:
    if entry.path is not None:
        path = Path(entry.path)
        if not path.exists():
            raise InputError(
                f"there is no training data at {path}; expected an LMDB or a folder of images"
            )
        annotation = None
        if entry.annotation is not None:
            annotation = Path(entry.annotation)
        return LabelledWords(path, labels, annotation)
    renderer = Renderer.create(
        seed,
        alphabet=labels.spec.characters,
        words=_optional_path(entry.words),
        fonts=_optional_path(entry.fonts),
        effects_file=_optional_path(entry.effects),
    )
    return RenderedWords(renderer, entry.size)


def _optional_path(given: Optional[str]) -> Optional[Path]:
    if given is None:
        return None
    return Path(given)


def _below(folder: Optional[str], name: str) -> List[Path]:
    if folder is None:
        return []
    parent = Path(folder)
    if not parent.is_dir():
        raise InputError(f"data_path {parent} is not a folder")
    for entry in sorted(parent.iterdir()):
        if entry.name.lower() == name.lower():
            return [entry]
    raise InputError(
        f"there is no {parent / name}, in any spelling of its case",
        hint=(
            f"data_path stands for a folder with {TRAIN_FOLDER} and {VALID_FOLDER}; others are"
            " named by train= and valid="
        ),
    )


def _as_it_is(batch: Any) -> Any:
    return batch


_LAST_SECONDS = 20


def _start_worker(worker: int) -> None:
    left_to_parent(_LAST_SECONDS)
    torch.set_num_threads(1)
    try:
        import cv2
    except ImportError:
        return
    cv2.setNumThreads(1)
