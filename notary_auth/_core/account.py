"""An account: its arguments, what was learned with them, and the four questions that adapters ask.

A request's whole way, as an adapter takes it:

1. `cached_signature`: if the URL is the account's and there is a fresh token, here is the signature. No steps, no
   lock.
2. `sign`: else the URL decides. One that is neither the cloud's nor a data center's of this account is sent
   unsigned. If the data center is not known yet, discovery tells (`login`); a request to another host is no
   reason to log in. For the account's own, there has to be a good token (`token_cache`): one caller gets it
   (`login`), all others wait (`single_flight`). A request that is addressed to the cloud goes to the data center.
3. `reauthorize`: after a 401, and after each replay. The table in `unauthorized` tells whether the token is
   replaced, the request replayed, or the response the caller's.
4. `log_out` waits for a login under way, forgets the tokens here and in the store, and revokes them (`logout`).

The last three are generators of steps (`steps`): they do no I/O, block on nothing and know no HTTP client. The
rules that they keep are in docs/rules.rst.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from notary_auth._secrets import Secret, hides_arguments
from notary_auth._wire import API_PATH
from notary_auth._wire.origin import Origin
from notary_auth.errors import NotaryAuthError

from .credentials import Credentials, check_client_credentials, check_credentials, check_store, check_url
from .effort import FRESH, Effort
from .steps import UNSIGNED, Drain, Received, Signature, Steps
from .token import NO_TOKEN
from .unauthorized import PASS_ON, PROBATION, REPLACE, Action, Event

if TYPE_CHECKING:
    from .parts import Parts
    from .token_cache import TokenCache
    from .token_store import TokenStore

CLOUD_URL = "https://cloud.acronis.com"

Self = TypeVar("Self", bound="Account")

MAX_REPLAYS = 3  # of a request: with the cached token, with one from the store, with one from a new login

log = logging.getLogger("notary_auth")


class Account:
    """An account of the Acronis cloud: its credentials, and what was learned with them.

    Building one does no I/O. Several adapters can share one (`NotaryAuth.from_account`), from any number of
    threads and event loops. Copies and pickles carry the credentials and nothing that was learned.

    Args:
        username: the account's login name.
        password: the password; or a callable returning it, asked at each login, whose result is not kept.
            Under an event loop the callable runs in a worker thread.
        cloud_url: the cloud's URL, ``https://host[:port]``; plain http for hosts of this machine only.
        server_url: the data center's URL, in the same form, where it is known: nothing is looked up then.
        totp: a callable returning the current TOTP code (RFC 6238) as a string, asked at each login with the
            password, for an account with two-factor authentication.
        store: a token store (`notary_auth.stores`), to share logins with other processes; None: nothing is shared.
        offline_access: whether to ask for a refresh token (the scope ``offline_access``), and to get new access
            tokens with that (RFC 6749, section 6) instead of the password and a code.

    Raises:
        TypeError: an argument is of the wrong type.
        ModuleNotFoundError: there is a store, and the extra ``stores`` is not installed.
        ValueError: `username` or `password` is empty or cannot be UTF-8, or `cloud_url` or `server_url` is not
            such a URL.
        InsecureUrl: one of these is plain http to another machine.
    """

    _parts: Parts
    # For the warm path, which looks them up for each request:
    _cache: TokenCache
    _now: Callable[[], float]
    _cloud_prefix: str

    @hides_arguments
    def __init__(
        self,
        username: str,
        password: str | Callable[[], str],
        *,
        cloud_url: str = CLOUD_URL,
        server_url: str | None = None,
        totp: Callable[[], str] | None = None,
        store: TokenStore | None = None,
        offline_access: bool = False,
    ) -> None:
        credentials = check_credentials(username, password, totp, offline_access)
        _set_up(self, credentials, cloud_url, server_url, store)

    @classmethod
    @hides_arguments
    def for_client(
        cls: type[Self],
        client_id: str,
        client_secret: str | Callable[[], str],
        *,
        server_url: str,
        cloud_url: str = CLOUD_URL,
        store: TokenStore | None = None,
    ) -> Self:
        """An API client of the platform's (RFC 6749, section 4.4), in place of a user.

        It belongs to a data center, has no second factor, and gets no refresh token.

        Args:
            client_id: the client's id.
            client_secret: its secret; or a function returning it, asked at each login, whose result is not kept.
            server_url: the data center's URL, ``https://host[:port]``; plain http for hosts of this machine only.
            cloud_url: the cloud's URL, in the same form: requests to it go to the data center.
            store: a token store (`notary_auth.stores`), to share logins with other processes.

        Raises:
            TypeError, ValueError, InsecureUrl, ModuleNotFoundError: as for the class.
        """
        self = cls.__new__(cls)
        credentials = check_client_credentials(client_id, client_secret)
        check_url("server_url", server_url)  # None is not allowed here
        _set_up(self, credentials, cloud_url, server_url, store)
        return self

    @property
    def username(self) -> str:
        """The account's login name."""
        return self._parts.credentials.username

    @property
    def cloud_url(self) -> str:
        """The cloud's URL."""
        return str(self._parts.data_center.cloud)

    @property
    def server_url(self) -> str | None:
        """The URL of the data center that holds the account, or None until it is known."""
        data_center = self._parts.data_center.current
        return None if data_center is None else str(data_center)

    @property
    def base_url(self) -> str | None:
        """The URL below which the Notary API lies at the account's data center, or None until it is known."""
        server_url = self.server_url
        return None if server_url is None else server_url + API_PATH

    def forget(self) -> None:
        """Drop what was learned: token, data center, refusals. The next request starts from the beginning."""
        self._parts.forget()

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuilding(type(self), self), ()

    def __repr__(self) -> str:
        given = self._parts.data_center.given
        server_url = "" if given is None else f", server_url={str(given)!r}"
        return f"{type(self).__name__}({self.username!r}, cloud_url={self.cloud_url!r}{server_url})"

    def __call__(self, *_: object) -> NoReturn:
        """Refuse a client that takes an account for an auth object."""
        raise TypeError("an Account is no auth object: pass auth=NotaryAuth.from_account(account)")

    # The four questions

    def cached_signature(self, url: str) -> Signature | None:
        """The signature of a request to `url`, if a fresh token is cached; None: `sign` has to be run."""
        token = self._cache.current
        if self._now() < token.refresh_at:
            if url.startswith(token.prefix):
                return token.signature
            if url.startswith(self._cloud_prefix) and not url.startswith(self._parts.data_center.lookup_url):
                readdressed = token.prefix + url[len(self._cloud_prefix) :]
                return Signature(token.authorization, readdressed, token.signature.host)
        return None

    def cached_signature_at(self, scheme: str, host: str, port: int | None) -> Signature | None:
        """`cached_signature` for a data center's URL by its parts: `host` in lower case, no default port."""
        token = self._cache.current
        is_fresh = token.data_center == (scheme, host, port) and self._now() < token.refresh_at
        return token.signature if is_fresh else None

    def sign(self, url: str) -> Steps[Signature]:
        """The signature of a request to `url`, after a discovery and a login as far as needed.

        Raises:
            DiscoveryError, LoginError: there is no token to be had.
        """
        origin = Origin.of(url)
        if origin is not None and not self._parts.data_center.owns(origin):
            yield from discover(self)
        if not self._parts.data_center.is_signed(url):
            self._parts.data_center.warn_once(origin)
            return UNSIGNED
        token = yield from self._cache.get(partial(_log_in, self._parts))
        if token.data_center is None or token.data_center == origin:  # only NO_TOKEN has None
            return token.signature
        return Signature(token.authorization, token.data_center.readdress(url), token.signature.host)

    def reauthorize(self, received: Received) -> Steps[Signature | None]:
        """What to send the request again with. None: the response is the caller's.

        To be asked after a 401, and after the response to each replay, whatever its status: that is how a fresh
        token is seen to work.

        Raises:
            DiscoveryError, LoginError: there is no token to be had.
        """
        if received.status != 401:
            if received.status < 500:  # a gateway's error says nothing about the token
                with self._parts.lock():
                    if self._cache.holds(received.authorization):
                        self._parts.policy.on(Event.WORKED, self._now())
            return None
        # Nothing is signed that another host's redirect has led to: it would choose the path (rule 5).
        passed_own_only = all(owns(self, url) for url in received.passed)
        if not passed_own_only or not self._parts.data_center.is_signed(received.url):
            return None
        if _on_unauthorized(self, received) is PASS_ON:
            return None
        if not received.can_replay:
            log.warning(
                "a 401 is returned, because the body cannot be sent again; the next request of %r has a new token",
                self.username,
            )
            yield from self._parts.shared_tokens.withdraw(received.authorization)
            return None
        if received.replays == MAX_REPLAYS:  # no token works: a proxy rewrites the header, perhaps
            return None
        yield Drain()
        return (yield from self.sign(received.url))

    def log_out(self) -> Steps[None]:
        """Have the tokens revoked (RFC 7009), and forget them, here and in the store.

        Raises:
            LogoutError: a token was not revoked, or the store may still have it. Here all are forgotten.
        """
        from .logout import log_out  # only where it is asked for

        single_flight = self._parts.single_flight
        while True:
            login = yield from single_flight.lead(
                lambda _: log_out(self._parts), lambda: False, shares_error=False
            )
            if login is None:
                return
            try:
                can_wait = yield from single_flight.wait(login)
            except NotaryAuthError:  # after a minute, when `wait` takes that leader for lost
                continue
            if not can_wait:
                yield from log_out(self._parts)
                return


