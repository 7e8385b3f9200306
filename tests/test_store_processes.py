"""One login for a whole fleet: real processes, real Valkey and Redis servers, real files, real faults."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis
import requests

from notary_auth.requests import NotaryAuth
from notary_auth.sandbox import Sandbox
from notary_auth.stores import FileStore, RedisStore

from .clients import Client
from .core import set_store_timeout
from .paths import LOGIN, ROOT
from .servers import RedisServer, programs
from .waiting import until

#: A member of a fleet: says that it is ready, is told to start, and says what came of its request.
MEMBER = """
import sys
from importlib import import_module
from notary_auth import CredentialsRefused
from notary_auth.stores import FileStore, RedisStore

kind, store, cloud, password, wish = sys.argv[1:]
store = RedisStore(store) if store.startswith("redis") else FileStore(store)
if kind == "requests":
    import requests
else:
    import httpx
if kind in ("asyncio", "trio"):
    loop = import_module(kind)
adapter = import_module("notary_auth.requests" if kind == "requests" else "notary_auth.httpx")
auth = adapter.NotaryAuth("JohnSmith", password, cloud_url=cloud, store=store, offline_access=bool(wish))
files = cloud + "/api/notary/v2/stored-files"

async def get():
    async with httpx.AsyncClient(auth=auth, verify=False, timeout=60) as client:
        return await client.get(files)

def ask():
    if kind == "requests":
        return requests.get(files, auth=auth, timeout=60)
    if kind == "httpx":
        return httpx.get(files, auth=auth, verify=False, timeout=60)
    return loop.run(get()) if kind == "asyncio" else loop.run(get)

print("ready", flush=True)
for line in sys.stdin:
    try:
        print(ask().status_code, flush=True)
    except CredentialsRefused:
        print("refused", flush=True)
    except BaseException as error:
        print(type(error).__name__, error, flush=True)
"""

KINDS = ["requests", "httpx", "asyncio", "trio"]


class Fleet:
    """Processes that use one account, by turns of each client."""

    def __init__(
        self,
        size: int,
        store: str,
        notary: Sandbox,
        *,
        password: str = "qwe123QWE",
        wish: str = "",
        kinds: Sequence[str] = KINDS,
    ) -> None:
        self.members = [
            subprocess.Popen(
                [sys.executable, "-c", MEMBER, kinds[number % len(kinds)], store, notary.url, password, wish],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                cwd=ROOT,
            )
            for number in range(size)
        ]
        try:
            for member in self.members:
                assert self.heard(member) == "ready"
        except BaseException:
            self.__exit__()
            raise

    @staticmethod
    def heard(member: subprocess.Popen[str]) -> str:
        assert member.stdout is not None
        return member.stdout.readline().strip()

    @staticmethod
    def tell(member: subprocess.Popen[str]) -> None:
        assert member.stdin is not None
        member.stdin.write("go\n")
        member.stdin.flush()

    def ask(self, *members: subprocess.Popen[str]) -> list[str]:
        """What each is answered with, if all ask at once."""
        asked = members or self.members
        for member in asked:
            self.tell(member)
        return [self.heard(member) for member in asked]

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            with contextlib.suppress(OSError):
                member.send_signal(signal.SIGCONT)
                member.kill()
            member.communicate()


class Place(NamedTuple):
    """A store of a test's own."""

    where: str
    server: RedisServer | None


