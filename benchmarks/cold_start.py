"""A first request with nothing known, over TLS, with the platform so far away.

The network is one of the benchmark's own (`platform`): a round trip for TCP's handshake, and half of one for all
that goes there or comes back.
"""

from __future__ import annotations

import asyncio
import statistics
import time

from .contestants import NOTARY_AUTH, TASKS, THREADS, Contestant, notary_session
from .platform import SandboxPlatform
from .table import Result, Table

CONTESTANTS = [
    *THREADS,
    Contestant(f"{NOTARY_AUTH}, session=", "requests", notary_session, discovers=True),
    *(each for each in TASKS if each.client == "aiohttp"),
]
ROUND_TRIPS = 0.0, 0.05, 0.2
REPEATS = 3


async def once(contestant: Contestant, platform: SandboxPlatform) -> tuple[float, list[int]]:
    """Seconds, and how many look-ups, logins and connections that took."""
    async with contestant.open(platform) as opened:
        platform.clear()
        started = time.perf_counter()
        status = await (await opened.first_client())(contestant.url(platform))
        took = time.perf_counter() - started
    if status != 200:
        raise RuntimeError(f"{contestant.label}: {status}")
    return took, [platform.count("lookup"), platform.count("login", "refresh"), platform.connections()]


def run() -> Result:
    seconds: dict[Contestant, list[float]] = {each: [] for each in CONTESTANTS}
    counts: dict[Contestant, list[int]] = {}
    for round_trip in ROUND_TRIPS:
        with SandboxPlatform(tls=True, round_trip=round_trip) as platform, platform.trusted():
            for each in CONTESTANTS:
                runs = [asyncio.run(once(each, platform)) for _ in range(REPEATS)]
                seconds[each].append(statistics.median(took for took, _ in runs))
                counts[each] = runs[-1][1]
    rows = []
    for each in CONTESTANTS:
        shown = [round(took * 1000) for took in seconds[each]]
        trips = (seconds[each][-1] - seconds[each][0]) / (ROUND_TRIPS[-1] - ROUND_TRIPS[0])
        rows.append([each.client, each.name, *counts[each], *shown, round(trips, 1)])
    head = ["", "", "look-ups", "logins", "connections", *(f"ms at {trip * 1000:.0f} ms" for trip in ROUND_TRIPS)]
    note = (
        "Round trips: what the times at 0 and 200 ms differ by. Those without a look-up were told the data center."
    )
    return Result([Table("The first request", [*head, "round trips"], rows, note)])
