"""Rules 6, 7, 14 and 15 with every client at once, while tokens are revoked, end, and accounts move."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from notary_auth import Account
from notary_auth.sandbox import Sandbox

from .clients import HTTPX, Client, HttpxAsync
from .core import advance, look_after_leaders_every
from .crowd import LOOPS, Crowd, Herd
from .heartbeat import heartbeat
from .paths import LOGIN
from .waiting import until


def counts(notary: Sandbox) -> tuple[int, int]:
    return notary.count("lookup"), notary.count("login")


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take no event loop for blocked (rule 8) within a minute: a crowd's may be slow for seconds."""
    look_after_leaders_every(monkeypatch, 20)


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize(
    ("threads", "asyncio_tasks", "trio_tasks"), [(1, 5, 5), pytest.param(22, 500, 100, marks=pytest.mark.long)]
)
def test_a_crowd_of_all_clients_logs_in_once_for_each_thing_that_happens(
    notary: Sandbox, files: str, threads: int, asyncio_tasks: int, trio_tasks: int
) -> None:
    """In the long run 66 threads, 1,000 asyncio tasks on two loops, 200 trio tasks in two runs: one account."""
    notary.faults.latency_of[LOGIN] = 0.05
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


@pytest.mark.timing
@pytest.mark.parametrize("client", [client for client in HTTPX if isinstance(client, HttpxAsync)], ids=str)
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


def test_rule_14_only_the_caller_that_refreshes_waits_for_a_slow_login(
    client: Client, notary: Sandbox, files: str
) -> None:
    others = 0

    def password() -> str:
        until(lambda: notary.count("request") >= others)
        return notary.password

    auth = client.auth(notary, password=password)
    client.get(files, auth)
    advance(auth.account, 7200 - 100)
    notary.clear()
    others = 19  # the refresh ends when all of them have been answered
    answers = client.at_once([files] * 20, auth)
    assert [getattr(answer, "status_code", answer) for answer in answers] == [200] * 20
    # In the order of their answers.
    assert [call.kind for call in notary.calls] == ["request"] * 19 + ["login", "request"]


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize(("threads", "tasks"), [(6, 10), pytest.param(32, 150, marks=pytest.mark.long)])
def test_rule_6_all_who_begin_at_one_moment_cause_one_discovery_and_one_login(
    notary: Sandbox, files: str, threads: int, tasks: int
) -> None:
    """In the long run 632 callers: 32 threads, and 150 tasks on each of four loops."""
    notary.faults.latency_of[LOGIN] = 0.2
    account = Account(notary.username, notary.password, cloud_url=notary.url)
    herd = Herd(account, files, threads, tasks)
    for _ in range(2):
        assert herd.run() == [200] * (threads + LOOPS * tasks)
        assert counts(notary) == (1, 1)
        notary.clear()
        notary.revoke_tokens()
