"""Callers that all begin at once with nothing known: how many logins, and how long until the last has its answer;
and, in the case `lag`, how long an event loop stands still meanwhile, which all else that runs on it would feel.

In memory (`in_memory`): a login takes 0.1 s, any other call nothing. A contestant that took more than `LIMIT` is
not asked for ten times as many. And over sockets, with a hundred tasks to a client, since httpx's pool looks at
all its connections for each request that waits for one: ten thousand tasks of one client would take it minutes.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from notary_auth.sandbox._model import LOGIN
from tests.heartbeat import heartbeat

from .contestants import HEADER, NOTARY_AUTH, TASKS, THREADS, Contestant
from .in_memory import InMemoryPlatform
from .platform import Platform, SandboxPlatform
from .table import Result, Table

SIZES = 1, 10, 100, 1000, 10_000
LOGIN_TAKES = 0.1  # seconds
REPEATS = 2
LIMIT = 10.0
LAG_LOGIN_TAKES, LAG_TASKS, LAG_REPEATS = 1.0, 20, 3


async def once(contestant: Contestant, platform: Platform, size: int, **options: Any) -> float:
    """Seconds."""
    url = contestant.url(platform)
    async with contestant.open(platform, **options) as opened:

        async def ask() -> int:
            return await (await opened.new_client())(url)

        started = time.perf_counter()
        await opened.log_in()
        logged_in = time.perf_counter() - started
        took, statuses = await contestant.crowd(size, ask)
    if set(statuses) != {200}:
        raise RuntimeError(f"{contestant.label}: {set(statuses)}")
    return logged_in + took


def in_memory(contestant: Contestant, size: int) -> tuple[float, int]:
    """Seconds, and logins."""
    with InMemoryPlatform(login_takes=LOGIN_TAKES) as platform:
        return asyncio.run(once(contestant, platform, size)), platform.count("login", "refresh")


def herds(title: str, contestants: list[Contestant]) -> Table:
    rows = []
    for each in contestants:
        row: list[object] = [each.client, each.name]
        took = 0.0
        for size in SIZES:
            if took > LIMIT:
                row.append(None)
                continue
            took, logins = in_memory(each, size)
            row.append(f"{logins:,} in {took:.2f} s")
        rows.append(row)
    head = ["", "", *(f"{size:,}" for size in SIZES)]
    note = "One run of each: logins are what counts, seconds are no ranking."
    return Table(f"{title}: logins, and time", head, rows, note)


def over_sockets() -> Table:
    clients = SIZES[-1] // 100
    times: dict[str, dict[str, list[float]]] = {}
    logins = {}
    with SandboxPlatform() as platform:
        platform.fault("latency_of", {LOGIN: LOGIN_TAKES})
        for each in [each for each in TASKS if each.name in (HEADER, NOTARY_AUTH)] * REPEATS:
            platform.clear()
            took = asyncio.run(once(each, platform, SIZES[-1], clients=clients, connections=10))
            times.setdefault(each.client, {}).setdefault(each.name, []).append(took)
            logins[each.client] = platform.count("login")
    rows = []
    for client, found in times.items():
        floor, ours = min(found[HEADER]), min(found[NOTARY_AUTH])
        ratio = round(ours / (floor + LOGIN_TAKES), 2)
        rows.append([client, round(floor, 2), round(ours, 2), logins[client], ratio])
    head = ["", f"{HEADER}, s", f"{NOTARY_AUTH}, s", "logins", "× header and one login"]
    note = f"The best of {REPEATS} runs by turns. A client and ten connections for a hundred tasks."
    return Table(f"{SIZES[-1]:,} tasks over sockets", head, rows, note)


def run() -> Result:
    return Result([herds("Threads", THREADS), herds("Tasks of asyncio", TASKS), over_sockets()])


async def lag(contestant: Contestant, platform: Platform) -> tuple[float, float]:
    """By how many seconds the loop is late, at worst; and seconds until all are answered."""
    async with heartbeat() as heart:
        took = await once(contestant, platform, LAG_TASKS)
    return heart.worst, took


def run_lag() -> Result:
    rows = []
    with SandboxPlatform() as platform:
        platform.fault("latency_of", {LOGIN: LAG_LOGIN_TAKES})
        for each in TASKS:
            worst, took = zip(*(asyncio.run(lag(each, platform)) for _ in range(LAG_REPEATS)), strict=True)
            rows.append([each.client, each.name, round(min(worst) * 1000, 1), round(min(took), 2)])
    note = f"{LAG_TASKS} tasks at once, with a client of their own. The best of {LAG_REPEATS} runs."
    return Result([Table("An event loop, late by", ["", "", "ms", "all answered after s"], rows, note)])
