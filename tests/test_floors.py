"""Who may import whom, which third-party package may be used where, who may talk to the world.

A module imports only from its own wing and from lower floors.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Set
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "recommender"

FLOORS = {
    "errors": -2, "text": -2,  # the ground floor, for everyone
    "options": -1,
    "traffic": 0, "policy": 0,
    "cluster": 1,
    "learning": 2,
    "review": 3,
    "recommend": 4,
    "report": 5, "rollout": 5,
    "cli": 6, "propose": 6,
    "__main__": 7,
}  # fmt: skip
FRONT = "recommender"  # __init__.py: looks every name up lazily, and is imported by nobody inside

THIRD_PARTY = {
    "pandas": ("traffic/*", "learning/evidence.py", "learning/trust.py"),
    "numpy": ("traffic/*", "learning/evidence.py", "learning/trust.py", "learning/families.py"),
    "sklearn": ("learning/families.py",),
    "scipy": ("learning/families.py",),
    "yaml": ("policy/documents.py", "policy/manifest.py", "options.py"),
    "msgspec": ("traffic/formats/*", "cluster/*"),
    "zstandard": ("traffic/sources/*",),
    "isal": ("traffic/sources/*",),
    "click": ("cli.py",),
    "rich": ("cli.py",),
    "kubernetes": ("cluster/live.py",),
    "pyarrow": ("traffic/store.py",),
    "fsspec": ("traffic/sources/*",),
    "grpc": ("traffic/sources/*",),
}
HEAVY = ("pandas", "numpy", "scipy", "sklearn", "yaml", "msgspec")
WORLD = {"sys.stdout", "sys.stderr", "sys.stdin", "sys.exit", "sys.argv", "os._exit"}
READS_STDIN = {"traffic/sources/*"}


def modules() -> list[str]:
    return sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((PACKAGE / module).read_text(encoding="utf-8"), module)


def wing(module: str) -> str:
    return module.split("/")[0].removesuffix(".py")


def for_types(module: str) -> set[ast.AST]:
    """What stands under ``if TYPE_CHECKING:``: a type may be named where the package may not be used."""
    return {
        node
        for test in ast.walk(tree(module))
        if isinstance(test, ast.If) and isinstance(test.test, ast.Name) and test.test.id == "TYPE_CHECKING"
        for node in ast.walk(test)
    }


def imports(module: str, without: Set[ast.AST] = frozenset()) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import, also of those inside functions."""
    for node in ast.walk(tree(module)):
        if node in without:
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}:{node.lineno}: imports are absolute"
            if node.module == FRONT:
                yield from ((node.lineno, f"{FRONT}.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, node.module or ""


def may_import(here: str, there: str) -> bool:
    """What is no module but a name of the front door may be used where everything may."""
    return here == there or FLOORS.get(there, max(FLOORS.values()) - 2) < FLOORS[here]


def matches(module: str, patterns: tuple[str, ...] | set[str]) -> bool:
    return any(fnmatch(module, pattern) for pattern in patterns)


def test_every_module_has_a_floor() -> None:
    assert {wing(m) for m in modules()} - {"__init__"} <= set(FLOORS)


@pytest.mark.parametrize("module", modules())
def test_imports_go_down(module: str) -> None:
    if module == "__init__.py":
        return
    wrong = [
        f"{module}:{line}: {wing(module)} may not import {name}"
        for line, name in imports(module)
        if name.startswith(f"{FRONT}.") and not may_import(wing(module), name.split(".")[1])
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("module", modules())
def test_third_party_packages_stay_where_they_belong(module: str) -> None:
    wrong = []
    for line, name in imports(module, for_types(module)):
        top = name.split(".")[0]
        if top == FRONT or top in sys.stdlib_module_names:
            continue
        if not matches(module, THIRD_PARTY.get(top, ())):
            wrong.append(f"{module}:{line}: {top} may be imported in {THIRD_PARTY.get(top) or 'no module'}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("module", [m for m in modules() if m != "cli.py"])
def test_only_the_command_talks_to_the_world(module: str) -> None:
    wrong = []
    for node in ast.walk(tree(module)):
        said = ""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            said = f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            said = node.func.id
        elif isinstance(node, ast.ImportFrom) and node.module == "sys":
            said = next((f"sys.{a.name}" for a in node.names if f"sys.{a.name}" in WORLD), "")
        elif isinstance(node, ast.Name) and node.id == "SystemExit":
            said = "exit"
        if said == "sys.stdin" and matches(module, READS_STDIN):
            continue
        if said in WORLD | {"print", "input", "exit", "quit"}:
            wrong.append(f"{module}:{node.lineno}: {said}")
    assert not wrong, "\n".join(wrong)


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys, recommender, recommender.cli;"
        f"print(*sorted(set({HEAVY!r}) & {{name.partition('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not done.stdout.split()


def test_the_front_door_gives_functions_not_modules() -> None:
    """``recommender.recommend`` is a module too; the function must win, whoever was imported before."""
    code = (
        "import recommender.recommend; from recommender import Recommendation, recommend; recommend.__code__"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# The checks themselves, held against what they must find.
@pytest.mark.parametrize(
    ("here", "there", "allowed"),
    [
        ("traffic", "policy", False),
        ("policy", "traffic", False),
        ("traffic", "errors", True),
        ("cluster", "policy", True),
        ("policy", "cluster", False),
        ("review", "learning", True),
        ("learning", "review", False),
        ("errors", "text", False),
        ("report", "rollout", False),
        ("recommend", "cli", False),
    ],
)
def test_floor_of(here: str, there: str, allowed: bool) -> None:
    assert may_import(here, there) is allowed
