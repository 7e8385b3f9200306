"""Callers that all begin at once with nothing known: how many logins, and how long until the last has its answer.

In memory (`in_memory`): a login takes 0.1 s, any other call nothing. A contestant that took more than `LIMIT` is
not asked for ten times as many. And over sockets, with a hundred tasks to a client, since httpx's pool looks at
all its connections for each request that waits for one: ten thousand tasks of one client would take it minutes.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any

import httpx
import httpx2

from notary_auth.sandbox._model import LOGIN

from .contestants import (
    ASYNC_OPTIONS,
    HEADER,
    NOTARY_AUTH,
    TASKS,
    THREADS,
    AsyncContestant,
    Contestant,
    header_for,
    notary_for,
)
from .in_memory import InMemoryPlatform
from .platform import FILES, Platform
from .table import Result, Table

SIZES = 1, 10, 100, 1000, 10_000
LOGIN_TAKES = 0.1  # seconds
REPEATS = 2
LIMIT = 10.0


def threads(contestant: Contestant, size: int) -> tuple[float, int]:
    """Seconds, and logins."""
    start = threading.Event()
    with InMemoryPlatform(login_takes=LOGIN_TAKES) as platform, contestant.open(platform) as opened:
        url = contestant.url(platform)

        def ask() -> int:
            start.wait()
            return opened.new_client()(url)

        with ThreadPoolExecutor(size) as callers:
            asked = [callers.submit(ask) for _ in range(size)]
            started = time.perf_counter()
            start.set()
            statuses = {each.result() for each in asked}
            took = time.perf_counter() - started
        if statuses != {200}:
            raise RuntimeError(f"{contestant.name}: {statuses}")
        return took, platform.count("login", "refresh")


def tasks(contestant: AsyncContestant, size: int) -> tuple[float, int]:
    """Seconds, and logins."""

    async def main(platform: InMemoryPlatform) -> float:
        url = contestant.url(platform)
        started = time.perf_counter()
        async with contestant.open(platform) as opened:
            statuses = await asyncio.gather(*(opened.get(url) for _ in range(size)))
        took = time.perf_counter() - started
        if set(statuses) != {200}:
            raise RuntimeError(f"{contestant.name}: {set(statuses)}")
        return took

    with InMemoryPlatform(login_takes=LOGIN_TAKES) as platform:
        took = asyncio.run(main(platform))
        return took, platform.count("login", "refresh")


async def over_sockets(library: Any, auth: Any, url: str) -> float:
    """Seconds for ten thousand tasks, with a client and ten connections for a hundred of them."""
    async with AsyncExitStack() as opened:
        options = {"auth": auth, "limits": library.Limits(max_connections=10), **ASYNC_OPTIONS}
        clients = [library.AsyncClient(**options) for _ in range(SIZES[-1] // 100)]
        for client in clients:
            await opened.enter_async_context(client)
        started = time.perf_counter()
        answers = await asyncio.gather(*(client.get(url) for client in clients for _ in range(100)))
        took = time.perf_counter() - started
    if {answer.status_code for answer in answers} != {200}:
        raise RuntimeError(f"{auth!r}: not all signed")
    return took


def sockets() -> Table:
    rows = []
    with Platform() as platform:
        platform.fault("latency_of", {LOGIN: LOGIN_TAKES})
        for library in (httpx, httpx2):
            times: dict[str, list[float]] = {HEADER: [], NOTARY_AUTH: []}
            for _ in range(REPEATS):
                for name, auth_for, url in (
                    (HEADER, header_for, platform.home + FILES),
                    (NOTARY_AUTH, notary_for, platform.files),
                ):
                    platform.clear()
                    times[name].append(asyncio.run(over_sockets(library, auth_for(library, platform), url)))
            floor, ours = (min(times[name]) for name in (HEADER, NOTARY_AUTH))
            logins = platform.count("login")
            ratio = round(ours / (floor + LOGIN_TAKES), 2)
            rows.append([library.__name__, round(floor, 2), round(ours, 2), logins, ratio])
    head = ["", f"{HEADER}, s", f"{NOTARY_AUTH}, s", "logins", "× header and one login"]
    return Table(
        f"{SIZES[-1]:,} tasks over sockets",
        head,
        rows,
        f"The best of {REPEATS} runs by turns. A client and ten connections for a hundred tasks.",
    )


def run() -> Result:
    tables = []
    points: dict[str, dict[str, list[tuple[int, int]]]] = {}
    for title, contestants, measure in (("Threads", THREADS, threads), ("Tasks of asyncio", TASKS, tasks)):
        rows = []
        points[title] = {}
        for each in contestants:
            row: list[object] = [each.client, each.name]
            took = 0.0
            for size in SIZES:
                if took > LIMIT:
                    row.append(None)
                    continue
                took, logins = measure(each, size)
                row.append(f"{logins:,} in {took:.2f} s")
                points[title].setdefault(f"{each.client}: {each.name}", []).append((size, logins))
            rows.append(row)
        head = ["", "", *(f"{size:,}" for size in SIZES)]
        note = "One run of each: logins are what counts, seconds are no ranking."
        tables.append(Table(f"{title}: logins, and time", head, rows, note))
    return Result([*tables, sockets()], points)
