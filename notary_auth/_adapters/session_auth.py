"""What the adapters for requests and niquests share: both call an auth object before, and hooks after sending.

Neither client is imported here; each adapter brings its module along (`_library`). A request is signed before it
is sent; a response hook replays it if it got a 401, as the clients' own digest authentication does.

What is done with a session is written once, in coroutines. With an asynchronous session they are awaited. With a
synchronous one nothing in them ever waits, and `run_to_end` runs them to their end.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from itertools import count, takewhile
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from notary_auth._core.account import CLOUD_URL, Account, has_tokens, rebuilding
from notary_auth._core.steps import Drain, Received, SendControl, Signature, Step, Steps
from notary_auth._secrets import hides_arguments
from notary_auth._wire.messages import ControlRequest, ControlResponse

from .auth import Adapter, refuse_request
from .drivers import awaited, perform, run_to_end
from .session_control import explained, send_control

if TYPE_CHECKING:
    from notary_auth._core.token_store import TokenStore

Self = TypeVar("Self", bound="SessionAuth")
Result = TypeVar("Result")

log = logging.getLogger("notary_auth")


class SessionAuth(Adapter):
    """An Account in the hands of a client that has sessions, hooks and prepared requests.

    Args:
        username: the account's login name.
        password: the password; or a callable returning it, asked at each login, whose result is not kept.
        cloud_url: the cloud's URL, ``https://host[:port]``; plain http for hosts of this machine only.
        server_url: the data center's URL, in the same form, where it is known: nothing is looked up then.
        totp: a callable returning the current TOTP code (RFC 6238), asked at each login with the password.
        store: a token store (`notary_auth.stores`), to share logins with other processes.
        offline_access: whether to ask for a refresh token (RFC 6749, section 6), and to use it in place of the
            password and a code.
        session: a session of the client's that control requests go through, for its proxies, CA bundle, adapters
            and mocks; its headers, cookies and auth are not used. Without one, each control request has a session
            of its own, with the environment's proxies and CA bundle, no netrc, and time-outs of 10 s to connect
            and 30 s between two bytes; after a 401, with the ``verify`` (but not False), ``cert``, ``proxies`` and
            ``timeout`` of the request that got it. A copy of a NotaryAuth shares the session.

    Raises:
        TypeError, ValueError, InsecureUrl: as for `notary_auth.Account`. Building one does no I/O.
    """

    _library: ClassVar[Any]
    _session_type: ClassVar[type]
    _perform_step: ClassVar[Callable[[Step], Any]]  # `perform` or `aperform`

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
        session: Any = None,
    ) -> None:
        super().__init__(
            username,
            password,
            cloud_url=cloud_url,
            server_url=server_url,
            totp=totp,
            store=store,
            offline_access=offline_access,
        )
        self._session = self._checked(session)

    def _bind(self, account: Account) -> None:
        super()._bind(account)
        # Looked up for each request, so both are at hand.
        self._request_type: type = self._library.PreparedRequest
        self._cached_signature = account.cached_signature

    @classmethod
    def from_account(cls: type[Self], account: Account, *, session: Any = None) -> Self:
        """An adapter for an `Account` that others use as well: one login for all of them.

        Raises:
            TypeError: `account` is not an Account, or `session` not a session of the client's.
        """
        self = super().from_account(account)
        self._session = self._checked(session)
        return self

    @classmethod
    def _checked(cls, session: Any) -> Any:
        if session is not None and not isinstance(session, cls._session_type):
            name = f"{cls._session_type.__module__.partition('.')[0]}.{cls._session_type.__name__}"
            raise TypeError(f"session must be a {name}, not {type(session).__name__}")
        return session

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuilding(type(self), self._account, session=self._session), ()

    def _check_request(self, request: Any) -> None:
        if not isinstance(request, self._request_type):
            refuse_request(self, request)

    async def _sign(self, request: Any) -> None:
        url = request.url or ""
        signature = self._cached_signature(url)
        if signature is None:
            signature = await self._perform(self._account.sign(url), request)
        apply(signature, request)

    async def _reauthorize(self, response: Any, kwargs: dict[str, Any], redirected: Sequence[Any]) -> Any:
        """Replay a request that got a 401, if that helps."""
        for replays in count():
            is_rejected = response.status_code == 401 and self._connection_of(response) is not None
            can_replay = is_rejected and await self._rewind(response.request)
            steps = self._account.reauthorize(_received(response, can_replay, replays, redirected))
            signature = await self._perform(steps, response.request, response, kwargs)
            if signature is None:
                break
            response = await self._replay(response, signature, kwargs)
        return response

    async def _replay(self, response: Any, signature: Signature, kwargs: dict[str, Any]) -> Any:
        request = response.request.copy()
        apply(signature, request)
        started = time.perf_counter()
        connection = self._connection_of(response)
        replayed = await awaited(connection.send(request, **kwargs))
        if getattr(replayed, "lazy", False):  # niquests', where it multiplexes
            await awaited(connection.gather(replayed))
        replayed.elapsed = timedelta(seconds=time.perf_counter() - started)  # as the client's session does it
        replayed.history = [*response.history, response]
        replayed.request = request
        return replayed

    async def _perform(
        self,
        steps: Steps[Result],
        request: Any = None,
        response: Any = None,
        options: Mapping[str, Any] | None = None,
    ) -> Result:
        """Perform `steps`; `response` is the one that is going to be replaced, and was sent with `options`."""

        async def do(step: Step) -> Any:
            if isinstance(step, SendControl):
                return await self._send_control(step.request, options)
            if isinstance(step, Drain):
                await awaited(response.content)
                return await awaited(response.close())
            return await awaited(type(self)._perform_step(step))

        return await self._arun(steps, do, request)

    async def _send_control(self, request: ControlRequest, options: Mapping[str, Any] | None) -> ControlResponse:
        if self._session is not None:
            return await send_control(request, self._session, self._library)
        session = self._session_type()
        try:
            return await send_control(request, session, self._library, options)
        except (self._library.ConnectionError, self._library.Timeout) as error:
            if options is not None:
                raise
            raise explained(error)  # noqa: B904  its cause is set, unless it is returned unchanged
        finally:
            await awaited(session.close())

    def _connection_of(self, response: Any) -> Any:
        """The session's adapter that sent the response's request; None if it is unknown, as behind some mocks."""
        if hasattr(response, "connection") or self._session is None:
            return getattr(response, "connection", None)
        return self._session.get_adapter(response.request.url)

    async def _rewind(self, request: Any) -> bool:
        """Put a body back to where it began. False: it cannot be sent again, and would go out empty."""
        if request.body is None or isinstance(request.body, bytes | bytearray | memoryview | str):
            return True
        try:
            self._library.utils.rewind_body(request)
        except Exception:  # noqa: BLE001  has no position, cannot seek, is closed: whatever a user's file raises
            return False
        return True


class Hook:
    """The response hook. It is pickled with every Response, but without its auth, which has the password."""

    __slots__ = ("_auth", "_redirected")

    def __init__(self, auth: RequestsAuth, redirected: Sequence[Any] = ()) -> None:
        self._auth = auth
        self._redirected = redirected  # the requests that redirects have led on from

    def __call__(self, response: Any, **kwargs: Any) -> Any:
        if response.status_code == 401:
            return run_to_end(self._auth._reauthorize(response, kwargs, earlier_hops(self._redirected, response)))
        if response.is_redirect:
            replace_hook(
                self,
                type(self)(self._auth, [*earlier_hops(self._redirected, response), response.request]),
                response,
            )
        return response

    def __reduce__(self) -> tuple[Any, ...]:
        return no_hook, ()

    def __deepcopy__(self, memo: dict[int, Any]) -> Hook:
        return self


class RequestsAuth(SessionAuth):
    __doc__ = SessionAuth.__doc__

    _hook_type: ClassVar[type[Hook]] = Hook
    _perform_step = perform

    def _bind(self, account: Account) -> None:
        super()._bind(account)
        self._hook = self._hook_type(self)

    def __call__(self, request: Any, *_: object) -> Any:
        """Sign a request. The client calls this; it may look the data center up and log in."""
        if type(request) is not self._request_type:
            self._check_request(request)
        signature = self._cached_signature(request.url or "")
        if signature is None:
            run_to_end(self._sign(request))
        elif signature.url is None and not _has_header(request, "host", b"host"):
            # What `apply` would do to most requests, without the call.
            request.headers["Authorization"] = signature.authorization
        else:
            apply(signature, request)
        request.hooks["response"].append(self._hook)
        return request

    def logout(self) -> None:
        """Have the tokens revoked (RFC 7009), and forget them, here and in the store.

        The next request logs in anew. Nothing to revoke, or a token that is gone already, is a success.

        Raises:
            LogoutError: a token was not revoked, or the store may still have it. Here all are forgotten.
        """
        run_to_end(self._perform(self._account.log_out()))

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Log out, if there was a login. An error of the block's is not hidden by one of the logout's."""
        if not has_tokens(self._account):
            return
        try:
            self.logout()
        except self._library.RequestException as failure:  # as all errors of ours are here
            if error is None:
                raise
            log.warning("%s", failure)


