"""What an account shares with other processes in a store (`stores`): tokens, and that a password was refused.

A *turn* is one login's dealings with the store: look what others have left, take the lock, look again, leave what
came of the login, give the lock back. All of it are steps, so that no event loop is blocked. The lock is tried
for and not waited for, with pauses in between, so that no thread is blocked either. Whatever the store raises
ends the dealings of this turn with a warning, and the login goes on as if there were no store.
"""

import logging
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ._origin import Origin
from ._sealed import RecordError, Seal
from ._secret import Bearer, Document, Secret, digest
from ._steps import Call, Steps
from ._waiting import current_caller
from .errors import CredentialsRefused

if TYPE_CHECKING:
    from .stores import StoreLock, TokenStore

LEASE = 30.0  # seconds after which a dead holder's lock is free
TOKEN_KEPT = 24 * 3600.0  # seconds for which a token of unknown lifetime is kept
REFRESH_TOKEN_KEPT = 30 * 24 * 3600.0  # seconds for which a refresh token is
CLOCK_SLACK = 2.0  # seconds by which a store's clock may seem to go backwards

Result = TypeVar("Result")

log = logging.getLogger("notary_auth")


class Shared(NamedTuple):
    """A record: what a login has left for others. Seconds, and no times, since clocks differ."""

    data_center: Origin
    authorization: Bearer | None = None
    lifetime: float | None = None  # of the token, from when it was asked for; None: not known
    age: float = 0.0  # since then
    refresh_token: Secret | None = None
    is_in_doubt: bool = False  # whether the token has replaced a refused one
    refusal: CredentialsRefused | None = None  # instead of all that: the password was refused
    kept: float = 0.0  # how long the record is to live


class Fleet:
    """An account's place in a store, or in none."""

    def __init__(self, store: "TokenStore | None", username: str, cloud_url: str) -> None:
        self.store = store
        self._username = username
        self._cloud_url = cloud_url
        self._seal: tuple[bytes, bytes, Seal] | None = None  # with the salted digest of its password

    def turn(self, password: Secret) -> Steps["Turn"]:
        """A turn with the store, for this password."""
        if self.store is None:
            return NO_TURN
        turn = Turn(self.store, self._username)
        turn.seal = yield from turn.perform(lambda _: self._sealed(password))
        return turn

    def last_turn(self) -> "Turn":
        """A turn for the password of the last one, without asking for that."""
        if self.store is None or self._seal is None:
            return NO_TURN
        turn = Turn(self.store, self._username)
        turn.seal = self._seal[2]
        return turn

    def _sealed(self, password: Secret) -> Seal:
        """The seal for a password; scrypt runs once for as long as that does not change."""
        known = self._seal
        if known is not None and digest(password, known[0]) == known[1]:
            return known[2]
        salt = os.urandom(16)
        seal = Seal(self._username, password, self._cloud_url)
        self._seal = salt, digest(password, salt), seal
        return seal


