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
    # The host.
    Mutation(
        "edit distance of the longer text's last rows forgotten",
        "crnn/metrics.py",
        "        grows = (fewer | ~(diagonal | more)) & every\n",
        "        grows = (fewer | ~(diagonal | more)) & every & 0xFFFFFFFFFFFFFFFF\n",
        "tests/test_metrics.py::test_edit_distance_by_hand",
    ),
    Mutation(
        "the copy of a calibrated OM without its temperature",
        "crnn/jobs/calibrate.py",
        "    spec = dataclasses.replace(sidecar.spec, temperature=temperature)\n",
        "    spec = sidecar.spec\n",
        "tests/jobs/test_calibrate.py::test_an_oms_sidecar_carries_the_temperature",
    ),
    Mutation(
        "a compressed archive that is cut off ends in silence",
        "crnn/samples/tars.py",
        "            found = Problem(BROKEN, str(error) or type(error).__name__)\n",
        "            found = None\n",
        "tests/cli/test_read_sources.py::test_a_compressed_archive_may_end_or_be_damaged_anywhere",
    ),
    Mutation(
        "long labels passed over with the batch",
        "crnn/batch.py",
        "            if 2 * len(text) > most:\n",
        "            if len(text) > most:\n",
        "tests/scoring/test_scorer.py::test_a_batchs_labels_are_looked_at_as_each_one_is",
    ),
    Mutation(
        "a simulation told by a text is taken for a real run",
        "crnn/jobs/report/inputs.py",
        '    "simulated": _is_flag,\n',
        "",
        "tests/jobs/test_report.py::test_a_result_that_is_not_one_is_refused",
    ),
    Mutation(
        "a benchmark's simulation told by a text",
        "crnn/jobs/report/benchmarks.py",
        "    if not isinstance(flag, bool):\n",
        "    if flag is None:\n",
        "tests/jobs/test_report.py::test_a_simulation_that_is_not_told_by_true_or_false_is_refused",
    ),
    Mutation(
        "a key that stands twice told as missing elsewhere",
        "crnn/jobs/comparison/job.py",
        "            if alone and isinstance(side, ReadingsSide):\n",
        "            if not alone and isinstance(side, ReadingsSide):\n",
        "tests/cli/test_compare.py::test_a_key_that_stands_twice_in_one_side",
    ),
    Mutation(
        "images of another width given to a model of one",
        "crnn/jobs/comparison/layers.py",
        "        if 0 in example.images and example.images[0].shape[2] in common:\n",
        "        if 0 in example.images:\n",
        "tests/cli/test_compare.py::test_layers_of_models_without_a_common_width",
    ),
    Mutation(
        "classes that come first taken for a batch",
        "crnn/runners/base.py",
        "        if odd is not None:\n",
        "        if odd == spec.output_axes:\n",
        "tests/runners/test_axes.py::test_axes_that_nobody_reads_are_not_taken_for_others",
    ),
    Mutation(
        "a decoder made where nobody asked for one",
        "crnn/jobs/evaluate.py",
        "    if options == GREEDY and request.lexicons is None:\n",
        "    if options is None:\n",
        "tests/measure/test_walk.py::test_few_files_take_part",
    ),
    Mutation(
        "data looked at as bins wherever they come from",
        "crnn/jobs/evaluate.py",
        "    if not wanted and not holds_bins(request.data):\n",
        "    if not wanted and not request.data:\n",
        "tests/measure/test_walk.py::test_few_files_take_part",
    ),
    Mutation(
        "crnn read imports all of onnx",
        "crnn/runners/onnx_file.py",
        "        if file.is_file():\n",
        "        if not file:\n",
        "tests/test_imports.py::test_crnn_read_does_without_the_onnx_package",
    ),
    # Runs.
    Mutation(
        "a run goes on where words wait",
        "crnn/jobs/run_folder.py",
        "        if not waits:\n",
        "        if begin:\n",
        "tests/jobs/test_run_folder.py::test_from_words_that_wait_for_others_nobody_goes_on",
    ),
    Mutation(
        "who was taken over writes on",
        "crnn/jobs/run_folder.py",
        "        if any(taker.exists() for taker in self._takers):\n",
        "        if any(taker.is_dir() for taker in self._takers):\n",
        "tests/jobs/test_run_folder.py::test_who_was_only_asleep_loses_the_shard_and_harms_nothing",
    ),
    Mutation(
        "the dead keep their shards",
        "crnn/jobs/run_folder.py",
        "        if is_free(claim):\n",
        "        if not claim:\n",
        "tests/jobs/test_run_folder.py::test_a_dead_owners_shard_goes_to_one_of_many",
    ),
    Mutation(
        "what somebody has put where records are to be written is written through",
        "crnn/jobs/run_folder.py",
        "            self._part.unlink()\n",
        "            self._part.stat()\n",
        "tests/jobs/test_run_folder.py::test_records_are_not_written_through_a_link",
    ),
    Mutation(
        "a batch that was damaged is gone on behind",
        "crnn/jobs/run_folder.py",
        "        if count != number - begin or records > most:\n",
        "        if number < begin:\n",
        "tests/jobs/test_run_folder.py::test_what_is_not_as_it_was_written_is_forgotten",
    ),
    Mutation(
        "who lists his words keeps others from the run",
        "crnn/jobs/run_folder.py",
        "    passed = (besides, TEMPORARY)\n",
        "    passed = (besides, besides)\n",
        "tests/cli/test_read_runs.py::test_who_begins_at_the_same_moment_shares_the_run",
    ),
    Mutation(
        "another configuration is gone on with",
        "crnn/jobs/run_folder.py",
        "    if before == now:\n",
        "    if names:\n",
        "tests/cli/test_runs.py::test_another_configuration_is_refused_by_its_field",
    ),
    Mutation(
        "the last word of a half that ended its worker is not looked at",
        "crnn/cluster/plan.py",
        "            suspect.end = attempt.end\n",
        "            suspect.end = attempt.end - 1\n",
        "tests/cluster/test_plan.py::test_each_word_that_ends_its_worker_is_found_and_no_other",
    ),
    Mutation(
        "a worker that is lost once accuses a word",
        "crnn/cluster/plan.py",
        "TIMES = 2\n",
        "TIMES = 1\n",
        "tests/cluster/test_plan.py::test_a_worker_that_is_lost_once_accuses_nobody",
    ),
    Mutation(
        "a word that is passed over has no record",
        "crnn/jobs/run_folder.py",
        "            work.append(self._passed[place], 1)\n",
        "            work.append(self._passed[place], 0)\n",
        "tests/cluster/test_orders.py::test_words_that_are_passed_over_are_problems_of_a_reading",
    ),
    Mutation(
        "a machine that renders other words renders",
        "crnn/cluster/rendering.py",
        "        if there != self.proof:\n",
        "        if not there:\n",
        "tests/cluster/test_rendering.py::test_a_machine_that_renders_other_words_is_refused",
    ),
    Mutation(
        "words that are there are joined twice",
        "crnn/cluster/rendering.py",
        "                if place >= begin:\n",
        "                if place >= 0:\n",
        "tests/cluster/test_rendering.py::test_words_that_are_there_are_not_joined_twice",
    ),
    Mutation(
        "half a piece is a piece",
        "crnn/cluster/pieces.py",
        "                if line == END:\n",
        '                if line in (END, b""):\n',
        "tests/cluster/test_rendering.py::test_a_piece_that_is_not_whole_is_refused",
    ),
    Mutation(
        "the bin of a word that is passed over stays",
        "crnn/jobs/prepare.py",
        "                        (self._folder / below / bin_name(number, view)).unlink()\n",
        "                        pass\n",
        "tests/cluster/test_preparing.py::test_words_that_end_their_workers_are_problems_and_have_no_bin",
    ),
    Mutation(
        "a piece's words are numbered without the data's gaps",
        "crnn/cluster/preparing.py",
        "            number = self._numbers[place]\n",
        "            number = place + 1\n",
        "tests/cluster/test_preparing.py::test_numbers_have_the_gaps_of_the_data",
    ),
    Mutation(
        "the pieces stay beside the bins",
        "crnn/cluster/preparing.py",
        "            shutil.rmtree(folder, ignore_errors=True)\n",
        "            pass\n",
        "tests/cluster/test_cluster.py::test_bins_and_labels_are_alike_though_a_worker_is_killed",
    ),
    Mutation(
        "any folder of that name is the run's",
        "crnn/cluster/client.py",
        "    if machine.token != order.token:\n",
        "    if not machine.token:\n",
        "tests/cluster/test_client.py::test_a_folder_that_is_not_shared_is_refused",
    ),
    Mutation(
        "all chips are seen, and the first one is taken",
        "crnn/cluster/worker.py",
        "        return granted[0]\n",
        '        return "0"\n',
        "tests/cluster/test_client.py::test_where_all_chips_are_seen_rays_number_is_taken_and_said",
    ),
    Mutation(
        "what dead workers had claimed stays claimed",
        "crnn/jobs/run_folder.py",
        "                    os.utime(claim, (0, 0))\n",
        "                    pass\n",
        "tests/cluster/test_orders.py::test_what_the_dead_had_claimed_is_free",
    ),
    Mutation(
        "columns of millions kept in memory",
        "crnn/samples/columns.py",
        "        self._values = array(self._code)\n",
        "        self._kept = [*getattr(self, '_kept', ()), self._values]\n"
        "        self._values = array(self._code)\n",
        "tests/samples/test_columns.py::test_many_values_take_no_memory",
    ),
    Mutation(
        "a full disk loses what a column had",
        "crnn/samples/columns.py",
        "        values.extend(self._values)\n",
        "",
        "tests/samples/test_columns.py::test_on_a_full_disk_values_come_back_into_memory",
    ),
    Mutation(
        "each path of a run's list has its place in memory",
        "crnn/reading/run.py",
        "_STEP = 256\n",
        "_STEP = 1\n",
        "tests/cli/test_read_runs.py::test_a_listing_gives_any_range_and_holds_no_path",
    ),
    Mutation(
        "a whole row group held as Python has it",
        "crnn/reports/parquet.py",
        "_TAKEN = 1 << 9\n",
        "_TAKEN = GROUP\n",
        "tests/reports/test_parquet.py::test_hardly_any_record_is_held",
    ),
    Mutation(
        "batches' memory left to the C library",
        "crnn/batch.py",
        "        found.append(np.frombuffer(memory, kind, values).reshape(shape))\n",
        "        found.append(np.empty(shape, kind))\n",
        "tests/test_batch.py::test_nothing_stays_of_what_threads_have_used",
    ),
    Mutation(
        "a batch of bins goes on into the next shard",
        "crnn/samples/bins.py",
        "                places = range(start, last)\n",
        "                places = range(start, len(self.labels))\n",
        "tests/cli/test_runs.py::test_a_run_gives_the_result_of_an_evaluation",
    ),
    Mutation(
        "a batch of images goes on into the next shard",
        "crnn/samples/batches.py",
        "            if sample.ends or full or len(self._problems) == PROBLEMS:\n",
        "            if full or len(self._problems) == PROBLEMS:\n",
        "tests/cli/test_read_runs.py::test_the_records_are_those_of_a_plain_reading",
    ),
    Mutation(
        "a batch of a chip that was given up is lost",
        "crnn/runners/devices.py",
        "        for turn, task in enumerate(lost):\n",
        "        for turn, task in enumerate(lost[1:]):\n",
        "tests/runners/test_devices.py::test_the_others_run_what_a_device_that_fails_was_given",
    ),
    Mutation(
        "a chip that was given up is not named",
        "crnn/jobs/runs.py",
        "                given_up[device] = reason\n",
        "                del reason\n",
        "tests/cli/test_runs_simulated.py::test_a_chip_that_fails_is_given_up_and_named",
    ),
    Mutation(
        "records that were changed meanwhile do not count",
        "crnn/jobs/runs.py",
        "            if _checksum(self._run.whole(shard)) != written:\n",
        "            if not written:\n",
        "tests/cli/test_runs.py::test_records_that_somebody_changes_meanwhile_are_what_counts",
    ),
    Mutation(
        "rows counted whose records say something else",
        "crnn/jobs/run_records.py",
        "    exact = records is not None\n",
        "    exact = True\n",
        "tests/jobs/test_run_records.py::test_what_is_counted_at_once_is_what_the_lines_say",
    ),
    Mutation(
        "logits overwritten by the next ones",
        "crnn/runners/devices.py",
        "        task.logits = np.array(array)\n",
        "        task.logits = array\n",
        "tests/runners/test_devices.py::test_batches_come_back_in_order_and_whole",
    ),
    Mutation(
        "a place too small for what comes back is taken again",
        "crnn/runners/room.py",
        "            if place.size >= needed:\n",
        "            if place.size >= size:\n",
        "tests/runners/test_room.py::test_the_next_places_have_room_for_what_came_back",
    ),
    # Read anything.
    Mutation(
        "a tab in a name taken for the end of a column",
        "crnn/reading/out.py",
        '(part.replace("\\t", "\\\\t") for part in ',
        "(part for part in ",
        "tests/cli/test_read_sources.py::test_a_tab_in_a_name_does_not_shift_the_columns",
    ),
    Mutation(
        "a list that is not a text read as paths",
        "crnn/samples/unlabelled.py",
        '    if b"\\0" not in begin:\n',
        "    if begin:\n",
        "tests/cli/test_read_sources.py::test_a_list_that_is_not_a_text_is_refused",
    ),
    Mutation(
        "a damaged header taken for a tar's end",
        "crnn/samples/tars.py",
        '    if not header.strip(b"\\0"):\n',
        "    if header is not None:\n",
        "tests/cli/test_read_sources.py::test_a_damaged_tar_is_read_up_to_the_damage",
    ),
    Mutation(
        "a tar's members kept",
        "crnn/samples/tars.py",
        "                    archive.members.clear()  # type: ignore[attr-defined]\n",
        "",
        "tests/cli/test_read_sources.py::test_what_an_archive_tells_is_not_kept",
    ),
    Mutation(
        "the bytes of a name that is not UTF-8 lost",
        "crnn/reports/records.py",
        '    if data["path"] != record.path:\n',
        "    if False:\n",
        "tests/cli/test_read_sources.py::test_what_a_list_lacks_is_a_record",
    ),
    Mutation(
        "--strict forgotten by crnn read",
        "crnn/cli/verbs/read.py",
        "    if args.strict and counted.unreadable:\n",
        "    if args.strict and not counted.words:\n",
        "tests/cli/test_read_sources.py::test_what_a_list_lacks_is_a_record",
    ),
    Mutation(
        "folders listed as the system has them",
        "crnn/samples/image_files.py",
        "    found.sort(key=lambda entry: natural_key(entry[0]))\n",
        "    found.sort()\n",
        "tests/cli/test_read_sources.py::test_a_folders_images_in_natural_order",
    ),
    Mutation(
        "a word that may wait does not",
        "crnn/reading/live.py",
        "                until = time.monotonic() + patience\n",
        "                until = time.monotonic()\n",
        "tests/cli/test_read_live.py::test_with_patience_batches_are_full",
    ),
    Mutation(
        "a file that is being written is read",
        "crnn/reading/watch.py",
        "        return now - since >= self._quiet\n",
        "        return True\n",
        "tests/cli/test_read_watch.py::test_what_counts_as_written",
    ),
    Mutation(
        "a file moved that has changed since it was read",
        "crnn/reading/watch.py",
        "        if _state(path) != state:\n",
        "        if False:\n",
        "tests/cli/test_read_watch.py::test_nothing_is_moved_that_has_changed_since_or_over_another",
    ),
    Mutation(
        "OpenCV's order of channels taken for the other",
        "crnn/samples/given.py",
        "    if is_colour and bgr:\n",
        "    if False:\n",
        "tests/cli/test_read.py::test_whatever_an_image_is_given_as_it_is_read_alike",
    ),
    # How sure, and several views.
    Mutation(
        "a repeated character without the blank between",
        "crnn/decoding/probability.py",
        "        different: np.ndarray = self.classes[1:] != self.classes[:-1]\n",
        "        different: np.ndarray = self.classes[1:] >= 0\n",
        "tests/decoding/test_probability.py::test_it_is_the_sum_over_all_paths",
    ),
    Mutation(
        "small sums lost below the smallest float",
        "crnn/decoding/probability.py",
        "    if len(lost):\n",
        "    if False:\n",
        "tests/decoding/test_probability.py::test_long_and_extreme_logits_as_pytorch",
    ),
    Mutation(
        "bins of the calibration error of equal width",
        "crnn/scoring/sureness.py",
        "    for words in np.array_split(order, BINS):\n",
        "    for words in np.split(order, np.searchsorted(probabilities[order], np.arange(1, 10) / 10)):\n",  # noqa: E501
        "tests/scoring/test_sureness.py::test_bins_are_of_equal_count_and_not_of_equal_width",
    ),
    Mutation(
        "a threshold judged by the words that it was found on",
        "crnn/scoring/sureness.py",
        "            crossed = self._kept(other, self._threshold(own, accuracy))\n",
        "            crossed = self._kept(own, self._threshold(own, accuracy))\n",
        "tests/scoring/test_sureness.py::test_the_transferred_figure_uses_each_halfs_threshold_on_the_other",
    ),
    Mutation(
        "a word that could not be read kept",
        "crnn/scoring/sureness.py",
        "            probability = -1.0\n",
        "            probability = 1.0\n",
        "tests/scoring/test_sureness.py::test_what_could_not_be_read_is_never_kept_and_not_in_the_figures",
    ),
    Mutation(
        "characters in columns of the padded view",
        "crnn/samples/views.py",
        "            left=span.left - edge, right=span.right + edge\n",
        "            left=span.left, right=span.right\n",
        "tests/samples/test_views.py::test_padded_goes_on_outwards_and_says_where_it_lies",
    ),
    Mutation(
        "characters aligned with the greedy path whatever the text is",
        "crnn/decoding/extents.py",
        "        if greedy != text:\n",
        "        if False:\n",
        "tests/decoding/test_extents.py::test_a_text_that_was_not_the_likeliest_has_its_characters_too",
    ),
    Mutation(
        "of several views the least probable reading kept",
        "crnn/scoring/order.py",
        "    if (second.worth, _rank(first)) > (first.worth, _rank(second)):\n",
        "    if second.worth < first.worth:\n",
        "tests/cli/test_sure.py::test_views_keep_the_most_probable_reading",
    ),
    Mutation(
        "views of bins passed over in silence",
        "crnn/jobs/views.py",
        "        if len(self._asked) > 1 and not prepared:\n",
        "        if False:\n",
        "tests/cli/test_sure.py::test_bins_have_no_views",
    ),
    Mutation(
        "of bins with several views the word as it is alone",
        "crnn/samples/bins.py",
        "        self._views = views or (PLAIN,)\n",
        "        self._views = (PLAIN,)\n",
        "tests/jobs/test_prepared_views.py::test_bins_read_as_the_pictures_in_the_same_views",
    ),
    Mutation(
        "a calibrated copy without its temperature",
        "crnn/jobs/calibrate.py",
        "    writer(request.model, request.out, temperature)\n",
        "    writer(request.model, request.out, 1.0)\n",
        "tests/cli/test_sure.py::test_a_calibrated_copy_carries_its_temperature",
    ),
    # OMs of several widths.
    Mutation(
        "all OMs of a set are loaded at once",
        "crnn/runners/ascend_runner.py",
        "        if told is None:\n",
        "        if told is not None:\n",
        "tests/runners/test_om_widths.py::test_an_om_is_loaded_at_the_first_batch_that_needs_it",
    ),
    Mutation(
        "a set that lacks a width is run",
        "crnn/runners/ascend_runner.py",
        "[width for width in self.spec.read_widths if not self._takes(width)]\n",
        "[]\n",
        "tests/runners/test_om_widths.py::test_a_set_that_lacks_a_width_says_which",
    ),
    Mutation(
        "the file beside an OM may say another width",
        "crnn/runners/om_sizes.py",
        "        if noted is not None and told is not None and noted != told:\n",
        "        if noted is not None and told is not None and noted is told:\n",
        "tests/runners/test_om_widths.py::test_an_om_that_is_not_what_the_file_beside_it_says",
    ),
    Mutation(
        "what a late OM holds is freed while it runs",
        "crnn/runners/ascend_runner.py",
        "                self._hold_streams(acl)\n                self._loaded[number] = model\n",
        "                self._loaded[number] = model\n",
        "tests/runners/test_om_widths.py::test_a_stream_that_is_given_up",
    ),
    Mutation(
        "the time steps of another gear",
        "crnn/ascend/slot.py",
        "        if gear is not None:\n",
        "        if gear is not None and gear.batch < 0:\n",
        "tests/runners/test_om_widths.py::test_every_width_gives_what_the_onnx_gives",
    ),
    Mutation(
        "an OM of one width is read by the rule of several",
        "crnn/compile/to_om.py",
        "    spec = spec_of_set(own, widths)\n",
        "    spec = own\n",
        "tests/compile/test_widths.py::test_without_the_option_the_om_has_the_fixed_width",
    ),
    Mutation(
        "one AIPP file for all widths",
        "crnn/compile/to_om.py",
        "            files[job.aipp] = aipp_config(todo.spec_of(job))\n",
        "            files[job.aipp] = aipp_config(todo.spec)\n",
        "tests/compile/test_widths.py::test_aipp_has_a_file_for_each_width",
    ),
    Mutation(
        "a resumed run begins its group again",
        "crnn/training/groups.py",
        "            wanted = max(first, self._start) - first\n",
        "            wanted = 0\n",
        "tests/training/test_widths.py::test_a_run_goes_on_in_the_middle_of_a_group",
    ),
    Mutation(
        "too few widths are proposed",
        "crnn/datasets/widths.py",
        "        if proposal.error <= ENOUGH:\n",
        "        if proposal.error <= 2 * ENOUGH:\n",
        "tests/datasets/test_widths.py::test_the_fewest_that_are_good_enough_are_proposed",
    ),
    # Decoders that are faster than Pillow's.
    Mutation(
        "an image turned by EXIF decoded as if it were not",
        "crnn/image_decoders.py",
        "            elif kind not in _TABLES:\n                return None\n",
        "            elif kind not in _TABLES:\n                pass\n",
        "tests/test_image_decoders.py::test_each_file_has_pillows_outcome",
    ),
    Mutation(
        "a transparent colour passed over",
        "crnn/image_decoders.py",
        '_IGNORED[b"sRGB"] = 1\n',
        '_IGNORED[b"sRGB"] = _IGNORED[b"tRNS"] = 1\n',
        "tests/test_image_decoders.py::test_each_file_has_pillows_outcome",
    ),
    Mutation(
        "a PNG's wrong checksum passed over",
        "crnn/image_decoders.py",
        "                if checksum != zlib.crc32(data[at + 4 : end]):\n",
        "                if checksum == 1:\n",
        "tests/test_image_decoders.py::test_each_file_has_pillows_outcome",
    ),
    Mutation(
        "a stream that goes on behind the picture taken",
        "crnn/image_decoders.py",
        "    if len(content) != size or not inflating.eof or inflating.unused_data:\n",
        "    if len(content) < size:\n",
        "tests/test_image_decoders.py::test_a_stream_of_another_length_is_left_to_pillow",
    ),
    Mutation(
        "a decoder used that gives other pixels",
        "crnn/image_decoders.py",
        "            if not _agrees(decoder, data):\n",
        "            if not name:\n",
        "tests/test_image_decoders.py::test_a_decoder_that_is_not_right_is_not_used",
    ),
    Mutation(
        "a decoder used that accepts what is damaged",
        "crnn/image_decoders.py",
        "            if _decoded(decoder, data) is not None:\n",
        "            if not name:\n",
        "tests/test_image_decoders.py::test_a_decoder_that_is_not_right_is_not_used",
    ),
    Mutation(
        "the limit of pixels passed over by quick decoders",
        "crnn/image.py",
        "    if plain is not None and bounds.hold(plain.width, plain.height):\n",
        "    if plain is not None:\n",
        "tests/test_image_decoders.py::test_each_file_has_pillows_outcome",
    ),
    Mutation(
        "an image with transparent pixels put into a batch as if it had none",
        "crnn/image_decoders.py",
        "_OPAQUE = frozenset([0, 2])\n",
        "_OPAQUE = frozenset([0, 2, 6])\n",
        "tests/test_image_decoders.py::test_each_file_has_pillows_outcome",
    ),
    # Many samples, and packs of them.
    Mutation(
        "a list of all bins kept",
        "crnn/samples/bins.py",
        "        self._present = present[PLAIN]\n",
        "        self._present = np.array(present[PLAIN].astype(object))\n",
        "tests/samples/test_bins.py::test_a_folder_takes_a_few_bytes_for_each_of_its_bins",
    ),
    Mutation(
        "shared memory written to while it is read",
        "crnn/samples/batches.py",
        "        places = room + 1\n",
        "        places = 1\n",
        "tests/samples/test_batches.py"
        "::test_a_result_in_shared_memory_stays_until_the_next_is_asked_for",
    ),
    Mutation(
        "shared memory written to beyond a result's own",
        "crnn/samples/batches.py",
        "    if sum(lengths) > _Shared.SIZE:\n",
        "    if not lengths:\n",
        "tests/samples/test_batches.py::test_a_result_too_large_for_shared_memory_comes_whole",
    ),
    Mutation(
        "shared memory waited for before its process has begun",
        "crnn/samples/batches.py",
        "            others = _BUSY * _done(begun)\n",
        "            others = _BUSY * len(begun)\n",
        "tests/samples/test_batches.py::test_nobody_waits_for_a_process_that_has_not_begun",
    ),
    Mutation(
        "a result written over a run's own file",
        "crnn/cli/arguments.py",
        '            _refuse_run_part(named, place, name, getattr(args, "folder", None))\n',
        "",
        "tests/cli/test_runs.py::test_a_result_is_not_written_over_a_run",
    ),
    Mutation(
        "a file refused for a run that is not there yet",
        "crnn/cli/arguments.py",
        "    if (run is not None and folder == Path(os.path.realpath(run))) or _is_run(folder):\n",
        "    if _is_run(folder):\n",
        "tests/cli/test_runs.py::test_a_result_is_not_written_over_a_run",
    ),
    Mutation(
        "a process of the same run waited for in silence",
        "crnn/jobs/run_folder.py",
        "                yield self._waiting(missing)\n",
        '                yield ""\n',
        "tests/cli/test_read_runs.py::test_a_process_that_is_waited_for_is_named",
    ),
    Mutation(
        "shared memory's process waits for its next piece",
        "crnn/samples/batches.py",
        "_BUSY = 3\n",
        "_BUSY = 2\n",
        "tests/samples/test_batches.py::test_another_process_always_has_pieces_that_wait",
    ),
    Mutation(
        "shared memory's process holds up this one",
        "crnn/samples/batches.py",
        "    room = _BUSY * workers + _chunks(ahead, PROCESS_CHUNK)\n",
        "    room = _BUSY * (workers - 1)\n",
        "tests/samples/test_batches.py::test_another_process_always_has_pieces_that_wait",
    ),
    Mutation(
        "images held as long as the words that other processes have",
        "crnn/samples/batches.py",
        "        return Handed(samples, there, kept)\n",
        "        return Handed(samples, there, samples)\n",
        "tests/samples/test_batches.py::test_no_image_is_held_longer_than_it_is_worked_on",
    ),
    Mutation(
        "shared memory's processes with threads that they do not need",
        "crnn/samples/batches.py",
        "        os.environ.pop(name, None)\n",
        "        pass\n",
        "tests/samples/test_batches.py::test_processes_start_without_threads_that_they_do_not_need",
    ),
    Mutation(
        "processes for a few samples",
        "crnn/samples/batches.py",
        "    if again is not None and several and len(again) >= MANY:\n",
        "    if again is not None and workers > 1:\n",
        "tests/samples/test_batches.py::test_few_samples_start_no_process",
    ),
    Mutation(
        "a pack read by another run's index",
        "crnn/samples/pack.py",
        "    if begin != head(index.identity):\n",
        "    if not begin:\n",
        "tests/samples/test_pack.py::test_another_runs_index_is_refused",
    ),
    Mutation(
        "a pack that is cut short read",
        "crnn/samples/pack.py",
        "    if size < needed:\n",
        "    if not size:\n",
        "tests/samples/test_pack.py::test_a_pack_cut_short_is_refused",
    ),
    Mutation(
        "an index without its end read",
        "crnn/samples/pack.py",
        '        raise self._error("its end is missing")\n',
        "",
        "tests/samples/test_pack.py::test_a_damaged_index_is_refused",
    ),
    Mutation(
        "samples that overlap in a pack read",
        "crnn/samples/pack.py",
        "    if number is not None:\n",
        "    if not column:\n",
        "tests/samples/test_pack.py::test_samples_that_overlap_are_refused",
    ),
    Mutation(
        "a report of a run that draws the confidences of wrong words alone",
        "crnn/jobs/report/inputs.py",
        "            return self.readings.confidences\n",
        "            return True\n",
        "tests/cli/test_runs_report.py::test_confidences_of_wrong_words_alone_are_not_drawn",
    ),
    Mutation(
        "a report that passes a part of a run off as the whole",
        "crnn/jobs/report/build.py",
        "    if kept.words < kept.total:\n",
        "    if kept.words > kept.total:\n",
        "tests/cli/test_runs_report.py"
        "::test_of_a_run_that_is_not_complete_the_whole_shards_are_shown",
    ),
    Mutation(
        "a report that takes a table's confidence for its probability",
        "crnn/jobs/report/inputs.py",
        '_NUMBERS = ("confidence", "probability")\n',
        '_NUMBERS = ("confidence",)\n',
        "tests/jobs/test_report.py::test_a_table_says_as_much_as_json_lines",
    ),
    Mutation(
        "somebody's file replaced by a pack",
        "crnn/jobs/prepare.py",
        "    if out.exists() and not is_pack(out) and not request.force:\n",
        "    if out.is_dir():\n",
        "tests/samples/test_pack.py::test_what_is_no_pack_is_not_written_over",
    ),
    # Several widths.
    Mutation(
        "of two widths the wider",
        "crnn/widths.py",
        "        return min(self.list, key=lambda each: abs(each * height - ideal))\n",
        "        return min(self.list[::-1], key=lambda each: abs(each * height - ideal))\n",
        "tests/test_widths.py::test_odd_pictures_have_a_width_and_ties_go_to_the_narrower",
    ),
    Mutation(
        "the width chosen before the picture is turned",
        "crnn/image.py",
        "    return spec.widths.choose(image.width, image.height)\n",
        "    return spec.widths.choose(image.height, image.width)\n",
        "tests/jobs/test_widths.py::test_the_turned_side_is_the_width_where_orientation_is_on",
    ),
    Mutation(
        "a rare width waits for a full batch",
        "crnn/samples/buckets.py",
        "        while self._oldest() <= row.position - WAITING * self._size:\n",
        "        while self._oldest() <= row.position - 100 * WAITING * self._size:\n",
        "tests/samples/test_buckets.py::test_a_rare_width_does_not_wait_for_its_batch_to_be_full",
    ),
    Mutation(
        "a word settled before its last view",
        "crnn/samples/buckets.py",
        "        self._next = row.position + int(row.last)\n",
        "        self._next = row.position + 1\n",
        "tests/samples/test_buckets.py::test_views_of_a_word_stay_together_until_all_have_come",
    ),
    Mutation(
        "readings of several widths in the batches' order",
        "crnn/scoring/scorer.py",
        "        complete = self._in_order(batch, rows)\n",
        "        complete = list(rows)\n",
        "tests/scoring/test_order.py::test_readings_are_in_data_order",
    ),
    Mutation(
        "of a word's views the least probable",
        "crnn/scoring/order.py",
        "    if (second.worth, _rank(first)) > (first.worth, _rank(second)):\n",
        "    if (second.worth, _rank(first)) < (first.worth, _rank(second)):\n",
        "tests/scoring/test_order.py::test_the_reading_of_the_highest_probability_is_kept",
    ),
    Mutation(
        "time steps by one network's formula",
        "crnn/runners/base.py",
        "        steps = self._measured_steps(piece)\n",
        "        steps = width // 4 + 1\n",
        "tests/runners/test_widths.py::test_each_width_has_the_time_steps_that_the_model_gives",
    ),
    Mutation(
        "an image of another width read all the same",
        "crnn/runners/base.py",
        "        if images.shape[1:3] == (channels, height) and images.shape[3] in widths:\n",
        "        if images.shape[1:3] == (channels, height):\n",
        "tests/runners/test_widths.py::test_no_image_of_another_width_is_read",
    ),
    Mutation(
        "a model that lacks a width taken",
        "crnn/runners/base.py",
        "        missing = [width for width in self.spec.widths.list if not self._takes(width)]\n",
        "        missing: List[int] = []\n",
        "tests/runners/test_widths.py::test_a_model_of_one_width_says_which_it_lacks",
    ),
    Mutation(
        "the export checked at one width alone",
        "crnn/export/selfcheck.py",
        "    for width in comparison.spec.widths.list:\n",
        "    for width in comparison.spec.widths.list[:1]:\n",
        "tests/export/test_widths.py::test_the_check_is_of_each_width",
    ),
    Mutation(
        "the type of bins guessed where two fit",
        "crnn/samples/bins.py",
        "        if len(fitting) == 1:\n",
        "        if fitting:\n",
        "tests/jobs/test_widths.py::"
        "test_a_size_that_fits_two_is_refused_where_nothing_tells_the_type",
    ),
    Mutation(
        "bins of other widths taken",
        "crnn/samples/bins.py",
        "    if found is None or found.spec.widths == spec.widths:\n",
        "    if True:\n",
        "tests/jobs/test_widths.py::test_bins_of_other_widths_than_the_models_are_refused",
    ),
    Mutation(
        "long lines not counted",
        "crnn/image.py",
        "    return widths.ideal(image.width, image.height) > widths.list[-1]\n",
        "    return False\n",
        "tests/jobs/test_widths.py::test_long_lines_are_counted_once_a_run",
    ),
    # Pages in two languages.
    Mutation(
        "a Chinese page left behind",
        "docs/ascend.md",
        "knows the 246 numbers",
        "knows the 247 numbers",
        "tests/test_pages.py::test_both_languages_say_the_same",
    ),
    # The library.
    Mutation(
        "the processes of prepare run the script once more",
        "crnn/samples/batches.py",
        "    with interrupts_blocked(*ENDING), _main_left_out(), _without_matrix_threads():\n",
        "    with interrupts_blocked(*ENDING), _without_matrix_threads():\n",
        "tests/test_library.py::test_prepare_in_processes_needs_no_main_guard",
    ),
    Mutation(
        "an option of the library that there is not is not told from others",
        "crnn/library.py",
        "        if name not in kinds:\n",
        "        if False:\n",
        "tests/test_library.py::test_options_are_the_verbs",
    ),
    # The first hour.
    Mutation(
        "a command broken at its blanks",
        "crnn/cli/console.py",
        '        if found and _goes_on(found[-1].strip(" "), word.strip(" ")):\n',
        "        if False:\n",
        "tests/cli/test_layout.py::test_a_command_is_never_broken",
    ),
    Mutation(
        "stderr not broken",
        "crnn/cli/console.py",
        "    for line in wrapped(sentence, width(sys.stderr), indent=indent):\n",
        "    for line in [sentence]:\n",
        "tests/cli/test_widths.py::test_no_line_of_any_verb_is_too_wide",
    ),
    Mutation(
        "what nobody asked for is looked at",
        "crnn/jobs/doctor/diagnosis.py",
        "    return [not_asked_for(check) for check in checks]\n",
        "    return checks\n",
        "tests/jobs/test_doctor.py::test_what_nobody_asked_for_is_neither_right_nor_wrong",
    ),
    Mutation(
        "a crnn.py in the way is not named",
        "crnn/jobs/doctor/python.py",
        '    if (folder / "crnn.py").is_file() and not own.is_file():\n',
        "    if False:\n",
        "tests/jobs/test_doctor.py::test_a_crnn_py_in_the_way_is_named",
    ),
    Mutation(
        "bench asks for labels",
        "crnn/jobs/bench.py",
        "            request = dataclasses.replace(request, label=made)\n",
        "",
        "tests/cli/test_bench.py::test_bins_need_no_labels",
    ),
    Mutation(
        "a ratio told of the first model",
        "crnn/reports/bench.py",
        "    if middle < 1:\n",
        "    if False:\n",
        "tests/cli/test_bench.py::test_a_ratio_is_told_of_the_faster_one",
    ),
    Mutation(
        "a busy machine is not noticed",
        "crnn/jobs/others.py",
        "        if left < threads * (1 - TOLERATED):\n",
        "        if left < 0:\n",
        "tests/cli/test_bench.py::test_a_row_is_marked_where_others_left_too_few_processors",
    ),
    Mutation(
        "keys in data order",
        "crnn/datasets/show.py",
        "        return [found[key] for key in keys if key in found]\n",
        "        return list(found.values())\n",
        "tests/datasets/test_look.py::test_show_draws_keys_in_the_order_given",
    ),
    Mutation(
        "collections of fonts are passed over",
        "crnn/datasets/synth/fonts.py",
        '_SUFFIXES = (".ttf", ".otf", ".pfb", ".ttc", ".otc")\n',
        '_SUFFIXES = (".ttf", ".otf", ".pfb")\n',
        "tests/datasets/test_look.py::test_a_collection_of_fonts_is_read",
    ),
    Mutation(
        "codes of any part are near",
        "crnn/cann/codes.py",
        "            if kind == letters and entry[:_PART] == text[:_PART]:\n",
        "            if kind == letters:\n",
        "tests/test_cann.py",
    ),
    Mutation(
        "make replaces the PyTorch that is there",
        "tools/pins.py",
        '    return _TORCH.sub(f"torch=={torch}", constraints)\n',
        "    return constraints\n",
        "tests/test_pins.py::test_a_pytorch_that_is_there_stays",
    ),
    # Other people's files.
    Mutation(
        "output's shape not compared with the spec's",
        "crnn/runners/base.py",
        "        if output.shape != spec.output_shape(batch):\n",
        "        if output.ndim != 3:\n",
        "tests/runners/test_axes.py::test_axes_other_than_the_specs_are_named_at_the_first_run",
    ),
    Mutation(
        "axes not proven where the batch is as long as the time",
        "crnn/runners/base.py",
        "        if self._axes_known or len(piece) != spec.time_steps:\n",
        "        if True:\n",
        "tests/runners/test_axes.py::test_a_batch_as_long_as_the_time_is_told_by_changing_one_image",
    ),
    Mutation(
        "an OM's axes not asked",
        "crnn/runners/ascend_runner.py",
        "        if Size(batch, self.spec.width) in self._tasks:\n",
        "        if batch == 0:\n",
        "tests/runners/test_axes.py::test_an_om_of_a_batch_as_long_as_the_time_is_asked",
    ),
    Mutation(
        "CSV read line by line",
        "crnn/samples/annotations.py",
        "        if self.path.suffix.lower() in SUFFIXES:\n",
        "        if not self.path:\n",
        "tests/samples/test_tables.py::test_csv_is_read_as_csv",
    ),
    Mutation(
        "a first row taken for a word",
        "crnn/samples/tables.py",
        "        skip = head is not None\n",
        "        skip = False\n",
        "tests/samples/test_tables.py::test_csv_is_read_as_csv",
    ),
    Mutation(
        "the simulator keeps a Python without its packages",
        "crnn/simulator/__main__.py",
        '        prefer(["numpy", "onnx", "onnxruntime"])\n',
        "        prefer([])\n",
        "tests/test_interpreter.py::test_the_simulator_hands_over_where_a_package_is_missing",
    ),
    Mutation(
        "a key in capitals is unknown",
        "crnn/training/recipe.py",
        "    if own is None and bare in known:\n",
        "    if bare is None:\n",
        "tests/test_dialects.py::test_what_training_is_given_is_answered",
    ),
    Mutation(
        "a line of another encoding let through",
        "crnn/samples/encoding.py",
        "                decoder.decode(line, final=not line)\n",
        "                number == 1 and decoder.decode(line, final=not line)\n",
        "tests/samples/test_tables.py::test_one_line_of_another_encoding_is_the_whole_file",
    ),
    Mutation(
        "class numbers taken for texts",
        "crnn/datasets/lists.py",
        "    if ClassNumbers.are(labels):\n",
        "    if not file:\n",
        "tests/datasets/test_lists.py::test_numbers_are_not_taken_for_texts_unasked",
    ),
    Mutation(
        "index 0 left out",
        "crnn/samples/lmdb.py",
        "    if _begins_at_0(reading):\n",
        "    if not reading:\n",
        "tests/datasets/test_lists.py::test_an_lmdb_that_begins_at_0_loses_no_word",
    ),
    Mutation(
        "the SDK's labels as they stand",
        "crnn/datasets/extract.py",
        "{label.lower()}",
        "{label}",
        "tests/datasets/test_lists.py::test_the_sdks_list_is_lowered_as_the_original_lowers_it",
    ),
    Mutation(
        "an alphabet as YAML takes it",
        "crnn/training/recipe.py",
        "    if key not in _TEXTS:\n",
        "    if True:\n",
        "tests/training/test_recipe.py::test_an_alphabet_is_what_was_typed",
    ),
    Mutation(
        "unreadable labels unsaid",
        "crnn/scoring/scorer.py",
        "            if unreadable:\n",
        "            if unreadable and False:\n",
        "tests/jobs/test_unreadable_labels.py::test_evaluate_and_bench_count_and_name_them",
    ),
    Mutation(
        "unreadable labels unsaid where rows are counted at once",
        "crnn/scoring/scorer.py",
        "            if given[row] is not None or row not in problems:\n",
        "            if False:\n",
        "tests/jobs/test_unreadable_labels.py::test_evaluate_and_bench_count_and_name_them",
    ),
    Mutation(
        "the other order of gates not tried",
        "crnn/export/to_onnx.py",
        "        if right and right.accuracy < HARDLY and other:\n",
        "        if not words:\n",
        "tests/cli/test_export.py::test_gates_in_the_other_order_are_found_by_labelled_words",
    ),
    Mutation(
        "doctor ready for any graph",
        "crnn/jobs/doctor/model.py",
        "    yield _runs(path, given)\n",
        "",
        "tests/jobs/test_doctor.py::test_an_onnx_that_evaluate_would_refuse_is_not_ready",
    ),
    Mutation(
        "an int8 copy of what reads nothing",
        "crnn/export/quantize.py",
        "    if run.accuracy < NOTHING:\n",
        "    if run.accuracy < 0:\n",
        "tests/export/test_quantize.py::test_a_model_that_reads_nothing_is_refused",
    ),
    Mutation(
        "no ground put under transparency",
        "crnn/image.py",
        "            if spec.background:\n                image",
        "            if spec.orient:\n                image",
        "tests/test_picture_options.py::test_what_is_transparent_is_put_on_the_specs_colour",
    ),
    Mutation(
        "no image turned",
        "crnn/image.py",
        "            if spec.orient:\n                # It",
        "            if not remarks:\n                # It",
        "tests/test_picture_options.py::test_an_image_is_turned_only_where_the_spec_says_so",
    ),
    Mutation(
        "the fingerprint's normalisation is not compared",
        "crnn/fingerprint.py",
        "        if value != against:\n",
        "        if value < against:\n",
        "tests/test_fingerprint.py::test_a_difference_is_named",
    ),
    Mutation(
        "a copy with another spec keeps the fingerprint of the first",
        "crnn/patterns.py",
        "    if carried is not None and not other_keys(before, after):\n",
        "    if carried is not None:\n",
        "tests/test_fingerprint.py::test_a_model_keeps_its_own_where_images_are_prepared_alike",
    ),
    Mutation(
        "the bins' fingerprint is not read",
        "crnn/samples/bins.py",
        '        inputs = parse_fingerprint(data.get("inputs"))\n',
        "        inputs = None\n",
        "tests/test_fingerprint.py::test_bins_made_otherwise_are_named",
    ),
    Mutation(
        "int8 tensors are compared as they were before quantisation",
        "crnn/export/node_tensors.py",
        "        kept[name] = values.get(name + _DEQUANTISED, value)\n",
        "        kept[name] = value\n",
        "tests/jobs/test_layers.py::test_a_scale_too_small_is_found",
    ),
    Mutation(
        "the last node that differs is named, not the first",
        "crnn/reports/layers.py",
        "        return next((layer for layer in self.layers if layer.blamed), None)\n",
        "        return next((layer for layer in self.layers[::-1] if layer.blamed), None)\n",
        "tests/jobs/test_layers.py::test_the_table_the_json_and_the_plot",
    ),
    Mutation(
        "a NaN of the second model alone is passed over",
        "crnn/jobs/layers.py",
        "    broken = int((~sound & (value != other)).sum())\n",
        "    broken = int((~np.isfinite(value) & (value != other)).sum())\n",
        "tests/jobs/test_layers.py::test_what_is_infinite_in_one_alone_is_broken",
    ),
    Mutation(
        "a refused node takes its half of the others with it",
        "crnn/compile/probe.py",
        "        *_accepted(nodes[half:], needed, accepts),\n",
        "        *_accepted(nodes[half:][1:], needed, accepts),\n",
        "tests/test_probe_simulated.py::test_halving_asks_for_few",
    ),
    Mutation(
        "a probing OM once more without its inside",
        "crnn/compile/like.py",
        '        probe="--out_nodes" in old.flags,\n',
        "        probe=False,\n",
        "tests/test_probe_simulated.py::test_a_probe_once_more_is_a_probe",
    ),
    Mutation(
        "the doctor calls the outputs of a probe a misfit",
        "crnn/jobs/doctor/model.py",
        "        probe = sidecar.probe\n",
        "        probe = None\n",
        "tests/test_probe_simulated.py::test_the_doctor_takes_a_probe_for_a_probe",
    ),
    Mutation(
        "the simulated ATC forgets --out_nodes",
        "crnn/simulator/graph.py",
        "        self.data = self.model.SerializeToString()\n\n    def check(",
        "\n    def check(",
        "tests/test_probe_simulated.py::test_every_node_of_floats_is_an_output",
    ),
    Mutation(
        "a comparison forgets the bins' fingerprint",
        "crnn/jobs/comparison/fingerprints.py",
        "        found.extend(_of_data(name, run.model, data))\n",
        "        pass\n",
        "tests/test_ten_faults.py::test_the_wrong_order_of_resizing_is_named",
    ),
    Mutation(
        "a probe is not compared with its suspect",
        "crnn/jobs/comparison/layers.py",
        "        keys = [key for key in {**own, **theirs} if own.get(key) != theirs.get(key)]\n",
        "        keys = [key for key in own if own.get(key) != theirs.get(key)]\n",
        "tests/test_probe_simulated.py::test_a_suspect_that_reads_otherwise_is_told_of",
    ),
    Mutation(
        "--layers takes words that do not differ",
        "crnn/jobs/comparison/layers.py",
        "    return differing or seen[:USUAL]\n",
        "    return seen[:USUAL]\n",
        "tests/test_ten_faults.py::test_the_pair_can_be_compared_again",
    ),
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
    # One way to run a model, alignment, events.
    Mutation(
        "a run of one batch executed at once, beside streams",
        "crnn/ascend/slot.py",
        "        if self._streams is None:\n",
        "        if laps is None:\n",
        "tests/runners/test_modes_simulated.py::test_a_model_is_run_one_way_only",
    ),
    Mutation(
        "host memory taken as CANN gives it",
        "crnn/ascend/model.py",
        "pointer = given + -given % cann.DEVICE_ALIGNMENT",
        "pointer = given",
        "tests/runners/test_modes_simulated.py::test_on_the_chip_itself_batches_begin_on_64_bytes",
    ),
    Mutation(
        "events reset in every release",
        "crnn/ascend/slot.py",
        "self._resets = not acl.has(LASTING_EVENT_CALL)",
        "self._resets = True",
        "tests/runners/test_modes_simulated.py::test_where_events_last_none_is_reset",
    ),
    # The simulator, as strict as the documents.
    Mutation(
        "the simulator forgets how a model was first run",
        "crnn/simulator/calls/mdl_execute.py",
        "    if model.mode != mode:\n",
        "    if not model.mode:\n",
        "tests/simulator/test_modes.py::test_a_loaded_model_is_run_one_way_only",
    ),
    Mutation(
        "the simulator lets any release reset any event",
        "crnn/simulator/knobs.py",
        "return self.cann < (8, 5)",
        "return self.cann < (99, 0)",
        "tests/simulator/test_modes.py::test_events_of_create_event_are_reset_until_8_5",
    ),
    Mutation(
        "the simulator's host memory always on 64 bytes",
        "crnn/simulator/memory.py",
        "            off = 16\n",
        "            off = 0\n",
        "tests/simulator/test_modes.py::test_host_memory_has_the_alignment_that_is_promised",
    ),
    Mutation(
        "model ids from 0",
        "crnn/simulator/calls/mdl.py",
        "number = len(sim.models) + 1",
        "number = len(sim.models)",
        "tests/simulator/test_public_programs.py::test_a_small_wrapper_on_two_devices",
    ),
    Mutation(
        "a gear buffer of 4 bytes refused",
        "crnn/cann/__init__.py",
        "DYNAMIC_INPUT_MIN_BYTES = 4",
        "DYNAMIC_INPUT_MIN_BYTES = 8",
        "tests/simulator/test_public_programs.py::"
        "test_a_wrapper_library_asks_at_its_import_and_logs",
    ),
    Mutation(
        "lines of the simulator's own told as the program's",
        "crnn/simulator/record.py",
        "os.path.realpath(name).startswith(HERE)",
        "name.startswith(HERE)",
        "tests/simulator/test_launcher.py::test_lines_are_the_programs_however_the_kit_is_reached",
    ),
    Mutation(
        "what a destructor gives back at the end told as a leak",
        "crnn/simulator/binding.py",
        "            if sim.closed:\n",
        "            if False:\n",
        "tests/simulator/test_launcher.py::"
        "test_what_a_destructor_gives_back_at_the_very_end_is_no_leak",
    ),
    Mutation(
        "gears of dims asked for as batches",
        "crnn/compile/atc.py",
        'if rows and kind == "dims":',
        'if rows and kind == "never":',
        "tests/compile/test_atc.py::test_gears_of_dims_want_the_format_nd",
    ),
    Mutation(
        "gears of dims beside AIPP",
        "crnn/compile/atc.py",
        "    if aipp:\n",
        "    if False:\n",
        "tests/compile/test_atc.py::test_where_gears_of_dims_make_no_sense",
    ),
    # Batches and their arrays.
    Mutation(
        "an array too few for the batches on their way",
        "crnn/scoring/stream.py",
        "_read_ahead(source, size, runner.ahead, stages)",
        "_read_ahead(source, size, runner.ahead - 1, stages)",
        "tests/scoring/test_stream.py::test_no_array_is_overwritten_while_it_is_in_use",
    ),
    Mutation(
        "an array of bins too few",
        "crnn/samples/bins.py",
        "ring(keep + 1, (size * count",
        "ring(max(1, keep), (size * count",
        "tests/samples/test_bins.py::test_kept_batches_stay_while_the_next_is_read",
    ),
    Mutation(
        "an array of images too few",
        "crnn/samples/batches.py",
        "ring(keep + 1, (size, *spec",
        "ring(max(1, keep), (size, *spec",
        "tests/samples/test_batches.py::test_kept_batches_stay_and_memory_does_not_grow",
    ),
    Mutation(
        "last short batch of images dropped",
        "crnn/samples/batches.py",
        "        if self._keys:\n",
        "        if self._full == len(self._images):\n",
        "tests/samples/test_batches.py::test_all_come_in_order_whatever_the_batch_and_the_threads",
    ),
    Mutation(
        "last short batch of bins dropped",
        "crnn/samples/bins.py",
        "while start < last:",
        "while start + size <= last:",
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
    # What may be read.
    Mutation(
        "a repeated character without a blank between",
        "crnn/decoding/exact.py",
        "        entering[repeated - roots] = in_blank[trie.parent[repeated]]\n",
        "        entering[repeated - roots] = total[trie.parent[repeated]]\n",
        "tests/decoding/test_exact.py::test_one_lexicon_for_all_rows_is_scored_as_the_definition_says",
    ),
    Mutation(
        "nodes shared between the lexicons of two rows",
        "crnn/decoding/trie.py",
        " & (group_of[word] == group_of[before])\n",
        "\n",
        "tests/decoding/test_exact.py::test_a_lexicon_for_each_row_is_scored_as_the_definition_says",
    ),
    Mutation(
        "sums that have become 0 not computed again as logarithms",
        "crnn/decoding/exact.py",
        "    if hard.any():\n",
        "    if False:\n",
        "tests/decoding/test_exact.py::test_words_that_are_all_next_to_impossible_are_still_told_apart",
    ),
    Mutation(
        "a prefix in the beam without the paths of its parent",
        "crnn/decoding/beam.py",
        "    in_label[row, child] += entering * mine[row, child]\n",
        "",
        "tests/decoding/test_beam.py::test_a_beam_with_room_for_all_prefixes_is_exact",
    ),
    Mutation(
        "a prefix twice in the beam",
        "crnn/decoding/beam.py",
        "    score[begins.reshape(counts.shape)[row, parent] + beam.place[row, child]] = 0\n",
        "",
        "tests/decoding/test_beam.py::test_a_beam_with_room_for_all_prefixes_is_exact",
    ),
    Mutation(
        "prefixes kept that can no longer end",
        "crnn/decoding/beam.py",
        "    kept &= graph.needed[graph.target[grown.edge]] <= left\n",
        "",
        "tests/decoding/test_beam.py::test_a_narrow_beam_keeps_what_can_still_end",
    ),
    Mutation(
        "a beam that keeps no word not doubled",
        "crnn/decoding/choosers.py",
        "                chosen[row] = words\n            width *= 2\n",
        "                chosen[row] = words\n            break\n",
        "tests/decoding/test_choosers.py::test_a_beam_that_loses_all_words_is_doubled_and_then_all_are_scored",
    ),
    Mutation(
        "words searched for from their beginnings alone",
        "crnn/decoding/choosers.py",
        "            self._walks = (_forwards(lexicon), _backwards(lexicon, spec.alphabet))\n",
        "            self._walks = (_forwards(lexicon),)\n",
        "tests/decoding/test_choosers.py::test_a_word_that_is_lost_at_its_beginning_is_found_from_its_end",
    ),
    Mutation(
        "1000 words no longer all scored",
        "crnn/decoding/choosers.py",
        "EXACT_UP_TO = 1000\n",
        "EXACT_UP_TO = 999\n",
        "tests/decoding/test_choosers.py::test_up_to_1000_words_are_scored_and_of_more_a_beam_searches",
    ),
    Mutation(
        "near words by a distance of one too many",
        "crnn/decoding/nearest.py",
        "        near = rows.min(axis=1) <= most\n",
        "        near = rows.min(axis=1) < most\n",
        "tests/decoding/test_choosers.py::test_near_words_are_those_of_the_edit_distance",
    ),
    Mutation(
        "a pattern that explodes compiled to its end",
        "crnn/decoding/automaton.py",
        "            if number >= MOST_STATES:\n",
        "            if False:\n",
        "tests/decoding/test_pattern.py::test_a_pattern_that_explodes_is_refused",
    ),
    Mutation(
        "capitals of a pattern not folded",
        "crnn/decoding/pattern.py",
        "            forms.add(character.upper())\n",
        "            pass\n",
        "tests/decoding/test_pattern.py::test_case_counts_as_the_model_folds_it",
    ),
    Mutation(
        "a lexicon of two encodings read with holes",
        "crnn/decoding/lexicon.py",
        "        if text is None:\n",
        "        if text is None:\n            continue\n        if False:\n",
        "tests/decoding/test_choosers.py::test_a_file_that_is_no_lexicon_is_refused",
    ),
    Mutation(
        "two options that contradict each other taken",
        "crnn/decoding/choosers.py",
        "    if len(given) > 1:\n",
        "    if len(given) > 2:\n",
        "tests/decoding/test_choosers.py::test_options_that_contradict_each_other_are_refused",
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
        "            length = len(truth)\n",
        "            length = len(texts[row])\n",
        "tests/test_metrics.py::test_text_metric_on_three_words",
    ),
    Mutation(
        "NED by the truth's length alone",
        "crnn/metrics.py",
        "max(len(texts[row]), length)",
        "(length or 1)",
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
        "            if distance or row in wrong:\n",
        "            if distance:\n",
        "tests/scoring/test_scorer.py"
        "::test_a_sample_that_could_not_be_read_is_wrong_even_where_its_label_is_empty",
    ),
    Mutation(
        "output that is not finite is read",
        "crnn/scoring/scorer.py",
        "    if every.all():\n",
        "    if every.any():\n",
        "tests/scoring/test_scorer.py::test_output_that_is_not_finite_is_a_problem_of_its_row_only",
    ),
    Mutation(
        "--against sees no difference",
        "crnn/jobs/compare.py",
        "        if other == text:\n",
        "        if other is not None:\n",
        "tests/jobs/test_compare.py::test_words_that_differ_are_listed_and_paired",
    ),
    Mutation(
        "--max-differ allows one more",
        "crnn/jobs/evaluate.py",
        "comparison.differ > request.max_differ:",
        "comparison.differ > request.max_differ + 1:",
        "tests/cli/test_evaluate.py::test_against_an_earlier_run",
    ),
    Mutation(
        "runs over other words are compared",
        "crnn/jobs/compare.py",
        "        if problems:\n",
        "        if len(problems) > 9:\n",
        "tests/jobs/test_compare.py::test_runs_over_other_words_are_refused",
    ),
    Mutation(
        "words of the same names and other labels are taken for the same",
        "crnn/jobs/compare.py",
        "        if self._other <= most:\n",
        "        if self._other <= self._words:\n",
        "tests/cli/test_compare.py::test_sides_over_other_words_of_the_same_names_are_refused",
    ),
    Mutation(
        "labels of other lengths are taken for a result's",
        "crnn/jobs/compare.py",
        "        if here != there:\n",
        "        if here and here != there and not there:\n",
        "tests/cli/test_compare.py::test_a_result_over_other_words_of_the_same_names_is_refused",
    ),
    Mutation(
        "two trainings write into one folder",
        "crnn/training/loop.py",
        "            if not free:\n",
        "            if free is None:\n",
        "tests/training/test_faults.py::test_two_trainings_in_one_folder_are_refused",
    ),
    Mutation(
        "a full disk is told by a library's own error",
        "crnn/files.py",
        "        if isinstance(error, Exception) and target.refused is not None:\n",
        "        if isinstance(error, Warning) and target.refused is not None:\n",
        "tests/test_files.py::test_a_full_disk_is_told_whatever_a_library_makes_of_it",
    ),
    Mutation(
        "an altered state of a training is gone on with",
        "crnn/training/checkpoints.py",
        "    if wrong:\n",
        "    if len(wrong) > 99:\n",
        "tests/training/test_altered_state.py::test_an_altered_part_is_named",
    ),
    Mutation(
        "averages of other shapes are found at the first step",
        "crnn/training/learner.py",
        "        if not fit:\n",
        "        if fit is None:\n",
        "tests/training/test_altered_state.py::test_averages_of_other_shapes_are_refused_before_a_step",
    ),
    Mutation(
        "a page shows simulated readings without their mark",
        "crnn/jobs/report/inputs.py",
        "        return any(_MARK.search(line) for line in lines)\n",
        '        return bool(_MARK.search(next(lines, b"")))\n',
        "tests/jobs/test_report.py::test_one_simulated_reading_marks_the_page",
    ),
    Mutation(
        "a result is written over a folder's labels",
        "crnn/cli/inputs.py",
        "    if place == annotation:\n",
        "    if place == folder:\n",
        "tests/cli/test_console.py::test_no_file_of_the_command_is_overwritten",
    ),
    Mutation(
        "JSON on stdout keeps what steers a terminal",
        "crnn/cli/console.py",
        '    _out("\\n".join(map(json_shown, text.split("\\n"))))\n',
        "    _out(text)\n",
        "tests/cli/test_console.py::test_json_steers_no_terminal_and_keeps_its_value",
    ),
    # Sides beside each other.
    Mutation(
        "an OM is compiled again from any ONNX",
        "crnn/compile/like.py",
        "    if given != known:\n",
        "    if not given:\n",
        "tests/compile/test_like.py::test_what_is_refused",
    ),
    Mutation(
        "the flags of the old OM are forgotten",
        "crnn/compile/like.py",
        "            extra.append(word)\n",
        "            continue\n",
        "tests/compile/test_like.py::test_the_flags_are_the_old_ones",
    ),
    Mutation(
        "a word too many in what is pooled",
        "crnn/reports/combined.py",
        "        return self.correct / max(1, self.total)\n",
        "        return self.correct / max(1, self.total + 1)\n",
        "tests/cli/test_evaluate.py::test_several_data_sets_are_pooled",
    ),
    Mutation(
        "a name is markup in Markdown",
        "crnn/reports/markdown.py",
        '    marked = _MARKS.sub(r"\\\\\\1", plain)\n',
        "    marked = plain\n",
        "tests/cli/test_evaluate.py::test_several_data_sets_are_pooled",
    ),
    Mutation(
        "classes are matched by number",
        "crnn/jobs/comparison/logits.py",
        "        others.append(table.index(character))\n",
        "        others.append(number)\n",
        "tests/jobs/test_comparison.py::test_classes_are_matched_by_character",
    ),
    Mutation(
        "logits are compared as they are",
        "crnn/jobs/comparison/logits.py",
        "    values -= np.log(np.exp(values).sum(axis=-1, keepdims=True))\n",
        "    values += 0\n",
        "tests/cli/test_compare.py::test_logits_are_compared_as_log_probabilities",
    ),
    Mutation(
        "words that one side lacks are passed over",
        "crnn/jobs/comparison/job.py",
        "                self._note_alone(row, words[0].key)\n",
        "                pass\n",
        "tests/cli/test_compare.py::test_sides_of_other_words_are_refused_unless_common",
    ),
    Mutation(
        "--max-drop alone forbids other texts too",
        "crnn/jobs/comparison/job.py",
        "    if request.max_differ is None and request.max_drop is None:\n",
        "    if request.max_differ is None:\n",
        "tests/cli/test_compare.py::test_checks",
    ),
    Mutation(
        "a sweep runs one batch again and again",
        "crnn/jobs/comparison/sweep.py",
        "                    batch=size,\n",
        "                    batch=first,\n",
        "tests/cli/test_compare.py::test_a_model_whose_text_hangs_on_the_batch",
    ),
    Mutation(
        "an array of a shared source too few",
        "crnn/scoring/stream.py",
        "    ahead = max(runner.ahead for runner in runners)\n",
        "    ahead = min(runner.ahead for runner in runners)\n",
        "tests/scoring/test_stream.py::test_runners_that_share_a_source_read_it_once",
    ),
    # Files of other people's.
    Mutation(
        "of several networks in a file the first is taken",
        "crnn/weights/state_dict.py",
        "    if len(networks) > 1:\n",
        "    if len(networks) > 9:\n",
        "tests/weights/test_state_dict.py::test_several_networks_are_named",
    ),
    Mutation(
        "a compiled network's prefix is left on",
        "crnn/weights/state_dict.py",
        "if part not in WRAPPERS)",
        "if part != WRAPPERS[0])",
        "tests/weights/test_state_dict.py::test_the_one_network_is_found",
    ),
    Mutation(
        "three channels are taken as OpenCV's",
        "crnn/weights/checkpoint.py",
        'dataclasses.replace(default, color="rgb")',
        'dataclasses.replace(default, color="bgr")',
        "tests/weights/test_state_dict.py::test_three_input_channels_are_rgb_and_bgr_can_be_chosen",
    ),
    Mutation(
        "rows of known characters are not moved",
        "crnn/weights/renaming.py",
        "weights[name][rows[character]]",
        "weights[name][index % len(rows)]",
        "tests/training/test_more_characters.py::test_known_characters_keep_their_rows",
    ),
    Mutation(
        "the word blank becomes five characters",
        "crnn/alphabet_file.py",
        'entries = ["", *entries[1:]]',
        "entries = [*entries]",
        "tests/test_alphabet_file.py::test_what_circulates_is_read",
    ),
    Mutation(
        "the keys of a spec differ from the default and not from the model's own",
        "crnn/spec.py",
        "values = {**own.to_dict(), **_with",
        "values = {**ModelSpec().to_dict(), **_with",
        "tests/test_spec_given.py::test_they_differ_from_the_models_own",
    ),
    Mutation(
        "--output takes the first output",
        "crnn/runners/onnx_runner.py",
        "return outputs[names.index(taken)]",
        "return outputs[0]",
        "tests/test_spec_given.py::test_the_order_of_the_outputs_does_not_matter",
    ),
    Mutation(
        "JSON is taken for an ONNX",
        "crnn/filekind.py",
        'if text.startswith((b"{", b"[")) and _is_text(head):',
        'if text.startswith(b"JSON") and _is_text(head):',
        "tests/test_filekind.py::test_what_is_not_a_model_is_named_with_its_verb",
    ),
    Mutation(
        "Net takes the bytes of any type",
        "crnn/ascend/net.py",
        "return array.dtype == np.uint8",
        "return array.dtype != np.bool_",
        "tests/ascend/test_net.py::test_another_size_type_or_order_is_refused",
    ),
    Mutation(
        "msame's results belong to no sample",
        "crnn/jobs/raw_outputs.py",
        "if name.endswith(_MSAME) and name not in labels and bare:",
        "if name.endswith(_MSAME) and name in labels and bare:",
        "tests/jobs/test_raw_outputs.py::test_every_layout_scores_as_the_evaluation_did",
    ),
    Mutation(
        "OMs of different ONNX models are a set",
        "crnn/runners/ascend_runner.py",
        "    if len(origin) > 1:\n",
        "    if len(origin) > 9:\n",
        "tests/runners/test_set_of.py::test_others_are_no_set",
    ),
    Mutation(
        "a list from a pipe is read from the pipe itself",
        "crnn/cli/arguments.py",
        "if not (named.is_fifo() or named.is_char_device()):",
        "if not named.is_dir():",
        "tests/test_data_forms.py::test_lists_come_from_pipes",
    ),
    Mutation(
        "improvements come before regressions",
        "crnn/jobs/compare.py",
        '        for change in (REGRESSION, IMPROVEMENT, ""):\n',
        '        for change in (IMPROVEMENT, REGRESSION, ""):\n',
        "tests/jobs/test_against.py::test_regressions_come_first_and_are_marked",
    ),
    Mutation(
        "a result holds this machine's paths",
        "crnn/machine.py",
        '{name or value}"',
        '{value}"',
        "tests/jobs/test_against.py::test_data_date_and_command_are_in_the_result",
    ),
    Mutation(
        "--readings x.csv holds JSON Lines",
        "crnn/reports/readings.py",
        "SEPARATORS.get(path.suffix.lower())",
        "SEPARATORS.get(path.name)",
        "tests/jobs/test_against.py::test_readings_are_csv_where_the_name_says_so",
    ),
    # Codes of CANN.
    Mutation(
        "a code of CANN's headers dropped from the table",
        "crnn/cann/codes.txt",
        "507009 ACL_ERROR_RT_TASK_TYPE_NOT_SUPPORT\n",
        "507099 ACL_ERROR_RT_TASK_TYPE_NOT_SUPPORT\n",
        "tests/test_cann.py::TestCodes::test_none_of_both_lists_is_unknown_or_explained_by_its_name_alone",
    ),
    Mutation(
        "a meaning that only repeats the name",
        "crnn/cann/codes.txt",
        "  no loaded model has this number\n",
        "  invalid model id\n",
        "tests/test_cann.py::TestCodes::test_none_of_both_lists_is_unknown_or_explained_by_its_name_alone",
    ),
    Mutation(
        "hexadecimal codes not read",
        "crnn/cann/codes.py",
        "return str(int(text, 16))",
        "return text",
        "tests/cli/test_explain.py::test_hexadecimal",
    ),
    # What the ONNX read, read again on the box.
    Mutation(
        "another text than the ONNX's passes",
        "crnn/cli/verbs/doctor.py",
        "    if all(reading.same for reading in readings):\n",
        "    if True:\n",
        "tests/jobs/test_read_again.py::test_a_text_that_differs_is_exit_3",
    ),
    Mutation(
        "onnxruntime imported to read the built-in pictures again",
        "crnn/jobs/read_again.py",
        "import numpy as np\n",
        "import numpy as np, onnxruntime\n",
        "tests/test_imports.py::test_reading_the_built_in_pictures_again_needs_numpy_alone",
    ),
    Mutation(
        "built-in pictures of another seed",
        "crnn/strokes.py",
        "SEED = 310\n",
        "SEED = 311\n",
        "tests/test_strokes.py::test_the_pixels_are_golden",
    ),
    Mutation(
        "the user's name left in a chip report",
        "crnn/jobs/redact.py",
        '    words = [(user, "<user>") for user in sorted(set(_users(environ)))]\n',
        "    words: List[Tuple[str, str]] = []\n",
        "tests/jobs/test_chip_report.py::test_what_is_taken_out",
    ),
    Mutation(
        "a chip report ends with the step that fails",
        "crnn/jobs/chip_report.py",
        "        results.append(result)\n",
        "        results.append(result)\n        if result.outcome == FAILED: break\n",
        "tests/jobs/test_chip_report.py::test_a_report_of_an_om_with_a_step_that_fails",
    ),
    # Old releases of CANN, small boards.
    Mutation(
        "ATC of 5.0 not tried again with LSTMs of one direction",
        "crnn/compile/to_om.py",
        "        if may_need_split(todo.cann):\n",
        "        if False:\n",
        "tests/cli/test_compile.py::test_an_atc_of_5_0_gets_the_graph_as_it_is_and_forward_lstms_after_its_refusal",
    ),
    Mutation(
        "a killed ATC not told of",
        "crnn/compile/atc.py",
        "    if run.exit_code in _KILLED:\n",
        "    if False:\n",
        "tests/compile/test_atc.py::test_an_atc_that_is_killed_names_the_variables_for_small_boards",
    ),
    Mutation(
        "negative means written for AIPP",
        "crnn/compile/aipp.py",
        "    if not _MINIMA[0] <= least <= _MINIMA[1]:\n",
        "    if False:\n",
        "tests/compile/test_aipp.py::test_numbers_that_aipp_does_not_take",
    ),
    # CANN's variables.
    Mutation(
        "CANN's own script sourced in zsh",
        "crnn/ascend/acl_env.sh",
        """    if [ -n "${BASH_VERSION:-}" ]; then
        # shellcheck disable=SC1090
        . "$script" >/dev/null
""",
        """    if true; then
        # shellcheck disable=SC1090
        . "$script" >/dev/null
""",
        "tests/test_atc_script.py::test_cann_s_own_script_from_8_5_on",
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
        "temporary_file(path.parent)\n",
        "os.open(path, os.O_CREAT | os.O_WRONLY), path\n",
        "tests/test_files.py::test_a_file_appears_only_when_it_is_whole",
    ),
    Mutation(
        "an OM proposed where a checkpoint is missing",
        "crnn/filekind.py",
        "if asked is None or kind in (asked, None):",
        "if True:",
        "tests/test_files.py::test_a_missing_checkpoint_is_not_taken_for_a_model_of_another_kind",
    ),
    Mutation(
        "a folder moved aside where it could be exchanged",
        "crnn/files.py",
        "elif not exchanged(new, path):",
        "else:",
        "tests/test_leftovers.py::test_the_folder_is_never_away_where_the_system_can_exchange",
    ),
    Mutation(
        "an old folder that is not put back",
        "crnn/leftovers.py",
        "        if place.suffix == OLD:\n",
        "        if place.suffix == OLD + OLD:\n",
        "tests/test_leftovers.py::test_an_old_folder_comes_back_and_a_sentence_says_so",
    ),
    Mutation(
        "a living process's files removed",
        "crnn/leftovers.py",
        "not _lives(int(match[2]), match[3]) and is_free",
        "is_free",
        "tests/test_leftovers.py::test_what_lives_is_left_alone",
    ),
    Mutation(
        "locks unheard",
        "crnn/leftovers.py",
        "    except BlockingIOError:\n        return False\n",
        "    except BlockingIOError:\n        return True\n",
        "tests/test_leftovers.py::test_what_is_locked_is_left_alone_whatever_its_number",
    ),
    Mutation(
        "another machine's files removed",
        "crnn/leftovers.py",
        "match is None or match[1] != _host()",
        "match is None",
        "tests/test_leftovers.py"
        "::test_what_is_not_of_this_machine_or_has_no_such_name_is_left_alone",
    ),
    # Hostile input.
    Mutation(
        "an LMDB's pages unseen",
        "crnn/samples/lmdb.py",
        "        require_sound_pages(file)\n",
        "        pass\n",
        "tests/samples/test_lmdb_pages.py::test_damage_is_told_by_name",
    ),
    Mutation(
        "a value's pages unseen",
        "crnn/samples/lmdb_pages.py",
        "        if big.any():\n",
        "        if False:\n",
        "tests/samples/test_lmdb_pages.py::test_damage_is_told_by_name",
    ),
    Mutation(
        "escapes printed",
        "crnn/cli/console.py",
        "    _out(shown(text))\n",
        "    _out(text)\n",
        "tests/cli/test_console.py::test_everything_foreign_is_shown_as_escapes",
    ),
    Mutation(
        "aliases of YAML read",
        "crnn/plain_yaml.py",
        'if getattr(event, "anchor", None) is not None:',
        "if False:",
        "tests/test_plain_yaml.py::test_what_is_not_plain",
    ),
    Mutation(
        "a pipe waited for for ever",
        "crnn/files.py",
        "if not poll.poll(1000 * PATIENCE):",
        "if poll.poll(1) is None:",
        "tests/test_limits.py::test_a_pipe_that_nobody_writes_to_ends_with_a_sentence",
    ),
    Mutation(
        "a line without bound",
        "crnn/files.py",
        "            if len(raw) > longest:\n",
        "            if False:\n",
        "tests/test_limits.py::test_lines_are_bounded",
    ),
    Mutation(
        "loops of ONNX run",
        "crnn/runners/onnx_file.py",
        'raise _refused(path, f"it holds {node.op_type}, which may have no end")',
        "pass",
        "tests/runners/test_plain_graph.py::test_hostile_graphs",
    ),
    Mutation(
        "outputs that are not finite count as agreement",
        "crnn/jobs/comparison/job.py",
        "        if broken:\n",
        "        if broken and False:\n",
        "tests/cli/test_compare.py::test_outputs_that_are_not_finite_are_no_agreement",
    ),
    Mutation(
        "the loss's sum forgotten at a resume",
        "crnn/training/loop.py",
        '        self.sums = training.get("sums", {})\n',
        "        self.sums = {}\n",
        "tests/training/test_resumed_loss.py::test_the_first_loss_after_a_resume",
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
        "crnn/filekind.py",
        "if path.is_file() and starts_with(path, LFS_MARK):",
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
        "other time steps are taken for other axes",
        "crnn/runners/base.py",
        "        steps = self._other_steps(got.shape)",
        "        steps = None",
        "tests/runners/test_axes.py::test_other_time_steps_are_not_taken_for_other_axes",
    ),
    Mutation(
        "a list of another folder counts every word as wrong",
        "crnn/samples/folders.py",
        "        _require_one(folder, annotation_file, self._entries)",
        "        pass",
        "tests/samples/test_folders.py::"
        "test_a_list_of_another_folder_is_refused_with_where_its_names_begin",
    ),
    Mutation(
        "a list with one image is refused",
        "crnn/samples/folders.py",
        "if not entries or any(_may_be_below(",
        "if not entries or all(_may_be_below(",
        "tests/samples/test_folders.py::test_one_image_of_a_list_is_enough",
    ),
    Mutation(
        "missing arguments hide what was given by another name",
        "crnn/cli/main.py",
        "            message += self._meant_options(self._given)",
        "            pass",
        "tests/test_dialects.py::test_words_of_others_are_answered_where_they_stand",
    ),
    Mutation(
        "a name leads out of its folder by ..",
        "crnn/samples/folders.py",
        'if _is_absolute(name) or ".." in',
        'if _is_absolute(name) and ".." in',
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
        "crnn/runners/onnx_file.py",
        'any(place.anchor or ".." in place.parts for place in places)',
        "not places",
        "tests/test_external_data.py::test_weights_that_leave_the_folder_are_refused",
    ),
    # Reports.
    Mutation(
        "a report's texts unescaped",
        "crnn/reports/html/page.py",
        "autoescape=True",
        "autoescape=False",
        "tests/jobs/test_report.py::test_hostile_text_is_shown_and_not_obeyed",
    ),
    Mutation(
        "a simulated report without its mark",
        "crnn/jobs/report/build.py",
        "simulated = any(run.figures.simulated for run in runs)",
        "simulated = False",
        "tests/jobs/test_report.py::test_what_was_simulated_says_so",
    ),
    Mutation(
        "words read with two lexicons pooled as one data set",
        "crnn/jobs/report/build.py",
        "alike = [_model_hash(run), reader_of(run.result)]",
        "alike = [_model_hash(run)]",
        "tests/jobs/test_report.py::test_one_data_set_read_in_two_ways_is_not_pooled",
    ),
    Mutation(
        "rejected words counted as kept",
        "crnn/jobs/report/tally.py",
        "self.rejected_right += right",
        "self.rejected_right += 0",
        "tests/jobs/test_report.py::test_rejected_words_are_marked_and_counted",
    ),
    Mutation(
        "a sweep of one count of threads alone",
        "crnn/jobs/report/benchmarks.py",
        "rows=[*first.rows, *other.rows],",
        "rows=first.rows,",
        "tests/jobs/test_report.py::test_a_sweep_of_threads_has_the_rows_and_bars_of_all",
    ),
    Mutation(
        "words called alike in two data sets with one picture",
        "crnn/jobs/report/album.py",
        "if len(names) < 2:",
        "if names:",
        "tests/jobs/test_kept_pictures.py"
        "::test_words_called_alike_in_two_data_sets_have_their_own_pictures",
    ),
    Mutation(
        "pictures of another run taken for this one's",
        "crnn/jobs/report/kept.py",
        "if any(kept.get(name) != value for name, value in own.items()):",
        "if False:",
        "tests/jobs/test_kept_pictures.py::test_pictures_of_another_run_are_not_taken",
    ),
    Mutation(
        "a simulated comparison in a notebook without its mark",
        "crnn/jobs/report/comparing.py",
        'simulated=simulated or saved.get("simulated") is True,',
        "simulated=False,",
        "tests/jobs/test_notebook.py::test_an_outcome_shows_its_comparison_too",
    ),
    Mutation(
        "a reading's image written into its line",
        "crnn/reports/result_json.py",
        'del _FIELDS["image"]\n',
        "",
        "tests/jobs/test_notebook.py::test_a_reading_stands_beside_its_picture",
    ),
    Mutation(
        "float32 in a pack read as bytes",
        "crnn/samples/pack.py",
        "if index.dtype.itemsize == 1 and _OF_FLOATS <= room < np.inf:",
        "if False:",
        "tests/samples/test_pack.py::test_an_index_that_calls_floats_bytes_is_refused",
    ),
    Mutation(
        "folders of widths without description called missing images",
        "crnn/samples/source.py",
        "return bool(width_folders(data))",
        "return False",
        "tests/jobs/test_widths.py::test_folders_of_widths_without_their_description_are_named",
    ),
    Mutation(
        "chips that are to read together read as the first alone",
        "crnn/jobs/comparison/sweep.py",
        '        together = device.replace("+", ",")\n',
        '        together = device.partition("+")[0]\n',
        "tests/cli/test_compare_simulated.py::test_the_text_is_the_same_on_each_chip_and_on_both",
    ),
    Mutation(
        "a sweep that reads on the first chip whatever it was told",
        "crnn/jobs/comparison/sweep.py",
        "                    device=device,\n",
        "                    device=request.device,\n",
        "tests/cli/test_compare_simulated.py::test_a_chip_that_fails_is_not_one_that_reads_the_same",
    ),
    Mutation(
        "a benchmark of a batch that no memory holds",
        "crnn/jobs/bench.py",
        "    if max(sizes) > most:\n",
        "    if max(sizes) < 0:\n",
        "tests/cli/test_bench.py::test_a_batch_that_no_memory_holds_is_refused",
    ),
    Mutation(
        "memory for a batch that the data do not fill",
        "crnn/samples/source.py",
        "return max(1, min(size, len(source)))",
        "return size",
        "tests/cli/test_evaluate.py::test_a_batch_larger_than_the_data_takes_no_more_memory",
    ),
    Mutation(
        "an empty pattern, by which every word is read as nothing",
        "crnn/decoding/pattern.py",
        "    if not text:",
        "    if text is None:",
        "tests/decoding/test_pattern.py::test_what_is_not_supported_is_named_with_its_place",
    ),
    Mutation(
        "CANN 20.1 called 2.1",
        "crnn/simulator/knobs.py",
        "        major = 20",
        "        major = 2",
        "tests/simulator/test_launcher.py::test_a_release_has_its_own_name",
    ),
    Mutation(
        "weights in a list not found",
        "crnn/weights/state_dict.py",
        "yield from _state_dicts(inner, (*keys, place))",
        "yield from ()",
        "tests/weights/test_state_dict.py::test_the_one_network_is_found",
    ),
    Mutation(
        "readings without a mark where the threshold is found at the end",
        "crnn/jobs/sure.py",
        "return self._options.reject_for is not None",
        "return False",
        "tests/cli/test_sure.py::test_readings_are_marked_by_the_threshold_that_was_found",
    ),
    Mutation(
        "no readings kept where compile is told a spec",
        "crnn/compile/to_om.py",
        "if job.widths or todo.request.spec or todo.request.output_axes:",
        "if job.widths:",
        "tests/jobs/test_read_again.py"
        "::test_readings_are_kept_where_compile_is_told_output_or_spec",
    ),
    Mutation(
        "what is known of a model said when all is over",
        "crnn/jobs/evaluate.py",
        "        screen.note(note)",
        "        str(note)",
        "tests/cli/test_evaluate.py::test_what_is_known_of_the_model_is_said_before_it_runs",
    ),
    Mutation(
        "the least sure mistakes first",
        "crnn/jobs/report/tally.py",
        "key=lambda entry: (-entry[0], -entry[1])",
        "key=lambda entry: (entry[0], -entry[1])",
        "tests/jobs/test_report.py::test_the_surest_mistakes_come_first",
    ),
    Mutation(
        "runs of other words compared in silence",
        "crnn/jobs/report/comparing.py",
        "if counts.alone and not common:",
        "if False:",
        "tests/jobs/test_report.py::test_runs_of_other_words_are_refused_unless_asked",
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
        "between = (width, size[1])",
        "between = (size[0], height)",
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
        "    factor = 1 / (spec.divisor * spec.std)\n",
        "    factor = 1.01 / (spec.divisor * spec.std)\n",
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
    # Training.
    Mutation(
        "the group of a finished training outlives it",
        "crnn/training/world.py",
        "    import torch.distributed.nn  # noqa: F401\n",
        "    import torch.distributed  # noqa: F401\n",
        "tests/training/test_loop.py::test_two_processes_train_every_recipe_and_resume",
    ),
    Mutation(
        "an evaluation's loss that is not finite goes on",
        "crnn/training/loop.py",
        "if not math.isfinite(score.loss):",
        "if math.isinf(score.loss):",
        "tests/training/test_loop.py::test_an_evaluation_whose_loss_is_lost_ends_the_run",
    ),
    # Quantising.
    Mutation(
        "words without label or image calibrate",
        "crnn/export/quantize.py",
        "usable[places[row]] = label is not None and row not in batch.problems",
        "usable[places[row]] = label is not None",
        "tests/export/test_quantize.py"
        "::test_words_without_label_or_image_neither_calibrate_nor_count",
    ),
    Mutation(
        "throughput by the wrong operation",
        "crnn/scoring/scorer.py",
        "        throughput = scorer.read / seconds\n",
        "        throughput = scorer.read * seconds\n",
        "tests/scoring/test_scorer.py::test_throughput_is_the_words_that_were_read_a_second",
    ),
    Mutation(
        "the interval of a difference without what is added to the cells",
        "crnn/metrics.py",
        "        first, second, words = only_first + 0.5, only_second + 0.5, total + 2\n",
        "        first, second, words = only_first + 0.5, only_second + 0.5, total\n",
        "tests/test_metrics.py::test_paired_test_by_hand",
    ),
    Mutation(
        "labels of a model with capitals folded with the batch",
        "crnn/labels.py",
        "    if not folds_case:\n        return labels\n",
        "",
        "tests/test_labels.py::test_all_labels_are_folded_as_each_is",
    ),
    Mutation(
        "a shard of an LMDB with gaps taken for one without",
        "crnn/samples/lmdb.py",
        "        if self._regular:\n            return range(begin + 1, end + 1)\n",
        "        if self._count:\n            return range(begin + 1, end + 1)\n",
        "tests/samples/test_lmdb.py::test_parts_add_up_to_the_whole",
    ),
    Mutation(
        "a step of a shard's bins beyond the shard",
        "crnn/samples/bins.py",
        "            stop = min(start + _ASKED, end)\n",
        "            stop = start + _ASKED\n",
        "tests/samples/test_bins.py::test_ranges_are_read_in_steps_that_tell_where_they_end",
    ),
    Mutation(
        "the old folder lost where folders cannot be exchanged",
        "crnn/files.py",
        "            os.replace(old, path)\n",
        "            pass\n",
        "tests/test_files.py::test_where_folders_cannot_be_exchanged_the_old_one_is_put_back",
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
    """Return what becomes of a mutation; Python that is none any more is stale."""
    text = (ROOT / mutation.file).read_text(encoding="utf-8")
    if text.count(mutation.old) != 1:
        return STALE
    changed = text.replace(mutation.old, mutation.new)
    if mutation.file.endswith(".py"):
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
