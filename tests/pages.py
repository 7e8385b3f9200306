"""The pages of the documentation: their blocks of code and their commands, and how they are run."""

from __future__ import annotations

import re
import textwrap
from functools import partial
from itertools import takewhile
from typing import Any

import pytest

from notary_auth.sandbox import Sandbox

from .core import make_default_cloud
from .paths import ROOT

README = (ROOT / "README.rst").read_text(encoding="utf-8")
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.rst")}


def blocks(text: str) -> list[str]:
    """The blocks of Python code: what follows a directive and is indented deeper than it."""
    lines = text.splitlines(keepends=True)
    found = []
    for number, line in enumerate(lines):
        if line.endswith(".. code:: python\n"):
            margin = " " * (line.index("..") + 1)
            body = takewhile(partial(_is_body, margin), lines[number + 1 :])
            found.append(textwrap.dedent("".join(body)))
    return found


def _is_body(margin: str, line: str) -> bool:
    return not line.strip() or line.startswith(margin)


def commands(text: str) -> list[str]:
    """What stands behind a prompt in the console blocks."""
    return re.findall(r"^    \$ (.+)$", text, re.MULTILINE)


def run_block(
    code: str, notary: Sandbox, monkeypatch: pytest.MonkeyPatch, names: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Run a block with the sandbox in place of the cloud. Returns its names."""
    make_default_cloud(monkeypatch, notary.url)
    names = {"__name__": "__main__", **(names or {})}
    exec(compile(code.replace("https://cloud.acronis.com", notary.url), "a page", "exec"), names)
    return names
