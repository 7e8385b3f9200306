"""An account, and the whole way of a request that is made with it.

All rules (docs/rules.rst) live here, and only here; adapters move bytes. A request's way is one generator,
`Account.conversation`. It yields steps (`_steps`), is sent their results, does no I/O, blocks on nothing and
knows no HTTP client. This is what it does:

**Address.** A request belongs to the account if its origin is one of the account's: the cloud's, or that of a
data center the account has lived in. Such a request goes to the current data center and is signed. Any other
goes out as it came, with one warning for each origin. If the data center is not known yet, a look-up decides;
a stranger's request is no reason to log in. The look-up endpoint itself is left alone.

**Sign.** A token that is good and not due is put on the request. That is the warm path: it is one attribute
read, and the adapters take it through `signature` without a conversation. A token that is due for renewal is
renewed by the first caller to notice, who moves the due time on before anything else, so that all others go on
with it meanwhile, and also if the renewal fails. Without a good token, the request needs a login.

**Log in.** One caller takes off a flight (`_flight`) and leads it: password, look-up if one is due, login. All
others wait. A verdict (a refusal, or an answer that is not the platform's) is theirs as well. A leader that is
lost without one, because it was cancelled or could not reach the platform, hands over to the next; whoever has
seen two go, or has waited a minute for one, gives up. A caller that its leader depends on, such as a
synchronous call on the thread whose loop runs the leader or a hook of the leader's client, logs in by itself.

**Received.** A 401 from the account's data center means that the token on the request is not good any more. If it
is no longer the current one, the request is replayed with the current one. If it is, it is dropped, and the
request is replayed after a new look-up (the account may have moved) and login. The token that replaces a refused
one is doubted until it is seen to work, or for a minute: if it gets a 401 too, that is about the request and not
about the token. It is the caller's, and so are further ones for a minute.

**Share.** With a store (`_fleet`), the leader of a flight is the only one in this process to ask it, and takes its
turn with other processes: a token or a refusal that one of them has left is as good as its own. If another
process logs in, the leader looks again from time to time until that is over; a renewal is left to it. A store
that fails is no reason to fail.

**Log out.** `farewell` takes off a flight too, so that no login is under way, forgets the tokens here and in the
store, and has the platform revoke them.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from functools import partial
from math import inf
from random import random
from typing import TYPE_CHECKING, Any

from notary_auth._secrets import Secret, digest, hides_arguments
from notary_auth._wire import protocol
from notary_auth._wire.messages import ControlRequest, ControlResponse
from notary_auth._wire.origin import Origin
from notary_auth.errors import (
    CredentialsRefused,
    DiscoveryError,
    InsecureUrl,
    LoginError,
    LogoutError,
    NotaryAuthError,
)

from .caller import current_caller, leading
from .shared_tokens import NO_TRANSACTION, SharedRecord, SharedTokens, StoreTransaction
from .single_flight import Login, SingleFlight
from .steps import UNSIGNED, Call, Forward, Received, SendControl, Signature, Sleep, Steps, WaitForLogin
from .token import NO_TOKEN, Token, clock

if TYPE_CHECKING:
    from notary_auth._core.token_store import TokenStore

CLOUD_URL = "https://cloud.acronis.com"

REFUSAL_TTL = 300.0  # seconds for which a refused password is not sent again
LEADER_TIMEOUT = 60.0  # seconds that a caller waits for another one's login
LIVENESS_INTERVAL = 5.0  # seconds after which one that waits looks whether the leader is still there
MAX_LOST_LEADERS = 2  # leaders gone without a verdict after which a caller gives up
STORE_LOCK_TIMEOUT = 40.0  # seconds that a leader waits for another process's login; less than `LEADER_TIMEOUT`
STORE_LOCK_PAUSES = 0.05, 0.5  # seconds between two looks at it: from, to
MAX_REPLAYS = 3  # of a request, at most: with the current token, the store's, and one that was got for it
MAX_REJECTED_TOKENS = 10  # refused and spent tokens remembered, so that a store does not bring them back
UNAUTHORIZED_BACKOFF = 60.0  # seconds for which a 401 is passed on after a fresh token got one
MAX_ATTEMPTS = 3  # attempts at a control call, in all
MAX_WARNED_ORIGINS = 1000  # foreign origins remembered, so that a crawler's memory does not grow for ever

log = logging.getLogger("notary_auth")
log.addHandler(logging.NullHandler())


class _Refusal:
    """A password that a data center refused, of which only a salted digest is kept, and what it said.

    It is final once the cloud has said anew that the account lives there. It may have moved, after all.
    """

    __slots__ = ("data_center", "digest", "error", "is_final", "salt", "until")

    def __init__(
        self,
        password: Secret,
        data_center: Origin,
        until: float,
        error: CredentialsRefused,
        is_final: bool = False,
    ) -> None:
        self.salt = os.urandom(16)
        self.digest = digest(password, self.salt)
        self.data_center = data_center
        self.until = until  # on the account's clock
        self.error = error.as_type(CredentialsRefused)
        self.is_final = is_final


class Account:
    """An account of the Acronis cloud: its credentials, and what was learned with them.

    Building one does no I/O. Several adapters can share one (`NotaryAuth.from_account`), from any number of
    threads and event loops. Copies and pickles carry the credentials and nothing that was learned.

    Args:
        username: the account's login name.
        password: the password; or a callable returning it, asked at each login, whose result is not kept.
            Under an event loop the callable runs in a worker thread.
        cloud_url: the cloud's URL, ``https://host[:port]``; plain http for hosts of this machine only.
        totp: a callable returning the current TOTP code (RFC 6238) as a string, asked at each login with the
            password, for an account with two-factor authentication.
        store: a token store (`notary_auth.stores`), to share logins with other processes; None: nothing is shared.
        offline_access: whether to ask for a refresh token (RFC 6749, section 6), and to renew the access token
            with that instead of the password and a code.

    Raises:
        TypeError: an argument is of the wrong type.
        ModuleNotFoundError: there is a store, and the extra ``stores`` is not installed.
        ValueError: `username` or `password` is empty or cannot be UTF-8, or `cloud_url` is not such a URL.
        InsecureUrl: `cloud_url` is plain http to another machine.
    """

    @hides_arguments
    def __init__(
        self,
        username: str,
        password: str | Callable[[], str],
        *,
        cloud_url: str = CLOUD_URL,
        totp: Callable[[], str] | None = None,
        store: TokenStore | None = None,
        offline_access: bool = False,
    ) -> None:
        _check_text("username", username)
        if not callable(password):
            _check_text("password", password, "a string or a callable returning one")
        if totp is not None and not callable(totp):
            raise TypeError(f"totp must be a callable returning a code, not {type(totp).__name__}")
        self.username = username
        self._password = password
        self._totp = totp
        if not isinstance(offline_access, bool):
            raise TypeError(f"offline_access must be True or False, not {type(offline_access).__name__}")
        self._offline_access = offline_access
        self._cloud = _cloud_origin(cloud_url)
        self._fleet = SharedTokens(_checked_store(store), username, str(self._cloud))
        self._cloud_prefix = f"{self._cloud}/"
        self._lookup_prefix = f"{self._cloud}{protocol.LOOKUP_PATH}"
        self.now = clock
        self._flights = SingleFlight()
        self._addresses = frozenset({self._cloud})  # `forget` leaves them: requests to them may be under way
        self._start_over()

    def _start_over(self) -> None:
        self.token: Token = NO_TOKEN
        self._refresh_token: Secret | None = None
        self._refused_tokens: tuple[str, ...] = ()
        self._spent_refresh_tokens: tuple[Secret, ...] = ()  # or refused: a store is not to bring them back
        self._takes_stored_refusals = True
        self._data_center: Origin | None = None
        self._lookup_due = True
        self._refusals: dict[Origin, _Refusal] = {}  # by data center, the latest
        self._is_refused = False  # whether the next token is to replace one that got a 401
        self._doubted_until = -inf  # the token has replaced such a one, and nobody has seen it work
        self._pass_401_until = -inf
        self._warned: set[Origin | None] = set()

    @property
    def cloud_url(self) -> str:
        """The cloud's URL."""
        return str(self._cloud)

    @property
    def server_url(self) -> str | None:
        """The URL of the data center that holds the account, or None until it is known."""
        data_center = self._data_center
        return None if data_center is None else str(data_center)

    @property
    def base_url(self) -> str | None:
        """The URL below which the Notary API lies at the account's data center, or None until it is known."""
        server_url = self.server_url
        return None if server_url is None else server_url + protocol.API_PATH

    def forget(self) -> None:
        """Drop what was learned: token, data center, refusals. The next request starts from the beginning."""
        with self._flights.lock:
            self._start_over()
            self._takes_stored_refusals = False  # till the next login: whatever others have seen, it is tried

    def arguments(self) -> dict[str, Any]:
        """The arguments that build an equal Account, with the credentials among them."""
        return {
            "username": self.username,
            "password": self._password,
            "cloud_url": self.cloud_url,
            "totp": self._totp,
            "store": self._fleet.store,
            "offline_access": self._offline_access,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), **self.arguments()), ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.username!r}, cloud_url={self.cloud_url!r})"

    # The way of a request

    def signature(self, url: str) -> Signature | None:
        """The signature of a request that needs nothing but signing, or None: then hold a `conversation`."""
        token = self.token
        if self.now() < token.refresh_at:
            if url.startswith(token.prefix):
                return token.here
            if url.startswith(self._cloud_prefix) and not url.startswith(self._lookup_prefix):
                return token.there
        return None

    def discovery(self) -> Steps[None]:
        """Find the data center, if it is not known; as steps to perform."""
        yield from self._together(lambda: self._data_center is not None, self._discover)

    def arrival(self) -> Steps[None]:
        """Get a good token, if there is none; as steps to perform."""
        yield from self._good_token()

    def conversation(self, url: str, answer: Received | None = None) -> Steps[None]:
        """The whole way of a request, as steps to perform. It is over when the generator returns.

        Args:
            url: what the request is addressed to, as its client is going to send it.
            answer: for a request that was signed and sent before, what it was answered with.
        """
        last: Received = answer or (yield Forward((yield from self._signed(url))))
        replays = 0
        while last.status == 401 and self._is_own(last.url):
            if self._is_about_the_request(last):
                return
            if not last.replayable:
                log.warning(
                    "a 401 is passed on, since the body cannot be sent again; the next request of %r logs in",
                    self.username,
                )
                yield from self._withdraw(last)
                return
            if replays == MAX_REPLAYS:  # somebody on its way changes the header, or others log in all the time
                return
            replays += 1
            last = yield Forward((yield from self._signed(last.url)))
        if self._doubted_until > -inf and last.status < 500:  # a gateway's error says nothing about the token
            self._trust(last)

    # Address

    def _signed(self, url: str) -> Steps[Signature]:
        origin = Origin.of(url)
        if origin is None or self._is_lookup(origin, url):
            return self._unsigned(origin)
        if origin not in self._addresses and self._data_center is None:
            yield from self._together(lambda: self._data_center is not None, self._discover)
        if origin not in self._addresses:
            return self._unsigned(origin)
        token = yield from self._good_token()
        return token.here if token.data_center == origin else token.there

    def _is_own(self, url: str) -> bool:
        origin = Origin.of(url)
        return origin in self._addresses and not self._is_lookup(origin, url)

    def _is_lookup(self, origin: Origin | None, url: str) -> bool:
        if origin != self._cloud:
            return False
        path = self._cloud.readdress(url).partition("?")[0].partition("#")[0]
        return path == self._lookup_prefix

    def _unsigned(self, origin: Origin | None) -> Signature:
        if origin != self._cloud and self._is_new(origin):
            log.warning(
                "requests to %s go out unsigned: it is neither %s nor the data center of %r",
                origin or "URLs of an unusual form",
                self._cloud,
                self.username,
            )
        return UNSIGNED

    def _is_new(self, origin: Origin | None) -> bool:
        """Whether this origin has not been warned of yet. From now on it has."""
        with self._flights.lock:
            is_new = origin not in self._warned and len(self._warned) < MAX_WARNED_ORIGINS
            if is_new:
                self._warned.add(origin)
            return is_new

    # Sign

    def _good_token(self) -> Steps[Token]:
        while True:
            token = self.token
            now = self.now()
            if now < token.refresh_at:
                return token
            if now < token.expires_at:
                yield from self._renew(token, now)
                continue
            # "Another token" and not "a good token": one that is expired as it arrives must not make a loop.
            alone = partial(self._log_in, patience=0.0)
            yield from self._together(partial(self._is_replaced, token), self._log_in, alone)
            token = self.token  # looked at once: another thread may drop it in between
            if token is not NO_TOKEN:
                return token

    def _renew(self, token: Token, now: float) -> Steps[None]:
        """Replace a token that is due. Whatever comes of it, the token is not due for the next while."""
        with self._flights.lock:
            if self.token is not token:
                return
            self.token = postponed = token.postponed(now)
        try:
            # Once only: a request with a good token in hand does not wait out a Retry-After. So its failure is no
            # verdict for those who wait because they have no good token any more. And if somebody else is at it
            # already, this one is good enough till then.
            log_in = partial(self._log_in, tries=1, patience=None)
            yield from self._lead(partial(self._is_replaced, postponed), log_in, shares_verdict=False)
        except Exception as error:  # noqa: BLE001  ours, or the client's own network error
            why = error if isinstance(error, NotaryAuthError) else type(error).__name__
            log.warning("the token of %r was not renewed and is used until its end: %s", self.username, why)

    def _is_replaced(self, token: Token) -> bool:
        return self.token.here is not token.here  # which the same token has, postponed or not

    def _is_about_the_request(self, answer: Received) -> bool:
        """Whether a 401 is the caller's. If it is about the token, and that is the current one, it is dropped."""
        with self._flights.lock:
            token, now = self.token, self.now()
            # A token that has run out on its way, or been replaced meanwhile, says nothing about the request.
            if not self._is_current(answer) or now >= token.expires_at:
                return False
            is_second = now < self._doubted_until
            if is_second:
                self._doubted_until, self._pass_401_until = -inf, now + UNAUTHORIZED_BACKOFF
            is_passed_on = now < self._pass_401_until
            if not is_passed_on:
                self.token = NO_TOKEN
                self._refused_tokens = (*self._refused_tokens, token.authorization)[-MAX_REJECTED_TOKENS:]
                # The account may have moved: look that up before logging in.
                self._lookup_due = self._is_refused = True
        if is_second:
            log.warning("a fresh token of %r got a 401 too: it is passed on", self.username)
        elif not is_passed_on:
            log.debug("a token of %r was refused", self.username)
        return is_passed_on

    def _trust(self, answer: Received) -> None:
        """A token has been seen to work."""
        with self._flights.lock:
            if self._is_current(answer):
                self._doubted_until = -inf

    def _is_current(self, answer: Received) -> bool:
        return self.token is not NO_TOKEN and self.token.authorization == answer.authorization

    def _keep(self, token: Token, data_center: Origin, is_fresh: bool = True) -> None:
        """Use this token from now on. A fresh one is doubted if it replaces a refused one."""
        with self._flights.lock:
            self.token = token
            self._doubted_until = self.now() + UNAUTHORIZED_BACKOFF if self._is_refused and is_fresh else -inf
            self._is_refused = False
            # Known already, unless somebody has called `forget` meanwhile.
            self._data_center = data_center
            self._addresses |= {data_center}
            self._lookup_due = False
            self._refusals = {}
            self._takes_stored_refusals = True

    # Log in

    def _together(
        self,
        wanted: Callable[[], bool],
        work: Callable[[], Steps[object]],
        alone: Callable[[], Steps[object]] | None = None,
    ) -> Steps[None]:
        """Have `work` done by one caller at a time until `wanted` holds: by leading it, or by waiting.

        A caller that cannot wait does `alone`, which waits for nobody else either.
        """
        lost = 0
        while not wanted():
            flight = yield from self._lead(wanted, work)
            if flight is None:
                continue
            if not (yield from self._wait(flight)):
                log.debug("%r logs in a second time: it cannot wait for the first", self.username)
                yield from (alone or work)()
            elif flight.verdict is not None and not wanted():
                raise flight.verdict.as_type(type(flight.verdict))
            elif flight.is_lost:
                lost += 1
                if lost == MAX_LOST_LEADERS:
                    raise self._given_up(f"{lost} attempts of other callers ended without an answer")

    def _lead(
        self, wanted: Callable[[], bool], work: Callable[[], Steps[object]], shares_verdict: bool = True
    ) -> Steps[Login | None]:
        """Have `work` done, unless somebody is at it already: then return the flight, to be waited for."""
        under_way = self._flights.under_way
        if under_way is not None:  # as for all of a crowd but one: without a flight of their own, and its locks
            return under_way
        flight = Login(current_caller())
        verdict: NotaryAuthError | None = None
        lost = True
        led_already = leading.get()
        led_now = (*led_already, flight)
        try:  # from before the boarding on: an interrupt leaves no flight behind that nobody leads
            under_way = self._flights.board(flight)
            if under_way is not None:
                return under_way
            leading.set(led_now)
            if not wanted():  # the flight before this one may have landed in between
                yield from work()
            lost = False
            return None
        except NotaryAuthError as error:
            verdict, lost = error.as_type(type(error)) if shares_verdict else None, False
            raise
        finally:  # also when the generator is closed: cancelled, timed out, or the platform not reached
            self._flights.land(flight, verdict=verdict, lost=lost)
            if leading.get() is led_now:  # the garbage collector may end this in somebody else's context
                leading.set(led_already)

    def _wait(self, flight: Login) -> Steps[bool]:
        """Wait until `flight` is over. False: this caller cannot."""
        if flight in leading.get():  # a hook or a callable of the leader's asks, whatever thread or task it is in
            return False
        deadline = self.now() + LEADER_TIMEOUT
        while not flight.is_over:
            if flight.leader.is_gone:
                self._flights.land(flight, lost=True)
            elif self.now() >= deadline:
                self._flights.land(flight, lost=True)  # so that the next one need not wait as well
                raise self._given_up(f"another caller's attempt has not ended in {LEADER_TIMEOUT:.0f} seconds")
            elif not (yield WaitForLogin(flight, LIVENESS_INTERVAL)):
                return False
        return True

    def _given_up(self, why: str) -> NotaryAuthError:
        if self._data_center is None:
            return DiscoveryError(
                f"cannot find the data center of {self.username!r} at {self._cloud}: {why}",
                url=self._lookup_prefix,
            )
        return LoginError(
            f"the login of {self.username!r} at {self._data_center} failed: {why}",
            url=f"{self._data_center}{protocol.TOKEN_PATH}",
        )

    def _discover(self, tries: int = MAX_ATTEMPTS) -> Steps[Origin]:
        """Look up which data center holds the account."""
        request = protocol.lookup_request(self._cloud, self.username)
        reply, _ = yield from self._call(lambda: _done(request), tries)
        data_center = protocol.read_lookup(reply, self._cloud, self.username)
        with self._flights.lock:
            before, self._data_center = self._data_center, data_center
            self._addresses |= {data_center}
            self._lookup_due = False
        if data_center != before:  # never log under the lock: a handler may come back to this account
            log.info("the data center of %r is %s", self.username, data_center)
        return data_center

    def _log_in(self, tries: int = MAX_ATTEMPTS, patience: float | None = STORE_LOCK_TIMEOUT) -> Steps[None]:
        """Get a token: from the store, for the refresh token, or for the password.

        Args:
            patience: seconds to wait for another process that is logging in; None: leave it to that one.
        """
        if self._fleet.store is None and (yield from self._refresh(NO_TRANSACTION, self._refresh_token, tries)):
            return
        password = yield from self._ask("password", self._password)
        refusal = self._refusal_of(password)
        if refusal is not None:
            raise refusal.error.as_type(CredentialsRefused)
        turn = yield from self._fleet.turn(password)
        try:
            if (yield from self._is_for_us(turn, password, patience)):
                yield from self._log_in_anew(turn, password, tries)
            yield from turn.end()
        except NotaryAuthError:
            yield from turn.end()
            raise
        finally:
            turn.abandon()

    def _is_for_us(self, turn: StoreTransaction, password: Secret, patience: float | None) -> Steps[bool]:
        """Whether it is for this process to log in. If not, another one has done so, or is about to."""
        deadline = self.now() + (patience or 0.0)
        pause, longest = STORE_LOCK_PAUSES
        while True:
            if self._is_taken((yield from turn.load()), password):
                return False
            if turn.is_ours:  # and was looked at since
                return True
            if (yield from turn.acquire()):
                continue
            if patience is None:
                return False
            if self.now() >= deadline:
                if patience:
                    log.warning("%r logs in without waiting for another process any longer", self.username)
                return True
            yield Sleep(pause * (0.5 + random() / 2))
            pause = min(2 * pause, longest)

    def _is_taken(self, shared: SharedRecord | None, password: Secret) -> bool:
        """Whether what another process has left is taken in place of a login.

        Raises:
            CredentialsRefused: the password was refused there.
        """
        if shared is None:
            return False
        now = self.now()
        if shared.refusal is not None:
            if not self._takes_stored_refusals:
                return False
            until = now - shared.age + REFUSAL_TTL
            self._keep_refusal(_Refusal(password, shared.data_center, until, shared.refusal, is_final=True))
            raise shared.refusal.as_type(CredentialsRefused)
        if shared.authorization is None:
            return False
        token = Token.issued(shared.authorization, shared.data_center, now - shared.age, shared.lifetime)
        if now >= token.expires_at or token.authorization in (*self._refused_tokens, self.token.authorization):
            return False
        self._refresh_token = shared.refresh_token or self._refresh_token
        self._keep(token, shared.data_center, is_fresh=False)
        log.debug("a token of %r was found in the store", self.username)
        return True

    def _log_in_anew(self, turn: StoreTransaction, password: Secret, tries: int) -> Steps[None]:
        """Get a token from the data center that holds the account now."""
        if self._fleet.store is not None:  # without one it was tried already, before the password was asked for
            refresh_token = self._stored_refresh_token(turn) or self._refresh_token
            if (yield from self._refresh(turn, refresh_token, tries)):
                return
        known = None if self._lookup_due else self._data_center
        data_center = known or (yield from self._discover(tries))
        refusal = yield from self._log_in_at(data_center, turn, password, tries)
        if refusal is not None and known is not None:
            # The account may have moved since it was looked up, and its old data center knows it no more.
            data_center = yield from self._discover(tries)
            refusal = yield from self._log_in_at(data_center, turn, password, tries)
        if refusal is not None:
            refusal.is_final = True
            turn.leave(SharedRecord(data_center, refusal=refusal.error, kept=REFUSAL_TTL))
            raise refusal.error.as_type(CredentialsRefused)

    def _refresh(self, turn: StoreTransaction, refresh_token: Secret | None, tries: int) -> Steps[bool]:
        """Get a token for the refresh token. False: there is none, or it is worth nothing any more."""
        if refresh_token is None or not self._offline_access:
            return False
        data_center = None if self._lookup_due else self._data_center
        if data_center is None:
            data_center = yield from self._discover(tries)
        request = protocol.refresh_request(data_center, refresh_token)
        self._lookup_due = True  # after a failure, which only a success takes back
        reply, sent_at = yield from self._call(lambda: _done(request), tries)
        try:
            grant = protocol.read_login(
                reply, data_center, self.username, [refresh_token], time.time(), offline_access=True
            )
        except LoginError as error:
            if reply.status in protocol.RETRIED:
                raise
            self._spend(refresh_token)
            self._lookup_due = False  # it was looked up, or good until now: the password will tell
            log.debug("the refresh token of %r is not used any more: %s", self.username, error)
            if turn.shared is not None and turn.shared.refresh_token == refresh_token:
                yield from turn.delete()  # or each process would try it, for as long as the password does not help
            return False
        if grant.refresh_token is None:  # it is good for another time
            grant = grant._replace(refresh_token=refresh_token)
        elif grant.refresh_token != refresh_token:
            self._spend(refresh_token)
        self._accept(grant, data_center, sent_at, turn)
        return True

    def _stored_refresh_token(self, turn: StoreTransaction) -> Secret | None:
        stored = None if turn.shared is None else turn.shared.refresh_token
        return None if stored in self._spent_refresh_tokens else stored

    def _spend(self, refresh_token: Secret) -> None:
        self._spent_refresh_tokens = (*self._spent_refresh_tokens, refresh_token)[-MAX_REJECTED_TOKENS:]
        if self._refresh_token == refresh_token:
            self._refresh_token = None

    def _log_in_at(
        self, data_center: Origin, turn: StoreTransaction, password: Secret, tries: int
    ) -> Steps[_Refusal | None]:
        """Log in. A refusal is returned, since it may not be the last word; what it refused is not sent again."""
        refusal = self._refusal_of(password, data_center)
        if refusal is not None:
            return refusal
        secrets = [password]

        def build() -> Steps[ControlRequest]:
            code = None
            if self._totp is not None:
                code = yield from self._ask("totp", self._totp)
                secrets.append(code)
            # Once more, since a pause or a prompt may lie in between: one who could not wait logs in as well.
            refusal = self._refusal_of(password, data_center)
            if refusal is not None:
                raise refusal.error.as_type(CredentialsRefused)
            return protocol.login_request(data_center, self.username, password, code, self._offline_access)

        self._lookup_due = True  # after a failure, which only a success takes back
        reply, sent_at = yield from self._call(build, tries)
        try:
            grant = protocol.read_login(
                reply, data_center, self.username, secrets, time.time(), offline_access=self._offline_access
            )
        except CredentialsRefused as error:
            # Kept at once, not when it is final: whatever happens in between, the password was refused here.
            refusal = _Refusal(password, data_center, self.now() + REFUSAL_TTL, error)
            self._keep_refusal(refusal)
            return refusal
        self._accept(grant, data_center, sent_at, turn)
        return None

    def _accept(self, grant: protocol.Grant, data_center: Origin, sent_at: float, turn: StoreTransaction) -> None:
        """Use what the platform has granted, and leave it for other processes."""
        turn.leave(
            SharedRecord(
                data_center,
                grant.authorization,
                grant.lifetime,
                self.now() - sent_at,
                # One who asks for none leaves that of others there.
                grant.refresh_token or self._stored_refresh_token(turn),
            )
        )
        self._refresh_token = grant.refresh_token or self._refresh_token
        self._keep(Token.issued(grant.authorization, data_center, sent_at, grant.lifetime), data_center)
        log.info(
            "logged in %r at %s, token good for %s",
            self.username,
            data_center,
            "an unknown time" if grant.lifetime is None else f"{grant.lifetime:.0f} s",
        )

    def _keep_refusal(self, refusal: _Refusal) -> None:
        with self._flights.lock:
            kept = {each.data_center: each for each in self._refusals.values() if self.now() < each.until}
            self._refusals = {**kept, refusal.data_center: refusal}
            self._takes_stored_refusals = True

    def _withdraw(self, answer: Received) -> Steps[None]:
        """Delete the store's record if it still holds the rejected token.

        The request cannot be sent again. If this process never logs in, the next one would get the same token.
        """
        turn = self._fleet.last_turn()
        shared = yield from turn.load()
        if shared is not None and shared.authorization == answer.authorization:
            yield from turn.delete()

    def _refusal_of(self, password: Secret, data_center: Origin | None = None) -> _Refusal | None:
        """What is remembered of this very password being refused by a data center; or, without one, for good."""
        for refusal in self._refusals.values():  # replaced as a whole, never changed
            concerned = refusal.is_final if data_center is None else refusal.data_center == data_center
            if concerned and self.now() < refusal.until and refusal.digest == digest(password, refusal.salt):
                return refusal
        return None

    # Log out

    @property
    def is_logged_in(self) -> bool:
        """Whether there is a token here, an access or a refresh token."""
        return self.token is not NO_TOKEN or self._refresh_token is not None

    def farewell(self) -> Steps[None]:
        """Have the tokens revoked (RFC 7009), and forget them, here and in the store; as steps to perform.

        Raises:
            LogoutError: the platform did not take them back. They are forgotten all the same.
        """
        while True:
            flight = yield from self._lead(lambda: False, self._log_out, shares_verdict=False)
            if flight is None:
                return
            try:
                can_wait = yield from self._wait(flight)
            except NotaryAuthError:  # for a minute: whoever leads it never ends
                can_wait = False
            if not can_wait:
                yield from self._log_out()
                return

    def _log_out(self) -> Steps[None]:
        given = self._forget_tokens()
        failure: LogoutError | None = None
        if self._fleet.store is not None:
            stored, failure = yield from self._forget_stored()
            given += stored
        for data_center, kind, token in dict.fromkeys(given):
            try:
                yield from self._revoke(data_center, kind, token)
            except LogoutError as error:
                failure = failure or error
        log.info("logged out %r", self.username)
        if failure is not None:
            raise failure

    def _forget_tokens(self) -> list[_Given]:
        with self._flights.lock:
            token, refresh_token = self.token, self._refresh_token
            self.token, self._refresh_token = NO_TOKEN, None
            return _given(token.data_center, token.authorization, self._data_center, refresh_token)

    def _forget_stored(self) -> Steps[tuple[list[_Given], LogoutError | None]]:
        """Remove what is in the store. What was there is to be revoked, also where it could not be removed."""
        turn = self._fleet.last_turn()
        if turn is NO_TRANSACTION:  # a process that only logs out
            try:
                password = yield from self._ask("password", self._password)
            except LoginError as error:
                failure = error.as_type(LogoutError)
                failure.__cause__ = error.__cause__
                return [], failure
            turn = yield from self._fleet.turn(password)
        given: list[_Given] = []
        try:
            yield from turn.acquire()  # if somebody else is at it, what comes of that is not ours to end
            shared = yield from turn.load()
            if shared is not None and shared.refusal is None:
                given = _given(shared.data_center, shared.authorization, shared.data_center, shared.refresh_token)
            if given or turn.is_torn:
                yield from turn.delete()
            yield from turn.end()
        finally:
            turn.abandon()
        why = ""
        if turn.has_failed:
            why = "the store failed, and may still have the tokens"
        elif turn.is_torn:
            why = "what was in the store could not be read, and was removed without being revoked"
        return given, LogoutError(f"the logout of {self.username!r} is not complete: {why}") if why else None

    def _revoke(self, data_center: Origin, kind: str, token: Secret) -> Steps[None]:
        request = protocol.revoke_request(data_center, kind, token)
        try:
            reply, _ = yield from self._call(lambda: _done(request), MAX_ATTEMPTS)
        except Exception as error:  # the client's own
            raise protocol.logout_error(data_center, self.username, type(error).__name__) from error
        protocol.read_revocation(reply, data_center, self.username, token)

    # What all have in common

    def _call(
        self, build: Callable[[], Steps[ControlRequest]], tries: int
    ) -> Steps[tuple[ControlResponse, float]]:
        """Make a control call, again if the platform asks for that. The reply, and when it was asked for."""
        attempt = 1
        while True:
            request = yield from build()  # anew each time: a TOTP code may have run out in a pause
            log.debug("asking %r", request)
            sent_at = self.now()
            reply: ControlResponse = yield SendControl(request)
            if reply.status not in protocol.RETRIED or attempt == tries:
                return reply, sent_at
            attempt += 1
            pause = protocol.retry_after(reply, time.time())
            yield Sleep(protocol.pause_before(attempt, random()) if pause is None else pause)

    def _ask(self, what: str, source: str | Callable[[], str]) -> Steps[Secret]:
        """A credential, from the user's callable or as it was given."""
        if isinstance(source, str):
            return Secret(source)
        answer: Secret | Exception = yield Call(partial(_ask_safely, source))
        if isinstance(answer, Exception):
            raise LoginError(f"the {what} callable raised {type(answer).__name__}") from answer
        flaw = protocol.flaw_of_text(answer.value)
        if flaw is not None:
            raise LoginError(f"what the {what} callable returned {flaw}")
        return answer


