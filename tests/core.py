"""The seam between the tests and the inside of the library: the only file here that names anything private.

A redesign of the library changes this file and leaves the tests as they are; `test_seam.py` keeps it so. It has

* what an adapter sees: steps, requests, replies, and the questions that an account answers;
* conversations performed by hand, without sockets, on a clock that the test moves;
* the parts of the core and of the wire protocol, for the tests of a part alone, which do use a part's own names;
* the inside of an account, a store and the sandbox, by what a test wants to know of it or do to it.

This is no double of the platform (the sandbox is the only one): a test says itself what each control request is
answered with, reply by reply.
"""

from __future__ import annotations

import base64
import inspect
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import Context, copy_context
from copy import copy
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

import notary_auth
import notary_auth.aiohttp as aiohttp_module
from notary_auth import Account, CredentialsRefused, NotaryAuthError
from notary_auth import _extras as extras_module
from notary_auth._adapters import session_auth
from notary_auth._adapters import session_control as session_module
from notary_auth._adapters.auth import Adapter
from notary_auth._adapters.drivers import _TaskWaker as TaskWaker
from notary_auth._adapters.drivers import _ThreadWaker as ThreadWaker
from notary_auth._adapters.drivers import _TrioWaker as TrioWaker
from notary_auth._adapters.drivers import aperform, perform
from notary_auth._adapters.httpx_auth import _readdressed as readdressed
from notary_auth._cli import account as commands_module
from notary_auth._core import account as account_module
from notary_auth._core import control as control_module
from notary_auth._core import data_center as data_center_module
from notary_auth._core import login as login_module
from notary_auth._core import seal as seal_module
from notary_auth._core import shared_tokens as store_module
from notary_auth._core import single_flight as single_flight_module
from notary_auth._core import token as token_module
from notary_auth._core import token_cache as cache_module
from notary_auth._core.account import MAX_REPLAYS, arguments_of, has_tokens
from notary_auth._core.caller import Caller, Login, current_caller, led_logins
from notary_auth._core.credentials import check_credentials, flaw_of_text
from notary_auth._core.data_center import MAX_WARNED_ORIGINS, DataCenter
from notary_auth._core.effort import AHEAD, FULL, MAX_ATTEMPTS, STORE_LOCK_TIMEOUT, Effort
from notary_auth._core.login import log_in
from notary_auth._core.parts import Parts
from notary_auth._core.record import MACHINES_SLACK, REFRESH_TOKEN_TTL, TOKEN_TTL, SharedRecord
from notary_auth._core.refusals import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    MAX_FAILURES,
    REFUSAL_TTL,
    FailedAttempts,
    Refusal,
    Refusals,
)
from notary_auth._core.seal import RecordError, Seal
from notary_auth._core.shared_tokens import LEASE, MAX_SEALS, SharedTokens
from notary_auth._core.single_flight import (
    LEADER_TIMEOUT,
    LIVENESS_INTERVAL,
    LIVENESS_PATIENCE,
    MAX_LOST_LEADERS,
    SingleFlight,
)
from notary_auth._core.state_lock import StateLock
from notary_auth._core.steps import (
    UNSIGNED,
    Call,
    Drain,
    Received,
    SendControl,
    Signature,
    Sleep,
    Steps,
    WaitForLogin,
)
from notary_auth._core.steps import Step as CoreStep
from notary_auth._core.token import NO_TOKEN, REFRESH_MARGIN, REFRESH_PAUSE, Token, clock
from notary_auth._core.token_cache import TokenCache
from notary_auth._core.unauthorized import UNAUTHORIZED_BACKOFF, Action, Event, State, UnauthorizedPolicy
from notary_auth._secrets import Bearer, Document, Secret, SecretBytes, strip_tracebacks
from notary_auth._wire import protocol as protocol_module
from notary_auth._wire.explanation import RETRIED
from notary_auth._wire.messages import BODY_LIMIT, ControlBody, ControlRequest, ControlResponse
from notary_auth._wire.origin import MAX_BASE_URL, Origin
from notary_auth._wire.protocol import (
    MAX_TOKEN,
    RETRY_AFTER_LIMIT,
    TokenEndpoint,
    pause_before,
    read_lookup,
)
from notary_auth._wire.protocol import _parsed_date as parse_date
from notary_auth.sandbox import Sandbox
from notary_auth.sandbox._model import HOSTS
from notary_auth.sandbox._server import ADDRESS
from notary_auth.sandbox._server import _listen as listen
from notary_auth.stores import MemoryStore

