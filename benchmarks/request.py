"""A whole request over loopback, with auth and without: one client, one kept connection, the platform beside
it."""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import AsyncExitStack
from functools import partial

from .contestants import CONTESTANTS, HEADER, NOTARY_AUTH
from .platform import FILES, SandboxPlatform
from .table import Result, Table

ROUNDS, REQUESTS = 50, 40


async def measured(platform: SandboxPlatform) -> dict[str, list[float]]:
    """Seconds for a request in each round, of all in turns."""
    async with AsyncExitStack() as stack:
        asking = {}
        for each in CONTESTANTS:
            get = await (await stack.enter_async_context(each.open(platform))).first_client()
            asking[each.label] = partial(get, platform.home + FILES)
            if each.name == NOTARY_AUTH:
                asking[f"{each.label}, cloud's URL"] = partial(get, platform.files)
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
    with SandboxPlatform() as platform:
        times = asyncio.run(measured(platform))
    rows = []
    for name, seconds in times.items():
        client, _, contestant = name.partition(": ")
        floor = times[f"{client}: {HEADER}"]
        # Of pairs of neighbours: both had the same noise.
        ratio = statistics.median(one / other for one, other in zip(seconds, floor, strict=True))
        rows.append([client, contestant, round(1 / statistics.median(seconds)), round(ratio, 3)])
    head = ["", "", "requests a second", "time, × header"]
    note = (
        "Medians, of all rounds and of the ratios in each. All for the data center's URL, where nothing is said."
    )
    return Result([Table("A whole request", head, rows, note)])
