"""The stores by themselves: the conformance suite on each, and what is peculiar to files and to Redis."""

from __future__ import annotations

import copy
import os
import pickle
import re
import signal
import stat
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import redis
import redis.asyncio

from notary_auth.stores import FileStore, MemoryStore, RedisStore, TokenStore
from notary_auth.testing import Check, store_conformance

from .core import guard_of, hide_modules, leases_of, let_anybody_release
from .paths import ROOT
from .servers import RedisServer, programs
from .waiting import until

Make = Callable[[], TokenStore]


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[] if name == "valkey" else pytest.mark.matrix) for name in programs()],
)
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(programs()[request.param]) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.mark.usefixtures("pace")
@pytest.mark.parametrize("check", store_conformance, ids=lambda check: check.__name__)
def test_memory_conforms(check: Check) -> None:
    store = MemoryStore()
    check(lambda: store)


@pytest.mark.usefixtures("pace")
@pytest.mark.parametrize("check", store_conformance, ids=lambda check: check.__name__)
def test_files_conform(check: Check, folder: Path) -> None:
    check(lambda: FileStore(folder))


@pytest.mark.usefixtures("pace")
@pytest.mark.parametrize("check", store_conformance, ids=lambda check: check.__name__)
def test_redis_conforms(check: Check, server: RedisServer) -> None:
    check(lambda: RedisStore(server.url))


class Broken(MemoryStore):
    """A store with a fault, to see that the suite finds it."""

    def __init__(self, **methods: Any) -> None:
        super().__init__()
        for name, method in methods.items():
            setattr(self, name, method.__get__(self))


class NoLock:
    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


FAULTS: dict[str, dict[str, Any]] = {
    "nothing_is_found_at_first": {"load": lambda self, name: (b"", 1.0)},
    "what_is_saved_is_loaded": {"save": lambda self, name, record, seconds: None},
    "names_have_nothing_to_do_with_each_other": {
        "save": lambda self, name, record, seconds: MemoryStore.save(self, "same", record, seconds),
        "load": lambda self, name: MemoryStore.load(self, "same"),
    },
    "a_new_record_replaces_the_old_one": {
        "save": lambda self, name, record, seconds: (
            self.load(name) or MemoryStore.save(self, name, record, seconds)
        )
    },
    "a_deleted_record_is_gone": {"delete": lambda self, name: None},
    "a_record_ends": {
        "save": lambda self, name, record, seconds: MemoryStore.save(self, name, record, 1e9),
    },
    "a_lock_has_one_holder": {"lock": lambda self, name, seconds: NoLock()},
    "a_lock_has_nothing_to_do_with_the_record": {
        "load": lambda self, name: MemoryStore.load(self, name) or ((b"", 1.0) if leases_of(self) else None)
    },
    "a_crowd_gets_a_lock_one_at_a_time": {"lock": lambda self, name, seconds: NoLock()},
}


@pytest.mark.usefixtures("pace")
@pytest.mark.parametrize("name", FAULTS)
def test_the_conformance_suite_finds_a_fault(name: str) -> None:
    (check,) = [each for each in store_conformance if each.__name__ == name]
    store = Broken(**FAULTS[name])
    with pytest.raises(AssertionError):
        check(lambda: store)


class OfOneThread:
    """A lock that only the thread which took it can give back, as many libraries' are unless told otherwise."""

    held: ClassVar[dict[str, int]] = {}

    def __init__(self, name: str) -> None:
        self.name = name

    def acquire(self) -> bool:
        return self.held.setdefault(self.name, threading.get_ident()) == threading.get_ident()

    def release(self) -> None:
        if self.held.get(self.name) == threading.get_ident():
            del self.held[self.name]


def test_the_conformance_suite_finds_a_lock_of_one_thread() -> None:
    store = Broken(lock=lambda self, name, seconds: OfOneThread(name))
    (check,) = [each for each in store_conformance if "another_thread" in each.__name__]
    with pytest.raises(AssertionError, match="in another thread"):
        check(lambda: store)