_Given = tuple[Origin, str, Secret]  # a token to be revoked: where, of which kind, and what it is


def _given(
    data_center: Origin | None, authorization: str | None, home: Origin | None, refresh_token: Secret | None
) -> list[_Given]:
    """The tokens to be revoked, the one that others are made from first."""
    given: list[_Given] = []
    if home is not None and refresh_token is not None:
        given.append((home, "refresh_token", refresh_token))
    if data_center is not None and authorization is not None:
        given.append((data_center, "access_token", Secret(authorization.removeprefix("Bearer "))))
    return given


def _checked_store(store: TokenStore | None) -> TokenStore | None:
    if store is None:
        return None
    has_all = all(callable(getattr(store, name, None)) for name in ("load", "save", "delete", "lock"))
    if isinstance(store, type) or not has_all:
        given = f"the class {store.__name__}" if isinstance(store, type) else type(store).__name__
        raise TypeError(f"store must be a notary_auth.stores.TokenStore, not {given}")
    from notary_auth._extras import needs_extra

    needs_extra("stores", "cryptography")
    return store


def _done(request: ControlRequest) -> Steps[ControlRequest]:
    return request
    yield  # a generator, as `_call` takes


def _ask_safely(source: Callable[[], str]) -> Secret | Exception:
    try:
        return Secret(source())
    except Exception as error:  # noqa: BLE001  whatever a vault may raise: `_ask` raises a LoginError from it
        return error


def _check_text(name: str, value: object, wanted: str = "a string") -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be {wanted}, not {type(value).__name__}")
    flaw = protocol.flaw_of_text(value)
    if flaw is not None:
        raise ValueError(f"{name} {flaw}")


def _cloud_origin(cloud_url: object) -> Origin:
    if not isinstance(cloud_url, str):
        raise TypeError(f"cloud_url must be a string, not {type(cloud_url).__name__}")
    try:
        origin = Origin.of_base_url(cloud_url)
    except ValueError as error:
        raise ValueError(f"cloud_url {error}") from None
    if not origin.is_secure:
        raise InsecureUrl(f"cloud_url must be https: {origin} would get the password in clear", url=str(origin))
    return origin
