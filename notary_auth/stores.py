"""Token stores: one login for many processes and machines.

    from notary_auth.requests import NotaryAuth
    from notary_auth.stores import FileStore, RedisStore

    auth = NotaryAuth("JohnSmith", "qwe123QWE", store=FileStore())  # for the processes of one machine
    auth = NotaryAuth("JohnSmith", "qwe123QWE", store=RedisStore("redis://cache.internal"))  # for many machines

A store keeps sealed records, which say nothing to who has no password, and hands out locks. When it is asked, in
which order, and what is in the records is not its business. `TokenStore` is all that a new one has to be;
`notary_auth.testing.store_conformance` tells whether it is.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import secrets
import stat
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from ._core.state_lock import StateLock
from ._core.token import clock
from ._core.token_store import StoreLock, TokenStore
from ._extras import needs_extra

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["FileStore", "MemoryStore", "RedisStore", "StoreLock", "TokenStore"]

LARGEST_RECORD = 64 * 1024  # bytes
SWEPT_AFTER = 3600.0  # seconds after its end for which a record's file may still lie there
# Records, and what is left of writing them. Other programs have files with digests for names too.
OWN_FILES = re.compile(r"[0-9a-f]{32}\.notary-auth(\.(?!lock$).*)?", re.ASCII)
REDIS_TIMEOUT = 3.0  # seconds to connect, and for an answer

log = logging.getLogger("notary_auth")


class MemoryStore:
    """Records in this process's memory: one login for several NotaryAuths without an Account in common.

    A pickle or a deep copy of it is a new, empty one.
    """

    def __init__(self) -> None:
        self._records: dict[str, tuple[bytes, float]] = {}
        self._leases: dict[str, tuple[object, float]] = {}
        self._guard = StateLock()

    def load(self, name: str) -> tuple[bytes, float] | None:
        record, end = self._records.get(name, (b"", 0.0))
        left = end - clock()
        return (record, left) if left > 0 else None

    def save(self, name: str, record: bytes, seconds: float) -> None:
        self._records[name] = record, clock() + seconds

    def delete(self, name: str) -> None:
        self._records.pop(name, None)

    def lock(self, name: str, seconds: float) -> StoreLock:
        return _MemoryLock(self, name, seconds)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _MemoryLock:
    def __init__(self, store: MemoryStore, name: str, seconds: float) -> None:
        self._store = store
        self._name = name
        self._seconds = seconds

    def acquire(self) -> bool:
        with self._store._guard():
            _, end = self._store._leases.get(self._name, (None, 0.0))
            if clock() < end:
                return False
            self._store._leases[self._name] = self, clock() + self._seconds
            return True

    def release(self) -> None:
        with self._store._guard():
            if self._store._leases.get(self._name, (None, 0.0))[0] is self:
                del self._store._leases[self._name]


class FileStore:
    """Records in files of a folder that only this user can enter: one login for a user's processes on one machine.

    A record is a file of mode 0600, written atomically, whose time of modification says when it ends. Locks are
    the operating system's, which frees those of a dead process at once. Files and folders that belong to somebody
    else, or that others could change, and symbolic links are refused.

    Args:
        path: the folder, made with mode 0700 where it is missing; None: ``notary-auth`` in the user's cache
            folder, which is where the system has it (``~/.cache`` on Linux).

    Raises:
        ModuleNotFoundError: the extra ``stores`` is not installed.
        ValueError: `path` is empty.
        RuntimeError: it is None, or begins with ``~``, and the user has no home.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        needs_extra("stores", "filelock", "platformdirs")
        if path is None:
            from platformdirs import user_cache_path

            path = user_cache_path("notary-auth", appauthor=False)
        if not os.fspath(path):
            raise ValueError("path must not be empty")
        self.path = Path(path).expanduser()

    def load(self, name: str) -> tuple[bytes, float] | None:
        if not self._is_there():
            return None
        path = self._path(name)
        try:
            descriptor = os.open(path, os.O_RDONLY | _PLAIN_FILES)
        except FileNotFoundError:
            return None
        try:
            facts = os.fstat(descriptor)
            _check_private(facts, path, stat.S_ISREG(facts.st_mode), 0o077)
            left = facts.st_mtime - time.time()
            return (os.read(descriptor, LARGEST_RECORD), left) if left > 0 else None
        finally:
            os.close(descriptor)

    def save(self, name: str, record: bytes, seconds: float) -> None:
        self._make()
        self._sweep()
        target = self._path(name)
        descriptor, path = tempfile.mkstemp(dir=self.path, prefix=f"{target.name}.")
        try:
            with open(descriptor, "wb") as file:
                file.write(record)
            end = time.time() + seconds
            os.utime(path, (end, end))
            os.replace(path, target)
        except BaseException:
            os.unlink(path)
            raise

    def delete(self, name: str) -> None:
        if self._is_there():
            self._path(name).unlink(missing_ok=True)

    def lock(self, name: str, seconds: float) -> StoreLock:
        path = self._path(name)
        return _FileStoreLock(self, path.with_name(f"{path.name}.lock"))

    def _path(self, name: str) -> Path:
        return self.path / f"{name}.notary-auth"

    def _make(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.path.mkdir(mode=0o700)
        except FileExistsError:
            pass
        self._is_there()

    def _is_there(self) -> bool:
        """Whether there is a folder. One that somebody else has planted is an error."""
        try:
            facts = os.lstat(self.path)
        except FileNotFoundError:
            return False
        _check_private(facts, self.path, stat.S_ISDIR(facts.st_mode), 0o022)
        return True

    def _sweep(self) -> None:
        """Remove what ended long ago: records of passwords no longer used, and what a dying process left."""
        for entry in os.scandir(self.path):
            try:
                is_old = entry.stat(follow_symlinks=False).st_mtime < time.time() - SWEPT_AFTER
                if is_old and OWN_FILES.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    os.unlink(entry.path)
            except FileNotFoundError:  # another process is sweeping as well
                pass

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"


# No link is followed, and no pipe is waited for. Windows has neither of these, nor owners as numbers: its ACLs
# protect a profile, and a file is opened as text there unless it is said not to be.
_PLAIN_FILES = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))


