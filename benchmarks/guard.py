"""What must not get worse, told by figures that no noise touches: counts, and generous ratios. For .ci/run.

python -m benchmarks.guard
"""

from __future__ import annotations

import asyncio

from notary_auth.sandbox._model import LOGIN

from . import cold_start, herd, processes
from .contestants import NOTARY_AUTH, TASKS, THREADS, Contestant
from .instructions import counted
from .platform import SandboxPlatform
from .signing import measured

# For each client: look-ups, logins and connections of a first request. requests has no connection to share: its
# control calls have sessions of their own.
FIRST_REQUEST = {"requests": [1, 1, 3], "httpx": [1, 1, 2], "httpx2": [1, 1, 2], "aiohttp": [1, 1, 2]}

# Instructions for a signature, as a multiple of the hard-coded header's in the same kind of hook; and its time, of
# which that much may be noise. A look at the Host (rule 5) is in it.
INSTRUCTIONS = {"requests": 1.75, "httpx": 1.35, "httpx2": 1.35, "httpx, async": 1.25, "httpx2, async": 1.25}
TIME = {"requests": 2.5, "httpx": 1.8, "httpx2": 1.8, "httpx, async": 1.8, "httpx2, async": 1.8}

MODULES = 35  # that an adapter imports at most, itself among them: each rule has one of its own
NOT_IMPORTED = {
    *("asyncio", "trio", "redis", "cryptography", "filelock", "dataclasses", "inspect"),
    "notary_auth._core.seal",
}


def ours(contestants: list[Contestant]) -> list[Contestant]:
    return [each for each in contestants if each.name == NOTARY_AUTH]


def check(what: str, figure: object, holds: bool) -> None:
    print(f"{'ok  ' if holds else 'BAD '} {what}: {figure}")
    if not holds:
        raise SystemExit(1)


def first_requests() -> None:
    with SandboxPlatform(tls=True, round_trip=0.0) as platform, platform.trusted():
        for each in ours(cold_start.CONTESTANTS):
            _, counts = asyncio.run(cold_start.once(each, platform))
            expected = FIRST_REQUEST[each.client]
            check(f"{each.client}: look-ups, logins, connections of a first request", counts, counts == expected)


def herds() -> None:
    for contestants, size, callers in ((THREADS, 200, "threads"), (TASKS, 2000, "tasks")):
        for each in ours(contestants):
            _, logins = herd.in_memory(each, size)
            check(f"{each.client}: logins of {size:,} {callers}", logins, logins == 1)


def loops() -> None:
    with SandboxPlatform() as platform:
        platform.fault("latency_of", {LOGIN: 1.0})
        for each in ours(TASKS):
            worst = min(asyncio.run(herd.lag(each, platform))[0] for _ in range(3))
            # A login that blocks the loop holds it up for all of its second.
            check(f"{each.client}: ms by which a loop is late in a login of 1 s", round(worst * 1000), worst < 0.5)


def signatures() -> None:
    names = (NOTARY_AUTH, "a hook", "hard-coded header")
    times = {name: min(values) for name, values in asyncio.run(measured(names, rounds=20)).items()}
    _ratios("time", times, TIME)
    instructions = counted(names)
    if instructions is None:
        print("     no valgrind: instructions are not counted")
    else:
        _ratios("instructions", instructions, INSTRUCTIONS)


def _ratios(of_what: str, figures: dict[str, float], limits: dict[str, float]) -> None:
    for client, limit in limits.items():
        with_hook = f"{client}: hard-coded header, and a hook"
        floor = figures.get(with_hook) or figures[f"{client}: hard-coded header"]
        ratio = figures[f"{client}: {NOTARY_AUTH}"] / floor
        check(f"{client}: {of_what} of a signature, × the header's", round(ratio, 2), ratio <= limit)


def modules() -> None:
    for client in FIRST_REQUEST:
        _, added = processes.imported(client, f"notary_auth.{client}")
        check(f"{client}: modules that the adapter adds", len(added), len(added) <= MODULES)
        forbidden = NOT_IMPORTED.intersection(added)
        check(f"{client}: of these, to be imported when used", sorted(forbidden), not forbidden)


def main() -> None:
    first_requests()
    herds()
    loops()
    modules()
    signatures()


if __name__ == "__main__":
    main()
