"""Rule 24 and the rooms of DESIGN: what imports what, and when."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "notary_auth"
CLIENTS = {"requests", "httpx", "httpx2", "niquests"}
CORE = [path for path in PACKAGE.glob("*.py") if path.stem not in {*CLIENTS, "__main__"}]


def modules_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_the_core_imports_no_http_client(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        assert not CLIENTS & {name.partition(".")[0] for name in names}


def test_importing_the_package_imports_no_client_and_no_event_loop() -> None:
    assert not modules_after("import notary_auth") & {*CLIENTS, "asyncio", "trio", "dataclasses", "idna"}


@pytest.mark.parametrize("client", ["requests", "httpx", "httpx2", "niquests"])
def test_rule_24_an_adapter_adds_little_to_its_client(client: str) -> None:
    pytest.importorskip(client)
    added = modules_after(f"import notary_auth.{client}") - modules_after(f"import {client}")
    assert not added & {"asyncio", "trio", "dataclasses"}
    assert not {f"notary_auth.{other}" for other in CLIENTS - {client}} & added


@pytest.mark.parametrize(
    ("module", "extra"), [("httpx2", "httpx2"), ("niquests", "niquests"), ("starlette", "sandbox")]
)
def test_a_missing_module_names_its_extra(module: str, extra: str) -> None:
    code = f"import sys; sys.modules[{module!r}] = None; import notary_auth.{extra}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"pip install 'notary-auth[{extra}]'" in done.stderr