def _check_private(facts: os.stat_result, path: Path, is_expected: bool, forbidden: int) -> None:
    """See to it that a file or folder is what it should be, and in nobody else's hands.

    Raises:
        PermissionError: it is not.
    """
    if not is_expected:
        raise PermissionError(errno.EPERM, "a symbolic link, or not the file or folder expected", str(path))
    if os.name != "nt" and facts.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "another user's", str(path))
    if os.name != "nt" and facts.st_mode & forbidden:
        raise PermissionError(errno.EPERM, "others may use it: chmod go-rwx", str(path))


class _FileStoreLock:
    def __init__(self, store: FileStore, path: Path) -> None:
        from filelock import FileLock

        self._store = store
        self._lock = FileLock(path, timeout=0, thread_local=False, mode=0o600)

    def acquire(self) -> bool:
        from filelock import Timeout

        self._store._make()
        try:
            self._lock.acquire()
        except Timeout:
            return False
        return True

    def release(self) -> None:
        self._lock.release()


def users_store() -> FileStore | None:
    """The user's files, for commands whose user has not chosen a store; None where there can be none."""
    try:
        needs_extra("stores", "cryptography")
        return FileStore()
    except ModuleNotFoundError:
        return None
    except RuntimeError as error:  # a user without a home, as in a container
        log.warning("no tokens are kept between runs: %s", error)
        return None


