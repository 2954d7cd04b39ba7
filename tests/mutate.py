"""``python -m tests.mutate``: break a promise of the docs, and see that the test of it fails.

A test that passes whatever the kit does proves nothing. Each mutation below changes one line of a
copy of the checkout and names the test that must fail for it. Not part of the suite: a run takes
minutes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence

from crnn.cli import console
from tests.conftest import ROOT

TIMEOUT = 300
"""Seconds for the tests of one mutation; one that hangs did not pass."""
CAUGHT, SURVIVED, STALE = "caught", "SURVIVED", "stale"
FAILED = 1
"""pytest's exit code where a test failed; others say that none was run."""


class Mutation(NamedTuple):
    """A line that breaks a promise, and the test that must see it.

    ``old`` stands exactly once in ``file``; ``test`` is a file's path, ``::`` and a test's name.
    """

    name: str
    file: str
    old: str
    new: str
    test: str


MUTATIONS = (
    # What the box slice imports.
    Mutation(
        "onnx imported in the evaluation's loop",
        "crnn/jobs/evaluate.py",
        "    start = time.perf_counter()\n",
        "    import onnx; start = time.perf_counter()\n",
        "tests/test_imports.py::test_an_om_evaluation_needs_numpy_alone",
    ),
    Mutation(
        "PIL imported by the Ascend runner",
        "crnn/runners/ascend_runner.py",
        "import numpy as np\n",
        "import numpy as np, PIL\n",
        "tests/test_imports.py::test_an_om_evaluation_needs_numpy_alone",
    ),
    Mutation(
        "torch imported with the package",
        "crnn/spec.py",
        "import numpy as np\n",
        "import numpy as np, torch\n",
        "tests/test_imports.py::test_export_and_compile_import_without_torch",
    ),
    Mutation(
        "simulated mark left out of a result",
        "crnn/reports/result_json.py",
        '"simulated": run.simulated,',
        '"simulated": False,',
        "tests/test_imports.py::test_an_om_evaluation_needs_numpy_alone",
    ),
    Mutation(
        "simulated mark left out of readings",
        "crnn/reports/result_json.py",
        'data["simulated"] = True',
        'data.pop("simulated", None)',
        "tests/cli/test_score.py::test_whatever_a_simulated_run_leaves_says_so",
    ),
    Mutation(
        "simulated mark left out of raw outputs",
        "crnn/jobs/raw_outputs.py",
        "        if simulated:\n",
        "        if not folder:\n",
        "tests/cli/test_score.py::test_whatever_a_simulated_run_leaves_says_so",
    ),
    # Batches and their arrays.
    Mutation(
        "an array too few for the batches on their way",
        "crnn/scoring/stream.py",
        "keep=READ_AHEAD + runner.ahead)",
        "keep=READ_AHEAD + runner.ahead - 1)",
        "tests/scoring/test_stream.py::test_no_array_is_overwritten_while_it_is_in_use",
    ),
    Mutation(
        "an array of bins too few",
        "crnn/samples/bins.py",
        "for _ in range(keep + 1)]",
        "for _ in range(max(1, keep))]",
        "tests/samples/test_bins.py::test_kept_batches_stay_while_the_next_is_read",
    ),
    Mutation(
        "an array of images too few",
        "crnn/samples/batches.py",
        "for _ in range(keep + 1)]",
        "for _ in range(max(1, keep))]",
        "tests/samples/test_batches.py::test_kept_batches_stay_and_memory_does_not_grow",
    ),
    Mutation(
        "last short batch of images dropped",
        "crnn/samples/batches.py",
        "if not batch.keys:",
        "if len(batch.keys) < size:",
        "tests/samples/test_batches.py::test_all_come_in_order_whatever_the_batch_and_the_threads",
    ),
    Mutation(
        "last short batch of bins dropped",
        "crnn/samples/bins.py",
        "while start < len(self.labels):",
        "while start + size <= len(self.labels):",
        "tests/samples/test_bins.py::test_batches_are_full_but_for_the_last",
    ),
    # float16, rehearsed.
    Mutation(
        "ties of float16 rounded up and not to the even value",
        "crnn/rehearsal/half.py",
        "    rounded &= _LAST\n",
        "    rounded |= _LAST\n",
        "tests/rehearsal/test_half.py::test_between_two_values_the_nearer_and_of_two_as_near_the_even_one",
    ),
    Mutation(
        "65520 kept finite in float16",
        "crnn/rehearsal/half.py",
        "np.uint32(0x477FF000 - 0x38800000)",
        "np.uint32(0x47800000 - 0x38800000)",
        "tests/rehearsal/test_half.py::test_the_ends_of_the_range",
    ),
    Mutation(
        "small values of float16 cut to zero",
        "crnn/rehearsal/half.py",
        "source[special].astype(np.float16)",
        "np.where(np.abs(source[special]) < 1, 0, source[special].astype(np.float16))",
        "tests/rehearsal/test_half.py::test_every_value_of_float16_stays",
    ),
    Mutation(
        "a convolution's sums not rounded",
        "crnn/rehearsal/operators.py",
        "rounded = to_half(sums).reshape",
        "rounded = sums.reshape",
        "tests/rehearsal/test_operators.py::test_convolution",
    ),
    Mutation(
        "a product rounded before its bias",
        "crnn/rehearsal/operators.py",
        "sums = sums + bias",
        "sums = to_half(sums) + bias",
        "tests/rehearsal/test_operators.py::test_a_sum_is_rounded_once_and_not_each_of_its_terms",
    ),
    Mutation(
        "the LSTM's h kept in float32",
        "crnn/rehearsal/operators.py",
        "hidden = to_half(opened[:, size : 2 * size] * np.tanh(cell))",
        "hidden = opened[:, size : 2 * size] * np.tanh(cell)",
        "tests/rehearsal/test_operators.py::test_the_lstms_h_is_rounded_at_each_step",
    ),
    Mutation(
        "the LSTM's cell rounded",
        "crnn/rehearsal/operators.py",
        "cell = opened[:, 2 * size :] * cell + opened[:, :size] * candidate",
        "cell = to_half(opened[:, 2 * size :] * cell + opened[:, :size] * candidate)",
        "tests/rehearsal/test_operators.py::test_the_lstms_cell_stays_in_float32",
    ),
    Mutation(
        "the LSTM's biases rounded",
        "crnn/rehearsal/modelled.py",
        "return stored.astype(np.float32)",
        "return to_half(stored.astype(np.float32))",
        "tests/rehearsal/test_graph.py::test_an_lstm_takes_its_first_states_and_both_biases_in_float32",
    ),
    Mutation(
        "constants of the rehearsal left in float32",
        "crnn/rehearsal/graph.py",
        "self._constants[name] = _held(value)",
        "self._constants[name] = value",
        "tests/rehearsal/test_graph.py::test_a_convolutions_bias_and_weights_are_rounded",
    ),
    Mutation(
        "an overflow of float16 not told",
        "crnn/rehearsal/graph.py",
        "            self._overflow = position\n",
        "            pass\n",
        "tests/cli/test_rehearse.py::test_values_beyond_float16s_are_told",
    ),
    Mutation(
        "a rehearsal not marked as simulated",
        "crnn/runners/rehearsal_runner.py",
        "    simulated = True\n",
        "    simulated = False\n",
        "tests/cli/test_rehearse.py::test_it_counts_as_ever_and_says_that_it_was_simulated",
    ),
    Mutation(
        "a rehearsal not named in the result",
        "crnn/reports/result_json.py",
        "    if run.rehearsed:\n",
        "    if not run:\n",
        "tests/cli/test_rehearse.py::test_it_counts_as_ever_and_says_that_it_was_simulated",
    ),
    Mutation(
        "the simulator computing in float32 whatever is asked for",
        "crnn/simulator/models.py",
        "knobs.compute != FLOAT16",
        "knobs.compute == FLOAT16",
        "tests/simulator/test_compute.py::test_a_model_gives_the_rehearsals_values",
    ),
    Mutation(
        "an OM compiled for float32 rehearsed in float16",
        "crnn/simulator/models.py",
        "or om.precision in FLOAT32_MODES",
        "or om.precision in ()",
        "tests/simulator/test_compute.py::test_a_model_compiled_for_float32_stays_so",
    ),
    # Decoding and scoring.
    Mutation(
        "T and N of the logits swapped",
        "crnn/ctc.py",
        "logits.argmax(axis=2).T",
        "logits.argmax(axis=2)",
        "tests/test_ctc.py::test_logits_axes_are_time_batch_classes",
    ),
    Mutation(
        "blank moved by one",
        "crnn/ctc.py",
        "path != alphabet.blank\n",
        "path != alphabet.blank + 1\n",
        "tests/test_ctc.py::test_path_by_hand",
    ),
    Mutation(
        "repeats not collapsed",
        "crnn/ctc.py",
        "path[:, 1:] != path[:, :-1]",
        "path[:, 1:] >= 0",
        "tests/test_ctc.py::test_path_by_hand",
    ),
    Mutation(
        "labels not folded",
        "crnn/labels.py",
        "return label.lower()",
        "return label",
        "tests/test_labels.py::test_fold",
    ),
    Mutation(
        "CTC steps without the repeats",
        "crnn/labels.py",
        "return len(label) + repeats(label)",
        "return len(label)",
        "tests/test_labels.py::test_steps_count_a_blank_between_equal_neighbours",
    ),
    Mutation(
        "CER over the length of what was read",
        "crnn/metrics.py",
        "self._characters += len(truth)",
        "self._characters += len(text)",
        "tests/test_metrics.py::test_text_metric_on_three_words",
    ),
    Mutation(
        "NED by the truth's length alone",
        "crnn/metrics.py",
        "(max(len(text), len(truth)) or 1)",
        "(len(truth) or 1)",
        "tests/test_metrics.py::test_text_metric_of_nothing_and_of_empty_strings",
    ),
    Mutation(
        "the interval's z is that of 90 %",
        "crnn/metrics.py",
        "Z95 = 1.959963984540054",
        "Z95 = 1.644853626951473",
        "tests/test_metrics.py::test_wilson_gives_the_published_intervals",
    ),
    Mutation(
        "McNemar's test one-sided",
        "crnn/metrics.py",
        "min(1.0, 2 * tail)",
        "min(1.0, tail)",
        "tests/test_metrics.py::test_paired_test_by_hand",
    ),
    Mutation(
        "a sample that could not be read counts as right",
        "crnn/metrics.py",
        "right = distance == 0 and not wrong",
        "right = distance == 0",
        "tests/scoring/test_scorer.py"
        "::test_a_sample_that_could_not_be_read_is_wrong_even_where_its_label_is_empty",
    ),
    Mutation(
        "output that is not finite is read",
        "crnn/scoring/scorer.py",
        "if finite[column]:",
        "if finite:",
        "tests/scoring/test_scorer.py::test_output_that_is_not_finite_is_a_problem_of_its_row_only",
    ),
    Mutation(
        "--against sees no difference",
        "crnn/jobs/compare.py",
        "if other != reading.text:",
        "if other is None:",
        "tests/jobs/test_compare.py::test_words_that_differ_are_listed_and_paired",
    ),
    Mutation(
        "--max-differ allows one more",
        "crnn/jobs/evaluate.py",
        "len(comparison.differing) > request.max_differ:",
        "len(comparison.differing) > request.max_differ + 1:",
        "tests/cli/test_evaluate.py::test_against_an_earlier_run",
    ),
    Mutation(
        "runs over other words are compared",
        "crnn/jobs/compare.py",
        "        if problems:\n",
        "        if len(problems) > 9:\n",
        "tests/jobs/test_compare.py::test_runs_over_other_words_are_refused",
    ),
    # Exit codes.
    Mutation(
        "a check that failed exits like wrong input",
        "crnn/errors.py",
        "    exit_code = 3\n",
        "    exit_code = 1\n",
        "tests/cli/test_evaluate.py::test_min_accuracy",
    ),
    Mutation(
        "--strict passes whatever is wrong",
        "crnn/jobs/evaluate.py",
        "if request.strict and evaluation.skipped:",
        "if request.strict and not evaluation:",
        "tests/cli/test_evaluate.py::test_problems_are_counted_by_reason_and_count_as_wrong",
    ),
    Mutation(
        "a missing package exits like wrong input",
        "crnn/errors.py",
        "    exit_code = 4\n",
        "    exit_code = 1\n",
        "tests/test_imports.py::test_a_missing_package_is_named_with_the_line_that_installs_it",
    ),
    # Files.
    Mutation(
        "an output written in place",
        "crnn/files.py",
        'tempfile.mkstemp(dir=str(path.parent), prefix=".crnn-", suffix=".part")',
        "os.open(path, os.O_CREAT | os.O_WRONLY), str(path)",
        "tests/test_files.py::test_a_file_appears_only_when_it_is_whole",
    ),
    Mutation(
        "keys of JSON unsorted",
        "crnn/files.py",
        "sort_keys=True, indent=indent",
        "sort_keys=False, indent=indent",
        "tests/cli/test_evaluate.py::test_json_file_is_sorted_utf8_and_whole",
    ),
    Mutation(
        "a line of a label file without its end",
        "crnn/samples/bins.py",
        ':{label}\\n"',
        ':{label}"',
        "tests/samples/test_bins.py::test_golden_bytes",
    ),
    Mutation(
        "labels split at the last colon",
        "crnn/samples/bins.py",
        'line.partition(":")',
        'line.rpartition(":")',
        "tests/samples/test_bins.py::test_labels_are_split_at_the_first_colon",
    ),
    Mutation(
        "an LMDB that begins at 2",
        "crnn/samples/lmdb_writer.py",
        'self._put(b"image-%09d" % self.count, image)',
        'self._put(b"image-%09d" % (self.count + 1), image)',
        "tests/samples/test_lmdb_writer.py::test_the_layout_is_the_usual_one",
    ),
    Mutation(
        "bins numbered by name, not by number",
        "crnn/samples/info.py",
        "sorted(names, key=natural_key)",
        "sorted(names)",
        "tests/samples/test_info.py::test_paths_are_in_natural_order_and_begin_as_given",
    ),
    Mutation(
        "an LFS pointer taken for a model",
        "crnn/files.py",
        "if starts_with(path, LFS_MARK):",
        "if not LFS_MARK:",
        "tests/test_filekind.py::test_a_git_lfs_pointer_is_not_a_model",
    ),
    # What data and models may not do.
    Mutation(
        "code in a checkpoint is run",
        "crnn/weights/torch_file.py",
        "weights_only=True)",
        "weights_only=False)",
        "tests/weights/test_checkpoint.py::test_code_in_a_file_is_refused_and_not_run",
    ),
    Mutation(
        "a name leads out of its folder by ..",
        "crnn/samples/folders.py",
        'if Path(name).is_absolute() or ".." in',
        'if Path(name).is_absolute() and ".." in',
        "tests/samples/test_folders.py::test_no_name_leads_out_of_the_folder",
    ),
    Mutation(
        "a link leads out of its folder",
        "crnn/samples/folders.py",
        "if os.path.commonpath([root, path]) != root:",
        "if not root:",
        "tests/samples/test_folders.py::test_no_name_leads_out_of_the_folder",
    ),
    Mutation(
        "ONNX weights that leave their folder",
        "crnn/runners/external_data.py",
        'any(place.anchor or ".." in place.parts for place in places)',
        "not places",
        "tests/test_external_data.py::test_weights_that_leave_the_folder_are_refused",
    ),
    # Sidecars and specs.
    Mutation(
        "an OM is read by another's sidecar",
        "crnn/ascend/sidecar.py",
        "if sidecar.om_sha256 != actual:",
        "if not actual:",
        "tests/ascend/test_sidecar.py::test_a_stale_file_is_refused_with_what_to_do",
    ),
    Mutation(
        "a new key of a sidecar written where it is not set",
        "crnn/ascend/sidecar.py",
        "if not self.external_data:",
        "if self.external_data is None:",
        "tests/ascend/test_sidecar.py::test_the_bytes_are_golden",
    ),
    Mutation(
        "a new key of a spec written where it is not set",
        "crnn/spec.py",
        "values[field.name] == field.default:",
        "values[field.name] is self:",
        "tests/test_spec.py::test_a_new_key_is_written_only_where_it_is_set",
    ),
    Mutation(
        "OMs of two checkpoints taken for a set",
        "crnn/runners/ascend_runner.py",
        "if len(known) > 1:",
        "if len(known) > 2:",
        "tests/runners/test_ascend_runner.py::test_oms_of_different_checkpoints_are_no_set",
    ),
    # Pixels.
    Mutation(
        "resized down first, then across",
        "crnn/image.py",
        "between = (width, image.height)",
        "between = (image.width, height)",
        "tests/test_image.py::test_the_resize_is_the_historical_one",
    ),
    Mutation(
        "sixteen bits cut, not rounded",
        "crnn/image.py",
        "(values + 128) // 257",
        "values // 256",
        "tests/test_image.py::test_sixteen_bits_become_the_nearest_eight",
    ),
    Mutation(
        "pixels divided by 256",
        "crnn/spec.py",
        "(pixels / np.float32(self.divisor) -",
        "(pixels / np.float32(self.divisor + 1) -",
        "tests/test_spec.py::test_table_has_the_bits_of_training",
    ),
    Mutation(
        "AIPP's var_reci 1 % off",
        "crnn/compile/aipp.py",
        "{1 / (spec.divisor * spec.std):.9g}",
        "{1.01 / (spec.divisor * spec.std):.9g}",
        "tests/compile/test_aipp.py::test_the_chips_formula_gives_the_specs_values",
    ),
    # Weights and graphs.
    Mutation(
        "the graph's gates in PyTorch's order",
        "crnn/export/graph.py",
        "_IOFC = (0, 3, 1, 2)",
        "_IOFC = (0, 1, 2, 3)",
        "tests/export/test_graph.py::test_values_are_pytorchs",
    ),
    Mutation(
        "the first NPU stack's gates not swapped",
        "crnn/weights/checkpoint.py",
        '"igfo": (0, 2, 1, 3)',
        '"igfo": (0, 1, 2, 3)',
        "tests/weights/test_checkpoint.py"
        "::test_gate_order_igfo_swaps_the_middle_blocks_of_every_lstm_tensor",
    ),
    Mutation(
        "convolutions of eight bits",
        "crnn/export/quantize.py",
        "            reduce_range=True,\n        )\n        quantize_dynamic(",
        "            reduce_range=False,\n        )\n        quantize_dynamic(",
        "tests/export/test_int8_exact.py"
        "::test_weights_keep_to_seven_bits_in_convolutions_and_lstms",
    ),
    Mutation(
        "LSTMs of eight bits",
        "crnn/export/quantize.py",
        "            reduce_range=True,\n        )\n    finally:",
        "            reduce_range=False,\n        )\n    finally:",
        "tests/export/test_int8_exact.py"
        "::test_weights_keep_to_seven_bits_in_convolutions_and_lstms",
    ),
    Mutation(
        "a loss that may be chance refuses an int8 model",
        "crnn/export/quantize.py",
        "if net <= allowed or result.p_value >= SIGNIFICANT:",
        "if net <= allowed:",
        "tests/export/test_quantize.py::test_only_a_large_loss_that_is_not_chance_refuses",
    ),
    # Training.
    Mutation(
        "oneDNN's limit ignored",
        "crnn/training/precision.py",
        "    if level in without:\n",
        "    if level in ():\n",
        "tests/training/test_precision.py::test_a_limit_of_onednn_takes_bfloat16_away",
    ),
    Mutation(
        "every epoch in one order",
        "crnn/training/data.py",
        "np.random.default_rng([self._seed, epoch])",
        "np.random.default_rng([self._seed])",
        "tests/training/test_parts.py::test_each_epoch_has_an_order_of_its_own_and_all_words",
    ),
    Mutation(
        "a run goes on without its optimiser's state",
        "crnn/training/learner.py",
        'self.optimizer.load_state_dict(content["optimizer"])',
        'self.optimizer.state_dict().update(content["optimizer"])',
        "tests/training/test_loop.py::test_a_killed_run_resumes_to_the_same_bits",
    ),
    # Rendered words.
    Mutation(
        "marks are read",
        "crnn/datasets/synth/words.py",
        "            if character in self.characters:\n                label += character\n",
        "            if not character.isspace():\n                label += character\n",
        "tests/datasets/test_synth_marks.py::test_marks_are_drawn_and_not_read",
    ),
    Mutation(
        "digits left unread",
        "crnn/datasets/synth/words.py",
        "            elif character.isalnum():\n",
        "            elif character.isspace():\n",
        "tests/datasets/test_synth_marks.py::test_no_letter_or_digit_is_left_unread",
    ),
    Mutation(
        "a listed word is drawn as often as any other",
        "crnn/datasets/synth/words.py",
        "    for word in sorted(line.strip() for line in lines):\n",
        "    for word in sorted({line.strip() for line in lines}):\n",
        "tests/datasets/test_synth_marks.py::test_a_word_listed_several_times_is_drawn_so_many_times_as_often",
    ),
    Mutation(
        "the wrong end of another word at an edge",
        "crnn/datasets/synth/craft.py",
        "            paste(wider[:, :shown, layer], mask, shown - mask.shape[1], y)\n",
        "            paste(wider[:, :shown, layer], mask, 0, y)\n",
        "tests/datasets/test_synth_craft.py::test_a_piece_is_the_end_of_another_word_beyond_a_gap",
    ),
    Mutation(
        "a family as often as it has files",
        "crnn/datasets/synth/fonts.py",
        "weights = [math.sqrt(len(files)) for files in members]",
        "weights = [float(len(files)) for files in members]",
        "tests/datasets/test_synth_craft.py::test_a_family_of_many_is_drawn_more_often_but_not_so_many_times",
    ),
    Mutation(
        "any font of a folder beside the open ones",
        "crnn/datasets/synth/fonts.py",
        "        if folder in listed.folders:\n            return folder\n",
        "        if count:\n            return folder\n",
        "tests/datasets/test_synth_craft.py::test_open_folders_are_known_by_their_end",
    ),
)


