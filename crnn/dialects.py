"""What the five systems that this kit replaces call what it calls otherwise (docs/migration.md).

A name of theirs that the kit does not know is answered by the kit's own name; one that means the
same as a device of the kit is taken.
"""

from __future__ import annotations

from typing import Dict, Optional

_LENGTH = 'length="N epochs"'
_OWN = "nothing to set"
_TORCHRUN = "an option of torchrun: torchrun --nproc_per_node=N -m crnn train"
_EVALUATE = "an argument of its own verb: crnn evaluate MODEL DATA"
UNNAMED = "an argument without a name"
"""Of a verb: which ones it has, its parser knows."""
OUTPUTS = "--save-outputs DIR"
_VALID = "valid=LMDB"

TRAINING: Dict[str, str] = {
    # CRNN for PyTorch: its scripts, main.py and YAML
    "epochs": _LENGTH,
    "end_epoch": _LENGTH,
    "begin_epoch": "--resume",
    "is_resume": "--resume",
    "cfg": "the recipe itself: crnn train FILE",
    "npu": "--device npu or --device npu:N",
    "device_id": "--device npu:N",
    "device_list": "--devices 0,1",
    "world_size": _TORCHRUN,
    "rank": _TORCHRUN,
    "nd": _TORCHRUN,
    "dist_url": _TORCHRUN,
    "dist_backend": _TORCHRUN,
    "addr": _TORCHRUN,
    "multiprocessing_distributed": _TORCHRUN,
    "pro": "--max-steps 1000",
    "training_debug": "--max-steps N",
    "max_step": "--max-steps N",
    "profiling": "--profile A:B",
    "start_step": "--profile A:B",
    "stop_step": "--profile A:B",
    "bin": f"{_OWN}: a setting of the NPU's runtime",
    "training_type": f"{_OWN}: a setting of the NPU's runtime",
    "batch_size_per_gpu": "batch_size=N",
    "train_root": "train=LMDB",
    "test_root": _VALID,
    "alphabets": "alphabet=CHARACTERS",
    "data_filter": "oov=drop valid_oov=drop",
    "num_hidden": "hidden=N",
    "num_classes": f"{_OWN}: counted from the alphabet, and the blank",
    "image_size": "width=N (the height is 32)",
    "print_freq": "log_every=N",
    "save_freq": 'save_every="N epochs"',
    "output_dir": "--out DIR",
    "num_test_disp": "examples=N",
    "lr": "learning_rate=X",
    "amp": "precision=float16",
    "opt_level": "precision=float16",
    "shuffle": f"{_OWN}: training data is always shuffled",
    "pin_memory": f"{_OWN}: done where it helps",
    "drop_last": f"{_OWN}: an incomplete last batch of an epoch is left out",
    "model_file": _EVALUATE,
    "conf_path": _TORCHRUN,
    "server_index": _TORCHRUN,
    "fix_node_ip": _TORCHRUN,
    "devicesnum": _TORCHRUN,
    "one_node_ip": _TORCHRUN,
    "linux_num": _TORCHRUN,
    "train_url": "train=LMDB, after the data is copied in",
    "data_url": "train=LMDB, after the data is copied in",
    "test_data_url": "valid=LMDB, after the data is copied in",
    "onnx": "a verb of its own: crnn export RUN/best.pth OUT.onnx",
    # crnn.pytorch: the options of its train.py
    "trainroot": "train=LMDB",
    "valroot": _VALID,
    "imgh": f"{_OWN}: the height is 32",
    "imgw": "width=N",
    "nh": "hidden=N",
    "nepoch": _LENGTH,
    "niter": _LENGTH,
    "batchsize": "batch_size=N",
    "cuda": "--device cuda",
    "ngpu": _TORCHRUN,
    "pretrained": "start_from=FILE.pth",
    "expr_dir": "--out DIR",
    "displayinterval": "log_every=N",
    "valinterval": 'evaluate_every="N steps"',
    "saveinterval": 'save_every="N steps"',
    "adam": "optimizer=adamw weight_decay=0",
    "adadelta": "optimizer=adadelta",
    "beta1": "betas=[X, 0.999]",
    "keep_ratio": f"{_OWN}: every image is stretched to the model's size",
    "random_sample": f"{_OWN}: training data is always shuffled",
    "manualseed": "seed=N",
    "n_test_disp": "examples=N",
    # CRNN for MindSpore, and DeepSpark's copy: default_config.yaml, and options of its names
    "epoch_size": _LENGTH,
    "train_start_epoch": "--resume",
    "resume_ckpt": "--resume, or start_from=FILE.pth after crnn import mindspore",
    "hidden_size": "hidden=N",
    "image_width": "width=N",
    "image_height": f"{_OWN}: the height is 32",
    "class_num": f"{_OWN}: counted from the alphabet, and the blank",
    "num_step": f"{_OWN}: follows from the width",
    "input_size": f"{_OWN}: follows from the network",
    "use_dropout": "dropout=0.1",
    "train_dataset": "train=LMDB, after crnn dataset convert",
    "train_dataset_path": "train=LMDB, after crnn dataset convert",
    "train_eval_dataset": _VALID,
    "train_eval_dataset_path": _VALID,
    "eval_dataset": f"{_VALID} while training, else crnn evaluate MODEL DATA",
    "eval_dataset_path": f"{_VALID} while training, else crnn evaluate MODEL DATA",
    "checkpoint_path": _EVALUATE,
    "ckpt_file": "a verb of its own: crnn import mindspore FILE.ckpt OUT.pth",
    "file_name": "an argument of crnn export IN.pth OUT.onnx",
    "file_format": f"{_OWN}: crnn export writes ONNX",
    "run_eval": _VALID,
    "eval_start_epoch": 'evaluate_from="N epochs"',
    "eval_interval": 'evaluate_every="N epochs"',
    "eval_all_saved_ckpts": "a verb of its own: crnn evaluate RUN DATA, a row for each checkpoint",
    "save_best_ckpt": f"{_OWN}: best.pth is always kept where valid is given",
    "save_checkpoint": "keep=0: last.pth and best.pth alone",
    "save_checkpoint_steps": 'save_every="N steps"',
    "save_checkpoint_path": "--out DIR",
    "output_path": "--out DIR",
    "keep_checkpoint_max": "keep=N",
    "per_print_time": "log_every=N",
    "enable_profiling": "--profile A:B",
    "run_distribute": _TORCHRUN,
    "rank_table_file": "--devices 0,1 under torchrun",
    "device_target": "--device npu, cuda or cpu",
    "model_version": "the recipe: crnn train mindspore-v1 or mindspore-v2",
    "config_path": "the recipe itself: crnn train FILE",
    # CRNN for TensorFlow: its options by their documented names
    "root_dir": f"{_OWN}: paths are as they are typed",
    "dataset_dir": "train=LMDB, after crnn dataset convert tfrecord",
    "weights_path": "start_from=FILE.pth after crnn import tensorflow, or --resume",
    "num_iters": 'length="N steps"',
    "iters": 'length="N steps"',
    "lr_sched": "schedule=cosine or schedule=polynomial",
    "use_nesterov": "nesterov=true",
    "warmup_step": 'warmup="N steps"',
    "save_dir": "--out DIR",
    "char_dict_path": f"{_OWN}: alphabet=CHARACTERS says which there are",
    "ord_map_dict_path": "an option of crnn import tensorflow: --ord-map FILE",
    "decode_outputs": 'valid=LMDB evaluate_every="500 steps"',
    "multi_gpus": _TORCHRUN,
}
"""The kit's words for a name that is given to ``crnn train``, as a key or as an option."""

