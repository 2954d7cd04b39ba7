"""Rendered words: readable, as the table says, and the same whoever renders them."""

from __future__ import annotations

import json
import pickle
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from crnn.cli.main import main
from crnn.datasets.check import CheckRules, check
from crnn.datasets.synth import effects, fonts, generate, table, words
from crnn.datasets.synth.fonts import find_fonts, text_mask
from crnn.datasets.synth.limits import LIMITS, WHOLE
from crnn.datasets.synth.render import Renderer
from crnn.datasets.synth.table import load_table
from crnn.datasets.synth.words import Words, load_words
from crnn.errors import InputError
from crnn.image import picture
from crnn.labels import DIGITS_AND_LETTERS, Alphabet
from crnn.samples.lmdb import LmdbSamples
from tests.datasets.sources import put
from tests.fonts import installed, needs_fonts

LIST = "\n".join(
    [
        "apple",
        "Banana",
        "cherry",
        "it's",
        "über",
        "aa",
        "x" * 40,
        "s" * 14,
        "I",
        "on",
        "the",
        "seven",
    ]
)


@pytest.fixture(scope="module")
def renderer(tmp_path_factory) -> Renderer:
    if not installed():
        pytest.skip("no font with an open licence is installed")
    return Renderer.create(5, words=put(tmp_path_factory.mktemp("list") / "words.txt", LIST))


def plain(tmp_path: Path, **lines: dict) -> Path:
    """A table in which nothing happens but what is asked for."""
    quiet = {name: {"chance": 0} for name, effect in load_table().items() if effect.chance < 1}
    quiet["crop"] = {"margin": [0.1, 0.1]}
    return put(tmp_path / "plain.yaml", json.dumps({**quiet, **lines}))


# --- the words are what they say
# ------------------------------------------------------------------------------------


def test_a_plain_word_is_its_letters_and_nothing_else(tmp_path, renderer):
    """Without any effect the picture holds two colours, and the ink's place is that of the text
    drawn by hand.
    """
    table = load_table(plain(tmp_path, size={"pixels": [40, 40]}, resolution={"height": [64, 64]}))
    one = Renderer(5, renderer.words, renderer.fonts[:1], table)
    for index in range(1, 6):
        sample = one.sample(index)
        pixels = np.asarray(picture(sample.image, "L")).astype(int)
        mask = text_mask(sample.label, fonts.load_font(str(renderer.fonts[0]), 40), 0.0)
        assert pixels.shape[1] / pixels.shape[0] == pytest.approx(
            (mask.shape[1] + 8) / (mask.shape[0] + 8), rel=0.04
        )
        dark = np.abs(pixels - pixels[0, 0]) > np.abs(pixels - pixels[0, 0]).max() / 2
        assert dark.mean() == pytest.approx(
            (mask > 127).sum() / ((mask.shape[0] + 8) * (mask.shape[1] + 8)), rel=0.15
        )


def test_labels_are_of_the_alphabet_and_fit(renderer):
    seen = [renderer.sample(index).label for index in range(1, 401)]
    rules = CheckRules(Alphabet(DIGITS_AND_LETTERS))
    assert not [label for label in seen if rules.problems(label)]
    folded = {label.lower() for label in seen}
    assert {"apple", "banana", "cherry", "the", "seven"} <= folded
    assert not folded & {"it's", "über", "x" * 40, "s" * 14}
    assert any(label.isdigit() for label in seen)
    assert any(label.isupper() for label in seen)
    assert any(label.istitle() and len(label) > 1 for label in seen)


def test_letters_differ_where_the_label_does(tmp_path, renderer):
    """A renderer that drew the wrong text would give the same picture for two labels."""
    table = load_table(plain(tmp_path, contrast={"gap": [200, 200]}))
    pictures = {}
    for word in ("apple", "apply"):
        one = Renderer(1, Words({5: [word]}, DIGITS_AND_LETTERS), renderer.fonts[:1], table)
        pictures[word] = one.sample(1)
    assert pictures["apple"].label == "apple"
    assert pictures["apple"].image != pictures["apply"].image


def test_other_alphabets_are_rendered(tmp_path):
    if not installed():
        pytest.skip("no font with an open licence is installed")
    listed = put(tmp_path / "words.txt", "жук\nдом\nhouse\n")
    dejavu = [font for font in find_fonts(None, "дкомуж") if font.name.startswith("DejaVuSans")]
    if not dejavu:
        pytest.skip("no font with Cyrillic letters is installed")
    one = Renderer(1, load_words(listed, words.characters_of("дкомуж")), dejavu, load_table())
    labels = {one.sample(index).label.lower() for index in range(1, 60)}
    assert {"жук", "дом"} <= labels
    assert not any(set(label) - set("дкомуж") for label in labels)


