from __future__ import annotations

import itertools
import math
import re
import sys
from pathlib import Path
from typing import Dict, List, Optional

import numpy as np
import pytest
import torch
from torch.nn import functional

from crnn.errors import CheckError, InputError, UnavailableError, UsageError
from crnn.labels import NO_LABEL, OUTSIDE, TOO_LONG
from crnn.network import CRNN
from crnn.presets import CrnnConfig
from crnn.spec import ModelSpec
from crnn.training.augment import light
from crnn.training.data import (
    Batches,
    Plans,
    class_table,
    encode,
    load,
    open_training_data,
    valid_sets,
)
from crnn.training.divergence import Divergence
from crnn.training.labels import LONG, SHORT, LabelRules
from crnn.training.loop import Stop
from crnn.training.model import CtcLoss, build_model, initialise, spec_and_config
from crnn.training.optim import Ema, Scaler, learning_rates, make_optimizer
from crnn.training.recipe import load_recipe
from crnn.training.report import read_metrics
from crnn.training.world import open_world
from tests.training.conftest import TINY, write_lmdb

SPEC = ModelSpec.default()
SMALL = CrnnConfig(channels=(2, 2, 2, 2, 2, 2, 2), hidden=2)


@pytest.mark.parametrize(
    ("label", "options", "expected"),
    [
        ("Word", {}, ("word", "")),
        (None, {}, ("", NO_LABEL)),
        ("", {}, ("", SHORT)),
        ("it's", {}, ("", OUTSIDE)),
        ("it's", {"strip": True}, ("its", "")),
        ("'-'", {"strip": True}, ("", SHORT)),
        ("ab", {"min_length": 3}, ("", SHORT)),
        ("abcdef", {"max_length": 3}, ("", LONG)),
        ("abcdef", {"max_length": 3, "cut": True}, ("abc", "")),
        ("ab" * 13, {}, ("ab" * 13, "")),  # 26 steps
        ("ab" * 13 + "a", {}, ("", TOO_LONG)),
        ("a" * 13, {}, ("a" * 13, "")),  # and a blank between each two
        ("a" * 14, {}, ("", TOO_LONG)),
    ],
)
def test_labels(label: str, options: dict, expected: tuple) -> None:
    assert LabelRules(SPEC, **options).take(label) == expected


def test_each_epoch_has_an_order_of_its_own_and_all_words(words: Path) -> None:
    mixture, _ = open_training_data(load_recipe("synthetic", [f"train={words}"]), SPEC)
    again, _ = open_training_data(load_recipe("synthetic", [f"train={words}"]), SPEC)
    other, _ = open_training_data(load_recipe("synthetic", [f"train={words}", "seed=2"]), SPEC)
    first, second = mixture.order(0), mixture.order(1)
    assert sorted(first) == sorted(second) == list(range(40))
    assert first.tolist() != second.tolist()
    assert again.order(1).tolist() == second.tolist() != other.order(1).tolist()


def test_weights_are_shares_of_an_epoch(words: Path, tmp_path: Path) -> None:
    few = write_lmdb(tmp_path / "few", ["a"] * 10)
    pairs = [f"train=[{{path: {words}, weight: 1}}, {{path: {few}, weight: 3}}]"]
    mixture, _ = open_training_data(load_recipe("synthetic", pairs), SPEC)
    assert [part.count for part in mixture.parts] == [12, 38]
    order = mixture.order(0)
    assert len(order) == len(mixture) == 50
    # The few words come three or four times each, the many at most once.
    counts = np.bincount(order, minlength=50)
    assert set(counts[:40]) == {0, 1}
    assert set(counts[40:]) == {3, 4}


def test_what_is_left_out_is_counted_and_the_rest_is_read_as_it_is(tmp_path: Path) -> None:
    folder = write_lmdb(tmp_path / "data", ["Ab", "it's", "a" * 14, "b"])
    recipe = load_recipe("synthetic", [f"train={folder}"])
    mixture, labels = open_training_data(recipe, SPEC)
    assert mixture.parts[0].words.skipped == {OUTSIDE: 1, TOO_LONG: 1}
    plans = Plans(mixture, 2, 0, 1, 0, 1)
    (batch,) = load(Batches(mixture, labels), plans, workers=0, pin=False)
    assert batch.images.shape == (2, 1, 32, 100)
    assert batch.images.dtype == torch.uint8
    lengths = batch.lengths.tolist()
    texts = [
        "".join(SPEC.alphabet.table[index] for index in part)
        for part in batch.targets.split(lengths)
    ]
    assert sorted(texts) == ["ab", "b"]


