"""Faster decoders against Pillow alone, in two processes: over files of every kind, whole and
damaged, the same pixels, remarks, warnings and refusals, and nothing on stderr.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest
from PIL import features

from crnn import image_decoders
from crnn.samples.lmdb import LmdbSamples
from tests import images
from tests.conftest import ROOT
from tests.real_data import real_data

pytest.importorskip("simplejpeg")
pytest.importorskip("pyspng")


def told(files: Path, decoder: str) -> Dict[str, Any]:
    """What a process makes of the files."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.images", str(files)],
        cwd=ROOT,
        env={**os.environ, image_decoders.VARIABLE: decoder},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    answer: Dict[str, Any] = json.loads(done.stdout)
    return answer


def skip_without_a_quick_jpeg(decoder: str, why: str) -> None:
    """Skip where Pillow's own decoder is another one, whose pixels nothing else gives."""
    if decoder != "Pillow":
        return
    if not features.check_feature("libjpeg_turbo"):
        pytest.skip("a Pillow without libjpeg-turbo")
    pytest.skip(why)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Dict[str, Any]]:
    found = images.all_images()
    real = real_data()
    if real:
        for sample in LmdbSamples(real / "IIIT5K_train_lmdb"):
            if sample.image:
                found[sample.key] = sample.image
    files = tmp_path_factory.mktemp("images") / "all.pickle"
    files.write_bytes(pickle.dumps(found))
    return {decoder: told(files, decoder) for decoder in ("pillow", "")}


def test_each_file_has_pillows_outcome(both: Dict[str, Dict[str, Any]]) -> None:
    alone, quicker = both["pillow"]["outcomes"], both[""]["outcomes"]
    assert len(alone) == len(quicker) > 1400
    different = {
        name: (alone[name], quicker[name]) for name in alone if alone[name] != quicker[name]
    }
    assert different == {}


def test_pillow_alone_is_what_the_variable_asks_for(both: Dict[str, Dict[str, Any]]) -> None:
    assert both["pillow"]["quick"] == []
    for decoder, why in both["pillow"]["used"].values():
        assert decoder == "Pillow"
        assert image_decoders.VARIABLE in why


def test_plain_files_go_the_quick_way(both: Dict[str, Dict[str, Any]]) -> None:
    quick = set(both[""]["quick"])
    skip_without_a_quick_jpeg(*both[""]["used"]["JPEG"])
    plain = {name for name, _ in images.whole_jpegs() if "CMYK" not in name}
    odd = {"JPEG of 4.4 Mpixel", "JPEG, sampling 41", "JPEG, sampling 14", "JPEG, sampling 31"}
    if "not for progressive" in both[""]["used"]["JPEG"][0]:
        plain = {name for name in plain if "progressive True" not in name}
    assert plain - odd <= quick
    for color in (0, 2, 3):
        assert f"PNG color {color} depth 8 interlaced False" in quick
        assert f"PNG color {color}, b'gAMA' 0 before" in quick
        assert f"PNG color {color}, b'iCCP' 0 before" in quick
    assert "PNG RGBA, opaque" in quick
    assert "PNG in many pieces" in quick


def test_what_pillow_sees_more_in_is_left_to_it(both: Dict[str, Dict[str, Any]]) -> None:
    quick = set(both[""]["quick"])
    assert not [name for name in quick if name.startswith("JPEG baseline cut")]
    assert "JPEG progressive without end" not in quick
    for kind in ("tRNS", "eXIf", "zTXt", "acTL", "fcTL", "prVt", "CRIT"):
        assert not [name for name in quick if f"b'{kind}'" in name]
    for color in (0, 2, 3, 6):
        assert not [name for name in quick if name.startswith(f"PNG color {color}, b'tEXt' 4")]
        assert not [name for name in quick if name.startswith(f"PNG color {color}, b'tEXt' 5")]
    for name in ("PNG, another chunk between its pixels", "PNG, a palette too long"):
        assert name not in quick
    for name in ("JPEG, e1 0", "JPEG, e2 2", "JPEG, ed 0", "PNG color 2 depth 16 interlaced False"):
        assert name not in quick


def test_a_decoder_that_is_not_right_is_not_used() -> None:
    """The trial: other pixels, damaged files accepted, and an error of its own each mean Pillow."""
    import simplejpeg

    jpeg = image_decoders.used()["JPEG"]
    skip_without_a_quick_jpeg(jpeg.decoder, jpeg.why)

    def off_by_one(data: bytes, *options: Any) -> Any:
        return simplejpeg.decode_jpeg(data, *options) ^ 1

    def lenient(data: bytes, *options: Any) -> Any:
        return simplejpeg.decode_jpeg(data, *options[:-1], False)

    def failing(data: bytes, *options: Any) -> Any:
        raise SystemError("of another NumPy")

    said = {}
    for load in (simplejpeg.decode_jpeg, off_by_one, lenient, failing):
        decoder = image_decoders._JpegDecoder(load)
        found = image_decoders._proven(
            decoder, "it", image_decoders._jpegs(), image_decoders._damaged_jpegs()
        )
        assert (found.decoder is None) == bool(found.used.why)
        said[load.__name__] = found.used.why
    assert said == {
        "decode_jpeg": "",
        "off_by_one": "it gives other pixels than this Pillow",
        "lenient": "it accepts damaged files",
        "failing": "it fails: SystemError",
    }


@pytest.mark.parametrize("change", ["cut", "more", "twice", "behind"])
def test_a_stream_of_another_length_is_left_to_pillow(change: str) -> None:
    data = images.png(stream=lambda raw: images.wrong(raw, change))
    assert images.is_quick(images.png())
    assert not images.is_quick(data)


def test_the_trial_is_short() -> None:
    """A few images, none of them large: a count, since a time depends on what else runs."""
    tried = [
        *image_decoders._progressive_jpegs(),
        *image_decoders._jpegs(),
        *image_decoders._damaged_jpegs(),
    ]
    tried += [*image_decoders._pngs(), *image_decoders._damaged_pngs()]
    assert len(tried) <= 20
    assert sum(map(len, tried)) < 50_000
