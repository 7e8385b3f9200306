"""Stores under event loops: nothing blocks, and a cancelled task gives its lock back (rule e)."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from notary_auth.sandbox import Sandbox
from notary_auth.stores import FileStore, MemoryStore, RedisStore

from .clients import HTTPX, Client, each, leaves_sockets
from .core import hold_seals, leases_of, lock_in_store
from .paths import LOGIN
from .servers import RedisServer, programs
from .waiting import auntil, until

ASYNC = [client for client in HTTPX if client.is_async and client.library is httpx]


@pytest.fixture(params=each(ASYNC))
def client(request: pytest.FixtureRequest) -> Client:
    found: Client = request.param
    return found


@pytest.fixture(scope="module")
def valkey() -> Iterator[RedisServer]:
    with RedisServer(programs()["valkey"]) as server:
        yield server


def run(client: Client, work: Callable[[], Awaitable[Any]]) -> Any:
    return client.run(work)  # type: ignore[attr-defined]


async def get(client: Client, url: str, auth: Any) -> int:
    async with client.library.AsyncClient(verify=False, timeout=30, auth=auth) as session:
        return int((await session.get(url)).status_code)


@leaves_sockets
def test_rule_e_a_paused_redis_blocks_no_loop(
    client: Client, notary: Sandbox, files: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The loop itself lets the server go on: a loop that waited for it would not, and the store would fail."""
    with RedisServer(programs()["valkey"]) as server:
        auth = client.auth(notary, store=RedisStore(server.url))
        server.pause()

        async def work() -> int:
            async def go_on() -> None:
                await anyio.sleep(0.2)
                server.go_on()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(go_on)
                return await get(client, files, auth)

        assert run(client, work) == 200
    assert "failed" not in caplog.text
    assert notary.count("login") == 1


class Waiting(MemoryStore):
    """A store that loads and saves only when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = threading.Semaphore(0)

    def load(self, name: str) -> tuple[bytes, float] | None:
        assert self.may_go_on.acquire(timeout=20)
        return super().load(name)

    def save(self, name: str, record: bytes, seconds: float) -> None:
        assert self.may_go_on.acquire(timeout=20)
        super().save(name, record, seconds)


def test_rule_e_neither_a_slow_store_nor_scrypt_blocks_a_loop(
    client: Client,
    notary: Sandbox,
    files: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The loop itself lets both of them go on: a loop that waited for them would not."""
    store = Waiting()
    hold_seals(monkeypatch, store.may_go_on)

    async def work() -> int:
        async def let_go_on() -> None:
            while True:
                await anyio.sleep(0.01)
                store.may_go_on.release()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(let_go_on)
            status = await get(client, files, client.auth(notary, store=store))
            tasks.cancel_scope.cancel()
        return status

    assert run(client, work) == 200
    assert "failed" not in caplog.text


def test_rule_e_a_login_of_another_process_is_waited_for_without_a_thread(
    client: Client, notary: Sandbox, files: str, valkey: RedisServer
) -> None:
    """The lock is looked at from time to time, while the loop goes on: here, to the other process's release."""
    store = RedisStore(valkey.url, prefix=f"{client}:")
    held = lock_in_store(client.auth(notary).account, store, notary.password)
    assert held.acquire()

    async def work() -> int:
        async def release_later() -> None:
            await anyio.sleep(0.3)
            held.release()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(release_later)
            return await get(client, files, client.auth(notary, store=store))

    assert run(client, work) == 200
    assert notary.count("login") == 1


class Slow(MemoryStore):
    """A store that takes its time to load and to save, in seconds."""

    def __init__(self, pause: float) -> None:
        super().__init__()
        self._pause = pause

    def load(self, name: str) -> tuple[bytes, float] | None:
        time.sleep(self._pause)
        return super().load(name)

    def save(self, name: str, record: bytes, seconds: float) -> None:
        time.sleep(self._pause)
        super().save(name, record, seconds)


@pytest.mark.parametrize("kind", ["files", "valkey"])
@leaves_sockets
def test_rule_e_a_cancelled_task_frees_the_lock(
    client: Client, kind: str, notary: Sandbox, files: str, tmp_path: Path, valkey: RedisServer
) -> None:
    store: Any = FileStore(tmp_path) if kind == "files" else RedisStore(valkey.url, prefix=f"{tmp_path}:")
    auth = client.auth(notary, store=store)
    notary.faults.held.add(LOGIN)

    async def cancelled_in_mid_login() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(get, client, files, auth)
            await auntil(lambda: LOGIN in notary.pending)
            tasks.cancel_scope.cancel()

    run(client, cancelled_in_mid_login)
    assert notary.pending == [LOGIN], "the cancellation waits for nobody"
    notary.faults.held.clear()
    lock = lock_in_store(auth.account, store, notary.password)
    until(lock.acquire, 10)  # it was given back, and has not run out after its half minute
    lock.release()


@leaves_sockets
def test_a_cancellation_while_the_store_is_asked_leaves_no_lock(notary: Sandbox, files: str) -> None:
    """At any moment of a login, in asyncio: the thread that asks goes on by itself."""
    client = ASYNC[0]

    async def cancel_after(seconds: float, auth: Any) -> None:
        task = asyncio.ensure_future(get(client, files, auth))
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    for number in range(12):
        store = Slow(0.03)
        asyncio.run(cancel_after(number * 0.01, client.auth(notary, store=store)))
        until(lambda: leases_of(store) == 0, 10)  # noqa: B023  it is over in this very turn
