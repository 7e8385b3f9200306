"""Waiting until something has come to be, in place of sleeping and hoping."""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio

LIMIT = 30.0  # seconds after which it is not going to happen any more
PAUSE = 0.002  # seconds between two looks


def until(condition: Callable[[], object], limit: float = LIMIT) -> None:
    """Return when `condition` holds.

    Raises:
        AssertionError: it still does not after `limit` seconds.
    """
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"has not come to be in {limit} s"
        time.sleep(PAUSE)


async def auntil(condition: Callable[[], object], limit: float = LIMIT) -> None:
    """The same under asyncio or trio, where the event loop goes on meanwhile."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"has not come to be in {limit} s"
        await anyio.sleep(PAUSE)
