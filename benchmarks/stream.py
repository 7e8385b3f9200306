"""A steady stream of requests, and what they feel of something that happens to their token meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from notary_auth.sandbox._model import LOGIN

from .contestants import HEADER, TASKS, THREADS, AsyncContestant, Contestant
from .platform import Platform

THREADS_ASKING, TASKS_ASKING = 8, 20
PAUSE = 0.03  # seconds between two requests of a caller
LOGIN_TAKES = 0.2  # seconds
SECONDS = 5.0
HELD_UP = 0.1  # seconds above which a request has been kept waiting

# The recipe is a header that was got in a script, and Authlib's synchronous httpx client is its requests one
# again.
CONTESTANTS: list[Contestant | AsyncContestant] = [
    *(each for each in THREADS if each.client == "requests" and each.name != "the recipe"),
    *(each for each in TASKS if each.name != HEADER),
]


class Sample(NamedTuple):
    """A request: when it began, in seconds from the start of the stream, and what came of it."""

    at: float
    took: float
    status: int  # 0: an exception


def flow(
    contestant: Contestant | AsyncContestant, platform: Platform, happening: Callable[[], None], at: float
) -> list[Sample]:
    """The samples of a stream of a contestant that is warm, in which `happening` is called `at` so many
    seconds."""
    samples: list[Sample] = []
    timer = threading.Timer(at, happening)
    if isinstance(contestant, AsyncContestant):
        asyncio.run(_tasks(contestant, platform, timer, samples))
    else:
        _threads(contestant, platform, timer, samples)
    timer.join()
    return sorted(samples)


def _threads(contestant: Contestant, platform: Platform, timer: threading.Timer, samples: list[Sample]) -> None:
    with contestant.open(platform) as opened:
        url = contestant.url(platform)

        def ask() -> None:
            get = opened.new_client()
            while (began := time.perf_counter()) < started + SECONDS:
                try:
                    status = get(url)
                except Exception:  # noqa: BLE001  whatever it is, the request has failed
                    status = 0
                samples.append(Sample(began - started, time.perf_counter() - began, status))
                time.sleep(PAUSE)

        opened.new_client()(url)
        threads = [threading.Thread(target=ask) for _ in range(THREADS_ASKING)]
        started = time.perf_counter()
        for thread in [timer, *threads]:
            thread.start()
        for thread in threads:
            thread.join()


async def _tasks(
    contestant: AsyncContestant, platform: Platform, timer: threading.Timer, samples: list[Sample]
) -> None:
    async with contestant.open(platform) as opened:
        url = contestant.url(platform)

        async def ask() -> None:
            while (began := time.perf_counter()) < started + SECONDS:
                try:
                    status = await opened.get(url)
                except Exception:  # noqa: BLE001  whatever it is, the request has failed
                    status = 0
                samples.append(Sample(began - started, time.perf_counter() - began, status))
                await asyncio.sleep(PAUSE)

        await opened.get(url)
        started = time.perf_counter()
        timer.start()
        await asyncio.gather(*(ask() for _ in range(TASKS_ASKING)))


def shown(samples: list[Sample]) -> list[tuple[float, float, int]]:
    """Points for a plot: seconds, milliseconds, status. Of requests not held up, the longest of each 50 ms."""
    kept: dict[tuple[float, ...], Sample] = {}
    for each in sorted(samples, key=lambda sample: sample.took):
        kept[each if each.took > HELD_UP else (round(each.at * 20), each.status)] = each
    return [(round(each.at, 2), round(each.took * 1000, 1), each.status) for each in sorted(kept.values())]


def prepare(platform: Platform) -> None:
    """A platform whose logins take their time, and are not counted yet."""
    platform.fault("latency_of", {LOGIN: LOGIN_TAKES})
    platform.clear()
