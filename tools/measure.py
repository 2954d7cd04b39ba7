"""Measure the code: ``make measure``; the same figures before and after a change.

Prints, for the kit and for the simulator, lines, tokens a line, conditional expressions, the
longest function, the one with the most branches, and the pairs of files that share six or more
lines. `tests.measure.walk`, which make runs after it, has the walk of an evaluation.
"""

from __future__ import annotations

import ast
import collections
import sys
from pathlib import Path
from typing import Dict, List, Sequence, Set, Tuple

from tools import budget

SHARED_LINES = 6
"""Lines in a row that make two places a repetition."""


def repeated(paths: Sequence[Path]) -> int:
    """Count the pairs of files that share lines.

    Args:
        paths: Python files.

    Returns:
        The pairs of files with `SHARED_LINES` equal lines in a row; blank lines, comments, imports
        and lines without a letter do not count.
    """
    places: Dict[Tuple[str, ...], Set[Path]] = collections.defaultdict(set)
    for path in paths:
        lines = _telling_lines(path)
        for start in range(len(lines) - SHARED_LINES + 1):
            places[tuple(lines[start : start + SHARED_LINES])].add(path)
    pairs: Set[Tuple[Path, Path]] = set()
    for files in places.values():
        ordered = sorted(files)
        for index, first in enumerate(ordered):
            pairs.update((first, second) for second in ordered[index + 1 :])
    return len(pairs)


def _telling_lines(path: Path) -> List[str]:
    source = path.read_text(encoding="utf-8")
    imports: Set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            imports.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    telling = []
    for number, line in enumerate(source.splitlines(), 1):
        text = line.strip()
        if number in imports or text.startswith(("#", '"""')):
            continue
        if any(character.isalpha() for character in text):
            telling.append(text)
    return telling


def main() -> int:
    """Print the figures and return the exit code."""
    for name, paths in budget.parts().items():
        density = budget.density(paths)
        functions = list(budget.functions(paths))
        longest = max(functions, key=lambda function: function.lines)
        widest = max(functions, key=lambda function: function.branches)
        print(f"{name}: {len(paths)} files, {density.lines} lines that are not blank")
        print(f"  tokens a line                 {density.tokens_a_line:.2f}")
        print(f"  conditional expressions/1000  {density.conditionals_a_thousand:.1f}")
        print(f"  longest function              {longest.lines} lines ({longest.where})")
        print(f"  most branches                 {widest.branches} ({widest.where})")
        print(f"  pairs of files that repeat    {repeated(paths)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