# --- the same words
# -------------------------------------------------------------------------------------------------


def contents(path: Path) -> list[tuple[bytes, str]]:
    return [(sample.image, sample.label) for sample in LmdbSamples(path)]


def test_one_and_two_processes_render_the_same(tmp_path, renderer):
    for processes in (1, 2):
        generate.generate(renderer, tmp_path / f"{processes}", 230, processes=processes)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    assert (tmp_path / "1/data.mdb").read_bytes() == (tmp_path / "2/data.mdb").read_bytes()
    verdict = check(tmp_path / "2", CheckRules(Alphabet(DIGITS_AND_LETTERS)))
    assert (verdict.samples, dict(verdict.errors)) == (230, {})
    assert [path.name for path in (tmp_path / "1").iterdir()] == ["data.mdb"]


def test_another_seed_renders_others(renderer):
    other = Renderer(6, renderer.words, renderer.fonts, renderer.table)
    assert [renderer.sample(i).image for i in range(1, 9)] != [
        other.sample(i).image for i in range(1, 9)
    ]


def test_a_word_depends_on_its_number_alone(renderer):
    forwards = [renderer.sample(index) for index in range(1, 20)]
    backwards = [renderer.sample(index) for index in range(19, 0, -1)]
    assert forwards == backwards[::-1]


def test_a_renderer_goes_to_other_processes(renderer):
    assert pickle.loads(pickle.dumps(renderer)).sample(3) == renderer.sample(3)


def test_a_stopped_run_goes_on(tmp_path, renderer):
    done = 0

    def stop(count: int) -> None:
        nonlocal done
        done += count
        if done == 130:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate.generate(renderer, tmp_path / "out", 200, processes=1, advance=stop)
    assert not (tmp_path / "out").exists()
    assert [problem.reason for _, problem in LmdbSamples(tmp_path / "out.part").extras()] == [
        "wrong num-samples"
    ]
    assert generate.generate(renderer, tmp_path / "out", 200, processes=1) >= 129
    assert not (tmp_path / "out.part").exists()
    generate.generate(renderer, tmp_path / "whole", 200, processes=1)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_run_of_another_recipe_is_not_mixed_in(tmp_path, renderer):
    with pytest.raises(KeyboardInterrupt):
        generate.generate(renderer, tmp_path / "out", 60, processes=1, advance=interrupt)
    other = Renderer(6, renderer.words, renderer.fonts, renderer.table)
    with pytest.raises(InputError, match="holds the beginning of another render"):
        generate.generate(other, tmp_path / "out", 60, processes=1)


def test_a_longer_run_goes_on_and_a_shorter_one_does_not(tmp_path, renderer):
    with pytest.raises(KeyboardInterrupt):
        generate.generate(renderer, tmp_path / "out", 60, processes=1, advance=interrupt)
    with pytest.raises(InputError, match="holds the beginning of another render"):
        generate.generate(renderer, tmp_path / "out", 40, processes=1)
    assert generate.generate(renderer, tmp_path / "out", 80, processes=1) > 0
    assert len(LmdbSamples(tmp_path / "out")) == 80


def interrupt(count: int) -> None:
    if count:
        raise KeyboardInterrupt


@pytest.mark.parametrize("left", [(), ("synth.lock",), ("synth.lock", "recipe.json", "data.mdb")])
def test_what_a_full_disk_left_is_begun_anew(left, tmp_path, renderer):
    """Of any recipe, as long as no word is in it; a data file cut off in its first pages is
    none.
    """
    part = tmp_path / "out.part"
    part.mkdir()
    for name in left:
        put(part / name, b"\0" * 4096 if name == "data.mdb" else b"")
    assert generate.generate(renderer, tmp_path / "out", 3, processes=1) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["data.mdb"]
    assert len(LmdbSamples(tmp_path / "out")) == 3


@pytest.mark.parametrize("name", ["holiday.jpg", "data.mdb"])
def test_a_folder_of_something_else_is_not_begun_anew(name, tmp_path, renderer):
    file = put(tmp_path / "out.part" / name, b"x" * 20000)
    with pytest.raises(InputError, match="another render: its recipe is missing"):
        generate.generate(renderer, tmp_path / "out", 3, processes=1)
    assert file.read_bytes() == b"x" * 20000


def test_damaged_data_are_said_clearly(tmp_path, renderer):
    with pytest.raises(KeyboardInterrupt):
        generate.generate(renderer, tmp_path / "out", 5, processes=1, advance=interrupt)
    put(tmp_path / "out.part/data.mdb", b"x" * 20000)
    with pytest.raises(InputError, match=r"out\.part cannot be written: .*MDB_INVALID"):
        generate.generate(renderer, tmp_path / "out", 5, processes=1)