from . import grants
from .paths import FILES, LOOKUP

CLOUD = "https://cloud.acronis.com"
HOME = "https://eu2-cloud.acronis.com"
NEW_HOME = "https://us5-cloud.acronis.com"
PASSWORD = "qwe123QWE"
LIBRARY = str(Path(notary_auth.__file__).parent)


# Conversations by hand: the questions that an adapter asks, one after the other, about one request of the user's


class Forward:
    """The user's own request, which an adapter sends between two questions. Send back what it `Received`."""

    __slots__ = __match_args__ = ("signature",)

    def __init__(self, signature: Signature) -> None:
        self.signature = signature


Step = CoreStep | Forward


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


def new_account(**arguments: Any) -> Account:
    """JohnSmith's account, a user's or an API client's by the test's grant, on a `Clock` (`clock_of`)."""
    arguments = {"username": "JohnSmith", "password": PASSWORD, **arguments}
    if grants.is_clients():
        client = {"client_id": arguments.pop("username"), "client_secret": arguments.pop("password")}
        return new_client(**client, **arguments)
    account = Account(**arguments)
    set_clock(account, Clock())
    return account


def new_client(**arguments: Any) -> Account:
    """An API client's account, on a clock that the test moves."""
    defaults = {"client_id": "client-1", "client_secret": "geheim: & 9€", "server_url": HOME}
    account = Account.for_client(**{**defaults, **arguments})
    set_clock(account, Clock())
    return account


def basic_of(request: ControlRequest) -> str:
    """What stands in a request's Basic credentials, decoded."""
    return base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()


def clock_of(account: Account) -> Clock:
    found_clock = account._now
    assert isinstance(found_clock, Clock)
    return found_clock


def reply(status: int = 200, document: object = None, headers: Mapping[str, str] | None = None) -> ControlResponse:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return ControlResponse(status, dict(headers or {}), SecretBytes(body))  # as `ControlBody` has it


class Found(ControlResponse):
    """A response to discovery. An API client makes none, and is not sent this."""


def found(server_url: object = HOME) -> ControlResponse:
    return Found(*reply(200, {"login": "JohnSmith", "id": 0, "server_url": server_url}))


def granted(token: str = "token-1", lifetime: float | None = 7200, **fields: object) -> ControlResponse:
    document: dict[str, object] = {"access_token": token, "token_type": "bearer"}
    if lifetime is not None:
        document["expires_in"] = lifetime
    document.update(fields)
    return reply(200, {name: value for name, value in document.items() if value is not ...})


def refused(
    error: str = "access_denied", description: str = "Wrong login or password", status: int = 401
) -> ControlResponse:
    return reply(status, {"error": error, "error_description": description})


