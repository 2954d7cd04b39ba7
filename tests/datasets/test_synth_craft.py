"""Effects of `craft`, fonts by family, and letters one by one: figures that depend on no font."""

from __future__ import annotations

import collections
import random
from pathlib import Path

import numpy as np
import pytest

from crnn.datasets.synth import craft, effects, fonts
from tests.fonts import installed, needs_fonts


def bar() -> np.ndarray:
    mask = np.zeros((40, 60), dtype=np.uint8)
    mask[10:30, 20:40] = 255
    return mask


def test_a_block_is_the_letters_and_what_they_were_moved_over():
    sides = craft.block(bar(), 6, 0.0)
    assert (sides >= bar()).all()
    assert (sides[20] > 127).sum() == 26
    assert (sides[:, 30] > 127).sum() == 20


def test_lamps_stand_apart_where_the_letters_are():
    mask = np.zeros((80, 80), dtype=np.uint8)
    mask[:, :40] = 255
    lit = craft.lamps(mask, 8)
    assert not lit[:, 48:].any()
    row = lit[4, :40] > 127
    assert int(np.abs(np.diff(row.astype(int))).sum()) in (9, 10)
    assert 0.2 < (lit[:, :40] > 127).mean() < 0.8


def test_a_relief_is_light_on_one_side_and_dark_on_the_other():
    flat = np.full((40, 60, 3), 100, dtype=np.float32)
    raised = craft.relief(flat, bar(), 2, 100, 0.0)[:, :, 0]
    assert raised[20, 38:43].max() > 140 > 60 > raised[20, 18:23].min()
    assert raised[20, 30] == pytest.approx(100, abs=1)
    assert raised.mean() == pytest.approx(100, abs=0.5)


def test_a_fill_runs_over_its_span():
    ink = craft.filled((10, 50), np.full(3, 128, dtype=np.float32), 100, 0.0)
    assert ink[5, [0, -1], 0].tolist() == [78, 178]


def test_clutter_changes_the_ground_within_its_span():
    flat = np.full((40, 60, 3), 100, dtype=np.float32)
    there = craft.clutter(flat, 5, 30, random.Random(1))
    assert 0 < np.abs(there - 100).max() <= 30


def test_a_screen_repeats_with_its_cell():
    flat = np.full((64, 64, 3), 100, dtype=np.float32)
    seen = craft.screen(flat, 8, 40, 0.0)[:, :, 0]
    assert np.allclose(seen[:, :56], seen[:, 8:], atol=1e-2)
    assert np.ptp(seen) == pytest.approx(40, abs=1)
    assert seen.mean() == pytest.approx(100, abs=0.1)


def test_sharpening_makes_edges_steeper():
    soft = effects.blur(np.repeat(bar()[:, :, None], 3, axis=2).astype(np.float32), 2.0)
    sharp = craft.sharpen(soft, 1.0)
    assert np.abs(np.diff(sharp[20, :, 0])).max() > 1.1 * np.abs(np.diff(soft[20, :, 0])).max()


PIECES = {
    craft.LEFT: (np.s_[:, :5], np.s_[:, -5:], np.s_[:, 5:8], (40, 68)),
    craft.RIGHT: (np.s_[:, -5:], np.s_[:, :5], np.s_[:, -8:-5], (40, 68)),
    craft.TOP: (np.s_[:5], np.s_[-5:], np.s_[5:8], (48, 60)),
    craft.BOTTOM: (np.s_[-5:], np.s_[:5], np.s_[-8:-5], (48, 60)),
}


@pytest.mark.parametrize("side", PIECES)
def test_a_piece_is_the_end_of_another_word_beyond_a_gap(side):
    layers = np.zeros((40, 60, 4), dtype=np.uint8)
    layers[:, :, effects.INK] = bar()
    other = np.random.default_rng(1).integers(1, 255, (40, 60), dtype=np.uint8)
    edge, end, gap, shape = PIECES[side]
    wider = craft.piece(layers, effects.BESIDE, other, side, 5, 3)
    assert wider.shape[:2] == shape
    assert (wider[:, :, effects.BESIDE][edge] == other[end]).all()
    assert not wider[:, :, effects.BESIDE][gap].any()
    assert wider[:, :, effects.BESIDE].astype(int).sum() == other[end].astype(int).sum()
    assert (wider[:, :, effects.INK] > 0).sum() == (bar() > 0).sum()


@pytest.mark.parametrize("side", PIECES)
@pytest.mark.parametrize("shape", [(4, 4), (90, 130)])
def test_a_piece_may_be_smaller_or_larger_than_the_side(side, shape):
    layers = np.zeros((40, 60, 4), dtype=np.uint8)
    wider = craft.piece(layers, effects.BESIDE, np.full(shape, 255, np.uint8), side, 9, 0)
    assert wider[:, :, effects.BESIDE].any()


