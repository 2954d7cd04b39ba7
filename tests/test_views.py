"""Names of views, and sets of them."""

from __future__ import annotations

import pytest

from crnn.errors import UsageError
from crnn.views import SETS, View, available, chosen, left_out_note, parsed


def names(text: str) -> list:
    return [view.name for view in parsed(text)]


def test_the_angles_that_there_are_are_told() -> None:
    with pytest.raises(UsageError) as caught:
        parsed("rot+60")
    assert "rot takes 1 to 45 degrees" in caught.value.hint


def test_each_set_has_as_many_views_as_it_says_and_begins_with_the_word_as_it_is() -> None:
    for count, views in SETS.items():
        assert len(set(views)) == len(views) == count
        assert views[0] == View()


def test_a_set_by_its_number_and_the_same_by_its_names() -> None:
    for count, views in SETS.items():
        assert parsed(str(count)) == views
        assert parsed(",".join(view.name for view in views)) == views


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("near1", ["near1"]),
        ("near2,near3,rot+5,rot-5,inv,crop,pad", None),
        ("inv, inv", ["near1", "inv"]),
        ("rot+5/near2,near1", ["near1", "rot+5/near2"]),
        ("inv.rot-45/near9", ["near1", "inv.rot-45/near9"]),
    ],
)
def test_lists(text: str, expected: object) -> None:
    assert names(text) == (expected or ["near1", *text.split(",")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4", "there is no set of 4 views; expected 1, 3, 5, 8, 18, or a list"),
        ("0", "no set of 0"),
        ("9" * 5000, "no set of 99999999999999999999 views"),
        ("near0", "no view 'near0'"),
        ("near10", "no view 'near10'"),
        ("rot", "no view 'rot'"),
        ("rot5", "no view 'rot5'"),
        ("rot+0", "no view"),
        ("rot+46", "no view"),
        ("rot+3.rot-3", "no view"),
        ("inv.inv", "no view"),
        ("inv.", "no view"),
        ("/near2", None),
        ("inv/", "no view"),
        ("inv/inv", "no view"),
        ("near2/near3", "no view"),
        ("in", "did you mean inv"),
        ("", "no view ''"),
        ("inv,,crop", "no view ''"),
        (",".join(f"rot+{1 + n % 45}/near{1 + n // 45}" for n in range(64)), "65 views of a word"),
    ],
)
def test_what_is_no_view(text: str, message: str) -> None:
    if message is None:
        assert names(text) == ["near1", "near2"]
        return
    with pytest.raises(UsageError, match=message):
        parsed(text)


def test_a_view_without_its_width_is_left_out_and_counted() -> None:
    views = parsed("5")
    assert [view.name for view in available(views, 2)] == ["near1", "near2", "rot+3", "rot-3"]
    assert left_out_note(views, 3, 10) == []
    assert left_out_note(views, 2, 10) == [
        "left out, since the model reads at 2 widths: near3: 10 views of 10 words"
    ]
    assert "reads at one width: near2, near3: 20 views" in left_out_note(views, 1, 10)[0]


def test_the_option_stands_above_the_spec() -> None:
    assert chosen(None, "") == (View(),)
    assert chosen(None, "3") == SETS[3]
    assert chosen("1", "3") == (View(),)
