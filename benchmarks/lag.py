"""How long an event loop stands still while a login takes a second: what all else that runs on it would feel."""

from __future__ import annotations

import asyncio
import time

from notary_auth.sandbox._model import LOGIN
from tests.heartbeat import heartbeat

from .contestants import TASKS, AsyncContestant
from .platform import Platform
from .table import Result, Table

LOGIN_TAKES = 1.0
CALLERS = 20
REPEATS = 3


async def lag(contestant: AsyncContestant, platform: Platform) -> tuple[float, float]:
    """By how many seconds the loop is late, at worst; and seconds until all are answered."""
    started = time.perf_counter()
    async with heartbeat() as heart, contestant.open(platform) as opened:
        url = contestant.url(platform)
        statuses = await asyncio.gather(*(opened.get(url) for _ in range(CALLERS)))
    if set(statuses) != {200}:
        raise RuntimeError(f"{contestant.name}: {set(statuses)}")
    return heart.worst, time.perf_counter() - started


def run() -> Result:
    rows = []
    with Platform() as platform:
        platform.fault("latency_of", {LOGIN: LOGIN_TAKES})
        for each in TASKS:
            worst, took = zip(*(asyncio.run(lag(each, platform)) for _ in range(REPEATS)), strict=True)
            rows.append([each.client, each.name, round(min(worst) * 1000, 1), round(min(took), 2)])
    note = f"{CALLERS} tasks at once, with a client of their own. The best of {REPEATS} runs."
    return Result([Table("An event loop, late by", ["", "", "ms", "all answered after s"], rows, note)])