# --- fonts
# --------------------------------------------------------------------------------------------------


def test_a_family_of_many_is_drawn_more_often_but_not_so_many_times():
    files = [Path(f"Roboto-{number}.ttf") for number in range(16)] + [Path("Hack-Bold.ttf")]
    found, rng = fonts.families(files), random.Random(3)
    drawn = collections.Counter(found.draw(rng, plain=False) for _ in range(8000))
    assert set(drawn) == set(files)
    assert drawn[Path("Hack-Bold.ttf")] / 8000 == pytest.approx(1 / 5, abs=0.02)


def test_plain_faces_are_drawn_where_there_are_any():
    files = [Path("Lobster-Regular.ttf"), Path("OpenSans-Bold.ttf"), Path("OpenSans-Light.ttf")]
    files += [Path("RobotoSlab-Bold.ttf"), Path("DejaVuSerif.ttf")]
    rng = random.Random(3)
    drawn = {fonts.families(files).draw(rng, plain=True).name for _ in range(50)}
    assert drawn == {"OpenSans-Bold.ttf", "OpenSans-Light.ttf"}
    assert fonts.families(files[:1]).draw(rng, plain=True) == files[0]


@needs_fonts
def test_marks_that_a_font_lacks_are_left_out():
    lacking = "\ufdd0"
    assert fonts.drawable(f"a{lacking}b.", installed()[0], "abc") == "ab."
    assert fonts.drawable(f"a{lacking}", installed()[0], f"abc{lacking}") == f"a{lacking}"


@needs_fonts
def test_letters_rise_and_grow_one_by_one():
    small = fonts.load_font(str(installed()[0]), 30)
    large = fonts.load_font(str(installed()[0]), 60)
    level = fonts.letters_mask([fonts.Letter("H", small), fonts.Letter("H", small)], 4)
    risen = fonts.letters_mask([fonts.Letter("H", small), fonts.Letter("H", small, 10)], 4)
    grown = fonts.letters_mask([fonts.Letter("H", large), fonts.Letter("H", small)], 4)
    assert risen.shape == (level.shape[0] + 10, level.shape[1])
    assert grown.shape[0] == pytest.approx(2 * level.shape[0], abs=2)
    # On one base line.
    assert grown[-3, -8:].any()


def test_open_folders_are_known_by_their_end():
    tex = Path("/usr/share/texlive/texmf-dist/fonts/opentype/public")
    assert fonts.family(tex / "archivo" / "x.otf") == "opentype/public/archivo"
    # One folder of many families.
    assert fonts.family(tex / "qualitype" / "QTAbbie-Bold.otf") == (
        "opentype/public/qualitype/QTAbbie"
    )
    assert fonts.family(Path("/usr/share/fonts/truetype/andika/A.ttf")) == "truetype/andika"
    assert fonts.family(Path("/usr/share/fonts/truetype/msttcorefonts/Arial.ttf")) is None
    assert fonts.family(Path("/usr/share/fonts/truetype/andika/Lato-Bold.ttf")) == "Lato"


@needs_fonts
def test_fonts_of_open_folders_are_found_and_others_are_not(tmp_path, monkeypatch):
    for folder, name in (
        ("truetype/andika", "A.ttf"),
        ("truetype/strange", "B.ttf"),
        ("truetype/aenigma", "knot.ttf"),
    ):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / name).write_bytes(installed()[0].read_bytes() + name.encode())
    monkeypatch.setattr(fonts, "FOLDERS", (str(tmp_path),))
    assert fonts.find_fonts(None, "abc") == [tmp_path / "truetype/andika/A.ttf"]


@needs_fonts
def test_no_family_has_more_than_its_share_of_files(tmp_path, monkeypatch):
    folder = tmp_path / "truetype" / "andika"
    folder.mkdir(parents=True)
    for number in range(40):
        (folder / f"A{number:02}.ttf").write_bytes(installed()[0].read_bytes() + bytes(number))
    monkeypatch.setattr(fonts, "FOLDERS", (str(tmp_path),))
    assert len(fonts.find_fonts(None, "abc")) == 32


def test_fonts_of_other_families_have_another_fingerprint(tmp_path):
    """The same files are drawn in other shares where their folders make other families of them."""
    prints = set()
    for folder in ("truetype/andika", "truetype/akatab", "opentype/public/qualitype"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "A.ttf").write_bytes(b"the same")
        prints.add(fonts.fingerprint([tmp_path / folder / "A.ttf"]))
    assert len(prints) == 3