def test_the_conformance_suite_finds_a_lock_that_anybody_releases(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    let_anybody_release(monkeypatch)
    (check,) = [each for each in store_conformance if "by_another_holder" in each.__name__]
    with pytest.raises(AssertionError, match="by one who did not hold it"):
        check(lambda: store)


# Files


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_files_and_folder_are_the_users_alone(folder: Path) -> None:
    old = os.umask(0)
    try:
        store = FileStore(folder)
        store.save("a" * 32, b"record", 60)
        lock = store.lock("a" * 32, 60)
        assert lock.acquire()
        lock.release()
    finally:
        os.umask(old)
    assert mode(folder) == 0o700
    record = f"{'a' * 32}.notary-auth"
    assert {path.name: mode(path) for path in folder.iterdir()} == {record: 0o600, f"{record}.lock": 0o600}


def test_the_default_folder_is_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    store = FileStore()
    assert tmp_path in store.path.parents
    assert store.path.name == "notary-auth"
    assert not store.path.exists(), "building one does no I/O"


def test_looking_into_a_folder_that_is_missing_does_not_make_it(folder: Path) -> None:
    store = FileStore(folder)
    assert store.load("a") is None
    store.delete("a")
    assert not folder.exists()


def test_a_planted_folder_is_refused(tmp_path: Path, folder: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(0o700)
    folder.symlink_to(elsewhere)
    store = FileStore(folder)
    for use in (
        lambda: store.load("a"),
        lambda: store.save("a", b"", 9),
        lambda: store.delete("a"),
        lambda: store.lock("a", 9).acquire(),
    ):
        with pytest.raises(PermissionError, match="symbolic link"):
            use()
    assert list(elsewhere.iterdir()) == []


def test_a_folder_that_others_may_change_is_refused(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(PermissionError):
        FileStore(folder).save("a", b"", 9)


def test_a_folder_that_others_may_read_is_good_enough(folder: Path) -> None:
    folder.mkdir(0o755)
    folder.chmod(0o755)
    store = FileStore(folder)
    store.save("a", b"sealed", 60)
    assert store.load("a") is not None
    assert mode(folder / "a.notary-auth") == 0o600, "and even so, not the records"


def test_a_planted_record_is_refused(tmp_path: Path, folder: Path) -> None:
    store = FileStore(folder)
    store.save("a", b"record", 60)
    record = folder / "a.notary-auth"
    record.chmod(0o644)
    with pytest.raises(PermissionError, match="others may use it: chmod go-rwx"):
        store.load("a")
    record.rename(tmp_path / "a")
    record.symlink_to(tmp_path / "a")
    with pytest.raises(OSError, match="ymbolic link"):
        store.load("a")


@pytest.mark.parametrize("plant", [lambda path: os.mkfifo(path, 0o600), os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_is_refused_at_once_and_leaves_nothing_open(
    folder: Path, plant: Callable[[Path], None]
) -> None:
    store = FileStore(folder)
    store.save("a", b"record", 60)
    (folder / "a.notary-auth").unlink()
    plant(folder / "a.notary-auth")
    refused: list[Exception] = []

    def load() -> None:
        for _ in range(10):
            try:
                store.load("a")
            except OSError as error:
                refused.append(error)

    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    loading = threading.Thread(target=load, daemon=True)  # it would wait for ever for somebody to write
    loading.start()
    loading.join(20)
    assert [type(each) for each in refused] == [PermissionError] * 10
    if sys.platform == "linux":
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_planted_lock_is_refused(tmp_path: Path, folder: Path) -> None:
    store = FileStore(folder)
    store.save("a", b"record", 60)
    (folder / "a.notary-auth.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError):  # noqa: PT011  filelock's words, which change
        store.lock("a", 60).acquire()
    assert not (tmp_path / "victim").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_record_and_a_folder_of_another_user_are_refused(folder: Path) -> None:
    store = FileStore(folder)
    store.save("a", b"record", 60)
    os.chown(folder / "a.notary-auth", 12345, 12345)
    with pytest.raises(PermissionError):
        store.load("a")
    os.chown(folder, 12345, 12345)
    with pytest.raises(PermissionError):
        store.save("b", b"", 9)


def test_what_ended_long_ago_is_swept(folder: Path) -> None:
    store = FileStore(folder)
    old, recent, new = "0" * 32, "1" * 32, "2" * 32
    for name in (old, recent):
        store.save(name, b"", 60)
    lock = store.lock(old, 60)
    assert lock.acquire()
    lock.release()
    old_record, recent_record, new_record = (f"{name}.notary-auth" for name in (old, recent, new))
    left = f"{old_record}.by-a-dying-process"
    (folder / left).write_bytes(b"")
    # Many programs name files by a digest of as many digits.
    users = [
        "thesis.doc",
        "0" * 32,
        f"{'0' * 32}.png",
        f"x{old_record}",
        f"{'0' * 32}.notary",
        f"{'0' * 31}.notary-auth",
    ]
    for name in users:
        (folder / name).write_text("of the user's own")
    now = time.time()
    for name in (old_record, left, f"{old_record}.lock", *users):
        os.utime(folder / name, (now - 4000, now - 4000))
    os.utime(folder / recent_record, (now - 60, now - 60))
    store.save(new, b"", 60)
    kept = [new_record, f"{old_record}.lock", recent_record, *users]
    assert sorted(path.name for path in folder.iterdir()) == sorted(kept)


def test_a_full_disk_leaves_no_file_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore(folder)
    store.save("a", b"record", 60)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "utime", full)
    with pytest.raises(OSError, match="No space"):
        store.save("a", b"other", 60)
    assert [path.name for path in folder.iterdir()] == ["a.notary-auth"]
    found = store.load("a")
    assert found is not None
    assert found[0] == b"record"


def test_a_dead_processes_lock_is_free(folder: Path) -> None:
    program = """
import os, signal, sys
from notary_auth.stores import FileStore
assert FileStore(sys.argv[1]).lock("a", 60).acquire()
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program, str(folder)], check=False)
    assert done.returncode == -9
    lock = FileStore(folder).lock("a", 60)
    assert lock.acquire()
    lock.release()


# Redis


@pytest.fixture
def restricted(server: RedisServer) -> Iterator[str]:
    """The URL of a user who may do what the page says that is needed, and nothing else."""
    (line,) = re.findall(r"ACL SETUSER notary .*", (ROOT / "docs/fleet.rst").read_text("utf-8"))
    with redis.Redis.from_url(server.url) as client:
        client.execute_command(*line.split())
        yield server.url.replace("://", "://notary:SECRET@")
        client.acl_deluser("notary")


@pytest.mark.usefixtures("pace")
@pytest.mark.parametrize("check", store_conformance, ids=lambda check: check.__name__)
def test_redis_conforms_with_the_rights_that_the_page_names(check: Check, restricted: str) -> None:
    check(lambda: RedisStore(restricted))


def test_redis_needs_all_the_rights_that_the_page_names(server: RedisServer, restricted: str) -> None:
    with redis.Redis.from_url(server.url) as client:
        rights = client.acl_getuser("notary")["commands"]
        commands = [right for right in rights if right.startswith("+") and "@" not in right]
        assert len(commands) == 5
        for command in commands:
            client.execute_command("ACL", "SETUSER", "notary", "-" + command[1:])
            with pytest.raises(redis.exceptions.NoPermissionError, match=command[1:]):
                use_all(RedisStore(restricted), client)
            client.execute_command("ACL", "SETUSER", "notary", command)
        use_all(RedisStore(restricted), client)


def use_all(store: RedisStore, client: redis.Redis) -> None:
    store.save("rights", b"record", 9)
    assert store.load("rights") is not None
    store.delete("rights")
    client.set("notary-auth:rights:lock", b"for ever")
    store.lock("rights", 9).acquire()
    client.delete("notary-auth:rights:lock")
    lock = store.lock("rights", 9)
    assert lock.acquire()
    lock.release()
    assert client.exists("notary-auth:rights:lock") == 0


def test_redis_ends_a_dead_holders_lease(server: RedisServer) -> None:
    first, second = RedisStore(server.url), RedisStore(server.url)
    assert first.lock("dead", 0.3).acquire()
    other = second.lock("dead", 60)
    assert not other.acquire()
    until(other.acquire, 10)
    other.release()


@pytest.mark.parametrize("seconds", [None, 3600], ids=["for ever", "for an hour"])
def test_redis_lets_no_lock_be_held_for_longer_than_a_lease(server: RedisServer, seconds: int | None) -> None:
    client, name = redis.Redis.from_url(server.url), f"planted-{seconds}"
    client.set(f"notary-auth:{name}:lock", "somebody's", ex=seconds)
    lock = RedisStore(server.url).lock(name, 0.5)
    assert not lock.acquire()
    until(lock.acquire)
    lock.release()
    client.close()


def test_redis_reads_no_more_of_a_planted_value_than_a_record_may_have(server: RedisServer) -> None:
    client = redis.Redis.from_url(server.url)
    client.set("notary-auth:large", bytes(64 * 1024 * 1024), px=60_000)
    store = RedisStore(server.url)
    tracemalloc.start()
    try:
        found = store.load("large")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        client.delete("notary-auth:large")
        client.close()
    assert found is not None
    assert len(found[0]) == 64 * 1024
    assert peak < 4 * 1024 * 1024


def test_redis_releases_no_lapsed_lease_of_another_holder(server: RedisServer) -> None:
    store = RedisStore(server.url)
    lapsed = store.lock("lapsed", 0.05)
    assert lapsed.acquire()
    time.sleep(0.2)
    holder = store.lock("lapsed", 60)
    assert holder.acquire()
    lapsed.release()
    assert not store.lock("lapsed", 60).acquire()
    holder.release()


def test_redis_keys_have_the_prefix_and_a_time_to_live(server: RedisServer) -> None:
    store = RedisStore(server.url, prefix="mine:")
    store.save("a", b"record", 60)
    lock = store.lock("a", 30)
    assert lock.acquire()
    with server.client as client:
        keys = {key: client.ttl(key) for key in client.scan_iter("mine:*")}
    assert keys.keys() == {b"mine:a", b"mine:a:lock"}
    assert 50 <= keys[b"mine:a"] <= 60
    assert 20 <= keys[b"mine:a:lock"] <= 30
    lock.release()


def test_redis_survives_a_restart_of_the_server() -> None:
    with RedisServer(programs()["valkey"]) as server:
        store = RedisStore(server.url)
        store.save("a", b"record", 60)
        server.kill()
        server.start()
        assert store.load("a") is None, "it kept nothing on disk, and the connection is a new one"
        store.save("a", b"record", 60)
        assert store.load("a") is not None


def test_redis_takes_a_client(server: RedisServer) -> None:
    with server.client as client:
        store = RedisStore(client)
        store.save("client", b"record", 60)
        assert RedisStore(server.url).load("client") is not None


@pytest.mark.parametrize("wrong", [5, None, redis.asyncio.Redis(), object()])
def test_redis_takes_no_other_object(wrong: Any) -> None:
    with pytest.raises(TypeError, match="synchronous Redis client"):
        RedisStore(wrong)


def test_redis_takes_no_client_that_decodes() -> None:
    with pytest.raises(ValueError, match="decode_responses"):
        RedisStore(redis.Redis(decode_responses=True))


def test_redis_takes_no_url_that_decodes() -> None:
    with pytest.raises(ValueError, match="decode_responses"):
        RedisStore("redis://localhost?decode_responses=true")


class Forgetful(redis.connection.Connection):
    """A connection that loses the first answer to SET: the client asks again, as after a broken connection."""

    lost: list[str] = []  # noqa: RUF012

    def send_command(self, *arguments: Any, **options: Any) -> None:
        self.command = arguments[0]
        super().send_command(*arguments, **options)

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        answer = super().read_response(*arguments, **options)
        if self.command == "SET" and not self.lost:
            self.lost.append("SET")
            self.disconnect()
            raise redis.ConnectionError
        return answer


def test_redis_knows_its_own_lock_if_the_answer_was_lost(server: RedisServer) -> None:
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    del Forgetful.lost[:]
    again: dict[str, Any] = {"retry": Retry(NoBackoff(), 1), "retry_on_error": [redis.ConnectionError]}
    pool = redis.ConnectionPool(connection_class=Forgetful, port=server.port, **again)
    with redis.Redis(connection_pool=pool) as client:
        lock = RedisStore(client).lock("lost", 60)
        assert lock.acquire()
        assert Forgetful.lost == ["SET"]
        other = RedisStore(server.url).lock("lost", 60)
        assert not other.acquire()
        other.release()
        lock.release()
        assert other.acquire()
        other.release()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_memory_is_not_locked_in_a_child_that_was_forked_in_mid_acquire() -> None:
    store = MemoryStore()
    with guard_of(store):
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            os._exit(0 if store.lock("a", 60).acquire() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("url", ["", "localhost:6379", "http://localhost"])
def test_redis_takes_no_other_url(url: str) -> None:
    with pytest.raises(ValueError, match="redis://"):
        RedisStore(url)


def test_no_password_of_a_server_is_shown() -> None:
    assert "geheim" not in repr(RedisStore("redis://user:geheim@localhost"))


def test_stores_pickle_and_copy(folder: Path) -> None:
    files = pickle.loads(pickle.dumps(FileStore(folder)))
    assert files.path == folder
    shared = copy.deepcopy(RedisStore("redis://localhost:1", prefix="mine:"))
    assert repr(shared) == "RedisStore(prefix='mine:')"
    memory = MemoryStore()
    memory.save("a", b"record", 60)
    assert pickle.loads(pickle.dumps(memory)).load("a") is None


@pytest.mark.parametrize(
    ("make", "module", "extra"),
    [
        (FileStore, "filelock", "stores"),
        (FileStore, "platformdirs", "stores"),
        (lambda: RedisStore("redis://localhost"), "redis", "redis"),
    ],
)
def test_a_missing_extra_is_named(
    make: Callable[[], Any], module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide_modules(monkeypatch, module)
    with pytest.raises(ModuleNotFoundError, match=rf"no module named '{module}'.*notary-auth\[{extra}\]"):
        make()


def test_the_path_of_a_store_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="path must not be empty"):
        FileStore("")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert FileStore("~/x").path == tmp_path / "x"
    (tmp_path / "file").write_text("")
    with pytest.raises(PermissionError, match="not the file or folder expected"):
        FileStore(tmp_path / "file").load("a")
