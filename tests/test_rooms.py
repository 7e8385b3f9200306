"""The rooms of the library: imports go downwards only, and no room imports another one's private names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from .paths import ROOT

PACKAGE = ROOT / "notary_auth"
CLIENTS = {"requests", "httpx", "httpx2", "niquests", "aiohttp"}

#: From the ground up: a room may import its like, and what stands in a line above its own.
LAYERS: tuple[set[str], ...] = (
    {"_version", "_extras", "_secrets", "errors"},
    {"_wire"},
    {"_core"},
    {"_environment", "stores"},
    {"_adapters"},
    {*CLIENTS, "adapter"},
    {"_cli", "httpie_plugin", "pytest_plugin", "sandbox", "testing"},
    {"__init__", "__main__"},
)
HEIGHT = {room: height for height, layer in enumerate(LAYERS) for room in layer}
MODULES = sorted(PACKAGE.rglob("*.py"))


class Import(NamedTuple):
    room: str
    names: list[str]


def room_of(path: Path) -> str:
    first, *rest = path.relative_to(PACKAGE).parts
    return first if rest else path.stem


def imports_of(path: Path, source: str) -> Iterator[Import]:
    """What a module imports of the library, also inside of functions and for its types only."""
    package = ["notary_auth", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            parts = [*start, *(node.module or "").split(".")]
            names = [alias.name for alias in node.names]
            if [part for part in parts if part] == ["notary_auth"]:  # `from notary_auth import errors`
                yield from (Import(name, []) for name in names if name in HEIGHT)
            elif parts[0] == "notary_auth":
                yield Import(parts[1], names)
        elif isinstance(node, ast.Import):
            parts_of = [alias.name.split(".") for alias in node.names]
            yield from (Import(parts[1], []) for parts in parts_of if parts[0] == "notary_auth" and parts[1:])


def flaws_of(path: Path, source: str) -> Iterator[str]:
    room = room_of(path)
    for imported in imports_of(path, source):
        if imported.room == room:
            continue
        if HEIGHT[imported.room] > HEIGHT[room]:
            yield f"{room} imports {imported.room}, which is above it"
        for name in imported.names:
            # A module of a private room is no private name; what that module keeps for itself is.
            if name.startswith("_") and not name.startswith("__"):
                yield f"{room} imports {name} of {imported.room}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downwards_only(path: Path) -> None:
    if path.name == "__init__.py" and path.parent == PACKAGE:
        return  # users import everything from there
    assert list(flaws_of(path, path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("_wire/protocol.py", "from .._core.steps import Signature"),
        ("_wire/protocol.py", "def late():\n    from notary_auth._core import steps"),
        ("_core/account.py", "import notary_auth.requests"),
        ("_core/account.py", "if TYPE_CHECKING:\n    from ..stores import TokenStore"),
        ("_adapters/auth.py", "from notary_auth._core.login import _grant"),
        ("errors.py", "from . import stores"),
    ],
)
def test_an_import_that_goes_upwards_or_is_private_is_found(module: str, source: str) -> None:
    assert list(flaws_of(PACKAGE / module, source))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_http_client_is_imported_below_its_adapter(path: Path) -> None:
    if HEIGHT.get(room_of(path), 0) >= HEIGHT["requests"]:
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        assert not CLIENTS & {name.partition(".")[0] for name in names}
