"""Only `core` knows the inside of the library: no other test, and no fuzz target, names anything private of it.

What is looked at is the code, and the programs and dotted names that stand in strings.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import notary_auth

from .paths import ROOT

TESTS = ROOT / "tests"
SEAM = {TESTS / "core.py", TESTS / "test_rooms.py", Path(__file__)}
FILES = [path for name in ("tests", "fuzz") for path in sorted((ROOT / name).rglob("*.py")) if path not in SEAM]

#: What an account shows to everybody. All else that stands behind `account.` is its inside,
PUBLIC = {"username", "cloud_url", "server_url", "base_url", "forget"}
#: and so are these, whatever the account is called.
INSIDE = {"cached_signature", "cached_signature_at", "reauthorize"}

PRIVATE_IN_TEXT = re.compile(r"\.(_[A-Za-z]\w*)")
ACCOUNT_IN_TEXT = re.compile(r"\baccount\.([a-z]\w*)")


def is_private(name: str) -> bool:
    return name.startswith("_") and name.strip("_") != "" and not name.startswith("__")


def defined_in(tree: ast.AST) -> set[str]:
    """All private names that a module defines: functions, classes, variables, attributes."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Attribute(attr=name, ctx=ast.Store()) | ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
    return {name for name in found if is_private(name)}


LIBRARY = list(Path(notary_auth.__file__).parent.rglob("*.py"))
NAMES = set().union(*(defined_in(ast.parse(path.read_text(encoding="utf-8"))) for path in LIBRARY))
NAMES |= {part for path in LIBRARY for part in path.with_suffix("").parts if is_private(part)}


def reaches_inside(source: str) -> Iterator[str]:
    """What of a file is about the inside of the library."""
    tree = ast.parse(source)
    own = defined_in(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (each.name for each in names if any(map(is_private, each.name.split("."))))
            case ast.ImportFrom(module=module, names=names):
                yield from _imported(module or "", [each.name for each in names])
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
                if name in NAMES - own:
                    yield name
            case ast.Attribute(value=owner, attr=name):
                if name in NAMES or name in INSIDE or (_is_account(owner) and name not in PUBLIC):
                    yield name
            case ast.Constant(value=str(text)):
                yield from _in_text(text)


def _imported(module: str, names: list[str]) -> Iterator[str]:
    parts = module.split(".")
    if parts[0] == "notary_auth":
        yield from (part for part in [*parts, *names] if is_private(part))
    if parts[-1] == "core":  # a whole module of the library's, under the name that the seam has for it
        yield from (name for name in names if name.endswith("_module"))


def _is_account(owner: ast.expr) -> bool:
    return isinstance(owner, ast.Name | ast.Attribute) and ast.unparse(owner).rpartition(".")[2] == "account"


def _in_text(text: str) -> Iterator[str]:
    if text in NAMES:  # for getattr, setattr, vars
        yield text
    yield from (name for name in PRIVATE_IN_TEXT.findall(text) if name in NAMES)
    yield from (name for name in ACCOUNT_IN_TEXT.findall(text) if name in INSIDE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_test_reaches_inside_of_the_library(path: Path) -> None:
    assert list(reaches_inside(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "account._flights.lock",
        "auth.account.token.expires_at",
        "logged_in().reauthorize",
        "elsewhere.reauthorize(None)",
        "account.now = clock",
        "complete(new_account())._parts",
        "from notary_auth._wire.protocol import Body",
        "from notary_auth import (\n    Account,\n    _core,\n)",
        "from notary_auth.stores import _MemoryLock",
        "import notary_auth._core.account",
        "from .core import account_module",
        "class Mine(MemoryStore):\n    def load(self, name):\n        return self._records[name]",
        'monkeypatch.setattr("notary_auth._core.account.LEADER_TIMEOUT", 1)',
        'monkeypatch.setattr("notary_auth.stores._MemoryLock.release", 1)',
        'setattr(auth, "_session", None)',
        'vars(account)["_single_flight"]',
        "notary.faults._next",
        'program = """\nprint(account._parts)\n"""',
    ],
)
def test_a_reach_inside_is_found(source: str) -> None:
    assert list(reaches_inside(source))


@pytest.mark.parametrize(
    "source",
    [
        "auth.account.forget()",
        "notary.account().password",
        "x._replace(a=1)",
        "class Mine:\n    def set(self):\n        self._seal = 1\n    def get(self):\n        return self._seal",
    ],
)
def test_what_is_public_or_a_tests_own_is_no_reach_inside(source: str) -> None:
    assert list(reaches_inside(source)) == []