@dataclass
class Conversation:
    """A conversation under way, and what came of it so far."""

    steps: Any
    context: Context = field(default_factory=copy_context)  # each caller is a task of its own
    sent: list[ControlRequest] = field(default_factory=list)
    signatures: list[Signature] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    step: Step | None = None
    error: NotaryAuthError | None = None

    def start(self) -> Step | None:
        return self.send(None)

    def send(self, result: object) -> Step | None:
        """Send a result in. Returns the next step; None when it is over, with or without an `error`."""
        if grants.is_clients() and isinstance(result, Found):
            assert not self.sent or urlsplit(self.sent[-1].url).path != LOOKUP, "it looks the data center up"
            return self.step
        try:
            self.step = self.context.run(self.steps.send, result)
        except StopIteration:
            self.step = None
        except NotaryAuthError as error:
            self.step = None
            self.error = error
        match self.step:
            case SendControl(request):
                self.sent.append(request)
            case Forward(signature):
                self.signatures.append(signature)
            case Sleep(seconds):
                self.pauses.append(seconds)
        return self.step

    def throw(self, error: Exception) -> Step | None:
        """Let the client's own error come in place of a result. Returns the next step."""
        self.step = self.context.run(self.steps.throw, error)
        return self.step

    def close(self) -> None:
        self.context.run(self.steps.close)
        self.step = None

    def perform_calls(self) -> Step | None:
        """Perform what may block, up to another step. Returns that."""
        while isinstance(self.step, Call):
            self.send(self.step.function())
        return self.step

    def go_on(self, *results: Any) -> Conversation:
        """Perform steps to the end, with `results` for control calls and answers to the user's request.

        An int stands for an answer of that status to the request as it was signed. A request that nothing is
        left for is answered by 200; a control call that nothing is left for is a failure of the test.
        """
        left = list(results)
        step = self.step
        while step is not None:
            match step:
                case SendControl(request):
                    assert left, f"unexpected control call: {request}"
                    step = self.send(left.pop(0))
                case Forward(signature):
                    step = self.send(self.answer_to(signature, left.pop(0) if left else 200))
                case Sleep():
                    step = self.send(None)
                case Call(function):
                    step = self.send(function())
                case WaitForLogin():
                    raise AssertionError("has to wait for another caller")
        assert not left, f"not asked for: {left}"
        return self

    def answer_to(self, signature: Signature, result: Any) -> Received:
        """What a request with this signature is answered with; an int stands for a status."""
        if isinstance(result, Received):
            return result
        return Received(result, signature.url or HOME + FILES, signature.authorization, can_replay=True)

    @property
    def authorizations(self) -> list[str | None]:
        return [signature.authorization for signature in self.signatures]

    @property
    def paths(self) -> list[str]:
        """The paths of the control calls."""
        return [urlsplit(request.url).path for request in self.sent]


def steps_of(account: Account, url: str, received: Received | None = None) -> Any:
    """The steps of a request; with `received`, of one that was sent before and got that response."""
    if received is None:
        signature = account.cached_signature(url) or (yield from account.sign(url))
        received = yield Forward(signature)
        if received.status != 401:
            return
    for replays in count():
        again = yield from _without_drains(account.reauthorize(replayed(received, replays)))
        if again is None:
            return
        received = yield Forward(again)


def _without_drains(steps: Steps[Any]) -> Any:
    """The same steps but for `Drain`: here there is no connection that anybody could wait for."""
    try:
        step = steps.send(None)
        while True:
            if isinstance(step, Drain):
                step = steps.send(None)
                continue
            try:
                result = yield step
            except Exception as error:
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as end:
        return end.value
    finally:
        steps.close()


def begin(
    account: Account,
    url: str = CLOUD + FILES,
    answer: Received | None = None,
    *,
    context: Context | None = None,
) -> Conversation:
    """A request's conversation up to its first step; in a context of its own, or in another caller's."""
    conversation = Conversation(steps_of(account, url, answer), context or copy_context())
    conversation.start()
    return conversation


def signature_of_replay(account: Account, received: Received) -> Signature | None:
    """What an account with a good token says to send a request again with."""
    _, signature = finish(account.reauthorize(received))
    return signature  # type: ignore[no-any-return]


def begin_log_out(account: Account) -> Conversation:
    conversation = Conversation(account.log_out())
    conversation.start()
    return conversation


def log_out(account: Account, *results: Any) -> Conversation:
    """A whole logout. Raises nothing: what went wrong is its `error`."""
    conversation = begin_log_out(account).go_on(*results)
    assert not conversation.signatures
    return conversation


def cached_signature(account: Account, url: str) -> Signature | None:
    """The warm path: the signature of a request that needs only to be signed, else None."""
    return account.cached_signature(url)


def complete(
    account: Account, *results: Any, url: str = CLOUD + FILES, answer: Received | None = None
) -> Conversation:
    """A request's whole conversation. Raises its error, if it ends in one."""
    conversation = begin(account, url, answer).go_on(*results)
    if conversation.error is not None:
        raise conversation.error
    return conversation


def logged_in(**arguments: Any) -> Account:
    """An account with the token "token-1", good for two hours."""
    account = new_account(**arguments)
    complete(account, found(), granted())
    return account


def replayed(received: Received, replays: int) -> Received:
    """The same for a request that was replayed so often before."""
    again = copy(received)
    again.replays = replays
    return again


def answered(status: int, token: str | None, url: str = HOME + FILES, can_replay: bool = True) -> Received:
    return Received(status, url, token and f"Bearer {token}", can_replay)


