"""First requests, with nothing known.

One over TLS, with the platform so far away, by a network of the benchmark's own (`platform`). A herd that begins
at once: how many logins, and how long until the last has its answer. And, in the case `lag`, how long an event
loop stands still meanwhile, which all else that runs on it would feel.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import time
from functools import partial
from importlib import import_module
from typing import Any

from notary_auth._adapters.drivers import awaited
from notary_auth.sandbox._model import LOGIN, LOOKUP
from tests.heartbeat import heartbeat

from .contestants import HEADER, NOTARY_AUTH, ON_SESSION, TASKS, THREADS, Contestant
from .platform import Counts, Platform
from .record import Result, Table, in_turns

ALONE = [*THREADS, ON_SESSION, *(each for each in TASKS if each.client == "aiohttp")]
ROUND_TRIPS = 0.0, 0.05, 0.2  # seconds
ROUNDS, HERD_ROUNDS = 3, 2
SIZES, HERD = (1, 10, 100, 1000), 10_000
LIMIT = 5.0  # seconds: whoever took more is not asked for ten times as many
LOGIN_TAKES, LAG_LOGIN_TAKES = 0.1, 1.0  # seconds
LAG_TASKS = 20


async def first(contestant: Contestant, platform: Platform, size: int = 1, **options: Any) -> tuple[float, Counts]:
    """Seconds until so many that begin at once have their answers, and the look-ups, logins and connections."""
    url = contestant.url(platform)
    async with contestant.opened(platform, **options) as (package, new_client):

        async def ask() -> None:
            status = await new_client()(url)
            if status != 200:
                raise RuntimeError(f"{contestant.label}: {status}")

        platform.clear()
        started = time.perf_counter()
        await awaited(package.log_in())
        logged_in = time.perf_counter() - started
        return logged_in + await contestant.crowd(size, ask), platform.counts()


async def run_cold_start() -> Result:
    found = []
    for round_trip in ROUND_TRIPS:
        with Platform(tls=True, round_trip=round_trip) as platform:
            found.append(await in_turns({each: partial(first, each, platform) for each in ALONE}, ROUNDS))
    rows = []
    for each in ALONE:
        took = [statistics.median(seconds for seconds, _ in runs[each]) for runs in found]
        trips = (took[-1] - took[0]) / (ROUND_TRIPS[-1] - ROUND_TRIPS[0])
        _, counts = found[0][each][0]
        rows.append([each.client, each.name, *counts, *(round(one * 1000) for one in took), round(trips, 1)])
    head = ["", "", "look-ups", "logins", "connections", *(f"ms at {trip * 1000:.0f} ms" for trip in ROUND_TRIPS)]
    note = "Round trips: what the times at 0 and 200 ms differ by. Who makes no look-up was told the data center."
    return Result([Table("The first request", [*head, "round trips"], rows, note)])


async def herds_of_threads(platform: Platform) -> Table:
    rows = []
    for each in THREADS:
        cells, took = [], 0.0
        for size in SIZES:
            if took <= LIMIT:
                took, (_, logins, _) = await first(each, platform, size)
                cells.append(f"{logins:,} in {took:.2f} s")
        rows.append([each.client, each.name, *cells])
    note = "One run of each: logins are what counts, seconds are no ranking."
    return Table("Threads: logins, and time", ["", "", *(f"{size:,}" for size in SIZES)], rows, note)


async def herds_of_tasks(platform: Platform) -> Table:
    """Over sockets with a hundred tasks to a client, since httpx's pool looks at all its connections for each
    request that waits for one: ten thousand tasks of one client would take it minutes. In memory with one."""
    herd = partial(first, platform=platform, size=HERD)
    rows = []
    for client in dict.fromkeys(each.client for each in TASKS):
        header, ours = (each for each in TASKS if each.client == client and each.name in (HEADER, NOTARY_AUTH))
        ways: dict[str, dict[str, Any]] = {"over sockets": {"clients": HERD // 100, "connections": 10}}
        if client != "aiohttp":
            ways["in memory"] = {"transport": in_memory(platform, import_module(header.library))}
        for way, options in ways.items():
            found = await in_turns({each: partial(herd, each, **options) for each in (header, ours)}, HERD_ROUNDS)
            (floor, _), (took, _) = min(found[header]), min(found[ours])
            ratio = round(took / (floor + LOGIN_TAKES), 2)
            rows.append([client, way, round(floor, 2), round(took, 2), ratio])
    head = ["", "", f"{HEADER}, s", f"{NOTARY_AUTH}, s", "× header and one login"]
    note = f"The best of {HERD_ROUNDS} runs. Over sockets, a client and ten connections for a hundred tasks."
    return Table(f"{HERD:,} tasks of asyncio", head, rows, note)


def in_memory(platform: Platform, library: Any) -> Any:
    """What takes the place of a client's pool, where a request does next to nothing."""
    token = {"access_token": "eyJ0eXAi" * 40, "token_type": "bearer", "expires_in": 7200}
    replies = {LOOKUP: {"server_url": platform.home}, LOGIN: token}

    async def answer(request: Any) -> Any:
        await asyncio.sleep(LOGIN_TAKES if request.url.path == LOGIN else 0)
        return library.Response(200, json=replies.get(request.url.path))

    return library.MockTransport(answer)


async def run_herd() -> Result:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))  # a thread has two sockets at most
    with Platform() as platform:
        platform.fault("latency_of", {LOGIN: LOGIN_TAKES})
        return Result([await herds_of_threads(platform), await herds_of_tasks(platform)])


async def lag(contestant: Contestant, platform: Platform) -> tuple[float, float]:
    """By how many seconds the loop is late, at worst; and seconds until all are answered."""
    async with heartbeat() as heart:
        took, _ = await first(contestant, platform, LAG_TASKS)
    return heart.worst, took


async def run_lag() -> Result:
    with Platform() as platform:
        platform.fault("latency_of", {LOGIN: LAG_LOGIN_TAKES})
        found = await in_turns({each: partial(lag, each, platform) for each in TASKS}, ROUNDS)
    rows = []
    for each, runs in found.items():
        worst, took = map(min, zip(*runs, strict=True))
        rows.append([each.client, each.name, round(worst * 1000, 1), round(took, 2)])
    note = f"{LAG_TASKS} tasks at once, with a client of their own. The best of {ROUNDS} runs."
    return Result([Table("An event loop, late by", ["", "", "ms", "all answered after s"], rows, note)])
