"""Rules 6, 7, 14 and 15 with every client at once, while tokens are revoked, end, and accounts move."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import anyio
import httpx
import httpx2
import pytest
import requests
import trio

import notary_auth.httpx
import notary_auth.httpx2
import notary_auth.requests
from notary_auth import Account
from notary_auth.sandbox import Sandbox

from .clients import HTTPX, Client, HttpxAsync
from .core import advance, faults_left, now, token_of
from .crowd import Crowd
from .heartbeat import heartbeat

LOOKUP, LOGIN = "/api/1/accounts", "/api/2/idp/token"
IS_LONG = os.environ.get("NOTARY_AUTH_LONG") == "1"
LONG = [pytest.mark.long, pytest.mark.skipif(not IS_LONG, reason="takes minutes: nox -s long")]


def counts(notary: Sandbox) -> tuple[int, int]:
    return notary.count("lookup"), notary.count("login")


@pytest.mark.parametrize(
    ("threads", "asyncio_tasks", "trio_tasks"), [(4, 30, 30), pytest.param(22, 500, 100, marks=LONG)]
)
def test_a_crowd_of_all_clients_logs_in_once_for_each_thing_that_happens(
    notary: Sandbox, files: str, threads: int, asyncio_tasks: int, trio_tasks: int
) -> None:
    """In the long run 66 threads, 1,000 asyncio tasks on two loops, 200 trio tasks in two runs: one account."""
    notary.faults.latency_of[LOGIN] = 0.2
    account = Account(notary.username, notary.password, cloud_url=notary.url)
    crowd = Crowd(account, files, threads, asyncio_tasks, trio_tasks)
    with crowd.asking():
        crowd.settle()
        assert counts(notary) == (1, 1)

        notary.revoke_tokens()
        crowd.settle()
        assert counts(notary) == (2, 2), "a look-up as well, since the account may have moved"

        notary.move()
        crowd.settle()
        assert counts(notary) == (3, 3)
        assert account.server_url == notary.data_center_urls[1]

        notary.faults.clock_offset = 7300  # the server's clock leaps past the token's end
        crowd.settle()
        assert counts(notary) == (4, 4)
    assert crowd.failures[:3] == []


def lag(client: HttpxAsync, auth: Any, urls: Sequence[str]) -> float:
    """By how many seconds the event loop, at worst, wakes a task too late while others get `urls` all at once."""

    async def main() -> float:
        http = client.library.AsyncClient(auth=auth, verify=False, timeout=60)
        async with http, heartbeat() as heart, anyio.create_task_group() as tasks:
            for url in urls:
                tasks.start_soon(http.get, url)
        return heart.worst

    return float(client.run(main))


@pytest.mark.parametrize("client", [each for each in HTTPX if isinstance(each, HttpxAsync)], ids=str)
def test_rule_6_a_login_of_a_second_makes_the_event_loop_no_slower(
    client: HttpxAsync, notary: Sandbox, files: str
) -> None:
    notary.faults.latency_of = {LOGIN: 1.0, "/slow": 1.0}

    def slow_password() -> str:
        time.sleep(0.2)
        return notary.password

    def lag_with_auth() -> float:
        return lag(client, client.auth(notary, password=slow_password), [files] * 20)

    def lag_without() -> float:
        return lag(client, None, [f"{notary.foreign_url}/slow"] * 20)

    # The machine can only add to it, so of several attempts the least is what the library is to blame for.
    allowed = lag_without() + 0.02
    assert any(lag_with_auth() < max(allowed, lag_without() + 0.02) for _ in range(4))


def test_rule_14_only_the_one_that_renews_waits_for_a_slow_login(
    client: Client, notary: Sandbox, files: str
) -> None:
    auth = client.auth(notary)
    client.get(files, auth)
    advance(auth.account, 7200 - 100)
    notary.faults.latency_of[LOGIN] = 2.0  # the others have as long to be answered first
    notary.clear()
    answers = client.at_once([files] * 20, auth)
    assert [getattr(answer, "status_code", answer) for answer in answers] == [200] * 20
    # In the order of their answers.
    assert [call.kind for call in notary.calls] == ["request"] * 19 + ["login", "request"]


class Weather:
    """What befalls the platform in a soak: faults that cost nobody anything, and outages that do.

    Only one at a time, and only when everybody has been answered since the last: a request that is refused twice
    on its way is its caller's (rule 15).
    """

    def __init__(self, notary: Sandbox, account: Account, crowd: Crowd, seed: int) -> None:
        self._notary = notary
        self._account = account
        self._crowd = crowd
        self._dice = random.Random(seed)
        self.befell: Counter[str] = Counter()

    def change(self) -> None:
        kinds: list[Callable[[], None]] = [
            self._revocation,
            self._move,
            self._busy,
            self._slow,
            self._clock,
            self._outage,
            self._refusal,
        ]
        kind = self._dice.choice(kinds)
        self.befell[kind.__name__.strip("_")] += 1
        kind()
        self._crowd.settle(1)

    def _revocation(self) -> None:
        self._await_fresh_token()
        self._notary.revoke_tokens()

    def _move(self) -> None:
        self._await_fresh_token()
        self._notary.move()

    def _busy(self) -> None:
        status = self._dice.choice([429, 502, 503, 504])
        self._answer_next(status, {"Retry-After": "0"}, b"", self._dice.randint(1, 2))
        self._await_none_left()  # two and two would be more than anyone asks again for

    def _slow(self) -> None:
        self._notary.faults.latency_of[LOGIN] = self._dice.uniform(0, 0.5)

    def _clock(self) -> None:
        self._await_fresh_token()
        self._notary.faults.clock_offset = self._dice.uniform(-10_000, 10_000)

    def _outage(self) -> None:
        status, body = self._dice.choice(
            [(500, b"<html>"), (200, b"{}"), (302, b""), (503, b""), (200, b"\xff" * 9)]
        )
        with self._crowd.excused():
            self._answer_next(status, {"Retry-After": "0"}, body, self._dice.randint(1, 9))
            self._await_none_left()
            self._crowd.settle(1)  # whoever comes now may still be told what the last of them was answered

    def _refusal(self) -> None:
        with self._crowd.excused():
            self._notary.faults.answer_next(LOGIN, 401, {}, b'{"error": "access_denied"}')
            # It stands only where a new look-up has come to the same data center, and is refused there as well.
            self._notary.faults.answer_next(LOGIN, 401, {}, b'{"error": "access_denied"}')
            self._await(lambda: not faults_left(self._notary), meanwhile=self._account.forget)
            # The last of them may be on its way still, and be remembered after all has been forgotten.
            self._await(self._has_token, meanwhile=self._account.forget)
            self._crowd.settle(1)

    def _has_token(self) -> bool:
        return now(self._account) < token_of(self._account).expires_at

    def _answer_next(self, status: int, headers: dict[str, str], body: bytes, times: int) -> None:
        path = self._dice.choice([LOOKUP, LOGIN])
        if path == LOOKUP:
            self._account.forget()  # or nobody would look up
        self._notary.faults.answer_next(path, status, headers, body, times=times)

    def _await_none_left(self) -> None:
        self._await(lambda: not faults_left(self._notary))

    def _await_fresh_token(self) -> None:
        """A token that ends anyway at this very moment would be the second thing to happen to a request."""
        self._await(lambda: 0.5 < token_of(self._account).expires_at - now(self._account) < 1.7)

    def _await(self, wanted: Callable[[], bool], meanwhile: Callable[[], None] = lambda: None) -> None:
        deadline = time.monotonic() + 60
        while not wanted():
            assert time.monotonic() < deadline, "nobody asks the platform any more"
            meanwhile()
            time.sleep(0.03)


@pytest.mark.parametrize("seconds", [10, pytest.param(int(os.environ.get("NOTARY_AUTH_SOAK", "600")), marks=LONG)])
def test_a_soak_loses_no_request_that_the_platform_could_have_answered(
    notary: Sandbox, files: str, seconds: int
) -> None:
    """Tokens of two seconds, some of the tasks cancelled, and random faults."""
    notary.faults.token_lifetime = 2.0
    seed = random.SystemRandom().randrange(2**32) if IS_LONG else 0
    print(f"seed {seed}")
    account = Account(notary.username, notary.password, cloud_url=notary.url)
    crowd = Crowd(account, files, threads=2, asyncio_tasks=5, trio_tasks=5, pause=0.02, impatience=0.1)
    weather = Weather(notary, account, crowd, seed)
    deadline = time.monotonic() + seconds
    with crowd.asking():
        crowd.settle()
        while time.monotonic() < deadline:
            weather.change()
            notary.clear()
    print(
        f"{crowd.answered:,} requests of {crowd.size} callers answered, {crowd.cancelled:,} cancelled, "
        f"{len(crowd.failures):,} failed with nobody to answer them, {len(crowd.lost)} lost; "
        + ", ".join(f"{count} times {kind}" for kind, count in weather.befell.items())
    )
    assert crowd.lost[:3] == []
    assert crowd.answered > 20 * seconds
    assert notary.account().failures == 0


LOGIN = "/api/2/idp/token"
THREADS, LOOPS, TASKS = 32, 4, 150  # 632 callers


class Herd:
    """632 callers, who all begin when the last of them is there."""

    def __init__(self, account: Account, url: str) -> None:
        self._url = url
        self._requests = notary_auth.requests.NotaryAuth.from_account(account)
        self._httpx = notary_auth.httpx.NotaryAuth.from_account(account)
        self._httpx2 = notary_auth.httpx2.NotaryAuth.from_account(account)
        self._start = threading.Barrier(THREADS + LOOPS)
        self.statuses: list[Any] = []

    def run(self) -> list[Any]:
        self.statuses.clear()
        work: list[Callable[[], None]] = [self._with_requests, self._with_httpx] * (THREADS // 2)
        work += [lambda: asyncio.run(self._asyncio(httpx.AsyncClient(auth=self._httpx, timeout=120)))]
        work += [lambda: asyncio.run(self._asyncio(httpx2.AsyncClient(auth=self._httpx2, timeout=120)))]
        work += [lambda: trio.run(self._trio, httpx.AsyncClient(auth=self._httpx, timeout=120))]
        work += [lambda: trio.run(self._trio, httpx2.AsyncClient(auth=self._httpx2, timeout=120))]
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
            answers = await asyncio.gather(*(client.get(self._url) for _ in range(TASKS)))
            self.statuses.extend(answer.status_code for answer in answers)

    async def _trio(self, client: Any) -> None:
        async def get() -> None:
            self.statuses.append((await client.get(self._url)).status_code)

        async with client:
            self._start.wait()
            async with trio.open_nursery() as nursery:
                for _ in range(TASKS):
                    nursery.start_soon(get)


def test_rule_6_632_callers_cause_one_discovery_and_one_login(notary: Sandbox, files: str) -> None:
    notary.faults.latency_of[LOGIN] = 0.5
    account = Account(notary.username, notary.password, cloud_url=notary.url)
    herd = Herd(account, files)
    assert herd.run() == [200] * 632
    assert (notary.count("lookup"), notary.count("login")) == (1, 1)
    notary.clear()
    notary.revoke_tokens()
    assert herd.run() == [200] * 632
    assert (notary.count("lookup"), notary.count("login")) == (1, 1)
