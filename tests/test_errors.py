"""What is said of a package that is not installed."""

from __future__ import annotations

import pytest

from crnn.errors import UnavailableError, needs


def test_a_package_of_no_extra_is_told_to_be_installed_once() -> None:
    with pytest.raises(UnavailableError) as caught, needs("no_such_package"):
        raise ImportError("no such package")
    assert caught.value.hint.startswith("Install it with: pip install no_such_package")
    assert caught.value.hint.count("no_such_package") == 1