# Parts of an account, each alone


def new_single_flight() -> SingleFlight:
    """The logins of no account, on a clock of their own."""
    return SingleFlight(StateLock(), Clock(), NotaryAuthError)


def new_token_cache(seconds: Callable[[], float]) -> TokenCache:
    """A cache of no account."""
    lock = StateLock()
    return TokenCache("JohnSmith", lock, seconds, SingleFlight(lock, seconds, NotaryAuthError))


def token_good_for(lifetime: float, now: float, value: str = "token-1") -> Token:
    return Token.issued(Bearer(value), Origin.of_base_url(HOME), now, lifetime)


def new_login(seconds: Callable[[], float], store: Any = None, **arguments: Any) -> Parts:
    """The parts that a login works with, without an account."""
    defaults = {"username": "JohnSmith", "password": PASSWORD, "totp": None, "offline_access": False}
    credentials = check_credentials(**{**defaults, **arguments})
    parts = Parts(credentials, Origin.of_base_url(CLOUD), None, store)
    set_clock_of(parts, seconds)
    return parts


def set_clock_of(parts: Parts, seconds: Callable[[], float]) -> None:
    parts.now = parts.cache._now = parts.single_flight._now = seconds


def finish(steps: Steps[Any], *results: Any) -> tuple[list[ControlRequest], Any]:
    """Perform steps to the end, with `results` for control requests. Returns these, and what the steps return."""
    left, sent, result = list(results), [], None
    try:
        while True:
            match steps.send(result):
                case SendControl(request):
                    sent.append(request)
                    result = left.pop(0)
                case Call(function):
                    result = function()
                case _:
                    result = None
    except StopIteration as end:
        assert not left, f"not asked for: {left}"
        return sent, end.value


# The inside of an account


class RememberedRefusal(NamedTuple):
    """A password that was refused, as an account remembers it: by a salted digest."""

    salt: bytes
    digest: bytes
    until: float  # seconds of the account's clock
    error: CredentialsRefused


def now(account: Account) -> float:
    """Seconds on the account's clock."""
    return account._now()


def set_clock(account: Account, seconds: Callable[[], float]) -> None:
    account._now = seconds
    set_clock_of(account._parts, seconds)


def advance(account: Account, seconds: float) -> None:
    """Let time go by for this account only, whatever its clock is."""
    before = account._now
    if isinstance(before, Clock):
        before.advance(seconds)
    else:
        set_clock(account, lambda: before() + seconds)


def token_of(account: Account) -> Token:
    """The current token."""
    return account._cache.current


def is_on_probation(account: Account) -> bool:
    """Whether the current token has replaced a rejected one, and no replay has shown that it works."""
    return account._parts.policy.state is State.PROBATION


def make_token_due(account: Account) -> None:
    """Let the current token be due for its refresh."""
    account._cache.current.refresh_at = 0.0


def make_token_expired(account: Account) -> None:
    token = account._cache.current
    token.refresh_at = token.expires_at = 0.0


def postpone_refresh(account: Account, moment: float) -> None:
    """Push the refresh of the current token back, as the caller does that finds it due at this moment."""
    assert account._cache.postpone_refresh(account._cache.current, moment)


def send_token_to(account: Account, host: str) -> None:
    """Break rule 4: let this host pass for the data center that the token is good at."""
    token = account._cache.current
    assert token.data_center is not None
    token.data_center = token.data_center._replace(host=host)
    token.prefix = f"{token.data_center}/"


def is_logged_in(account: Account) -> bool:
    return has_tokens(account)


def lookup_is_due(account: Account) -> bool:
    return account._parts.data_center.is_lookup_due


def current_login(account: Account) -> Login | None:
    """The login that is under way, whoever leads it."""
    return account._parts.single_flight._latest


def places_that_wait(login: Login) -> int:
    """In how many places somebody waits for a login: all threads are one, each event loop is one."""
    return len(login._wakers)


def tasks_that_wait(login: Login) -> int:
    """How many tasks of asyncio loops wait for a login."""
    return sum(len(waker._waiting) for waker in login._wakers.values() if isinstance(waker, TaskWaker))


