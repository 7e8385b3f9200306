"""What must not get worse, told by figures that no noise touches: counts, and generous ratios. For .ci/run.

python -m benchmarks.guard
"""

from __future__ import annotations

import asyncio

from notary_auth.sandbox._model import LOGIN

from . import first, processes, warm
from .contestants import CONTESTANTS, HEADER, HEADER_AND_HOOK, NOTARY_AUTH
from .platform import Platform

OURS = [each for each in CONTESTANTS if each.name == NOTARY_AUTH]

# Look-ups, logins and connections of a first request. requests has no connection to share: its control calls have
# sessions of their own.
COUNTS, COUNTS_OF_REQUESTS = (1, 1, 2), (1, 1, 3)

# Instructions for a signature, as a multiple of the hard-coded header's in the same kind of hook; and its time, of
# which that much may be noise. A look at the Host (rule 5) is in it.
SIGNATURE = {
    "requests: notary-auth": (1.75, 2.5),
    "requests: notary-auth, cloud's URL": (4.3, 7.0),
    "httpx: notary-auth": (1.35, 1.8),
    "httpx: notary-auth, cloud's URL": (4.1, 5.5),
    "httpx2: notary-auth": (1.35, 1.8),
    "httpx2: notary-auth, cloud's URL": (4.1, 5.5),
    "httpx, async: notary-auth": (1.25, 1.8),
    "httpx, async: notary-auth, cloud's URL": (3.05, 4.0),
    "httpx2, async: notary-auth": (1.25, 1.8),
    "httpx2, async: notary-auth, cloud's URL": (3.05, 4.0),
    "aiohttp: notary-auth": (3.15, 4.5),
    "aiohttp: notary-auth, cloud's URL": (5.4, 7.5),
}

MODULES = 25  # that an adapter imports at most, itself among them; what an account and a login need comes then
LAZY = {"asyncio", "trio", "redis", "cryptography", "filelock", "dataclasses", "inspect"}
LAZY |= {f"notary_auth._core.{name}" for name in ("parts", "login", "logout", "record", "seal")}


def check(what: str, figure: object, holds: bool) -> None:
    print(f"{'ok  ' if holds else 'BAD '} {what}: {figure}")
    if not holds:
        raise SystemExit(1)


async def first_requests() -> None:
    with Platform(tls=True, round_trip=0.0) as platform:
        for each in OURS:
            _, counts = await first.first(each, platform)
            expected = COUNTS_OF_REQUESTS if each.client == "requests" else COUNTS
            check(f"{each.client}: look-ups, logins, connections of a first request", counts, counts == expected)


async def herds() -> None:
    with Platform() as platform:
        platform.fault("latency_of", {LOGIN: 1.0})
        for each in OURS:
            crowd = {"size": 2000, "clients": 20, "connections": 10} if each.is_async else {"size": 200}
            _, (_, logins, _) = await first.first(each, platform, **crowd)
            check(f"{each.client}: logins of {crowd['size']:,} at once", logins, logins == 1)
            if each.is_async:
                worst = min([(await first.lag(each, platform))[0] for _ in range(3)])
                # A login that blocks the loop holds it up for all of its second.
                check(f"{each.client}: ms by which a login of 1 s delays a loop", round(worst * 1000), worst < 0.5)


async def modules() -> None:
    for each in OURS:
        _, added = await processes.imported(each)
        check(f"{each.client}: modules that the adapter adds", len(added), len(added) <= MODULES)
        early = LAZY.intersection(added)
        check(f"{each.client}: of these, to be imported when used", sorted(early), not early)


async def signatures() -> None:
    names = NOTARY_AUTH, HEADER, HEADER_AND_HOOK
    measured = {"instructions": warm.counted(*names), "time": await warm.timed(*names)}
    for number, (what, figures) in enumerate(measured.items()):
        if not figures:
            print(f"     no valgrind: {what} are not counted")
            continue
        for label, limits in SIGNATURE.items():
            client = label.partition(": ")[0]
            floor = figures.get(f"{client}: {HEADER_AND_HOOK}") or figures[f"{client}: {HEADER}"]
            ratio = figures[label] / floor
            check(f"{label}: {what} of a signature, × the header's", round(ratio, 2), ratio <= limits[number])


async def main() -> None:
    for checks in (first_requests, herds, modules, signatures):
        await checks()


if __name__ == "__main__":
    asyncio.run(main())
