"""A whole request over loopback, with auth and without: one client, one kept connection, the platform beside
it."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from .contestants import HEADER, NOTARY_AUTH, TASKS, THREADS, AsyncContestant, Get
from .platform import FILES, Platform
from .signing import label
from .table import Result, Table

ROUNDS, REQUESTS = 50, 40

Ask = Callable[[], Awaitable[int]]


@asynccontextmanager
async def askers(platform: Platform) -> AsyncIterator[dict[str, Ask]]:
    """What makes a request, for each contestant."""
    async with AsyncExitStack() as opened:
        found = {}
        for each in [*THREADS, *TASKS]:
            if isinstance(each, AsyncContestant):
                get = (await opened.enter_async_context(each.open(platform))).get
            else:
                get = _awaited(opened.enter_context(each.open(platform)).new_client())
            found[label(each)] = partial(get, platform.home + FILES)
            if each.name == NOTARY_AUTH:
                found[f"{label(each)}, cloud's URL"] = partial(get, platform.files)
        yield found


def _awaited(get: Get) -> Callable[[str], Awaitable[int]]:
    async def ask(url: str) -> int:
        return get(url)

    return ask


async def measured() -> dict[str, list[float]]:
    """Seconds for a request in each round, of all in turns."""
    with Platform() as platform:
        async with askers(platform) as asking:
            times: dict[str, list[float]] = {name: [] for name in asking}
            for number in range(-1, ROUNDS):
                for name, ask in asking.items():
                    started = time.perf_counter()
                    for _ in range(REQUESTS):
                        if await ask() != 200:
                            raise RuntimeError(f"{name} has not signed")
                    if number >= 0:  # the first round is there to warm up
                        times[name].append((time.perf_counter() - started) / REQUESTS)
            return times


def run() -> Result:
    times = asyncio.run(measured())
    rows = []
    for name, seconds in times.items():
        client, _, contestant = name.partition(": ")
        floor = times[f"{client}: {HEADER}"]
        # Of pairs of neighbours: both had the same noise.
        ratio = statistics.median(one / other for one, other in zip(seconds, floor, strict=True))
        rows.append(
            [client, contestant, round(1 / statistics.median(seconds)), round(1 / min(seconds)), round(ratio, 3)]
        )
    head = ["", "", "requests a second", "in the best round", "time, × header"]
    note = (
        "Medians, of all rounds and of the ratios in each. All for the data center's URL, where nothing is said."
    )
    return Result([Table("A whole request", head, rows, note)])
