"""Only `core` knows the inside of the library: no other test names anything private of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import notary_auth

TESTS = Path(__file__).parent
FOLDERS = [TESTS, TESTS.parent / "fuzz"]
SEAM = {TESTS / "core.py", Path(__file__)}
FILES = [path for folder in FOLDERS for path in sorted(folder.rglob("*.py")) if path not in SEAM]

#: Names with one underscore in front, wherever they stand: behind a dot, or in the path of a module.
PRIVATE = re.compile(r"(?P<owner>\w+|[)\]])\.(?P<name>_[a-z]\w*)")
PRIVATE_MODULE = re.compile(r"notary_auth[.\w]*(?:\._[a-z]\w*| import .*\b_[a-z]\w*)")
#: What an account shows to everybody. All else that stands behind `account.` is its inside,
PUBLIC = {"username", "cloud_url", "server_url", "base_url", "forget"}
ACCOUNT = re.compile(r"(?<![.\w])(?:\w+\.)?account\.(?P<name>[a-z]\w*)")
#: and so are these, whatever the account is called.
INSIDE = re.compile(r"[\w)\]]\.(?:token|conversation|farewell|arguments|arrival|discovery|is_logged_in)\b")


def private_names() -> set[str]:
    """All names with one underscore in front that the library defines."""
    found: set[str] = set()
    for path in Path(notary_auth.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    found.add(name)
                case ast.Attribute(attr=name, ctx=ast.Store()) | ast.Name(id=name, ctx=ast.Store()):
                    found.add(name)
    return {name for name in found if re.match(r"_[^_]", name)}


NAMES = private_names()


def reaches_inside(text: str) -> Iterator[str]:
    """What of a file's text, code and programs in strings alike, is about the inside of the library."""
    for match in PRIVATE.finditer(text):
        if match["owner"] not in ("self", "cls") and match["name"] in NAMES:
            yield match[0]
    for match in PRIVATE_MODULE.finditer(text):
        yield match[0]
    for match in ACCOUNT.finditer(text):
        if match["name"] not in PUBLIC:
            yield match[0]
    for match in INSIDE.finditer(text):
        yield match[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(TESTS.parent).as_posix())
def test_no_test_reaches_inside_of_the_library(path: Path) -> None:
    assert list(reaches_inside(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "account._flights.lock",
        "auth.account.token.expires_at",
        "logged_in().token",
        "elsewhere.token.expires_at",
        "complete(new_account())._refusals",
        "from notary_auth._protocol import Body",
        "from notary_auth import Account, _account",
        'monkeypatch.setattr("notary_auth._account.PATIENCE", 1)',
        "notary.faults._next",
        'program = """\nprint(account._lookup_due)\n"""',
    ],
)
def test_a_reach_inside_is_found(text: str) -> None:
    assert list(reaches_inside(text))


def test_what_is_public_is_no_reach_inside() -> None:
    text = "auth.account.forget(); notary.account().password; self._answer; x._replace()"
    assert list(reaches_inside(text)) == []