READING: Dict[str, str] = {
    "pre_dir": UNNAMED,
    "modelpath": UNNAMED,
    "model": UNNAMED,
    "input": UNNAMED,
    "om_path": UNNAMED,
    "checkpoint_path": UNNAMED,
    "ckpt_path": UNNAMED,
    "eval_dataset": UNNAMED,
    "eval_dataset_path": UNNAMED,
    "dataset_dir": UNNAMED,
    "weights_path": UNNAMED,
    "preds_path": OUTPUTS,
    "output": OUTPUTS,
    "output_dirname": OUTPUTS,
    "batchsize": "--batch N",
    "batch_size": "--batch N",
    "json_output_file": "--json FILE.json",
    "device_id": "--device N",
    "device_target": "--device npu, cuda or cpu",
    "npu": "--device N",
    "output_batchsize_axis": f"{_OWN}: the axis is known",
    "input_text_path": f"{_OWN}: the folder of bins is read",
    "input_width": f"{_OWN}: the spec says it; --spec reads by another",
    "input_height": f"{_OWN}: the spec says it; --spec reads by another",
    "model_type": f"{_OWN}",
    "usedvpp": f"{_OWN}: the bins are prepared",
    "round": "a verb of its own: crnn bench MODEL --data DATA --loop N",
    "loop": "a verb of its own: crnn bench MODEL --data DATA --loop N",
    "model_version": "--spec mindspore-v1 or mindspore-v2",
    "onnx_path": UNNAMED,
    "soc_version": "an option of crnn compile: --soc NAME",
    "model_path": UNNAMED,
    "dataset_path": UNNAMED,
    "data": UNNAMED,
    "eval_data": UNNAMED,
    "image_folder": UNNAMED,
    "saved_model": UNNAMED,
    "outfmt": f"{_OWN}: --save-outputs DIR writes BIN; crnn score reads NPY and TXT too",
    "alphabet": """--spec '{"alphabet": "CHARACTERS"}'""",
    "imgw": """--spec '{"width": N}'""",
}
"""The kit's words for an option that is given to any other verb."""

