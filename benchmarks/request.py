"""A whole request over loopback, with auth and without: one client, one kept connection, the platform beside
it."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from .contestants import HEADER, TASKS, THREADS, Get
from .platform import Platform
from .signing import label
from .table import Result, Table

ROUNDS, REQUESTS = 25, 40

Ask = Callable[[], Awaitable[int]]


@asynccontextmanager
async def askers(platform: Platform) -> AsyncIterator[dict[str, Ask]]:
    """What makes a request, for each contestant."""
    async with AsyncExitStack() as opened:
        found = {}
        for each in THREADS:
            get = opened.enter_context(each.open(platform)).new_client()
            found[label(each)] = partial(_awaited(get), each.url(platform))
        for other in TASKS:
            ready = await opened.enter_async_context(other.open(platform))
            found[label(other)] = partial(ready.get, other.url(platform))
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
    note = "Medians, of all rounds and of the ratios in each. notary-auth is asked for the cloud's URL."
    head = ["", "", "requests a second", "in the best round", "time, × header"]
    return Result(
        [
            Table(
                "A whole request",
                head,
                rows,
                note,
            )
        ]
    )