def callers_that_wait(account: Account) -> int:
    """How many threads and tasks wait for the login that is under way."""
    login = current_login(account)
    if login is None:
        return 0
    wakers = list(login._wakers.values())
    waits = [frame for frame in sys._current_frames().values() if frame.f_code is ThreadWaker.wait.__code__]
    threads = sum(any(frame.f_locals["self"] is waker for waker in wakers) for frame in waits)
    in_trio = [waker._event.statistics().tasks_waiting for waker in wakers if isinstance(waker, TrioWaker)]
    return threads + tasks_that_wait(login) + sum(in_trio)


def somebody_waits(account: Account) -> bool:
    """Whether a login is under way, and somebody waits for it."""
    login = current_login(account)
    return login is not None and places_that_wait(login) > 0


def logins_led_in(context: Context) -> tuple[Login, ...]:
    """The logins that whatever runs in this context is a part of (rule 8)."""
    return context.run(led_logins.get)


def remembered_refusals(account: Account) -> list[RememberedRefusal]:
    return [
        RememberedRefusal(each.salt, each.digest, each.until, each.error)
        for each in account._parts.refusals._by_data_center.values()
    ]


def lock_of(account: Account) -> AbstractContextManager[bool]:
    """The lock of the account's state."""
    return account._parts.lock()


def is_lock_held(account: Account) -> bool:
    """Whether this very thread holds the lock of the account's state."""
    lock: Any = account._parts.lock()
    return bool(lock._is_owned())


def forbid_lock(account: Account) -> None:
    """Let everybody fail who reaches for the lock of the account's state."""
    account._parts.lock = None  # type: ignore[assignment]


def parts_of(account: Account) -> str:
    """The reprs of an account and of what it consists of."""
    token = account._cache.current
    return repr([account, account._parts.credentials, account._parts.single_flight, token, token.signature])


def inside_of(account: Account) -> str:
    """What a debugger shows of an account: all attributes. A password that is no callable is one of them."""
    return parts_of(account) + repr(
        [vars(account), vars(account._cache), vars(account._parts.refusals), account._parts.credentials]
    )


def record_in_store(account: Account) -> str:
    """What a debugger shows of the record that the account's store holds, while a login is busy with it."""
    transaction = account._parts.shared_tokens.begin_again()
    steps = transaction.read()
    step = next(steps)
    assert isinstance(step, Call)
    with pytest.raises(StopIteration):
        steps.send(step.function())
    assert transaction.record is not None
    return repr([transaction.record, vars(transaction), transaction.seal])


def lock_in_store(account: Account, store: Any, password: str) -> Any:
    """The lock that the account's logins take in a store."""
    return store.lock(Seal(account.username, Secret(password), account.cloud_url).name, 30)


# What a test changes for its own time


Patch = pytest.MonkeyPatch


@contextmanager
def calling_as(caller: Caller) -> Iterator[None]:
    """Let this caller call the core, without jitter, so that an order of events happens the same way each time."""
    replaced = [
        (single_flight_module, "current_caller", lambda: caller),
        (control_module, "random", lambda: 0.5),
        (login_module, "random", lambda: 0.5),
        (token_module, "uniform", lambda low, high: (low + high) / 2),
    ]
    before = [getattr(module, name) for module, name, _ in replaced]
    for module, name, value in replaced:
        setattr(module, name, value)
    try:
        yield
    finally:
        for (module, name, _), value in zip(replaced, before, strict=True):
            setattr(module, name, value)


def cheapen_scrypt(patch: Patch) -> None:
    """Let a key cost a millisecond, and not a third of a second."""
    patch.setattr(seal_module, "SCRYPT_COST", 2**10)


def scrypt_parameters() -> tuple[int, int, int]:
    """Cost, block size and passes."""
    return seal_module.SCRYPT_COST, seal_module.SCRYPT_BLOCK, seal_module.SCRYPT_PASSES


def forget_seals() -> None:
    """Let scrypt run for each test anew, as in a process of its own."""
    store_module._seals.clear()


def note_seals(patch: Patch, made: list[str]) -> None:
    """Add the user name of each seal that is made to `made`."""

    class Noted(Seal):
        def __init__(self, *arguments: Any) -> None:
            made.append(arguments[0])
            super().__init__(*arguments)

    patch.setattr(seal_module, "Seal", Noted)


