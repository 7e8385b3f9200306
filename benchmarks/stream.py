"""A steady stream of requests, and what they feel of something that happens to their token meanwhile.

In `rollover` it comes to its end: who waits for the next one? The first token lives just so long that the
contestant takes it for due at three seconds, with the margin that it comes with, of 20 to 300 s. notary-auth's is
a tenth of a life as short as that: of four seconds, to be due at 3.6 or little later, as `expires_on` is in whole
seconds.

In `revocation` the platform revokes, at two seconds, every token that it has handed out: who notices, and how soon
is all well again?
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from notary_auth._adapters.drivers import awaited
from notary_auth.sandbox._model import LOGIN

from .contestants import HEADER, TASKS, THREADS, Contestant
from .platform import Platform
from .plots import SECONDS
from .record import Result, Table

THREADS_ASKING, TASKS_ASKING = 8, 20
PAUSE = 0.03  # seconds between two requests of a caller
LOGIN_TAKES = 0.2  # seconds
HELD_UP = 0.1  # seconds above which a request has been kept waiting
DUE_AT, REVOKED_AT = 3.0, 2.0  # seconds

# The recipe is a header that was got in a script, and Authlib's synchronous httpx client is its requests one
# again.
CONTESTANTS = [
    *(each for each in THREADS if each.client == "requests" and each.name != "the recipe"),
    *(each for each in TASKS if each.name != HEADER),
]


class Sample(NamedTuple):
    """A request: when it began, in seconds from the start of the stream, and what came of it."""

    at: float
    took: float
    status: int  # 0: an exception


async def stream(
    contestant: Contestant, platform: Platform, at: float, happening: Callable[[], object]
) -> tuple[list[Sample], int]:
    """A warm contestant's stream, in which `happening` is called `at` so many seconds, and the logins in it."""
    samples: list[Sample] = []
    platform.fault("latency_of", {LOGIN: LOGIN_TAKES})
    async with contestant.opened(platform) as (package, new_client):
        url = contestant.url(platform)

        async def ask() -> None:
            get = new_client()
            while (began := time.perf_counter()) < started + SECONDS:
                try:
                    status = await get(url)
                except Exception:  # noqa: BLE001  whatever it is, the request has failed
                    status = 0
                samples.append(Sample(began - started, time.perf_counter() - began, status))
                if contestant.is_async:
                    await asyncio.sleep(PAUSE)
                else:
                    time.sleep(PAUSE)  # noqa: ASYNC251  in a thread of its own

        await awaited(package.log_in())
        await new_client()(url)
        platform.clear()
        started = time.perf_counter()
        timer = threading.Timer(at, happening)
        timer.start()
        await contestant.crowd(TASKS_ASKING if contestant.is_async else THREADS_ASKING, ask)
    timer.join()
    return sorted(samples), platform.counts()[1]


def shown(samples: list[Sample]) -> list[tuple[float, float, int]]:
    """Points for a plot: seconds, milliseconds, status. Of requests not held up, the longest of each 50 ms."""
    kept: dict[tuple[float, ...], Sample] = {}
    for each in sorted(samples, key=lambda sample: sample.took):
        kept[each if each.took > HELD_UP else (round(each.at * 20), each.status)] = each
    return [(round(each.at, 2), round(each.took * 1000, 1), each.status) for each in sorted(kept.values())]


async def run_rollover() -> Result:
    rows, points = [], {}
    with Platform() as platform:
        # The second token lives long enough for no third one to be needed.
        prolong = partial(platform.fault, "token_lifetime", 7200.0)
        for each in (each for each in CONTESTANTS if each.name != HEADER):
            platform.fault("token_lifetime", 4.0 if each.renews_before is None else DUE_AT + each.renews_before)
            samples, logins = await stream(each, platform, DUE_AT / 2, prolong)
            longest = round(max(sample.took for sample in samples) * 1000)
            held_up = sum(sample.took > HELD_UP for sample in samples)
            failed = sum(sample.status != 200 for sample in samples)
            rows.append([each.client, each.name, len(samples), longest, held_up, failed, logins])
            points[each.label] = shown(samples)
    head = ["", "", "requests", "longest ms", "held up", "failed", "logins at the end"]
    note = f"Held up: for more than {HELD_UP * 1000:.0f} ms. A login takes {LOGIN_TAKES * 1000:.0f} ms."
    return Result([Table("A token's end", head, rows, note)], points)


def recovery(samples: list[Sample]) -> str:
    """Seconds from the revocation until the last request that failed or was held up had come to its end; never, if
    they failed for as long as the stream went on."""
    if samples[-1].status != 200:
        return "never"
    troubled = [one.at + one.took for one in samples if one.status != 200 or one.took > HELD_UP]
    return f"{max([REVOKED_AT, *troubled]) - REVOKED_AT:.2f} s"


async def run_revocation() -> Result:
    rows, points = [], {}
    with Platform() as platform:
        for each in CONTESTANTS:
            samples, logins = await stream(each, platform, REVOKED_AT, platform.revoke_tokens)
            failed = sum(sample.status != 200 for sample in samples)
            rows.append([each.client, each.name, len(samples), failed, logins, recovery(samples)])
            points[each.label] = shown(samples)
    head = ["", "", "requests", "failed", "logins after it", "all well after"]
    note = (
        f"Never: not in the {SECONDS - REVOKED_AT:.0f} s that follow. A login takes {LOGIN_TAKES * 1000:.0f} ms."
    )
    return Result([Table("A revoked token", head, rows, note)], points)
