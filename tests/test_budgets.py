"""Sizes that code may not outgrow, and names that may not be given twice.

Offenders are listed with their size. A list may only shrink: an entry that is no longer needed has to be removed, and
nothing may grow beyond its entry.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATHS = [path for package in ("crdt_server", "documents", "storage") for path in sorted((ROOT / package).rglob("*.py"))]

FILE_LINES, FUNCTION_LINES, COMPLEXITY, POSITIONAL_PARAMETERS, METHODS = 400, 50, 15, 6, 15

MAKING_METHODS = {"staticmethod", "classmethod", "property"}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Node = Function | ast.ClassDef


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def definitions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Node]]:
    """Every class and function in `node`, each with its qualified name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Node):
            yield f"{prefix}{child.name}", child
            yield from definitions(child, f"{prefix}{child.name}.")
        else:
            yield from definitions(child, prefix)


DEFINITIONS = [each for path in PATHS for each in definitions(ast.parse(path.read_text()), f"{name_of(path)}:")]
FUNCTIONS = [(name, node) for name, node in DEFINITIONS if isinstance(node, Function)]
CLASSES = [(name, node) for name, node in DEFINITIONS if isinstance(node, ast.ClassDef)]


def complexity(node: ast.AST) -> int:
    """Branches below `node`, counted as McCabe does (and ruff's C901): a function without any has 0 here."""
    branches = 0
    for child in ast.walk(node):
        if isinstance(child, ast.If | ast.For | ast.AsyncFor | ast.While | ast.ExceptHandler | ast.match_case):
            branches += 1
        if isinstance(child, ast.For | ast.AsyncFor | ast.While | ast.Try):
            branches += bool(child.orelse)
    return branches


def positional_parameters(node: Function) -> int:
    parameters = [each.arg for each in (*node.args.posonlyargs, *node.args.args)]
    return len(parameters) - (parameters[:1] in (["self"], ["cls"]))


def file_lines() -> dict[str, int]:
    return {name_of(path): len(path.read_text().splitlines()) for path in PATHS}


def function_lines() -> dict[str, int]:
    return {name: (node.end_lineno or 0) - node.lineno + 1 for name, node in FUNCTIONS}


def function_complexity() -> dict[str, int]:
    return {name: 1 + complexity(node) for name, node in FUNCTIONS}


def function_parameters() -> dict[str, int]:
    return {name: positional_parameters(node) for name, node in FUNCTIONS}


def methods(node: ast.ClassDef) -> int:
    """The functions of a class, also those that are assigned: `name = staticmethod(function)`."""
    return sum(1 if isinstance(each, Function) else assigned_methods(each) for each in node.body)


def assigned_methods(statement: ast.stmt) -> int:
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or not isinstance(statement.value, ast.Call):
        return 0
    function = statement.value.func
    if not isinstance(function, ast.Name) or function.id not in MAKING_METHODS:
        return 0
    return len(statement.targets) if isinstance(statement, ast.Assign) else 1


def class_methods() -> dict[str, int]:
    return {name: methods(node) for name, node in CLASSES}


def classes_of_one_name() -> dict[str, set[str]]:
    places: dict[str, set[str]] = defaultdict(set)
    for name, node in CLASSES:
        places[node.name].add(name.partition(":")[0])
    return {name: files for name, files in places.items() if len(files) > 1}


LONG_FILES = {
    "documents/fields.py": 480,
    "documents/invariants/budget.py": 483,
    "documents/invariants/seating.py": 590,
    "documents/invariants/timeline.py": 494,
    "documents/sample/planted.py": 510,
}
LONG_FUNCTIONS: dict[str, int] = {}
COMPLEX_FUNCTIONS: dict[str, int] = {}
MANY_PARAMETERS: dict[str, int] = {}
LARGE_CLASSES = {
    "documents/invariants/budget.py:Budget": 34,
    "documents/invariants/guests.py:Guests": 20,
    "documents/invariants/seating.py:Seating": 43,
    "documents/invariants/timeline.py:Timeline": 40,
}
BUDGETS: dict[str, tuple[Callable[[], dict[str, int]], int, dict[str, int]]] = {
    "lines of a file": (file_lines, FILE_LINES, LONG_FILES),
    "lines of a function": (function_lines, FUNCTION_LINES, LONG_FUNCTIONS),
    "complexity of a function": (function_complexity, COMPLEXITY, COMPLEX_FUNCTIONS),
    "positional parameters": (function_parameters, POSITIONAL_PARAMETERS, MANY_PARAMETERS),
    "methods of a class": (class_methods, METHODS, LARGE_CLASSES),
}

VAGUE_VERBS = {"ask", "asks", "asked", "hear", "heard", "look", "note", "say", "says", "said", "tell", "tells", "told",
               "want", "wants", "wanted"}  # fmt: skip

SHARED_CLASS_NAMES: dict[str, set[str]] = {}


@pytest.mark.parametrize("budget", BUDGETS)
def test_sizes_stay_within_their_budget(budget: str) -> None:
    measure, limit, listed = BUDGETS[budget]
    offenders = {name: size for name, size in measure().items() if size > limit}
    assert {name: size for name, size in offenders.items() if size > listed.get(name, limit)} == {}, "too large"
    assert listed == offenders, "smaller now: so is the entry, or it goes"


def test_the_server_has_no_offenders() -> None:
    listed = {name for _, _, each in BUDGETS.values() for name in each}
    assert {name for name in listed if name.startswith("crdt_server/")} == set()


def test_no_two_classes_have_one_name() -> None:
    shared = classes_of_one_name()
    assert {name: files for name, files in shared.items() if files - SHARED_CLASS_NAMES.get(name, set())} == {}
    assert {name for name in SHARED_CLASS_NAMES if name not in shared} == set(), "no longer needed: remove the entries"


def test_functions_are_named_by_what_they_do() -> None:
    """The first word of a name is no verb that leaves open what is done."""
    assert {name for name, _ in FUNCTIONS if first_word(name) in VAGUE_VERBS} == set()


def first_word(name: str) -> str:
    own = re.split(r"[.:]", name)[-1].strip("_")
    return "look_up" if own.startswith("look_up") else own.partition("_")[0]


def test_complexity_counts_branches() -> None:
    text = "if a:\n  pass\nelif b:\n  pass\nfor c in a:\n  pass\nelse:\n  pass\nd = [c for c in a if c]"
    assert complexity(ast.parse(text)) == 4


def test_methods_that_are_assigned_count() -> None:
    lines = ("def f(self): ...", "g = h = staticmethod(f)", "i: Any = classmethod(f)", "j: int = 1", "k = tuple(l)")
    (node,) = ast.parse("\n  ".join(("class A:", *lines))).body
    assert isinstance(node, ast.ClassDef)
    assert methods(node) == 4
