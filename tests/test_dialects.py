"""What the five systems call otherwise: each name is taken, or answered by the kit's own."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest

from crnn import dialects
from crnn.cli.main import main
from crnn.cli.scripts import postpossess
from crnn.training.recipe import KEYS, load_recipe
from tests.conftest import ROOT
from tests.test_page_commands import every_parser

DATA = str(ROOT / "examples" / "words_lmdb")
MODEL = str(ROOT / "examples" / "crnn_small.pth")

# As they are typed there: a key of default_config.yaml, an option of a script, a key of a YAML.
TRAINED = [
    ("epoch_size=10", "length="),
    ("eval_interval=1", "evaluate_every="),
    ("eval_start_epoch=5", "evaluate_from="),
    ("keep_checkpoint_max=30", "keep=N"),
    ("save_checkpoint=False", "keep=0"),
    ("save_checkpoint_steps=1000", "save_every="),
    ("save_checkpoint_path=./", "--out DIR"),
    ("run_eval=True", "valid=LMDB"),
    ("save_best_ckpt=True", "best.pth"),
    ("eval_all_saved_ckpts=True", "crnn evaluate RUN DATA"),
    ("train_dataset=synth", "train=LMDB"),
    ("train_dataset_path=/d", "train=LMDB"),
    ("train_eval_dataset=svt", "valid=LMDB"),
    ("train_eval_dataset_path=/d", "valid=LMDB"),
    ("hidden_size=256", "hidden=N"),
    ("image_width=100", "width=N"),
    ("image_height=32", "the height is 32"),
    ("class_num=37", "the alphabet"),
    ("num_step=24", "the width"),
    ("input_size=512", "the network"),
    ("use_dropout=True", "dropout=0.1"),
    ("per_print_time=100", "log_every=N"),
    ("model_version=V1", "mindspore-v1"),
    ("device_target=Ascend", "--device"),
    ("rank_table_file=hccl.json", "--devices"),
    ("resume_ckpt=a.ckpt", "--resume"),
    ("train_start_epoch=3", "--resume"),
    ("enable_profiling=True", "--profile A:B"),
    ("TRAIN.END_EPOCH=20", "length="),
    ("TRAIN.BATCH_SIZE_PER_GPU=2560", "batch_size=N"),
    ("MODEL.NUM_HIDDEN=256", "hidden=N"),
    ("DATASET.ALPHABETS=abc", "alphabet="),
    ("WORKERS=8", "workers=VALUE"),
    ("TRAIN.MOMENTUM=0.9", "momentum=VALUE"),
    ("--trainRoot=/d", "train=LMDB"),
    ("--valRoot=/d", "valid=LMDB"),
    ("--imgH=32", "the height is 32"),
    ("--imgW=100", "width=N"),
    ("--nh=256", "hidden=N"),
    ("--nepoch=25", "length="),
    ("--batchSize=64", "batch_size=N"),
    ("--cuda", "--device cuda"),
    ("--ngpu=1", "torchrun"),
    ("--pretrained=a.pth", "start_from="),
    ("--expr_dir=e", "--out DIR"),
    ("--valInterval=500", "evaluate_every="),
    ("--adam", "optimizer=adamw weight_decay=0"),
    ("--beta1=0.5", "betas=[X, 0.999]"),
    ("--manualSeed=1", "seed=N"),
    ("SAVE_FREQ=1", "save_every="),
    ("PRINT_FREQ=1", "log_every=N"),
    ("OUTPUT_DIR=out", "--out DIR"),
    ("--epochs=2", "length="),
    ("--data_path=/d", "data_path=VALUE"),
    ("--batch_size=2560", "batch_size=VALUE"),
    ("--learning_rate=0.1", "learning_rate=VALUE"),
    ("--npu", "--device npu"),
    ("--device_id=3", "--device npu:N"),
    ("--cfg=a.yaml", "crnn train FILE"),
    ("--training_debug", "--max-steps N"),
    ("--pro", "--max-steps 1000"),
    ("--run_distribute=True", "torchrun"),
    ("--checkpoint_path=a.ckpt", "crnn evaluate MODEL DATA"),
    ("--weights_path=a", "start_from="),
    ("--num_iters=240000", "length="),
    ("--lr=0.01", "learning_rate=X"),
    ("--lr_sched=cos", "schedule=cosine"),
    ("--use_nesterov", "nesterov=true"),
    ("--warmup_step=10", "warmup="),
    ("--root_dir=.", "nothing to set"),
    ("--dataset_dir=data", "train=LMDB"),
]
READ = [
    ("--batchsize=16", "--batch N"),
    ("--pre_dir=./input_bin", "the command is crnn evaluate MODEL DATA"),
    ("--modelpath=a.om", "crnn evaluate MODEL DATA"),
    ("--json_output_file=result", "--json FILE.json"),
    ("--eval_dataset_path=/d", "crnn evaluate MODEL DATA"),
    ("--checkpoint_path=a", "crnn evaluate MODEL DATA"),
    ("--output_batchsize_axis=1", "the axis is known"),
    ("--device_target=GPU", "--device npu, cuda or cpu"),
    ("--preds_path=out", "--save-outputs DIR"),
    ("--loop=100", "crnn bench"),
    ("--outfmt=BIN", "--save-outputs DIR writes BIN"),
    ("--model_path=a.om", "crnn evaluate MODEL DATA"),
    ("--dataset_path=/d", "crnn evaluate MODEL DATA"),
    ("--alphabet=abc", '--spec \'{"alphabet": "CHARACTERS"}\''),
    ("--imgW=160", "--spec '{\"width\": N}'"),
]


@pytest.mark.parametrize(("typed", "answer"), TRAINED)
def test_what_training_is_given_is_answered(
    typed: str, answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "modelzoo-1p", typed]) == 2
    error = capsys.readouterr().err
    assert answer in error
    assert "did you mean" not in error


@pytest.mark.parametrize(("typed", "answer"), READ)
def test_what_an_evaluation_is_given_is_answered(
    typed: str, answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", MODEL, DATA, typed]) == 2
    error = capsys.readouterr().err
    assert answer in error
    assert "did you mean" not in error


WORDS = [
    (["eval", "m.onnx", "d"], "here eval is evaluate"),
    (["atc"], "here atc is compile"),
    (["dataset", "convert", "csv", "a", "b"], "here csv is folder"),
    (["import", "pytorch", "a", "b"], "here pytorch is torch"),
    # An answer fits the verb, and none is left out.
    (["export", "--input", "a", "--output", "b"], "the command is crnn export IN.pth OUT.onnx"),
    (["bench", "--om_path", "a"], "the command is crnn bench MODEL --data DATA"),
    (["evaluate", MODEL, DATA, "--batchsize", "4", "--device_id", "0"], "here --device_id is"),
    # What is missing was given by another name.
    (["compile", "--model=a.onnx", "--framework=5"], "the command is crnn compile MODEL.onnx NAME"),
    (["export", "a.pth", "b.onnx", "--imgH", "64"], "here --imgH is nothing to set: the height is"),
    (["compile", "--soc_version=Ascend310"], "here --soc_version is --soc NAME"),
]


@pytest.mark.parametrize(("typed", "answer"), WORDS)
def test_words_of_others_are_answered_where_they_stand(
    typed: List[str], answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(typed) == 2
    assert answer in " ".join(capsys.readouterr().err.split())


def test_an_option_that_a_verb_lacks_is_not_offered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "a.pth", "b.onnx", "--device_id", "0"]) == 2
    assert "--device N" not in capsys.readouterr().err


def test_the_words_that_are_answered_are_nothing_of_the_kits_own() -> None:
    parsers = every_parser()
    for program, words in dialects.WORDS.items():
        parser = parsers[tuple(program.split()[1:])]
        known = [action.choices for action in parser._actions if action.choices]
        assert known
        assert not set(words) & set(known[-1])


def test_no_name_of_the_kits_own_is_answered() -> None:
    assert not set(KEYS) & set(dialects.TRAINING)


@pytest.mark.parametrize("device", ["CPU", "cpu"])
def test_a_device_is_taken_whatever_its_case(device: str, tmp_path: Path) -> None:
    words = ["--batch", "64", "--json", str(tmp_path / "r.json"), "--device", device]
    assert main(["evaluate", MODEL, DATA, *words]) == 0


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Ascend", "npu"),
        ("GPU", "cuda"),
        ("CPU", "cpu"),
        ("ascend:1", "npu:1"),
        ("npu:0", "npu:0"),
        ("auto", "auto"),
        ("0,1", "0,1"),
        ("tpu", "tpu"),
    ],
)
def test_devices(typed: str, name: str) -> None:
    assert dialects.device(typed) == name


def test_the_numbers_of_the_readmes() -> None:
    assert load_recipe("mindspore-v1").batch_size == 64
    assert load_recipe("mindspore-v1-config").batch_size == 16
    tensorflow = load_recipe("tensorflow-8p")
    assert (tensorflow.momentum, tensorflow.nesterov) == (0.9, False)


def test_postpossess_prints_as_the_script_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bins, label = str(tmp_path / "bins"), str(tmp_path / "label.txt")
    assert main(["prepare", DATA, bins, "--label", label]) == 0
    outputs = str(tmp_path / "result")
    words = ["--label", label, "--save-outputs", outputs, "--outputs-style", "benchmark"]
    assert main(["evaluate", MODEL, bins, *words, "--batch", "64"]) == 0
    capsys.readouterr()
    assert postpossess([outputs, label]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert "totalNum: 300" in printed
    assert any(line.startswith("accuracy_rate 99.") for line in printed)


def test_the_network_is_there_by_its_historical_import() -> None:
    from crnn import CRNN

    assert sum(weight.numel() for weight in CRNN().parameters()) == 8_331_301