def _set_up(
    account: Account, credentials: Credentials, cloud_url: str, server_url: str | None, store: TokenStore | None
) -> None:
    from .parts import Parts  # only where there is an account

    given = None if server_url is None else check_url("server_url", server_url)
    parts = Parts(credentials, check_url("cloud_url", cloud_url), given, check_store(store))
    account._parts, account._cache, account._now = parts, parts.cache, parts.now
    account._cloud_prefix = f"{parts.data_center.cloud}/"


def _on_unauthorized(account: Account, received: Received) -> Action:
    """Take note of a 401 from the account's data center. Returns what to do."""
    with account._parts.lock():
        token, now = account._cache.current, account._now()
        is_rejected = account._cache.holds(received.authorization) and now < token.expires_at
        before = account._parts.policy.state
        action = account._parts.policy.on(Event.REJECTED if is_rejected else Event.OUTDATED, now)
        if action is REPLACE:
            account._cache.reject()
            account._parts.data_center.is_lookup_due = True  # the account may have moved
    if action is REPLACE:
        log.debug("a token of %r was rejected", account.username)
    elif action is PASS_ON and before is PROBATION:
        log.warning(
            "a new token of %r got a 401 too, which is returned: may the account send that request?",
            account.username,
        )
    return action


# Internal: only this package's adapters and commands use these.


