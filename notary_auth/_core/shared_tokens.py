"""What an account shares with other processes in a store (`stores`): tokens, and that a password was refused.

A *turn* is one login's dealings with the store: look what others have left, take the lock, look again, leave what
came of the login, give the lock back. All of it are steps, so that no event loop is blocked. The lock is tried
for and not waited for, with pauses in between, so that no thread is blocked either. Whatever the store raises
ends the dealings of this turn with a warning, and the login goes on as if there were no store.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from notary_auth._secrets import Bearer, Document, Secret, digest
from notary_auth._wire.origin import Origin
from notary_auth.errors import CredentialsRefused

from .steps import Call, Steps

if TYPE_CHECKING:
    from notary_auth._core.token_store import StoreLock, TokenStore

    from .seal import Seal

LEASE = 30.0  # seconds after which a dead holder's lock is free
TOKEN_TTL = 24 * 3600.0  # seconds for which a token of unknown lifetime is kept
REFRESH_TOKEN_TTL = 30 * 24 * 3600.0  # seconds for which a refresh token is
REFUSAL_SLACK = 3600.0  # seconds by which the clocks of two machines may differ for a refusal to be believed
CLOCK_SLACK = 2.0  # seconds by which a store's clock may seem to go backwards

Result = TypeVar("Result")

log = logging.getLogger("notary_auth")


class SharedRecord(NamedTuple):
    """A record: what a login has left for others. Seconds, and no times, since clocks differ."""

    data_center: Origin
    authorization: Bearer | None = None
    lifetime: float | None = None  # of the token, from when it was asked for; None: not known
    age: float = 0.0  # since then
    refresh_token: Secret | None = None
    refusal: CredentialsRefused | None = None  # instead of all that: the password was refused
    kept: float = 0.0  # how long the record is to live


class SharedTokens:
    """An account's place in a store, or in none."""

    def __init__(self, store: "TokenStore | None", username: str, cloud_url: str) -> None:
        self.store = store
        self._username = username
        self._cloud_url = cloud_url
        self._seal: tuple[bytes, bytes, Seal] | None = None  # with the salted digest of its password

    def turn(self, password: Secret) -> Steps["StoreTransaction"]:
        """A turn with the store, for this password."""
        if self.store is None:
            return NO_TRANSACTION
        turn = StoreTransaction(self.store, self._username)
        turn.seal = yield from turn.perform(lambda _: self._sealed(password))
        return turn

    def last_turn(self) -> "StoreTransaction":
        """A turn for the password of the last one, without asking for that."""
        if self.store is None or self._seal is None:
            return NO_TRANSACTION
        turn = StoreTransaction(self.store, self._username)
        turn.seal = self._seal[2]
        return turn

    def _sealed(self, password: Secret) -> "Seal":
        """The seal for a password; scrypt runs once for as long as that does not change."""
        known = self._seal
        if known is not None and digest(password, known[0]) == known[1]:
            return known[2]
        from .seal import Seal  # only where there is a store

        salt = os.urandom(16)
        seal = Seal(self._username, password, self._cloud_url)
        self._seal = salt, digest(password, salt), seal
        return seal