class RedisStore:
    """Records in Redis or Valkey: one login for any number of machines.

    The server's clock ends records and leases, so the machines' clocks need not agree. A lease is given back by
    its holder only, and ends by itself when that has died.

    Args:
        url_or_client: a URL as ``redis.Redis.from_url`` takes it (``redis://``, ``rediss://`` for TLS,
            ``unix://``); or a `redis.Redis` or `redis.RedisCluster` with its own settings, which must not have
            ``decode_responses``, and cannot be pickled. A URL's client waits 3 s for a connection or an answer.
        prefix: what all keys begin with.

    Raises:
        ModuleNotFoundError: the extra ``redis`` is not installed.
        TypeError: `url_or_client` is neither, or an asynchronous client.
        ValueError: the URL is of another kind, or the client decodes responses.
    """

    def __init__(self, url_or_client: str | Redis, *, prefix: str = "notary-auth:") -> None:
        needs_extra("redis", "redis")
        import redis  # noqa: F401  not at the first call, whose time is limited: it takes seconds on a busy machine

        if isinstance(url_or_client, str):
            if not url_or_client.startswith(("redis://", "rediss://", "unix://")):
                raise ValueError("the URL must begin with redis://, rediss:// or unix://")
            if "decode_responses" in parse_qs(urlsplit(url_or_client).query):
                raise ValueError("the URL must not have decode_responses: records are bytes")
        else:
            _check_client(url_or_client)
        self._source = url_or_client
        self._prefix = prefix
        self._connected: Redis | None = None

    @property
    def _client(self) -> Redis:
        if self._connected is None:
            self._connected = _connected(self._source)
        return self._connected

    def load(self, name: str) -> tuple[bytes, float] | None:
        # No transaction, which clusters do not have. In this order a record that is replaced in between only looks
        # older than it is.
        with self._client.pipeline(transaction=False) as together:
            together.pttl(self._prefix + name)
            together.getrange(self._prefix + name, 0, LARGEST_RECORD - 1)  # whatever somebody has put there
            left, record = together.execute()
        return (record, left / 1000) if record and left > 0 else None

    def save(self, name: str, record: bytes, seconds: float) -> None:
        self._client.set(self._prefix + name, record, px=max(1, int(seconds * 1000)))

    def delete(self, name: str) -> None:
        self._client.delete(self._prefix + name)

    def lock(self, name: str, seconds: float) -> StoreLock:
        return _RedisStoreLock(self._client, f"{self._prefix}{name}:lock", seconds)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), self._source, prefix=self._prefix), ()

    def __repr__(self) -> str:  # a URL may have a password in it
        return f"{type(self).__name__}(prefix={self._prefix!r})"


def _check_client(client: Any) -> None:
    if not callable(getattr(client, "pipeline", None)) or ".asyncio" in type(client).__module__:
        raise TypeError(f"must be a URL or a synchronous Redis client, not {type(client)!r}")
    if client.get_encoder().decode_responses:
        raise ValueError("the Redis client must not have decode_responses: records are bytes")


def _connected(source: str | Redis) -> Redis:
    if not isinstance(source, str):
        return source
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    # Tried once: a pool sees by itself that the server has closed a connection since it was used last.
    return Redis.from_url(
        source,
        socket_timeout=REDIS_TIMEOUT,
        socket_connect_timeout=REDIS_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
    )


class _RedisStoreLock:
    def __init__(self, client: Redis, key: str, seconds: float) -> None:
        self._client = client
        self._key = key
        self._lease = int(seconds * 1000)  # milliseconds
        self._token = secrets.token_hex(16).encode()

    def acquire(self) -> bool:
        if self._client.set(self._key, self._token, nx=True, px=self._lease):
            return True
        # A key that lives longer than a lease, or for ever, is none of ours: it is left no longer than a lease.
        if not 0 <= self._client.pttl(self._key) <= self._lease:
            self._client.pexpire(self._key, self._lease)
        # It is ours all the same if the answer got lost, and the client has asked a second time.
        return self._is_held()

    def release(self) -> None:
        # Two commands and no script, which a server may not allow. A lease that lapses in between lets a second
        # process log in, which does no harm.
        if self._is_held():
            self._client.delete(self._key)

    def _is_held(self) -> bool:
        return bool(self._client.getrange(self._key, 0, len(self._token)) == self._token)