def hold_seals(patch: Patch, may_go_on: threading.Semaphore) -> None:
    """Let a key be made only when it is let."""

    class Held(Seal):
        def __init__(self, *arguments: Any) -> None:
            assert may_go_on.acquire(timeout=20)
            super().__init__(*arguments)

    patch.setattr(seal_module, "Seal", Held)


def fail_seals(patch: Patch, error: type[BaseException]) -> None:
    """Let no key be made."""

    def fail(*_: object) -> None:
        raise error

    patch.setattr(seal_module, "Seal", fail)


def interrupt_sealing(patch: Patch) -> None:
    """Raise a KeyboardInterrupt where a record is being sealed."""

    patch.setattr(seal_module.os, "urandom", _interrupt)


def forbid_locks_without_store(patch: Patch) -> None:
    """Let accounts that have no store fail if they take a lock that they share with others."""
    patch.setattr(store_module.NO_TRANSACTION, "_committing", None)


def forget_every_refusal(patch: Patch) -> None:
    """Break rule 9: no account remembers what was refused."""
    patch.setattr(Refusals, "find", lambda *_: None)


def look_after_leaders_every(patch: Patch, seconds: float) -> None:
    """Let waiters look so often whether the leader may go on, and take its loop for stopped after three looks."""
    patch.setattr(single_flight_module, "LIVENESS_INTERVAL", seconds)
    patch.setattr(single_flight_module, "LIVENESS_PATIENCE", 3 * seconds)


def shorten_store_lock_timeout(seconds: float) -> None:
    """For a process of its own: wait no longer than that for another process's login."""
    cache_module.FULL = cache_module.FULL._replace(store_timeout=seconds)


def keep_no_tokens(patch: Patch) -> None:
    """Let the commands find no place for a store."""
    patch.setattr(commands_module, "users_store", lambda: None)


def set_store_timeout(patch: Patch, seconds: float) -> None:
    """Let a store have so long for each call."""
    patch.setattr(store_module, "STORE_TIMEOUT", seconds)


def warn_of_origins(patch: Patch, count: int) -> None:
    """Remember no more foreign origins than that."""
    patch.setattr(data_center_module, "MAX_WARNED_ORIGINS", count)


def set_control_timeout(patch: Patch, connect: float, read: float) -> None:
    """The time-outs of control requests of requests, niquests and aiohttp, in seconds."""
    for module in (session_module, aiohttp_module):
        patch.setattr(module, "TIMEOUT", (connect, read))


def use_session_type(patch: Patch, auth_type: type, session_type: type) -> None:
    """Let control requests go through sessions of this type."""
    patch.setattr(auth_type, "_session_type", session_type)


def shorten_pauses(patch: Patch) -> None:
    """Let nobody wait out a Retry-After or a pause between two attempts."""
    patch.setattr(protocol_module, "RETRY_AFTER_LIMIT", 0.05)
    patch.setattr(protocol_module, "pause_before", lambda *_: 0.01)


def hide_modules(patch: Patch, *names: str) -> None:
    """Let these modules look as if nobody had installed them; without names, all."""
    real = extras_module.find_spec
    patch.setattr(extras_module, "find_spec", lambda name: None if name in (names or (name,)) else real(name))


def hide_sandbox(patch: Patch) -> None:
    """Let the extra ``sandbox`` look as if nobody had installed it, and nothing had imported what needs it."""
    for name in [name for name in sys.modules if name.startswith("notary_auth.sandbox")]:
        patch.delitem(sys.modules, name)
    for command in ("demo", "sandbox"):
        patch.delitem(sys.modules, f"notary_auth._cli.{command}", raising=False)
        patch.delattr(f"notary_auth._cli.{command}", raising=False)
    patch.setitem(sys.modules, "starlette.applications", None)


def quicken_conformance(patch: Patch) -> None:
    """Let the checks of stores keep things for a fraction of the time that slow stores need."""
    patch.setattr("notary_auth.testing.SHORT", 0.1)
    patch.setattr("notary_auth.testing.ENDING", 0.9)


def interrupt_demo(patch: Patch) -> None:
    """Let the demo be interrupted as soon as it runs."""
    patch.setattr("notary_auth._cli.demo.run", _interrupt)


