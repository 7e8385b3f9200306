"""What signing a warm request costs: time, and instructions where there is a valgrind.

In process, without sockets. The contestants of a client run in turns; the minimum of many rounds is what their
code takes, since noise only ever adds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from .contestants import CONTESTANTS, FLOORS, HEADER, NOTARY_AUTH, Sign
from .in_memory import InMemoryPlatform
from .instructions import counted
from .platform import FILES
from .table import Result, Table

ROUNDS, CALLS = 40, 2000


@asynccontextmanager
async def signatures(endings: Sequence[str] = ("",)) -> AsyncIterator[dict[str, Sign]]:
    """What signs a request for each contestant, warm, by client and name; of those whose name ends so."""
    found: dict[str, Sign] = {}
    with InMemoryPlatform() as platform:
        async with AsyncExitStack() as stack:
            for each in [*FLOORS, *CONTESTANTS]:
                if not each.name.endswith(tuple(endings)):
                    continue
                opened = await stack.enter_async_context(each.open(platform))
                if opened.signing is None:
                    continue
                await (await opened.first_client())(each.url(platform))
                found[each.label] = opened.signing(platform.home + FILES)
                if each.name == NOTARY_AUTH:
                    found[f"{each.label}, cloud's URL"] = opened.signing(platform.files)
            yield found


async def measured(endings: Sequence[str] = ("",), rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Microseconds for a signature in each round, of all in turns."""
    async with signatures(endings) as signing:
        times: dict[str, list[float]] = {name: [] for name in signing}
        for _ in range(rounds):
            for name, sign in signing.items():
                started = time.perf_counter()
                for _ in range(CALLS):
                    sign()
                times[name].append((time.perf_counter() - started) / CALLS * 1e6)
        return times


def run() -> Result:
    times = asyncio.run(measured())
    instructions = counted() or {}
    tables = []
    for client in dict.fromkeys(name.partition(": ")[0] for name in times):
        names = [name for name in times if name.startswith(f"{client}: ")]
        floor = f"{client}: {HEADER}"
        rows = []
        for name in sorted(names, key=lambda name: min(times[name])):
            figures = [
                round(min(times[name]), 2),
                round(min(times[name]) / min(times[floor]), 2),
                instructions.get(name),
                round(instructions[name] / instructions[floor], 2) if instructions else None,
            ]
            rows.append([name.partition(": ")[2], *figures])
        head = ["", "least µs", "× header", "instructions", "× header"]
        tables.append(Table(f"A signature on {client}", head, rows))
    return Result(tables)
