"""What a warm request costs: its signature, in process; and all of it, over loopback.

The minimum of many rounds is what a package's code takes, since noise only ever adds. Instructions are counted by
valgrind, if there is one: it runs this module in a Python of its own under callgrind, which counts only while it
is told to, and dumps what it has counted once for each contestant.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from notary_auth._adapters.drivers import awaited

from .contestants import CONTESTANTS, HEADER, NOTARY_AUTH, SIGNING, Contestant, Get, Package, Sign
from .platform import Platform
from .record import Result, Table, in_turns

SIGNATURES, ROUNDS, COUNTED = 2000, 40, 1000
REQUESTS, REQUEST_ROUNDS = 40, 50


@asynccontextmanager
async def warm(contestants: Iterable[Contestant]) -> AsyncIterator[dict[str, tuple[Package, Get, str]]]:
    """After a first request: each package, a client, and the data center's URL; for ours the cloud's as well."""
    found: dict[str, tuple[Package, Get, str]] = {}
    with Platform() as platform:
        async with AsyncExitStack() as stack:
            for each in contestants:
                package, new_client = await stack.enter_async_context(each.opened(platform))
                await awaited(package.log_in())
                get = new_client()
                await get(each.url(platform))
                found[each.label] = package, get, platform.home_files
                if each.name == NOTARY_AUTH:
                    found[f"{each.label}, cloud's URL"] = package, get, platform.files
            yield found


@asynccontextmanager
async def signatures(names: Iterable[str]) -> AsyncIterator[dict[str, Sign]]:
    """What signs a request, for all contestants or those of these names."""
    async with warm(each for each in SIGNING if each.name in names or not names) as found:
        yield {label: package.signing(url) for label, (package, _, url) in found.items() if package.signing}


async def timed(*names: str) -> dict[str, float]:
    """Microseconds for a signature."""

    async def time_calls(sign: Sign) -> float:
        started = time.perf_counter()
        for _ in range(SIGNATURES):
            sign()
        return (time.perf_counter() - started) / SIGNATURES * 1e6

    async with signatures(names) as signing:
        times = await in_turns({label: partial(time_calls, sign) for label, sign in signing.items()}, ROUNDS)
    return {label: min(rounds) for label, rounds in times.items()}


def counted(*names: str) -> dict[str, float]:
    """Instructions for a signature; nothing, if there is no valgrind."""
    if shutil.which("valgrind") is None:
        return {}
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        valgrind = [
            "valgrind",
            "-q",
            "--tool=callgrind",
            "--instr-atstart=no",
            f"--callgrind-out-file={folder}/out",
        ]
        counting = [*valgrind, sys.executable, "-m", __name__, *names]
        subprocess.run(counting, check=True, env={**os.environ, "PYTHONHASHSEED": "0"}, stderr=subprocess.DEVNULL)
        for path in Path(folder).iterdir():
            dumped = re.search(r"^desc: Trigger: dump (\w*)\.$.*^totals: (\d+)$", path.read_text(), re.M | re.S)
            if dumped:
                found[bytes.fromhex(dumped[1]).decode()] = int(dumped[2]) / COUNTED
    nothing = found.pop("")
    return {label: round(total - nothing) for label, total in found.items()}


async def count(*names: str) -> None:
    """Under callgrind: have it count."""

    def control(option: str) -> None:
        subprocess.run(["callgrind_control", option, str(os.getpid())], check=True, capture_output=True)

    async with signatures(names) as signing:
        control("--instr=on")
        for label, sign in {"": lambda: None, **signing}.items():
            for _ in range(100):  # until the interpreter has specialized it
                sign()
            control("--zero")
            for _ in range(COUNTED):
                sign()
            control(f"--dump={label.encode().hex()}.")  # a bare number would be taken for a process


async def run_signing() -> Result:
    least = await timed()
    columns = [figures for figures in (least, counted()) if figures]
    tables: dict[str, list[list[Any]]] = {label.partition(": ")[0]: [] for label in least}
    for label in sorted(least, key=lambda label: least[label]):
        client, _, name = label.partition(": ")
        row: list[Any] = [name]
        for figures in columns:
            row += [round(figures[label], 2), round(figures[label] / figures[f"{client}: {HEADER}"], 2)]
        tables[client].append(row)
    head = ["", "least µs", "× header", "instructions", "× header"][: 1 + 2 * len(columns)]
    return Result([Table(f"A signature on {client}", head, rows) for client, rows in tables.items()])


async def run_request() -> Result:
    """With one client and one kept connection for each. The first round is there to warm up."""

    async def time_calls(get: Get, url: str) -> float:
        started = time.perf_counter()
        for _ in range(REQUESTS):
            if await get(url) != 200:
                raise RuntimeError(f"{url} is not signed")
        return (time.perf_counter() - started) / REQUESTS

    async with warm(CONTESTANTS) as found:
        asking = {label: partial(time_calls, get, url) for label, (_, get, url) in found.items()}
        times = await in_turns(asking, REQUEST_ROUNDS, warm_up=1)
    rows = []
    for label, seconds in times.items():
        client, _, name = label.partition(": ")
        # Of pairs of neighbours: both had the same noise.
        pairs = zip(seconds, times[f"{client}: {HEADER}"], strict=True)
        ratio = statistics.median(one / other for one, other in pairs)
        rows.append([client, name, round(1 / statistics.median(seconds)), round(ratio, 3)])
    note = "Medians, of all rounds and of the ratios in each. Where nothing is said, for the data center's URL."
    return Result([Table("A whole request", ["", "", "requests a second", "time, × header"], rows, note)])


if __name__ == "__main__":
    asyncio.run(count(*sys.argv[1:]))