def interrupt_sandbox(patch: Patch) -> None:
    """Let ``notary-auth sandbox`` be interrupted as soon as it serves."""
    patch.setattr("notary_auth._cli.sandbox.wait_for_ever", _interrupt)


def _interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def make_default_cloud(patch: Patch, url: str) -> None:
    """Make this the default of ``cloud_url``, which is bound in the constructors' signatures."""
    for kind in (Account, Adapter, session_auth.SessionAuth):
        constructor: Any = inspect.unwrap(kind.__init__)  # type: ignore[misc]
        patch.setitem(constructor.__kwdefaults__, "cloud_url", url)


def clock_on(system: str) -> tuple[str | None, bool, bool]:
    """The clock of tokens where ``sys.platform`` says this.

    Returns its name in `time`, None for another function; whether it is `time.monotonic`; and whether it runs.
    """
    program = f"""
import json, sys, time
sys.platform = {system!r}
from notary_auth._core.token import clock
names = {{getattr(time, name): name for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC") if hasattr(time, name)}}
print(json.dumps([names[clock.args[0]] if hasattr(clock, "args") else None, clock is time.monotonic, clock() > 0]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    name, is_monotonic, runs = json.loads(done.stdout)
    return name, is_monotonic, runs


# At any line of the library's own code


@contextmanager
def at_line(number: int, do: Callable[[], None]) -> Iterator[list[str]]:
    """Call `do` just before this thread executes a line of the library: the first is number 0.

    Yields a list that gets that line's place; it stays empty if fewer lines are executed. What `do` raises is
    raised from that line.
    """
    lines = 0
    reached: list[str] = []

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        if not frame.f_code.co_filename.startswith(LIBRARY):
            return None
        if event == "line":
            lines += 1
            if lines == number + 1:
                reached.append(f"{frame.f_code.co_name}:{frame.f_lineno}")
                do()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield reached
    finally:
        sys.settrace(before)


# The inside of stores and of the sandbox


def leases_of(store: MemoryStore) -> int:
    """How many locks of a MemoryStore somebody holds."""
    return len(store._leases)


def guard_of(store: MemoryStore) -> AbstractContextManager[bool]:
    """What a MemoryStore holds while it hands out a lock."""
    return store._guard()


def let_anybody_release(patch: Patch) -> None:
    """Break MemoryStore's locks: who does not hold one can give it back."""

    def release(lock: Any) -> None:
        lock._store._leases.pop(lock._name, None)

    patch.setattr("notary_auth.stores._MemoryLock.release", release)


def tokens_of(notary: Sandbox) -> list[str]:
    """The access tokens that the sandbox takes at present."""
    return list(notary._platform.identity.tokens)


def stored_sizes(notary: Sandbox) -> set[int]:
    """The sizes in bytes of all files that were uploaded to the sandbox."""
    return {file.size for files in notary._platform.stored.files.values() for file in files}


def faults_left(notary: Sandbox) -> int:
    """How many answers that were set by `answer_next` nobody has asked for yet."""
    return len(notary.faults._next)


def limit_uploads(patch: Patch, size: int) -> None:
    """The largest file, in bytes, that the sandbox stores."""
    patch.setattr("notary_auth.sandbox._files.LARGEST_FILE", size)


def limit_stop(patch: Patch, seconds: float) -> None:
    """How long a sandbox that stops waits for answers under way."""
    patch.setattr("notary_auth.sandbox._server.STOP_LIMIT", seconds)


def open_hosts(notary: Sandbox, opened: ExitStack) -> tuple[Any, str, list[int]]:
    """Open a sandbox's sockets for another server than its own.

    Returns the application to be served, the file with certificate and key, and the sockets' descriptors, which
    are the server's to close.
    """
    certificate = notary._certificate(opened)
    descriptors = []
    for host in HOSTS:
        listener = opened.enter_context(listen(0, 0))
        port = listener.getsockname()[1]
        notary._platform.hosts[port] = host
        notary._platform.urls[host] = f"https://{ADDRESS}:{port}"
        descriptors.append(listener.detach())
    opened.callback(notary._platform.close)
    return notary._platform.app, certificate, descriptors


def set_running(notary: Sandbox, running: ExitStack) -> None:
    """Let `stop` close this."""
    notary._running = running