@pytest.fixture(
    params=[
        pytest.param(kind, marks=pytest.mark.long if kind == "redis" else []) for kind in ("files", *programs())
    ]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "files":
        yield Place(str(tmp_path / "store"), None)
        return
    with RedisServer(programs()[request.param]) as server:
        yield Place(server.url, server)


@pytest.fixture
def valkey() -> Iterator[RedisServer]:
    with RedisServer(programs()["valkey"]) as server:
        yield server


def sizes(few: int, many: int) -> list[Any]:
    """How many processes there are: a few by default, dozens in the long run."""
    return [few, pytest.param(many, marks=pytest.mark.long)]


@pytest.mark.parametrize("size", sizes(3, 12))
def test_several_processes_log_in_once(place: Place, notary: Sandbox, size: int) -> None:
    notary.faults.latency_of[LOGIN] = 0.3
    with Fleet(size, place.where, notary) as fleet:
        assert fleet.ask() == ["200"] * size
        assert (notary.count("lookup"), notary.count("login")) == (1, 1)
        notary.faults.latency_of.clear()
        notary.revoke_tokens()
        assert fleet.ask() == ["200"] * size
        assert notary.count("login") == 2, "one for all of them, with a token that was revoked as well"
    with Fleet(1 + size // 4, place.where, notary) as fleet:
        assert fleet.ask() == ["200"] * len(fleet.members)
    assert notary.count("login") == 2


@pytest.mark.parametrize("size", sizes(2, 50))
def test_several_processes_with_one_wrong_password_try_it_once(place: Place, notary: Sandbox, size: int) -> None:
    with Fleet(size, place.where, notary, password="wrong", kinds=["requests"]) as fleet:
        assert fleet.ask() == ["refused"] * size
    assert notary.count("login") == 1
    assert not notary.account().is_locked


@pytest.mark.long
def test_refresh_tokens_rotate_under_the_lock(place: Place, notary: Sandbox) -> None:
    notary.faults.token_lifetime = 3
    with Fleet(8, place.where, notary, wish="offline") as fleet:
        deadline = time.monotonic() + 60
        while notary.count("refresh") < 3:
            assert time.monotonic() < deadline
            assert fleet.ask() == ["200"] * 8
            time.sleep(0.2)
    assert notary.count("login") == 1, "no refresh token was ever spent twice"


def test_a_process_killed_while_it_holds_the_lock_is_survived(place: Place, notary: Sandbox) -> None:
    notary.faults.held.add(LOGIN)
    with Fleet(3, place.where, notary) as fleet:
        first, *others = fleet.members
        fleet.tell(first)
        until(lambda: LOGIN in notary.pending)  # it has the lock, and is logging in
        first.kill()
        first.wait()
        if place.server is not None:
            with place.server.client as client:
                (lease,) = client.keys("*:lock")
                assert 0 < client.pttl(lease) <= 30_000
                client.pexpire(lease, 300)  # the rest of its half minute is not worth waiting for here
        notary.faults.held.clear()
        assert fleet.ask(*others) == ["200"] * 2
    assert notary.count("login") == 2, "one of them was answered to nobody"


@pytest.mark.long
def test_a_stopped_holder_of_a_file_lock_is_not_waited_for_for_ever(tmp_path: Path, notary: Sandbox) -> None:
    """The system frees the lock of a dead process, not of one that is stopped: patience has an end."""
    program = f"""
import sys
from tests import core
core.shorten_store_lock_timeout(1.0)
exec({MEMBER!r})
"""
    store = FileStore(tmp_path / "store")
    with Fleet(1, str(tmp_path / "store"), notary) as fleet:
        (stopped,) = fleet.members
        notary.faults.held.add(LOGIN)
        fleet.tell(stopped)
        until(lambda: LOGIN in notary.pending)
        stopped.send_signal(signal.SIGSTOP)
        notary.faults.held.clear()
        done = subprocess.run(
            [sys.executable, "-c", program, "requests", str(store.path), notary.url, "qwe123QWE", ""],
            input="go\n",
            capture_output=True,
            text=True,
            timeout=60,
            cwd=ROOT,
            check=False,
        )
    assert done.stdout.split() == ["ready", "200"], done.stderr


@pytest.mark.long
def test_a_server_that_is_killed_and_started_again_costs_logins_and_no_request(
    valkey: RedisServer, notary: Sandbox
) -> None:
    with Fleet(6, valkey.url, notary) as fleet:
        assert fleet.ask() == ["200"] * 6
        valkey.kill()
        assert fleet.ask() == ["200"] * 6, "tokens in memory are enough"
        assert notary.count("login") == 1
        notary.revoke_tokens()
        assert fleet.ask() == ["200"] * 6
        assert notary.count("login") == 7, "each for itself"
        valkey.start()
        notary.revoke_tokens()
        assert fleet.ask() == ["200"] * 6
        assert notary.count("login") == 8, "together again"


@pytest.mark.long
def test_a_server_that_is_paused_delays_a_login_and_no_more(valkey: RedisServer, notary: Sandbox) -> None:
    with Fleet(4, valkey.url, notary) as fleet:
        valkey.pause()
        started = time.monotonic()
        assert fleet.ask() == ["200"] * 4
        assert time.monotonic() - started < 30, "some time-outs of three seconds, and no lease of half a minute"
        valkey.go_on()
        assert notary.count("login") == 4
        notary.revoke_tokens()
        assert fleet.ask() == ["200"] * 4
        assert notary.count("login") == 5


@pytest.mark.parametrize("settings", [{}, {"socket_timeout": 2}], ids=["none", "as people have it"])
def test_rule_c_a_server_that_is_paused_delays_a_login_no_longer_with_a_client_that_retries(
    valkey: RedisServer, notary: Sandbox, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself redis-py takes 26 s to give up with a time-out of 2 s, and 60 s or for ever without one."""
    set_store_timeout(monkeypatch, 0.2)
    client = redis.Redis(port=valkey.port, **settings)
    auth = NotaryAuth(notary.username, notary.password, cloud_url=notary.url, store=RedisStore(client))
    valkey.pause()
    started = time.monotonic()
    assert requests.get(f"{notary.api_url}/stored-files", auth=auth).status_code == 200
    took = time.monotonic() - started
    valkey.go_on()
    assert took < 10
    until(lambda: "notary-auth store" not in [thread.name for thread in threading.enumerate()], 30)
    client.close()


@pytest.mark.long
def test_a_server_that_is_full_costs_logins_and_no_request(notary: Sandbox) -> None:
    full = RedisServer(programs()["valkey"], "--maxmemory", "1", "--maxmemory-policy", "noeviction")
    with full, Fleet(4, full.url, notary) as fleet:
        assert fleet.ask() == ["200"] * 4
        assert notary.count("login") == 4
        with full.client as client:
            client.config_set("maxmemory", "100mb")
        notary.revoke_tokens()
        assert fleet.ask() == ["200"] * 4
        assert notary.count("login") == 5


@pytest.mark.long
def test_requests_in_a_storm_of_restarts_are_all_answered(valkey: RedisServer, notary: Sandbox) -> None:
    with Fleet(6, valkey.url, notary) as fleet:
        for number in range(6):
            notary.revoke_tokens()  # before they ask: revoked twice on its way, a request's 401 is its caller's
            for member in fleet.members:
                fleet.tell(member)
            (valkey.kill if number % 2 == 0 else valkey.start)()
            assert [fleet.heard(member) for member in fleet.members] == ["200"] * 6


# Files that are not as they should be


def _fault_torn(folder: Path) -> None:
    for record in folder.glob("*.notary-auth"):
        end = record.stat().st_mtime
        record.write_bytes(record.read_bytes()[:50])
        os.utime(record, (end, end))


def _fault_unreadable(folder: Path) -> None:
    for record in folder.iterdir():
        record.chmod(0o644)


def _fault_planted_folder(folder: Path) -> None:
    folder.rename(folder.parent / "moved")
    folder.symlink_to(folder.parent / "moved")


def _fault_planted_record(folder: Path) -> None:
    for record in folder.iterdir():
        record.rename(folder.parent / record.name)
        record.symlink_to(folder.parent / record.name)


def _fault_a_file_in_place_of_the_folder(folder: Path) -> None:
    folder.rename(folder.parent / "moved")
    folder.write_text("")


@pytest.mark.parametrize(
    "spoil",
    [
        _fault_unreadable,
        _fault_planted_folder,
        _fault_planted_record,
        _fault_a_file_in_place_of_the_folder,
    ],
)
def test_rule_c_files_that_are_spoiled_cost_a_login(
    client: Client,
    spoil: Callable[[Path], None],
    tmp_path: Path,
    notary: Sandbox,
    files: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / "store"
    assert client.get(files, client.auth(notary, store=FileStore(folder))).status_code == 200
    spoil(folder)
    assert client.get(files, client.auth(notary, store=FileStore(folder))).status_code == 200
    assert notary.count("login") == 2
    assert caplog.text.count("the store of 'JohnSmith' failed") == 1


def test_rule_c_a_torn_file_costs_one_login_and_is_replaced(
    client: Client, tmp_path: Path, notary: Sandbox, files: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "store"
    assert client.get(files, client.auth(notary, store=FileStore(folder))).status_code == 200
    _fault_torn(folder)
    for _ in range(3):
        assert client.get(files, client.auth(notary, store=FileStore(folder))).status_code == 200
    assert notary.count("login") == 2
    assert caplog.text.count("torn, or was changed") == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_rule_c_a_full_disk_costs_a_login(client: Client, small_disk: Path, notary: Sandbox, files: str) -> None:
    folder = small_disk / "store"
    assert client.get(files, client.auth(notary, store=FileStore(folder))).status_code == 200
    with contextlib.suppress(OSError), open(small_disk / "ballast", "wb") as ballast:
        while True:
            ballast.write(b"x" * 1024)
            ballast.flush()
    notary.revoke_tokens()
    auth = client.auth(notary, store=FileStore(folder))
    assert client.get(files, auth).status_code == 200
    assert notary.count("login") == 2
    (small_disk / "ballast").unlink()
    assert sorted(path.suffix for path in folder.iterdir()) == [".lock", ".notary-auth"], (
        "no torn file is left behind"
    )


def test_rule_c_a_read_only_folder_costs_a_login(
    client: Client, small_disk: Path, notary: Sandbox, files: str, caplog: pytest.LogCaptureFixture
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert client.get(files, client.auth(notary, store=FileStore(small_disk / "store"))).status_code == 200
    assert "Read-only file system" in caplog.text
