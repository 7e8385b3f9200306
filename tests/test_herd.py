"""Rule 6, all at once: threads of two clients and tasks on four loops of two kinds share one account."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import httpx
import httpx2
import requests
import trio

import notary_auth.httpx
import notary_auth.httpx2
import notary_auth.requests
from notary_auth import Account
from notary_auth.sandbox import Sandbox

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
