"""How long an event loop stands still while a login takes a second: what all else that runs on it would feel."""

from __future__ import annotations

import asyncio
import time

from .contestants import TASKS, AsyncContestant
from .platform import LOGIN, Platform
from .table import Result, Table

LOGIN_TAKES = 1.0
CALLERS = 20
REPEATS = 3


async def lag(contestant: AsyncContestant, platform: Platform) -> tuple[float, float]:
    """By how many seconds a task that wants to wake each millisecond wakes too late, at worst; and seconds for
    all."""
    worst = 0.0

    async def beat() -> None:
        nonlocal worst
        while True:
            asleep_at = time.perf_counter()
            await asyncio.sleep(0.001)
            worst = max(worst, time.perf_counter() - asleep_at - 0.001)

    async def ask() -> None:
        async with contestant.open(platform) as opened:
            url = contestant.url(platform)
            statuses = await asyncio.gather(*(opened.get(url) for _ in range(CALLERS)))
        if set(statuses) != {200}:
            raise RuntimeError(f"{contestant.name}: {set(statuses)}")

    beating = asyncio.create_task(beat())
    await asyncio.sleep(0.1)
    worst = 0.0
    started = time.perf_counter()
    await ask()
    took = time.perf_counter() - started
    beating.cancel()
    return worst, took


def run() -> Result:
    rows = []
    with Platform() as platform:
        platform.token()  # as it is written down for those that do not log in
        platform.fault("latency_of", {LOGIN: LOGIN_TAKES})
        for each in TASKS:
            worst, took = zip(*(asyncio.run(lag(each, platform)) for _ in range(REPEATS)), strict=True)
            rows.append([each.client, each.name, round(min(worst) * 1000, 1), round(min(took), 2)])
    note = f"{CALLERS} tasks at once, with a client of their own. The best of {REPEATS} runs."
    return Result([Table("An event loop, late by", ["", "", "ms", "all answered after s"], rows, note)])