def test_a_finished_run_that_could_not_take_its_place_goes_on(tmp_path, renderer):
    """The recipe leaves the folder after the move, not before it."""
    out = tmp_path / "out"

    def occupy(count: int) -> None:
        if not out.exists():
            put(out / "data.mdb", b"other words")

    with pytest.raises(InputError, match="exists already"):
        generate.generate(renderer, out, 5, processes=1, advance=occupy)
    assert (out / "data.mdb").read_bytes() == b"other words"
    shutil.rmtree(out)
    assert generate.generate(renderer, out, 5, processes=1) == 5
    assert len(LmdbSamples(out)) == 5


def test_a_run_killed_after_the_move_is_a_finished_one(tmp_path, renderer):
    out = tmp_path / "out"
    generate.generate(renderer, out, 5, processes=1)
    for name in ("recipe.json", "synth.lock"):
        put(out / name, b"")
    with pytest.raises(InputError, match="exists already"):
        generate.generate(renderer, out, 5, processes=1)
    generate.generate(renderer, out, 4, processes=1, force=True)
    assert [path.name for path in out.iterdir()] == ["data.mdb"]
    assert len(LmdbSamples(out)) == 4


def test_two_runs_do_not_write_the_same(tmp_path, renderer):
    refused = []

    def second(count: int) -> None:
        if count:
            with pytest.raises(InputError, match=r"another run is writing .*out\.part"):
                generate.generate(renderer, tmp_path / "out", 5, processes=1)
            refused.append(count)

    generate.generate(renderer, tmp_path / "out", 5, processes=1, advance=second)
    assert len(refused) == 5
    assert len(LmdbSamples(tmp_path / "out")) == 5


# --- the table
# --------------------------------------------------------------------------------------------------