def test_processes_share_a_step_and_a_resumed_run_sees_what_is_left(words: Path) -> None:
    mixture, _ = open_training_data(load_recipe("synthetic", [f"train={words}"]), SPEC)
    alone = list(Plans(mixture, 8, 0, 1, 0, 12))
    pair = [list(Plans(mixture, 4, rank, 2, 0, 12)) for rank in (0, 1)]
    for whole, first, second in zip(alone, *pair):
        assert whole.numbers.tolist() == [*first.numbers, *second.numbers]
    resumed = list(Plans(mixture, 8, 0, 1, 7, 12))
    for left, right in zip(alone[7:], resumed):
        assert (left.epoch, left.numbers.tolist()) == (right.epoch, right.numbers.tolist())
    with pytest.raises(InputError, match="an epoch has 40 words, fewer than the 48 of a step"):
        Plans(mixture, 24, 0, 2, 0, 1)


@pytest.mark.parametrize("spelling", [("MJ_LMDB", "IIIT5K_lmdb"), ("mj_lmdb", "IIIT5K_LMDB")])
def test_data_path_finds_both_sets_in_either_spelling(spelling: List[str], tmp_path: Path) -> None:
    for name in spelling:
        write_lmdb(tmp_path / name, ["a"])
    recipe = load_recipe("modelzoo-1p", [f"data_path={tmp_path}"])
    mixture, _ = open_training_data(recipe, SPEC)
    assert mixture.parts[0].words.name == str(tmp_path / spelling[0])
    assert valid_sets(recipe) == [(tmp_path / spelling[1], spelling[1])]