class StoreTransaction:
    """One login's dealings with the store. Its methods that return steps are to be performed.

    What has to be left there is left, and the lock given back, by `end`; or by `abandon` where the login is not
    gone on with, because its task was cancelled or its client gave up.
    """

    def __init__(self, store: "TokenStore | None", username: str) -> None:
        self.seal: Seal | None = None
        self.shared: SharedRecord | None = None  # what was there when it was looked at last
        self.is_torn = False  # whether that could not be read
        self.has_failed = False
        self._store = store
        self._username = username
        self._seen: bytes | None = None  # `shared` as it was sealed
        self._lock: StoreLock | None = None
        self._pending: tuple[bytes, float] | None = None  # a record to be saved, and for how long
        self._is_abandoned = False
        self._ending = threading.RLock()  # reentrant, since the garbage collector may abandon it anywhere

    @property
    def is_ours(self) -> bool:
        """Whether there is nobody to wait for: the lock is ours, or there is no store to have one."""
        return self._lock is not None or self._store is None or self.has_failed

    def perform(self, function: Callable[["TokenStore"], Result]) -> Steps[Result | None]:
        """Do something with the store. Once that has failed, nothing more is done, and None is returned."""
        return None if self.has_failed else (yield from self._do(function))

    def _do(self, function: Callable[["TokenStore"], Result]) -> Steps[Result | None]:
        store = self._store
        if store is None:
            return None
        result: Result | _Failure = yield Call(lambda: _outcome(lambda: function(store)))
        if not isinstance(result, _Failure):
            return result
        self.has_failed = True
        log.warning("the store of %r failed, going on without it: %s", self._username, result.why)
        return None

    def load(self) -> Steps[SharedRecord | None]:
        """What others have left."""
        found = yield from self.perform(self._load)
        if not self.has_failed:
            self.shared = found
        return found

    def _load(self, store: "TokenStore") -> SharedRecord | None:
        from .seal import RecordError

        found = store.load(self._seal.name)
        self.is_torn = False
        if found is None:
            self._seen = None
            return None
        record, left = found
        is_known = record == self._seen
        self._seen = record
        try:
            document = self._seal.open(record)
        except RecordError as error:  # as good as none: it is replaced
            if not is_known:
                log.warning("a record of %r in the store is not used: %s", self._username, error)
            self.is_torn = True
            return None
        return None if document is None else _read(document, left)

    def acquire(self) -> Steps[bool]:
        """Take the lock if nobody has it. Returns whether there is nobody to wait for."""
        if not self.is_ours:
            yield from self.perform(self._acquire)
        return self.is_ours

    def _acquire(self, store: "TokenStore") -> None:
        lock = store.lock(self._seal.name, LEASE)
        if lock.acquire():
            self._lock = lock
            if self._is_abandoned:  # who wanted it has been cancelled meanwhile
                self._end(store)

    def leave(self, shared: SharedRecord) -> None:
        """Have a record saved when the turn ends, whatever becomes of the login till then.

        Where the store has failed, a refresh token is worth another try: others may have one that is spent.
        """
        if self.seal is not None and (not self.has_failed or shared.refresh_token is not None):
            document = _written(shared)
            self._pending = self.seal.close(document), document["kept"]

    def delete(self) -> Steps[None]:
        """Remove the record."""
        yield from self.perform(lambda store: store.delete(self._seal.name))

    def end(self) -> Steps[None]:
        """Save what is to be left, and give the lock back."""
        if self._is_owing:
            yield from self._do(self._end)

    def abandon(self) -> None:
        """Do the same without a step, in a thread that is waited for when the program ends. Blocks nobody.

        A thread also where there is no event loop: the garbage collector may call this in the middle of the store.
        """
        store = self._store
        self._is_abandoned = True
        if store is None or not self._is_owing:
            return
        thread = threading.Thread(target=_outcome, args=(lambda: self._end(store),), name="notary-auth")
        try:
            thread.start()
        except RuntimeError:  # the interpreter is shutting down
            _outcome(lambda: self._end(store))

    @property
    def _is_owing(self) -> bool:
        return self._pending is not None or self._lock is not None

    def _end(self, store: "TokenStore") -> None:
        with self._ending:
            try:
                if self._pending is not None:
                    store.save(self._seal.name, *self._pending)
                self._pending = None  # not before: an interrupt in between must not lose it
            except Exception:
                self._pending = None  # a store that has failed is not asked again
                raise
            finally:
                lock, self._lock = self._lock, None
                if lock is not None:
                    lock.release()

    @property
    def _seal(self) -> "Seal":
        if self.seal is None:
            raise RuntimeError("a turn without a seal")
        return self.seal


class _Failure:
    """What a store raised, as far as it can be told: its text may have a URL with a password in it."""

    __slots__ = ("why",)

    def __init__(self, error: Exception) -> None:
        self.why = type(error).__name__
        if isinstance(error, OSError) and error.strerror:
            self.why += f", {error.strerror}" + (f": {error.filename}" if error.filename else "")


def _outcome(function: Callable[[], Result]) -> "Result | _Failure":
    try:
        return function()
    except Exception as error:  # noqa: BLE001  whatever a store raises
        return _Failure(error)


def _kept(shared: SharedRecord) -> float:
    """Seconds that a token's record is worth keeping."""
    if shared.refresh_token is not None:
        return REFRESH_TOKEN_TTL
    return TOKEN_TTL if shared.lifetime is None else shared.lifetime - shared.age


def _written(shared: SharedRecord) -> Document:
    """What is sealed: a JSON object."""
    document = Document(kept=shared.kept or _kept(shared), age=shared.age, data_center=str(shared.data_center))
    if shared.refusal is not None:
        document.update(message=shared.refusal.args[0], refusal=shared.refusal.details(), at=time.time())
        return document
    document.update(
        authorization=str(shared.authorization),
        lifetime=shared.lifetime,
        refresh_token=None if shared.refresh_token is None else shared.refresh_token.value,
    )
    return document


def _read(document: Document, left: float) -> SharedRecord | None:
    """The record, so much older as it has less left to live; None where the store's clock was set back."""
    kept = document["kept"]
    if left > kept + CLOCK_SLACK:
        return None
    age = document["age"] + max(0.0, kept - left)
    data_center = Origin.of_base_url(document["data_center"])
    if "refusal" in document:
        # Whoever can write to the store could keep one there for ever. A wrong clock costs another attempt.
        if abs(time.time() - document["at"]) > kept + REFUSAL_SLACK:
            return None
        refusal = CredentialsRefused(document["message"], **document["refusal"])
        return SharedRecord(data_center, age=age, refusal=refusal, kept=kept)
    refresh_token = document["refresh_token"]
    return SharedRecord(
        data_center,
        Bearer(document["authorization"].removeprefix("Bearer ")),
        document["lifetime"],
        age,
        None if refresh_token is None else Secret(refresh_token),
        kept=kept,
    )


#: With no store: nothing is there, nobody is waited for, and nothing is left.
NO_TRANSACTION = StoreTransaction(None, "")