BAD_TABLES = {
    "an unknown effect": ("blurs: {chance: 1}", "effect 'blurs' is unknown.*blur"),
    "an unknown value": ("blur: {sigmas: [1, 2]}", "blur: 'sigmas' is unknown.*sigma"),
    "a range backwards": ("blur: {sigma: [2, 1]}", "expected the smaller end first"),
    "a number for a range": ("blur: {sigma: 2}", "expected a range"),
    "a range for a number": ("blur: {chance: [0, 1]}", "expected a number"),
    "words in a range": ("blur: {sigma: [a, b]}", "expected a range"),
    "a chance above 1": ("blur: {chance: 35}", "expected 0 to 1"),
    "not a number": (
        "blur: {sigma: [.nan, .nan]}",
        r"blur: sigma is \[nan, nan\]; expected 0 to 0.25",
    ),
    "a number beyond floats": ("hue: {warm: 1" + "0" * 400 + "}", "is .{81}; expected a number"),
    "a number beyond integers": ("hue: {warm: 1" + "0" * 5000 + "}", "is .{81}; expected a number"),
    "half a pixel": (
        "size: {pixels: [20.5, 30]}",
        "size: pixels is .*; expected whole numbers, 8 to 128",
    ),
    "no such day": ("blur: 2001-99-99", "expected values in braces"),
    "no values": ("blur: 3", "expected values in braces"),
    "no lines": ("- blur", "holds list"),
    "no YAML": ("blur: {", "is not YAML"),
    "an object": ("blur: !!python/object/apply:os.system [id]", "is not YAML"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables(case, tmp_path):
    text, message = BAD_TABLES[case]
    with pytest.raises(InputError) as caught:
        load_table(put(tmp_path / "table.yaml", text))
    assert caught.match(f"(?s){message}")


def test_a_line_changes_itself_alone(tmp_path):
    changed = load_table(put(tmp_path / "table.yaml", "blur: {chance: 1}"))
    assert changed["blur"].chance == 1
    assert changed["blur"].ranges == load_table()["blur"].ranges
    assert changed["jpeg"] == load_table()["jpeg"]


ENDS = [(name, key, end) for name, line in LIMITS.items() for key in line for end in (0, 1)]


def with_value(folder: Path, name: str, key: str, value: float) -> Path:
    """The built-in table in which an effect always happens, with this one value."""
    number = int(value) if key in WHOLE else value
    line = {key: number if key in ("mean", "spread", "warm", "blue") else [number, number]}
    return put(
        folder / "table.yaml",
        json.dumps({name: {"chance": 1, **line} if "chance" in built_in(name) else line}),
    )


def built_in(name: str) -> dict:
    return yaml.safe_load(Path(table.__file__).with_name("synth.yaml").read_text(encoding="utf-8"))[
        name
    ]


def test_every_value_has_its_limits():
    assert {name: set(line) for name, line in LIMITS.items()} == {
        name: set(effect.ranges) for name, effect in load_table().items() if effect.ranges
    }


@needs_fonts
@pytest.mark.parametrize(("name", "key", "end"), ENDS)
def test_what_the_limits_allow_can_be_rendered(name, key, end, tmp_path, renderer):
    changed = load_table(with_value(tmp_path, name, key, LIMITS[name][key][end]))
    one = Renderer(3, renderer.words, renderer.fonts[:5], changed)
    for index in range(1, 4):
        sample = one.sample(index)
        assert min(picture(sample.image, "L").size) >= 4
        assert 1 <= words.steps(sample.label) <= words.MAX_STEPS


@pytest.mark.parametrize(("name", "key", "end"), ENDS)
def test_what_is_beyond_the_limits_is_refused(name, key, end, tmp_path):
    low, high = LIMITS[name][key]
    step = 1 if key in WHOLE else 0.001
    file = with_value(tmp_path, name, key, (low - step, high + step)[end])
    with pytest.raises(InputError) as caught:
        load_table(file)
    assert caught.value.message.startswith(f"{file}: {name}: {key} is ")
    assert caught.value.message.endswith(f"{low:g} to {high:g}")


def test_values_that_add_up_to_too_wide_a_word_are_refused(tmp_path, renderer):
    wide = {"stretch": {"chance": 1, "factor": [4, 4]}, "spacing": {"chance": 1, "gap": [1, 1]}}
    changed = load_table(plain(tmp_path, size={"pixels": [128, 128]}, **wide))
    one = Renderer(3, Words({24: ["MW" * 12]}, DIGITS_AND_LETTERS), renderer.fonts, changed)
    with pytest.raises(InputError, match=r"would be \d+x\d+ pixels, larger than can be drawn"):
        one.sample(1)


@needs_fonts
@pytest.mark.parametrize(
    "name", [name for name, effect in load_table().items() if effect.chance < 1]
)
def test_every_effect_shows(name, tmp_path, renderer):
    """Turned on alone, each effect changes some of the words; were it never reached, none would."""
    # Gray words cannot lose their colour.
    colour = {"chance": float(name == "gray")}
    off = load_table(plain(tmp_path, colour=colour))
    on = dict(off)
    on[name] = type(on[name])(1.0, load_table()[name].ranges)
    first = Renderer(9, renderer.words, renderer.fonts[:3], off)
    second = Renderer(9, renderer.words, renderer.fonts[:3], on)
    assert any(first.sample(index).image != second.sample(index).image for index in range(1, 5))


# --- effects, where a figure tells
# ----------------------------------------------------------------------------------


def bar() -> np.ndarray:
    mask = np.zeros((40, 60), dtype=np.uint8)
    mask[10:30, 20:40] = 255
    return mask


def test_strokes_grow_and_shrink_by_pixels():
    assert (effects.heavier(bar(), 2) > 127).any(axis=0).sum() == 22
    assert (effects.lighter(bar(), 2) > 127).any(axis=0).sum() == 18
    assert (effects.rim(bar(), 3) > 127).any(axis=0).sum() == 26
    assert effects.hollow(bar(), 1)[20, 30] == 0


def test_thin_strokes_are_not_lost():
    hair = np.zeros((20, 20), dtype=np.uint8)
    hair[5:15, 10] = 255
    assert effects.lighter(hair, 2).sum() == hair.sum()


def test_the_ink_stays_on_the_canvas_however_it_is_turned():
    layers = np.zeros((40, 60, 4), dtype=np.uint8)
    layers[:, :, effects.INK] = 255
    for degrees, shear in ((30, 0), (-30, 0.5), (0, -0.5)):
        turned = effects.place(layers, degrees, shear, np.zeros((4, 2)))
        assert (turned[:, :, effects.INK] > 127).sum() == pytest.approx(40 * 60, rel=0.03)
    bent = effects.curve(layers, 12.0)
    assert bent.shape == (64, 60, 4)
    assert (bent[:, :, effects.INK] > 127).sum() == pytest.approx(40 * 60, rel=0.05)


def test_a_crop_is_as_wide_as_its_margins():
    layers = np.zeros((40, 60, 4), dtype=np.uint8)
    layers[:, :, effects.INK] = bar()
    assert effects.crop(layers, (5, 4, 3, 2)).shape == (26, 28, 4)
    assert effects.crop(layers, (50, 40, 30, 20)).shape == (80, 100, 4)
    assert effects.crop(layers, (-2, -2, -2, -2)).shape == (16, 16, 4)


def test_a_crop_whose_cuts_pass_each_other_leaves_something():
    layers = np.zeros((40, 60, 4), dtype=np.uint8)
    layers[30:, 50:, effects.INK] = 255
    assert effects.crop(layers, (-30, -30, -30, -30)).shape == (4, 4, 4)


@pytest.mark.parametrize(("quality", "width"), [(90, 70_000), (None, 1_000_001)])
def test_an_image_that_its_format_cannot_hold_is_refused(quality, width):
    with pytest.raises(
        InputError, match=f"{width}x1 pixels, larger than {'JPEG' if quality else 'PNG'} takes"
    ):
        effects.encode(np.zeros((1, width, 3), dtype=np.float32), quality)


@pytest.mark.parametrize("lightness", [0, 20, 90, 160, 240, 255])
@pytest.mark.parametrize("saturation", [0.0, 0.5, 0.95])
def test_colours_have_their_lightness(lightness, saturation):
    for hue in (0, 0.2, 0.4, 0.6, 0.8):
        found = effects.colour(lightness, saturation, hue)
        assert found @ [0.299, 0.587, 0.114] == pytest.approx(lightness, abs=0.5)
        assert -0.1 <= found.min() <= found.max() <= 255.1
    if not saturation:
        assert np.ptp(found) < 1


def test_fields_run_over_their_range():
    field = effects.clouds((30, 80), 5, random.Random(1))
    assert (field.shape, field.dtype) == ((30, 80), np.float32)
    assert 0 <= field.min() < 0.2 < 0.8 < field.max() <= 1
    assert effects.ramp((30, 80), 0.0)[0, [0, -1]].tolist() == [-0.5, 0.5]


# --- words, fonts, and where there are none
# -------------------------------------------------------------------------


def test_no_font_is_said_clearly(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fonts, "FOLDERS", (str(tmp_path / "nowhere"),))
    listed = put(tmp_path / "words.txt", LIST)
    assert (
        main(
            [
                "dataset",
                "synth",
                str(tmp_path / "out"),
                "--count",
                "3",
                "--seed",
                "1",
                "--words",
                str(listed),
            ]
        )
        == 4
    )
    err = capsys.readouterr().err
    assert "no font with an open licence is installed" in err
    assert "apt install fonts-dejavu" in err


def test_no_word_list_is_said_clearly(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(words, "SYSTEM_LISTS", (str(tmp_path / "nowhere"),))
    assert main(["dataset", "synth", str(tmp_path / "out"), "--count", "3", "--seed", "1"]) == 4
    assert "apt install wamerican" in capsys.readouterr().err


@needs_fonts
def test_a_folder_of_fonts_is_used(tmp_path):
    shutil.copy(installed()[0], tmp_path / "mine.ttf")
    put(tmp_path / "broken.ttf", b"no font at all")
    assert find_fonts(tmp_path, "abc") == [tmp_path / "mine.ttf"]
    with pytest.raises(
        InputError, match=r"holds no font with glyphs for '\\ufdd0'; it has 2 font files"
    ) as caught:
        find_fonts(tmp_path, "\ufdd0")  # a noncharacter: no font has it
    assert "Name a folder with fonts that have them" in caught.value.hint
    with pytest.raises(InputError, match="is not a folder"):
        find_fonts(tmp_path / "mine.ttf", "abc")


@needs_fonts
def test_installed_fonts_are_of_open_families_and_can_draw_the_alphabet():
    for font in installed():
        assert not any(mark in font.name for mark in ("Math", "Symbol", "Emoji"))
        glyphs = {
            bytes(fonts.load_font(str(font), 24).getmask(letter)) for letter in "abcdefgh0123"
        }
        assert len(glyphs) == 12


def test_a_list_without_fitting_words_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no word of the characters"):
        load_words(put(tmp_path / "words.txt", "über\n\n"), "abc")
    with pytest.raises(InputError, match="is not UTF-8"):
        load_words(put(tmp_path / "words.txt", b"caf\xe9\n"), "abc")


@needs_fonts
def test_the_command_renders(tmp_path, capsys):
    listed = put(tmp_path / "words.txt", LIST)
    out = tmp_path / "out"
    command = [
        "dataset",
        "synth",
        str(out),
        "--count",
        "20",
        "--seed",
        "3",
        "--words",
        str(listed),
        "--processes",
        "1",
    ]
    assert main([*command, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["words"] == 20
    assert len(LmdbSamples(out)) == 20
    assert main(command) == 1
    assert "exists already" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0
