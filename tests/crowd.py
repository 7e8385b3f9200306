"""Callers of every client, all of one account, that go on asking until they are told to stop.

Threads of requests, httpx and httpx2, tasks on asyncio loops and in trio runs: what happens to the platform
meanwhile is for the test to say. What goes wrong while the platform cannot answer is excused (`Crowd.excused`).
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from typing import Any, NamedTuple

import aiohttp
import anyio
import httpx
import httpx2
import requests
import trio

import notary_auth.aiohttp
import notary_auth.httpx
import notary_auth.httpx2
import notary_auth.requests
from notary_auth import Account

from .core import MAX_LOST_LEADERS

TIMEOUT = 120.0
LOOPS = 5  # of a `Herd`


# anyio's oldest version imports what it needs for an event loop at its first use. Of two threads that do so at one
# moment, one finds it half imported.
for loop in ("asyncio", "trio"):
    anyio.run(anyio.sleep, 0, backend=loop)


class Failure(NamedTuple):
    """A request that was not answered by a 200."""

    caller: int
    began_at: float  # seconds of time.monotonic()
    ended_at: float
    why: object  # the status, or the exception's repr: thousands of tracebacks would be too many

    def __repr__(self) -> str:
        return f"<caller {self.caller}, {self.ended_at - self.began_at:.2f} s: {self.why}>"


def in_groups(callers: list[int], size: int = 10) -> list[list[int]]:
    """Callers that share one client: its pool looks at all its connections for each request that waits for one."""
    return [callers[start : start + size] for start in range(0, len(callers), size)]


class Crowd:
    """So many callers on one account, once it is entered with `asking`.

    Args:
        threads: of each of requests, httpx and httpx2; each with a client of its own.
        asyncio_tasks: on each of two loops, with httpx and with httpx2.
        trio_tasks: in each of two runs, with httpx and with httpx2.
        pause: seconds between two requests of one caller.
        impatience: the share of the tasks' requests that are cancelled, some milliseconds after they began.
    """

    def __init__(
        self,
        account: Account,
        url: str,
        threads: int,
        asyncio_tasks: int,
        trio_tasks: int,
        *,
        pause: float = 0.0,
        impatience: float = 0.0,
    ) -> None:
        self._url = url
        self._pause = pause
        self._impatience = impatience
        self._stopping = threading.Event()
        self._auths = {
            library: adapter.NotaryAuth.from_account(account)
            for library, adapter in (
                (requests, notary_auth.requests),
                (httpx, notary_auth.httpx),
                (httpx2, notary_auth.httpx2),
            )
        }
        self._work: list[Callable[[], None]] = []
        self._answered: list[int] = []  # by caller
        self._excuses: list[tuple[float, float]] = []
        self._cancellations: list[float] = []  # when they were due, in seconds of time.monotonic()
        self.failures: list[Failure] = []
        self.cancelled = 0
        self.errors: list[BaseException] = []
        for _ in range(threads):
            self._work.append(self._requests_thread(self._enlist()))
            self._work += [self._httpx_thread(library, self._enlist()) for library in (httpx, httpx2)]
        for library in (httpx, httpx2):
            for run, tasks in ((self._in_asyncio, asyncio_tasks), (self._in_trio, trio_tasks)):
                self._work.append(run(library, [self._enlist() for _ in range(tasks)]))

    def _enlist(self) -> int:
        self._answered.append(0)
        return len(self._answered) - 1

    @property
    def size(self) -> int:
        return len(self._answered)

    @property
    def answered(self) -> int:
        """How many requests were answered by a 200 so far."""
        return sum(self._answered)

    @contextmanager
    def asking(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._guarded, args=(work,), daemon=True) for work in self._work]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join(TIMEOUT)
        assert not any(thread.is_alive() for thread in threads), "somebody hangs"
        assert self.errors == []

    @contextmanager
    def excused(self) -> Iterator[None]:
        """Excuse the failures of all requests that are under way at any moment of this block."""
        began_at = time.monotonic()
        self._excuses.append((began_at, inf))
        yield
        self._excuses[-1] = (began_at, time.monotonic())

    @property
    def lost(self) -> list[Failure]:
        """The failures that nothing excuses."""
        return [failure for failure in list(self.failures) if not self._is_excused(failure)]

    def _is_excused(self, failure: Failure) -> bool:
        if any(failure.began_at <= end and failure.ended_at >= start for start, end in self._excuses):
            return True
        # Rule 7: whoever has waited for two leaders that were cancelled gives up. A loop may be late to cancel.
        cancelled = sum(failure.began_at - 1 <= moment <= failure.ended_at for moment in self._cancellations)
        return cancelled >= MAX_LOST_LEADERS and "ended without an answer" in str(failure.why)

    def settle(self, rounds: int = 2) -> None:
        """Wait until every caller has been answered so many times more.

        On a slow machine that takes its time; somebody hangs where for long nobody else gets there either.
        """
        wanted = [answered + rounds for answered in self._answered]
        waiting, deadline = self.size, time.monotonic() + TIMEOUT
        while left := sum(answered < count for answered, count in zip(self._answered, wanted, strict=True)):
            assert not self.lost, self.lost[:3]
            assert self.errors == []
            if left < waiting:
                waiting, deadline = left, time.monotonic() + TIMEOUT
            assert time.monotonic() < deadline, f"{left} of {self.size} hang"
            time.sleep(0.02)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self.errors.append(error)

    def _note(self, caller: int, began_at: float, result: object) -> None:
        if result == 200:
            self._answered[caller] += 1
        else:
            why = repr(result) if isinstance(result, Exception) else result
            self.failures.append(Failure(caller, began_at, time.monotonic(), why))

    def _requests_thread(self, caller: int) -> Callable[[], None]:
        def work() -> None:
            with requests.Session() as session:
                session.auth = self._auths[requests]
                self._ask(caller, lambda: session.get(self._url, timeout=TIMEOUT).status_code)

        return work

    def _httpx_thread(self, library: Any, caller: int) -> Callable[[], None]:
        def work() -> None:
            with library.Client(auth=self._auths[library], timeout=TIMEOUT, verify=False) as client:
                self._ask(caller, lambda: client.get(self._url).status_code)

        return work

    def _ask(self, caller: int, get: Callable[[], int]) -> None:
        while not self._stopping.wait(self._pause):
            began_at = time.monotonic()
            try:
                result: object = get()
            except Exception as error:
                result = error
            self._note(caller, began_at, result)

    def _in_asyncio(self, library: Any, callers: list[int]) -> Callable[[], None]:
        async def main() -> None:
            await asyncio.gather(*(self._share(library, group) for group in in_groups(callers)))

        return lambda: asyncio.run(main())

    def _in_trio(self, library: Any, callers: list[int]) -> Callable[[], None]:
        async def main() -> None:
            async with trio.open_nursery() as nursery:
                for group in in_groups(callers):
                    nursery.start_soon(self._share, library, group)

        return lambda: trio.run(main)

    async def _share(self, library: Any, callers: list[int]) -> None:
        # No expiry: where several connections have expired, httpcore may close one that it has just given to a
        # request. For that, the machine need only stand still for five seconds.
        limits = library.Limits(max_connections=5, keepalive_expiry=None)
        async with (
            library.AsyncClient(auth=self._auths[library], timeout=TIMEOUT, verify=False, limits=limits) as client,
            anyio.create_task_group() as tasks,
        ):
            for caller in callers:
                tasks.start_soon(self._ask_async, caller, client)

    async def _ask_async(self, caller: int, client: Any) -> None:
        dice = random.Random(caller)
        while not self._stopping.is_set():
            await anyio.sleep(self._pause)
            began_at = time.monotonic()
            patience = dice.uniform(0, 0.05) if dice.random() < self._impatience else inf
            if patience < inf:
                self._cancellations.append(began_at + patience)
            result: object = None
            with anyio.move_on_after(patience):
                try:
                    result = (await client.get(self._url)).status_code
                except Exception as error:
                    result = error
            if result is None:
                self.cancelled += 1
            else:
                self._note(caller, began_at, result)


class Herd:
    """Callers that all begin when the last of them is there.

    Args:
        threads: an even number; half of them with requests, half with httpx.
        tasks: on each of five event loops, with httpx and httpx2 under asyncio and under trio, and with aiohttp.
    """

    def __init__(self, account: Account, url: str, threads: int, tasks: int) -> None:
        self._url = url
        self._threads = threads
        self._tasks = tasks
        self._requests = notary_auth.requests.NotaryAuth.from_account(account)
        self._httpx = notary_auth.httpx.NotaryAuth.from_account(account)
        self._httpx2 = notary_auth.httpx2.NotaryAuth.from_account(account)
        self._aiohttp = notary_auth.aiohttp.NotaryAuth.from_account(account)
        self._start = threading.Barrier(threads + LOOPS)
        self.statuses: list[Any] = []

    def run(self) -> list[Any]:
        self.statuses.clear()
        work: list[Callable[[], None]] = [self._with_requests, self._with_httpx] * (self._threads // 2)
        work += [lambda: asyncio.run(self._asyncio(httpx.AsyncClient(auth=self._httpx, timeout=120)))]
        work += [lambda: asyncio.run(self._asyncio(httpx2.AsyncClient(auth=self._httpx2, timeout=120)))]
        work += [lambda: trio.run(self._trio, httpx.AsyncClient(auth=self._httpx, timeout=120))]
        work += [lambda: trio.run(self._trio, httpx2.AsyncClient(auth=self._httpx2, timeout=120))]
        work += [lambda: asyncio.run(self._with_aiohttp())]
        threads = [threading.Thread(target=each) for each in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.statuses

    def _with_requests(self) -> None:
        self._start.wait()
        self.statuses.append(requests.get(self._url, auth=self._requests, timeout=120).status_code)

    def _with_httpx(self) -> None:
        with httpx.Client(auth=self._httpx, timeout=120, verify=False) as client:
            self._start.wait()
            self.statuses.append(client.get(self._url).status_code)

    async def _asyncio(self, client: Any) -> None:
        async with client:
            self._start.wait()
            answers = await asyncio.gather(*(client.get(self._url) for _ in range(self._tasks)))
            self.statuses.extend(answer.status_code for answer in answers)

    async def _with_aiohttp(self) -> None:
        timeout = aiohttp.ClientTimeout(total=120)
        async with aiohttp.ClientSession(middlewares=(self._aiohttp,), timeout=timeout) as session:

            async def get() -> int:
                async with session.get(self._url) as response:
                    await response.read()
                    return response.status

            self._start.wait()
            self.statuses.extend(await asyncio.gather(*(get() for _ in range(self._tasks))))

    async def _trio(self, client: Any) -> None:
        async def get() -> None:
            self.statuses.append((await client.get(self._url)).status_code)

        async with client:
            self._start.wait()
            async with trio.open_nursery() as nursery:
                for _ in range(self._tasks):
                    nursery.start_soon(get)