COMPILING: Dict[str, str] = {
    # ATC's own flags
    "framework": _OWN,
    "input_format": _OWN,
    "input_shape": "--batch N; of several widths --widths",
    "dynamic_batch_size": "--batch 1,4,8",
    "dynamic_dims": "--batch 1,4,8 --gears dims",
    "precision_mode": "--precision MODE",
    "insert_op_conf": "--aipp",
    "auto_tune_mode": "--tune",
    "soc_version": "--soc NAME",
}
"""The kit's words for a flag of ATC that is given to ``crnn compile``; others go by ``--extra``."""

EXPORTING: Dict[str, str] = {
    "height": f"{_OWN}: the height is 32",
    "image_height": f"{_OWN}: the height is 32",
    "img_height": f"{_OWN}: the height is 32",
    "imgh": f"{_OWN}: the height is 32",
    "imgw": "--width W",
    "num_classes": f"{_OWN}: read from the file",
    "nclass": f"{_OWN}: read from the file",
    "nh": f"{_OWN}: read from the file",
    "opset": f"{_OWN}: the opset is 11",
    "opset_version": f"{_OWN}: the opset is 11",
}
"""The kit's words for an option that is given to ``crnn export`` or ``pth2onnx.py``."""

WORDS: Dict[str, Dict[str, str]] = {
    "crnn": {
        "atc": "compile",
        "benchmark": "bench",
        "convert": "export for a checkpoint, dataset convert for a data set",
        "data": "dataset",
        "demo": "read",
        "eval": "evaluate",
        "finetune": "train",
        "help": "--help",
        "infer": "read, or evaluate for an accuracy",
        "inference": "read, or evaluate for an accuracy",
        "info": "inspect",
        "lmdb": "dataset",
        "onnx": "export",
        "parse_testdata": "prepare",
        "postprocess": "score",
        "predict": "read",
        "preprocess": "prepare",
        "pth2onnx": "export",
        "recognize": "read",
        "synth": "dataset synth",
        "test": "evaluate, or make test for the kit's own tests",
        "val": "evaluate",
        "validate": "evaluate",
        "version": "--version",
    },
    "crnn dataset convert": {
        "csv": "folder",
        "icdar2003": "ic03",
        "icdar2013": "ic13",
        "icdar2015": "ic15",
        "jsonl": "folder",
        "lmdb": "nothing to convert: an LMDB is read as it is",
        "mjsynth": "synth90k",
        "st": "synthtext",
        "syn90k": "synth90k",
        "txt": "folder",
    },
    "crnn import": {
        "ckpt": "mindspore or tensorflow",
        "mindocr": "mindspore",
        "ms": "mindspore",
        "pth": "torch",
        "pytorch": "torch",
        "tf": "tensorflow",
    },
}
"""The kit's words for those of others that stand where a verb, or the word after it, does."""

_BY_PROGRAM = {"crnn compile": COMPILING, "crnn export": EXPORTING, "pth2onnx.py": EXPORTING}
_DEVICES = {"ascend": "npu", "davinci": "npu", "gpu": "cuda"}


def here(name: str, program: str) -> Optional[str]:
    """Return what the kit calls something that another system has a name for.

    Args:
        name: a key or an option, with dashes and a value or without: ``--epoch_size=10``, also a
            key of a YAML's block: ``TRAIN.END_EPOCH``.
        program: what it was given to: ``crnn train``.

    Returns:
        The kit's words, or None where the name is nobody's.
    """
    bare = name.lstrip("-").partition("=")[0].rpartition(".")[2].lower().replace("-", "_")
    if program == "crnn train":
        return TRAINING.get(bare)
    known = _BY_PROGRAM.get(program, {})
    return known.get(bare, READING.get(bare))


def device(name: str) -> str:
    """Return the kit's name of a device: Ascend is npu, GPU is cuda, whatever the case.

    Args:
        name: a device as it was typed, with a number or without: ``GPU``, ``Ascend:1``.

    Returns:
        The kit's name, with the number; any other name as it is.
    """
    kind, colon, number = name.partition(":")
    lower = kind.lower()
    if lower in ("cpu", "cuda", "npu", "auto"):
        return lower + colon + number
    if lower in _DEVICES:
        return _DEVICES[lower] + colon + number
    return name