def test_validation_sets_of_one_folder_name_are_told_apart(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a/lmdb", "b/lmdb", "b/other")]
    for path in paths:
        path.mkdir(parents=True)
    recipe = load_recipe("modelzoo-1p", [f"valid=[{', '.join(map(str, paths))}]"])
    assert [name for _, name in valid_sets(recipe)] == ["a/lmdb", "b/lmdb", "other"]


def rates(steps_per_epoch: int, steps: int, *pairs: str) -> List[float]:
    recipe = load_recipe(
        "synthetic", ["schedule=constant", "warmup=0 steps", "learning_rate=2", *pairs]
    )
    rate = learning_rates(recipe, steps_per_epoch, steps)
    return [rate(step) for step in range(steps)]


def test_learning_rates() -> None:
    assert rates(5, 4) == [2, 2, 2, 2]
    cosine = [1 + math.cos(math.pi * step / 4) for step in range(4)]
    assert rates(5, 4, "schedule=cosine") == pytest.approx(cosine)
    # The warm-up stands in the place of the schedule's first steps.
    assert rates(5, 4, "schedule=cosine", "warmup=2 steps") == pytest.approx([0, 1, *cosine[2:]])
    assert rates(2, 4, "schedule=cosine", "schedule_unit=epoch") == pytest.approx([2, 2, 1, 1])
    assert rates(5, 4, "schedule=polynomial", "power=2", "final_learning_rate=1") == pytest.approx(
        [1 + (1 - step / 4) ** 2 for step in range(4)]
    )
    assert rates(5, 4, "schedule=polynomial", "schedule_length=2 steps")[2:] == [0, 0]


def test_optimisers() -> None:
    weights = [torch.nn.Parameter(torch.ones(2))]
    kinds = {
        "modelzoo-1p": (torch.optim.Adadelta, {"lr": 1.0, "rho": 0.9}),
        "mindspore-v2": (torch.optim.SGD, {"lr": 0.02, "momentum": 0.95, "nesterov": True}),
        "tensorflow-8p": (torch.optim.SGD, {"lr": 0.08, "momentum": 0.9, "nesterov": False}),
        "synthetic": (torch.optim.AdamW, {"lr": 0.0012, "weight_decay": 0.01}),
    }
    for name, (kind, settings) in kinds.items():
        optimizer = make_optimizer(load_recipe(name), weights)
        assert type(optimizer) is kind
        assert settings.items() <= optimizer.defaults.items()


def test_reductions_of_the_loss() -> None:
    torch.manual_seed(0)
    logits = torch.randn(26, 3, 37)
    targets, lengths = encode(["a", "bc", "ddd"], class_table(SPEC))
    each = functional.ctc_loss(
        logits.log_softmax(2), targets, torch.full((3,), 26), lengths, blank=0, reduction="none"
    )
    assert CtcLoss(0, "sum")(logits, targets, lengths) == pytest.approx(each.sum().item())
    assert CtcLoss(0, "batch_mean")(logits, targets, lengths) == pytest.approx(each.mean().item())
    assert CtcLoss(0)(logits, targets, lengths) == pytest.approx((each / lengths).mean().item())
    # Half-precision logits are raised first.
    assert CtcLoss(0)(logits.half(), targets, lengths).dtype == torch.float32


def test_impossible_labels_cost_nothing_only_if_asked() -> None:
    targets, lengths = encode(["a" * 14], class_table(SPEC))
    logits = torch.zeros(26, 1, 37)
    assert CtcLoss(0)(logits, targets, lengths) == 0
    assert CtcLoss(0, zero_infinity=False)(logits, targets, lengths) == math.inf


@pytest.mark.parametrize("style", ["modelzoo", "mindspore", "tensorflow"])
def test_first_weights(style: str) -> None:
    torch.manual_seed(0)
    model = CRNN(CrnnConfig(channels=(8, 16, 32, 32, 64, 64, 64), hidden=8))
    initialise(model, style)
    weight = model.cnn.conv3.weight.data
    expected = {"modelzoo": 0.02, "mindspore": 0.0176, "tensorflow": math.sqrt(2 / (32 * 9))}[style]
    assert float(weight.std()) == pytest.approx(expected, rel=0.05)
    if style == "mindspore":
        assert float(weight.abs().max()) <= 0.04
    if style == "modelzoo":
        assert float(model.cnn.batchnorm4.weight.data.std()) == pytest.approx(0.02, rel=0.4)


@pytest.mark.parametrize("where", ["first", "last"])
def test_dropout_is_there_while_training_and_leaves_the_names_alone(where: str) -> None:
    recipe = load_recipe("synthetic", [*TINY, "dropout=0.5", f"dropout_at={where}"])
    _, config = spec_and_config(recipe)
    model, _ = build_model(recipe, config)
    assert model.state_dict().keys() == CRNN(config).state_dict().keys()
    images = torch.randn(2, 1, 32, 100)
    model.eval()
    assert torch.equal(model(images), model(images))
    model.train()
    assert not torch.equal(model(images), model(images))


def test_the_seed_decides_the_first_weights() -> None:
    models = [
        build_model(recipe, spec_and_config(recipe)[1])[0].state_dict()
        for recipe in (load_recipe("synthetic", [*TINY, f"seed={seed}"]) for seed in (1, 1, 2))
    ]
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
    assert not torch.equal(models[0]["cnn.conv0.weight"], models[2]["cnn.conv0.weight"])


def test_the_average_of_weights() -> None:
    model = CRNN(SMALL)
    ema = Ema(model, 0.9)
    start = model.cnn.conv0.weight.detach().clone()
    with torch.no_grad():
        for tensor in itertools.chain(model.parameters(), model.buffers()):
            tensor += 1
    ema.update(model, 1000)
    torch.testing.assert_close(ema.model.cnn.conv0.weight, start + 0.1)
    assert torch.equal(ema.model.cnn.batchnorm2.running_mean, torch.ones(2))
    ema.update(model, 0)  # at first it is the tenth that counts: a start is soon forgotten
    torch.testing.assert_close(ema.model.cnn.conv0.weight, start + 0.91)


@pytest.mark.skipif(
    not hasattr(torch.amp, "GradScaler"), reason="PyTorch before 2.3 scales no loss on the CPU"
)
def test_a_fixed_loss_scale_stays() -> None:
    recipe = load_recipe("modelzoo-1p")
    scaler = Scaler(recipe, torch.device("cpu"))
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = make_optimizer(recipe, [weight])
    for gradient in (1.0, math.inf, 1.0):
        scaler.inner.scale(weight.sum())
        weight.grad = torch.tensor([gradient])
        scaler.inner.step(optimizer)
        scaler.update()
        assert scaler.inner.get_scale() == 128


def test_light_changes_are_small_and_depend_on_the_seed() -> None:
    images = torch.linspace(-1, 1, 100).expand(4, 1, 32, 100).contiguous()
    changed = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        changed.append(light(images))
    assert torch.equal(changed[0], changed[1])
    assert not torch.equal(changed[0], changed[2])
    assert changed[0].shape == images.shape
    assert 0.01 < float((changed[0] - images).abs().mean()) < 0.4
    assert float(changed[0].abs().max()) <= 1


def test_the_second_ctrl_c_does_not_wait() -> None:
    import signal

    stop = Stop()
    with stop.listening():
        signal.raise_signal(signal.SIGINT)
        assert stop.number == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_cut_line_of_metrics_ends_them(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 1}\n{"step": 2}\n{"ste')
    assert read_metrics(file) == [{"step": 1}, {"step": 2}]


@pytest.mark.parametrize(
    ("device", "devices", "environment", "error"),
    [
        ("cpu:1", None, {}, "there is one cpu; --device cpu:1 is for cuda and npu"),
        ("cpu", [0], {}, "there is one cpu; --devices is for cuda and npu"),
        ("cuda:x", None, {}, "--device cuda:x: expected auto, cpu, cuda or npu"),
        ("cuda:1", [1], {}, "several processes take theirs with --devices 0,1"),
        ("cuda:1", None, {"WORLD_SIZE": "2"}, "several processes take theirs with --devices 0,1"),
        ("cuda", [3], {"LOCAL_RANK": "1"}, "--devices names 1 devices; there are more processes"),
        ("cpu", None, {"RANK": "x"}, "the environment variable RANK is 'x'"),
        ("cpu", None, {"WORLD_SIZE": "2"}, "WORLD_SIZE is 2 but MASTER_ADDR is not set"),
    ],
)
def test_devices_that_cannot_be_a_processs_own_are_refused(
    device: str,
    devices: Optional[List[int]],
    environment: Dict[str, str],
    error: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    refused = pytest.raises((UsageError, InputError), match=re.escape(error))
    with refused, open_world(device, devices):
        pass


def test_a_device_that_is_not_there_is_the_machines_lack() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    refused = pytest.raises(UnavailableError, match="there is no cuda:0: PyTorch .* sees 0 GPUs")
    with refused, open_world("cuda"):
        pass


def test_an_npu_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_npu", None)
    with pytest.raises(UnavailableError, match="this needs torch_npu"), open_world("npu"):
        pass


def test_without_accelerators_auto_is_the_processor_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    monkeypatch.setitem(sys.modules, "torch_npu", None)
    with open_world() as world:
        assert world.device.type == "cpu"
        assert world.first
        values = [torch.ones(2)]
        world.average(values)
        world.copy_from_first(values)
        world.wait()
        assert torch.equal(values[0], torch.ones(2))
        assert world.sum([0.5]) == [0.5]


@pytest.mark.parametrize(
    ("loss", "weight", "error"),
    [
        (math.nan, 1.0, "by step 7: the loss is nan; no checkpoint was written before"),
        (1.0, math.inf, "by step 7: there are weights that are not finite"),
        (16.0, 1.0, "by step 7: the loss is 16, above 15"),
    ],
)
def test_a_loss_or_a_weight_that_is_lost_ends_a_run(loss: float, weight: float, error: str) -> None:
    divergence = Divergence(5.0, guess=2.0)
    divergence.require_sound(3.0, [torch.ones(2)], 1, None)
    divergence.require_sound(15.0, [torch.ones(2)], 2, None)
    with pytest.raises(CheckError, match=re.escape(error)):
        divergence.require_sound(loss, [torch.ones(2), torch.tensor(weight)], 7, None)