def main(words: Optional[Sequence[str]] = None) -> int:
    """Try the mutations; return 3 if one of them survived or is stale."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutate", description=__doc__)
    parser.add_argument(
        "--only", metavar="WORD", default="", help="those whose name or file has it"
    )
    parser.add_argument("--list", action="store_true", help="name them and do nothing")
    args = parser.parse_args(words)
    chosen = [each for each in MUTATIONS if args.only in each.name or args.only in each.file]
    if args.list:
        for mutation in chosen:
            console.out(f"{mutation.name} ({mutation.file}): {mutation.test}")
        return 0
    if not chosen:
        parser.error(f"no mutation has {args.only!r} in its name or its file")
    tests = sorted({mutation.test for mutation in chosen})
    if tested(tests, timeout=TIMEOUT * len(tests)) != 0:
        console.out(f"the tests do not pass unmutated: {' '.join(tests)}")
        return 3
    results = [told(mutation) for mutation in chosen]
    console.out(", ".join(f"{results.count(kind)} {kind}" for kind in (CAUGHT, SURVIVED, STALE)))
    if results.count(CAUGHT) < len(results):
        return 3
    return 0


def told(mutation: Mutation) -> str:
    """Try a mutation, print what became of it, and return that."""
    result = outcome(mutation)
    console.out(f"{result:8}  {mutation.name} ({mutation.file})")
    return result


def outcome(mutation: Mutation) -> str:
    """Return what becomes of a mutation; one that does not run as Python is stale."""
    text = (ROOT / mutation.file).read_text(encoding="utf-8")
    if text.count(mutation.old) != 1:
        return STALE
    changed = text.replace(mutation.old, mutation.new)
    try:
        compile(changed, mutation.file, "exec")
    except SyntaxError:
        return STALE
    code = tested([mutation.test], mutation.file, changed, timeout=TIMEOUT)
    if code == 0:
        return SURVIVED
    # A negative code is the signal that ended pytest.
    if code is None or code == FAILED or code < 0:
        return CAUGHT
    return STALE


def tested(
    tests: Sequence[str], file: str = "", text: str = "", *, timeout: float
) -> Optional[int]:
    """Run tests in a copy of the checkout.

    Args:
        tests: Their files and names.
        file: The file that is another in the copy, if any.
        text: What it holds there.
        timeout: The seconds that they may take.

    Returns:
        pytest's exit code, None where it did not end in time.
    """
    with tempfile.TemporaryDirectory(prefix="crnn-mutate-") as name:
        folder = Path(name).resolve()
        copy_checkout(folder)
        if file:
            (folder / file).write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        environ = {**os.environ, "PYTHONPATH": name, "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            run = subprocess.run(
                command,
                cwd=name,
                env=environ,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None
        if not file and run.returncode:
            console.out(run.stdout)
        return run.returncode


def copy_checkout(folder: Path) -> None:
    """Copy the files that git knows into a folder."""
    for name in tracked_files():
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def tracked_files() -> List[str]:
    """Return the names of the files that git knows, from the checkout's folder on."""
    run = subprocess.run(
        ["git", "ls-files", "-z"], cwd=str(ROOT), stdout=subprocess.PIPE, check=True
    )
    return [os.fsdecode(name) for name in run.stdout.split(b"\0") if name]


if __name__ == "__main__":
    sys.exit(main())
