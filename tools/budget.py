"""Check how readable the code is: ``python -m tools.budget``, a part of ``make check``.

Holds three promises of CONTRIBUTING.md:

- density: tokens a line and conditional expressions per 1000 lines, over the kit (`crnn` without
  the simulator and CANN's tables) and over the simulator;
- functions: none longer than 60 lines, none with more than 12 branches;
- docstrings: a function that another room imports says its arguments and what it returns.

Exits 3 where one is broken, with a line for each place.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Sequence, Set, Tuple, Union

ROOT = Path(__file__).resolve().parent.parent

MOST_TOKENS = 6.5
"""Tokens a non-blank line, on average over a part."""
MOST_CONDITIONALS = 12.0
"""Conditional expressions per 1000 non-blank lines."""
MOST_LINES = 60
"""Lines of a function, its docstring and decorators left out."""
MOST_BRANCHES = 12
"""Branches of a function; see `branches`."""

_LAYOUT = frozenset(
    (
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    )
)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SIMPLE_BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.IfExp)
_NOTHING = ("None", "NoReturn", "Iterator[None]", "Generator[None, None, None]")
Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]


@dataclass(frozen=True)
class Density:
    """How densely a part of the code is written."""

    lines: int
    tokens: int
    conditionals: int

    @property
    def tokens_a_line(self) -> float:
        """Tokens a non-blank line; comments and line ends are not counted."""
        return self.tokens / max(1, self.lines)

    @property
    def conditionals_a_thousand(self) -> float:
        """Conditional expressions (``a if b else c``) per 1000 non-blank lines."""
        return 1000 * self.conditionals / max(1, self.lines)


@dataclass(frozen=True)
class Measured:
    """A function with its size."""

    where: str
    name: str
    lines: int
    branches: int


def parts() -> Dict[str, List[Path]]:
    """Return the files of each part that has a density of its own, by the part's name."""
    everything = sorted((ROOT / "crnn").rglob("*.py"))
    simulator = [path for path in everything if "simulator" in path.parts]
    tables = [path for path in everything if "cann" in path.parts]
    apart = set(simulator + tables)
    kit = [path for path in everything if path not in apart]
    return {"crnn": kit, "crnn/simulator": simulator}


def density(paths: Sequence[Path]) -> Density:
    """Count lines, tokens and conditional expressions of some files.

    Args:
        paths: Python files.

    Returns:
        The sums over all of them.
    """
    lines = tokens = conditionals = 0
    for path in paths:
        text = path.read_text(encoding="utf-8")
        lines += sum(bool(line.strip()) for line in text.splitlines())
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            tokens += token.type not in _LAYOUT
        for node in ast.walk(ast.parse(text)):
            conditionals += isinstance(node, ast.IfExp)
    return Density(lines, tokens, conditionals)


def branches(function: Function) -> int:
    """Count the decisions of a function, those of functions inside it included.

    Args:
        function: The function's syntax tree.

    Returns:
        One for each if, for, while, except and conditional expression, for each further operand of
        ``and`` and ``or``, and for each ``for`` and ``if`` of a comprehension.
    """
    count = 0
    for node in ast.walk(function):
        if isinstance(node, _SIMPLE_BRANCHES):
            count += 1
        elif isinstance(node, ast.BoolOp):
            count += len(node.values) - 1
        elif isinstance(node, _COMPREHENSIONS):
            count += sum(1 + len(loop.ifs) for loop in node.generators)
    return count


def functions(paths: Sequence[Path]) -> Iterator[Measured]:
    """Measure every function of some files.

    Args:
        paths: Python files.

    Yields:
        Each function with its lines, the docstring left out, and its branches.
    """
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            where = f"{path.relative_to(ROOT)}:{node.lineno}"
            yield Measured(where, node.name, _length(node), branches(node))


def _length(function: Function) -> int:
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function) is None:
        return lines
    docstring = function.body[0]
    return lines - ((docstring.end_lineno or docstring.lineno) - docstring.lineno + 1)


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[-1] == "__init__":
        parts = parts[:-1]
    return ".".join(parts)


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imported_elsewhere(paths: Sequence[Path]) -> Set[Tuple[str, str]]:
    """Find what rooms take from one another.

    Args:
        paths: All Python files of the package.

    Returns:
        (module, name) for each name that a file of another room imports from the module, and for
        each attribute that it takes of a module imported by name.
    """
    modules = {_module(path) for path in paths}
    taken = set()
    for path in paths:
        room = _room(_module(path))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        aliases: Dict[str, str] = {}
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or node.module is None:
                continue
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in modules:
                    aliases[alias.asname or alias.name] = whole
                elif _room(node.module) != room:
                    taken.add((node.module, alias.name))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
                continue
            module = aliases.get(node.value.id)
            if module is not None and _room(module) != room:
                taken.add((module, node.attr))
    return taken


def undocumented(paths: Sequence[Path]) -> Iterator[str]:
    """Find functions that other rooms import and that do not say what they take or return.

    Args:
        paths: All Python files of the package.

    Yields:
        A line for each missing section.
    """
    taken = imported_elsewhere(paths)
    for path in paths:
        module = _module(path)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            if (module, node.name) not in taken:
                continue
            for section in _missing_sections(node):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has no {section}"


def _missing_sections(function: Function) -> Iterator[str]:
    docstring = ast.get_docstring(function) or ""
    arguments = function.args
    takes = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    takes_any = bool(takes or arguments.vararg or arguments.kwarg)
    if takes_any and "Args:" not in docstring:
        yield "Args"
    if function.returns is None or ast.unparse(function.returns) in _NOTHING:
        return
    if "Returns:" not in docstring and "Yields:" not in docstring:
        yield "Returns"


def broken() -> Iterator[str]:
    """Yield a line for each place where a promise is broken."""
    for name, paths in parts().items():
        measured = density(paths)
        tokens = measured.tokens_a_line
        if tokens > MOST_TOKENS:
            yield f"{name}: {tokens:.2f} tokens a line; at most {MOST_TOKENS}"
        conditionals = measured.conditionals_a_thousand
        if conditionals > MOST_CONDITIONALS:
            yield (
                f"{name}: {conditionals:.1f} conditional expressions per 1000 lines;"
                f" at most {MOST_CONDITIONALS:.0f}"
            )
        for function in functions(paths):
            if function.lines > MOST_LINES:
                yield f"{function.where} {function.name}: {function.lines} lines"
            if function.branches > MOST_BRANCHES:
                yield f"{function.where} {function.name}: {function.branches} branches"
    yield from undocumented(sorted((ROOT / "crnn").rglob("*.py")))


def main() -> int:
    """Print what is broken and return the exit code."""
    lines = list(broken())
    for line in lines:
        print(line)
    if lines:
        print(f"{len(lines)} places; see CONTRIBUTING.md")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
