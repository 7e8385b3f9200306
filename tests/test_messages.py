"""What users read: all of it, side by side, in messages.txt. To the letter, unit/test_messages.py has it."""

from __future__ import annotations

import pytest

from . import messages


def test_all_messages_side_by_side() -> None:
    assert messages.observe() == messages.SHOWN.read_text("utf-8"), "python -m tests.messages writes it anew"


@pytest.mark.parametrize("text", messages.texts())
def test_every_message_is_among_them(text: str) -> None:
    assert text in messages.SHOWN.read_text("utf-8")