def _drop_header(request: Any, name: str) -> None:
    request.headers.pop(name, None)
    request.headers.pop(name.encode(), None)  # niquests takes bytes as they are


def _has_header(request: Any, name: str, as_bytes: bytes) -> bool:
    """Whether a prepared request has a header, by its lower-case name.

    The public way raises and catches a KeyError, which takes as long as all the rest of a signature. It is the way
    where the private dictionary is not there.
    """
    headers = getattr(request.headers, "_store", request.headers)
    return name in headers or as_bytes in headers


def apply(signature: Signature, request: Any) -> None:
    """Sign a prepared request, and send it where the signature says."""
    if signature.url is not None:
        request.url = signature.url
        # The cookies are for the host that the request was addressed to. The jar has the new host's: as at a
        # redirect, requests takes it from a private attribute; where that is not there, there are no cookies.
        if _has_header(request, "cookie", b"cookie"):
            _drop_header(request, "Cookie")
        jar = getattr(request, "_cookies", None)
        if jar:
            request.prepare_cookies(jar)
    if signature.authorization is not None:
        request.headers["Authorization"] = signature.authorization
        if _has_header(request, "host", b"host"):  # the client's own is right
            _drop_header(request, "Host")


def replace_hook(hook: Any, successor: Any, response: Any) -> None:
    """Let the requests that follow a redirect have a hook that knows where they come from.

    The client copies the hooks of the request that was redirected. Its history is not there yet while they run.
    """
    hooks = response.request.hooks["response"]
    hooks[:] = [successor if each is hook else each for each in hooks]


def earlier_hops(before: Sequence[Any], response: Any) -> list[Any]:
    """Of the requests that were redirected, those that led to this response.

    A request that was prepared once and is sent again has the hooks of its last chain, and begins a new one.
    """
    return list(takewhile(lambda request: request is not response.request, before))


def _received(response: Any, can_replay: bool, replays: int, redirected: Sequence[Any]) -> Received:
    request = response.request
    header = request.headers.get("Authorization")
    authorization = header.decode("latin-1") if isinstance(header, bytes) else header
    urls = tuple(each.url or "" for each in redirected)
    return Received(response.status_code, request.url or "", authorization, can_replay, replays, urls)


def no_hook() -> Callable[..., None]:
    """What a pickled hook comes back as: one that leaves the response as it is."""
    return _leave


def _leave(response: Any, **kwargs: Any) -> None:
    return None