class Turn:
    """One login's dealings with the store. Its methods that return steps are to be performed.

    What has to be left there is left, and the lock given back, by `end`; or by `abandon` where the login is not
    gone on with, because its task was cancelled or its client gave up.
    """

    def __init__(self, store: "TokenStore | None", username: str) -> None:
        self.seal: Seal | None = None
        self.shared: Shared | None = None  # what was there when it was looked at last
        self._store = store
        self._username = username
        self._has_failed = False
        self._lock: StoreLock | None = None
        self._pending: tuple[bytes, float] | None = None  # a record to be saved, and for how long
        self._has_ended = False
        self._guard = threading.RLock()  # reentrant, since the garbage collector may abandon it anywhere

    @property
    def is_ours(self) -> bool:
        """Whether there is nobody to wait for: the lock is ours, or there is no store to have one."""
        return self._lock is not None or self._store is None or self._has_failed

    def perform(self, function: Callable[["TokenStore"], Result]) -> Steps[Result | None]:
        """Do something with the store. Once that has failed, nothing more is done, and None is returned."""
        return None if self._has_failed else (yield from self._do(function))

    def _do(self, function: Callable[["TokenStore"], Result]) -> Steps[Result | None]:
        store = self._store
        if store is None:
            return None
        result: Result | _Failure = yield Call(lambda: _outcome(lambda: function(store)))
        if not isinstance(result, _Failure):
            return result
        self._has_failed = True
        log.warning("the store of %r failed, so this process logs in for itself: %s", self._username, result.why)
        return None

    def load(self) -> Steps[Shared | None]:
        """What others have left."""
        self.shared = yield from self.perform(self._load)
        return self.shared

    def _load(self, store: "TokenStore") -> Shared | None:
        found = store.load(self._seal.name)
        document = None if found is None else self._seal.open(found[0])
        return None if found is None or document is None else _read(document, found[1])

    def acquire(self) -> Steps[bool]:
        """Take the lock if nobody has it. Returns whether there is nobody to wait for."""
        if not self.is_ours:
            yield from self.perform(self._acquire)
        return self.is_ours

    def _acquire(self, store: "TokenStore") -> None:
        lock = store.lock(self._seal.name, LEASE)
        if not lock.acquire():
            return
        with self._guard:
            if not self._has_ended:
                self._lock = lock
                return
        lock.release()  # who wanted it has been cancelled meanwhile

    def leave(self, shared: Shared) -> None:
        """Have a record saved when the turn ends, whatever becomes of the login till then."""
        if self._store is not None and not self._has_failed:
            document = _written(shared)
            self._pending = self._seal.close(document), document["kept"]

    def delete(self) -> Steps[None]:
        """Remove the record."""
        yield from self.perform(lambda store: store.delete(self._seal.name))

    def end(self) -> Steps[None]:
        """Save what is to be left, and give the lock back."""
        if self._is_owing:
            yield from self._do(self._end)

    def abandon(self) -> None:
        """Do the same without a step. It blocks no event loop; after `end`, it does nothing."""
        store = self._store
        if store is None:  # before all else: this turn is everybody's
            return
        with self._guard:
            if not self._is_owing:
                self._has_ended = True
                return
        if current_caller().loop is None:
            _outcome(lambda: self._end(store))
            return
        thread = threading.Thread(target=_outcome, args=(lambda: self._end(store),), name="notary-auth")
        try:
            thread.start()  # no daemon: a program that ends does this first
        except RuntimeError:  # the interpreter is shutting down
            _outcome(lambda: self._end(store))

    @property
    def _is_owing(self) -> bool:
        return not self._has_ended and (self._pending is not None or self._lock is not None)

    def _end(self, store: "TokenStore") -> None:
        with self._guard:
            if self._has_ended:
                return
            self._has_ended = True
        try:
            if self._pending is not None:
                store.save(self._seal.name, *self._pending)
        finally:
            if self._lock is not None:
                self._lock.release()

    @property
    def _seal(self) -> Seal:
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
        elif isinstance(error, RecordError):
            self.why = str(error)


def _outcome(function: Callable[[], Result]) -> "Result | _Failure":
    try:
        return function()
    except Exception as error:  # noqa: BLE001  whatever a store raises
        return _Failure(error)


def _kept(shared: Shared) -> float:
    """Seconds that a token's record is worth keeping."""
    if shared.refresh_token is not None:
        return REFRESH_TOKEN_KEPT
    return TOKEN_KEPT if shared.lifetime is None else shared.lifetime - shared.age


def _written(shared: Shared) -> dict[str, Any]:
    """What is sealed: a JSON object."""
    document: dict[str, Any] = {
        "kept": shared.kept or _kept(shared),
        "age": shared.age,
        "data_center": str(shared.data_center),
    }
    if shared.refusal is not None:
        return {**document, "message": shared.refusal.args[0], "refusal": shared.refusal.details()}
    return {
        **document,
        "authorization": str(shared.authorization),
        "lifetime": shared.lifetime,
        "refresh_token": None if shared.refresh_token is None else shared.refresh_token.value,
        "is_in_doubt": shared.is_in_doubt,
    }


def _read(document: Document, left: float) -> Shared | None:
    """The record, so much older as it has less left to live; None where the store's clock was set back."""
    kept = document["kept"]
    if left > kept + CLOCK_SLACK:
        return None
    age = document["age"] + max(0.0, kept - left)
    data_center = Origin.of_base_url(document["data_center"])
    if "refusal" in document:
        refusal = CredentialsRefused(document["message"], **document["refusal"])
        return Shared(data_center, age=age, refusal=refusal, kept=kept)
    refresh_token = document["refresh_token"]
    return Shared(
        data_center,
        Bearer(document["authorization"].removeprefix("Bearer ")),
        document["lifetime"],
        age,
        None if refresh_token is None else Secret(refresh_token),
        document["is_in_doubt"],
        kept=kept,
    )


#: With no store: nothing is there, nobody is waited for, and nothing is left.
NO_TURN = Turn(None, "")
