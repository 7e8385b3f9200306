"""By how much an event loop is late: what all else that runs on it would feel."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

PAUSE = 0.001  # seconds between two beats


class Heartbeat:
    """`worst` is by how many seconds a beat has come too late, at most."""

    worst = 0.0

    async def go_on(self) -> None:
        while True:
            asleep_at = time.perf_counter()
            await anyio.sleep(PAUSE)
            self.worst = max(self.worst, time.perf_counter() - asleep_at - PAUSE)


@asynccontextmanager
async def heartbeat() -> AsyncIterator[Heartbeat]:
    """A heart that beats on this loop, asyncio's or trio's, for as long as this block goes on."""
    heart = Heartbeat()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(heart.go_on)
        yield heart
        tasks.cancel_scope.cancel()