def arguments_of(account: Account) -> dict[str, Any]:
    """The arguments that build an equal Account, with the credentials among them."""
    credentials, given = account._parts.credentials, account._parts.data_center.given
    secret = credentials.password.value if isinstance(credentials.password, Secret) else credentials.password
    urls = {"cloud_url": account.cloud_url, "server_url": None if given is None else str(given)}
    if credentials.is_client:
        own: dict[str, Any] = {"client_id": credentials.username, "client_secret": secret}
    else:
        own = {"username": credentials.username, "password": secret, "totp": credentials.totp}
        own["offline_access"] = credentials.offline_access
    return {**own, **urls, "store": account._parts.shared_tokens.store}


def rebuilding(kind: Any, account: Account, **more: Any) -> Callable[[], Any]:
    """What builds an equal Account, or an adapter of an equal one."""
    build = kind.for_client if account._parts.credentials.is_client else kind
    return partial(build, **arguments_of(account), **more)


def owns(account: Account, url: str) -> bool:
    """Whether a URL is the account's: the cloud's, or that of a data center that it has lived in."""
    return account._parts.data_center.owns(Origin.of(url))


def has_tokens(account: Account) -> bool:
    """Whether there is a token in this process that could be revoked."""
    return account._cache.current is not NO_TOKEN or account._cache.refresh_token is not None


def seconds_left(account: Account) -> float:
    """How long the current access token is good for; ``inf`` if nobody knows."""
    return account._cache.current.expires_at - account._now()


def log_in_anew(account: Account) -> Steps[None]:
    """Get a new token, whatever there is, without waiting for a login under way. For the commands."""
    return _log_in(account._parts, FRESH)


def discover(account: Account) -> Steps[None]:
    """Find the data center, if it is not known."""
    from .login import discover  # only where it is asked for

    return discover(account._parts)


def _log_in(parts: Parts, effort: Effort) -> Steps[None]:
    from .login import log_in  # only where there is a login

    return log_in(parts, effort)
