"""One login's transaction with a store: read, lock, read again, publish, unlock (rules b to e).

All of it are steps, so that no event loop is blocked. The lock is tried and not waited for, so that no thread is
blocked either. Whatever the store raises ends the transaction with a warning, and the login goes on as if there
were no store.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable
from contextvars import copy_context
from errno import ETIMEDOUT
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from notary_auth._secrets import Secret, digest

from .caller import has_started
from .steps import Call, Steps

if TYPE_CHECKING:
    from .record import SharedRecord
    from .seal import Seal
    from .token_store import StoreLock, TokenStore

LEASE = 30.0  # seconds after which a dead holder's lock is free
STORE_TIMEOUT = 4.0  # seconds for a call to a store, whatever its client's own time-outs and retries

MAX_SEALS = 32  # cached in a process, so that many accounts do not fill its memory

Result = TypeVar("Result")

_URL = r"://|@"  # of which a part may be a password
_SEALS_SALT = os.urandom(16)
_seals: dict[bytes, Seal] = {}  # by the salted digest of what they are made from, the latest at the end

log = logging.getLogger("notary_auth")


class SharedTokens:
    """An account's records in a store, or in none.

    Args:
        place: keeps apart what has the same user name; see `Parts`.
    """

    def __init__(self, store: TokenStore | None, username: str, place: str) -> None:
        self.store = store
        self._username = username
        self._place = place
        self._seal: Seal | None = None  # of the latest transaction

    def begin(self, password: Secret) -> Steps[StoreTransaction]:
        """A transaction under the key that this password makes."""
        if self.store is None:
            return NO_TRANSACTION
        transaction = StoreTransaction(self.store, self._username)
        transaction.seal = yield Call(lambda: transaction.attempt(lambda: self._seal_of(password)))
        return transaction

    def begin_again(self) -> StoreTransaction:
        """A transaction under the same key as the last one, without asking for the password."""
        if self.store is None or self._seal is None:
            return NO_TRANSACTION
        transaction = StoreTransaction(self.store, self._username)
        transaction.seal = self._seal
        return transaction

    def withdraw(self, authorization: str | None) -> Steps[None]:
        """Delete the record if it still holds this rejected token, or the next process would use it."""
        transaction = self.begin_again()
        record = yield from transaction.read()
        if record is not None and record.authorization == authorization:
            yield from transaction.delete()

    def _seal_of(self, password: Secret) -> Seal:
        """The seal for a password. scrypt runs once for it in a process, however many objects there are."""
        key = digest(Secret("\0".join((self._place, self._username, password.value))), _SEALS_SALT)
        seal = _seals.get(key)
        if seal is None:
            from .seal import Seal  # only where there is a store

            seal = _seals[key] = Seal(self._username, password, self._place)
            for oldest in list(_seals)[:-MAX_SEALS]:
                _seals.pop(oldest, None)
        self._seal = seal
        return seal


class StoreTransaction:
    """One login's use of the store. Its methods that return steps are run with ``yield from``.

    `commit` saves what was published and releases the lock. Where the login does not go on, because it failed, its
    task was cancelled or its client gave up, `finish_in_background` does.
    """

    def __init__(self, store: TokenStore | None, username: str) -> None:
        self.seal: Any = None  # a Seal, once `SharedTokens.begin` has made it
        self.record: SharedRecord | None = None  # as it was read last
        self.is_corrupt = False  # whether that could not be read
        self.has_failed = store is None  # then only a pending commit still asks the store
        self._store: Any = store
        self._username = username
        self._lock: StoreLock | None = None
        self._pending: tuple[bytes, float] | None = None  # a record to be saved, and its time to live
        self._is_abandoned = False
        self._is_committing = False
        self._pid = os.getpid()
        self._committing = threading.RLock()  # reentrant: the garbage collector may abandon it anywhere

    @property
    def may_log_in(self) -> bool:
        """Whether no other process has to be waited for: the lock is ours, or there is no store to have one."""
        return self._lock is not None or self.has_failed

    def call(self, function: Callable[[TokenStore], Result]) -> Steps[Result | None]:
        """Do something with the store. Once that has failed, nothing more is done, and None is returned."""
        return None if self.has_failed else (yield Call(lambda: self._ask(function)))

    def _ask(self, function: Callable[[TokenStore], Result]) -> Result | None:
        return self.attempt(lambda: _in_time(partial(function, self._store)))

    def attempt(self, function: Callable[[], Result]) -> Result | None:
        """Do what the store is needed for. Its failure is the store's."""
        try:
            return function()
        except Exception as error:  # noqa: BLE001  whatever a store raises
            if not self.has_failed:
                log.warning("the store of %r failed, going on without it: %s", self._username, _reason(error))
            self.has_failed = True
            return None

    def read(self) -> Steps[SharedRecord | None]:
        """The record that other processes have saved."""
        record = yield from self.call(self._read)
        if not self.has_failed:
            self.record = record
        return record

    def _read(self, store: TokenStore) -> SharedRecord | None:
        from .record import read_record  # only where there is a store
        from .seal import RecordError

        was_corrupt, self.is_corrupt = self.is_corrupt, False
        found = store.load(self.seal.name)
        if found is None:
            return None
        sealed, remaining = found
        try:
            document = self.seal.open(sealed)
        except RecordError as error:  # counts as absent, and is replaced
            self.is_corrupt = True
            if not was_corrupt:
                log.warning(
                    "a record of %r in the store is not used, and will be replaced: %s", self._username, error
                )
            return None
        return None if document is None else read_record(document, remaining)

    def try_lock(self) -> Steps[bool]:
        """Acquire the lock if it is free. Returns whether no other process has to be waited for."""
        if not self.may_log_in:
            yield from self.call(self._try_lock)
        return self.may_log_in

    def _try_lock(self, store: TokenStore) -> None:
        lock = store.lock(self.seal.name, LEASE)
        if lock.acquire():
            self._lock = lock
            if self._is_abandoned:  # its task was cancelled meanwhile
                self._commit(store)

    def publish(self, record: SharedRecord) -> None:
        """Have a record saved at the end of the transaction, whatever happens to the login until then.

        Where the store has failed, a refresh token is worth another try: other processes may have a spent one.
        """
        if self.seal is not None and (not self.has_failed or record.refresh_token is not None):
            self._pending = self.seal.close(record.to_document()), record.ttl

    def delete(self) -> Steps[None]:
        yield from self.call(lambda store: store.delete(self.seal.name))

    def commit(self) -> Steps[None]:
        """Save what was published, and release the lock."""
        if self._is_open:
            yield Call(lambda: self._ask(self._commit))

    def finish_in_background(self) -> None:
        """Commit without a step, in a thread that the program waits for when it ends. Blocks nobody.

        Always in a thread: the garbage collector may call this while this thread is inside the store.
        """
        self._is_abandoned = True
        if not self._is_open or self._is_committing:  # a commit that hangs comes to an end in its own thread
            return
        if not has_started(threading.Thread(target=self._ask, args=(self._commit,), name="notary-auth")):
            self._ask(self._commit)

    @property
    def _is_open(self) -> bool:
        # After a fork, the lock is the parent's, and so is what is to be saved.
        return (self._pending is not None or self._lock is not None) and self._pid == os.getpid()

    def _commit(self, store: TokenStore) -> None:
        with self._committing:
            self._is_committing = True
            try:
                if self._pending is not None:
                    store.save(self.seal.name, *self._pending)
                self._pending = None  # not before: an interrupt in between must not lose it
            except Exception:
                self._pending = None  # a failed save is not tried again
                raise
            finally:
                lock, self._lock = self._lock, None
                if lock is not None:
                    lock.release()
                self._is_committing = False


