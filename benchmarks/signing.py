"""What signing a warm request costs: time, and instructions where there is a valgrind.

In process, without sockets. The contestants of a client run in turns; the minimum of many rounds is what their
code takes, since noise only ever adds, and the median and the quartiles show how much it added.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import httpx2

from .contestants import (
    HEADER,
    HEADER_AND_HOOK,
    HEADER_IN_FLOWS,
    NOTARY_AUTH,
    TASKS,
    THREADS,
    AsyncContestant,
    Contestant,
    Sign,
    header_in_flows_for,
    on_async_httpx,
    on_httpx,
    requests_header_and_hook,
)
from .in_memory import InMemoryPlatform
from .instructions import counted
from .platform import FILES
from .table import Result, Table

HTTPX = httpx, httpx2
ROUNDS, CALLS = 40, 2000

CONTESTANTS: list[Contestant | AsyncContestant] = [
    Contestant(HEADER_AND_HOOK, "requests", requests_header_and_hook),
    *(each for each in THREADS if each.name != "the recipe"),
    *(Contestant(HEADER_IN_FLOWS, each.__name__, on_httpx(each, header_in_flows_for)) for each in HTTPX),
    *TASKS,
    *(
        AsyncContestant(HEADER_IN_FLOWS, each.__name__, on_async_httpx(each, header_in_flows_for))
        for each in HTTPX
    ),
]


def label(contestant: Contestant | AsyncContestant) -> str:
    kind = ", async" if isinstance(contestant, AsyncContestant) else ""
    return f"{contestant.client}{kind}: {contestant.name}"


@asynccontextmanager
async def signatures(endings: Sequence[str] = ("",)) -> AsyncIterator[dict[str, Sign]]:
    """What signs a request for each contestant, warm, by client and name; of those whose name ends so."""
    with InMemoryPlatform() as platform:
        async with AsyncExitStack() as opened:
            found: dict[str, Sign] = {}
            for each in CONTESTANTS:
                if not each.name.endswith(tuple(endings)):
                    continue
                ready: Any
                if isinstance(each, AsyncContestant):
                    ready = await opened.enter_async_context(each.open(platform))
                    await ready.get(each.url(platform))
                else:
                    ready = opened.enter_context(each.open(platform))
                    ready.new_client()(each.url(platform))
                found[label(each)] = ready.signing(platform.home + FILES)
                if each.name == NOTARY_AUTH:
                    found[f"{label(each)}, cloud's URL"] = ready.signing(platform.files)
            yield found


def timed(signing: dict[str, Sign], rounds: int) -> dict[str, list[float]]:
    """Microseconds for a signature in each round, of all in turns."""
    times: dict[str, list[float]] = {name: [] for name in signing}
    for _ in range(rounds):
        for name, sign in signing.items():
            started = time.perf_counter()
            for _ in range(CALLS):
                sign()
            times[name].append((time.perf_counter() - started) / CALLS * 1e6)
    return times


async def measured(endings: Sequence[str] = ("",), rounds: int = ROUNDS) -> dict[str, list[float]]:
    async with signatures(endings) as signing:  # Authlib's lock wants an event loop around it
        return timed(signing, rounds)


def run() -> Result:
    times = asyncio.run(measured())
    instructions = counted() or {}
    tables = []
    for client in dict.fromkeys(name.partition(": ")[0] for name in times):
        names = [name for name in times if name.startswith(f"{client}: ")]
        floor = f"{client}: {HEADER}"
        rows = []
        for name in sorted(names, key=lambda name: min(times[name])):
            lower, median, upper = statistics.quantiles(times[name], n=4)
            rows.append(
                [
                    name.partition(": ")[2],
                    round(min(times[name]), 2),
                    round(median, 2),
                    f"{lower:.2f} to {upper:.2f}",
                    round(min(times[name]) / min(times[floor]), 2),
                    instructions.get(name),
                    round(instructions[name] / instructions[floor], 2) if instructions else None,
                ]
            )
        head = ["", "least µs", "median", "half of them", "× header", "instructions", "× header"]
        tables.append(Table(f"A signature on {client}", head, rows))
    return Result(tables)
