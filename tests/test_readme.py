"""README.rst and docs/ are kept true: their code is run, against the sandbox in place of the cloud."""

from __future__ import annotations

import io
import logging
import re
from typing import Any
from unittest import mock

import pytest

from notary_auth.sandbox import Sandbox

from .pages import README, ROOT, blocks, run_block


@pytest.mark.parametrize("block", blocks(README))
def test_each_block_runs(
    block: str, notary: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOTARY_PASSWORD", notary.password)
    run_block(block, notary, monkeypatch)
    shown = capsys.readouterr().out
    for comment in re.findall(r"print\(.*\)  # (.+)", block):
        assert comment in shown
    if "print(" in block:
        assert shown


def test_it_has_all_its_blocks() -> None:
    assert len(blocks(README)) == 2


@pytest.mark.parametrize(
    "command", ["pip install '.[sandbox]' && python -m notary_auth demo", "pip install '.[test]' && pytest"]
)
def test_it_has_the_two_commands(command: str) -> None:
    assert f"\n    {command}\n" in README


def test_the_filter_for_the_clients_logs_hides_what_it_says() -> None:
    (block,) = blocks((ROOT / "docs" / "security.rst").read_text(encoding="utf-8"))
    with mock.patch("logging.basicConfig") as configure:
        names: dict[str, Any] = {}
        exec(compile(block, "docs/security.rst", "exec"), names)
    (handler,) = configure.call_args.kwargs["handlers"]
    handler.stream = io.StringIO()
    logger = logging.Logger("hpack")
    logger.addHandler(handler)
    logger.debug("Adding %s", (b"authorization", b"Bearer eyJ0-geheim+/=="))
    logger.debug("grant_type=password&username=Jane&password=geheim%209&totp_code=424242")
    shown = handler.stream.getvalue()
    assert "geheim" not in shown
    assert "424242" not in shown
    assert "username=Jane" in shown