def _in_time(function: Callable[[], Result]) -> Result:
    """Run a store's function, and raise a TimeoutError where it takes too long.

    The function keeps running in its thread then, and its result is dropped. The thread is a daemon, so it keeps
    no program from ending.
    """
    outcome: list[Callable[[], Result]] = []

    def work() -> None:
        try:
            result = function()
            outcome.append(lambda: result)
        except BaseException as error:  # noqa: BLE001  raised in the caller's thread
            outcome.append(partial(_raise, error))

    thread = threading.Thread(target=copy_context().run, args=(work,), name="notary-auth store", daemon=True)
    if not has_started(thread):
        return function()
    thread.join(STORE_TIMEOUT)
    if not outcome:
        raise TimeoutError(ETIMEDOUT, f"no answer in {STORE_TIMEOUT:g} s")
    return outcome[0]()


def _raise(error: BaseException) -> Any:
    raise error


def _reason(error: Exception) -> str:
    """Why a store failed, as far as it can be told: an error's text may have a URL with a password in it."""
    reason = type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{reason}, {error.strerror}{where}"
    if type(error).__module__.partition(".")[0] == "redis" and not re.search(_URL, text := str(error)):
        reason += f", {text[:200]}"
    if error.__cause__ is not None:
        reason += f" ({type(error.__cause__).__name__})"
    return reason


#: With no store: there is no record, no process has to be waited for, and nothing is saved.
NO_TRANSACTION = StoreTransaction(None, "")
