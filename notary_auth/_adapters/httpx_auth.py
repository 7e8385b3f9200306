"""What the adapters for httpx and httpx2 share, which is all but the names: both have the same auth flow.

Neither client is imported here; each adapter brings its module along (`_library`). httpx hands an auth object the
request and sends what its flow yields. An asynchronous generator has no `yield from`: so one plain generator, of
`_Exchange`, yields what is to be done, and the two auth flows only do it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import closing, suppress
from functools import lru_cache
from itertools import count
from typing import Any, ClassVar, NoReturn, TypeVar

from notary_auth._core.account import Account
from notary_auth._core.steps import Drain, Received, SendControl, Signature, Steps
from notary_auth._wire.messages import MAYBE_REFUSED, ControlRequest, ControlResponse
from notary_auth.errors import LoginError, NotaryAuthError

from .auth import Adapter, refuse_request
from .drivers import aperform, perform
from .httpx_control import REPEATED, Outcome, ReadControl, read_control

Result = TypeVar("Result")
Flow = Generator[Any, Any, Result]


class HttpxAuth(Adapter):
    """The auth flows of httpx and httpx2, synchronous and asynchronous."""

    _library: ClassVar[Any]
    _control_type: ClassVar[Callable[..., Any]]

    def _bind(self, account: Account) -> None:
        super()._bind(account)
        self._cached_signature_at = account.cached_signature_at  # looked up for each request, so it is at hand

    def __call__(self, request: object, *_: object) -> NoReturn:
        """Refuse a client of another kind: they all call an auth object that they take for a function."""
        refuse_request(self, request)

    def auth_flow(self, request: Any) -> NoReturn:
        """Refuse to be driven without knowing how to wait.

        Raises:
            TypeError: always.
        """
        raise TypeError("use sync_auth_flow or async_auth_flow: a login may have to be waited for")

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        response = None
        if self._sign_from_cache(request):
            response = yield request
            if response.status_code != 401:
                return
        exchange = _Exchange(self, request, is_async=False)
        with closing(exchange.flow(response)) as flow:
            result = None
            while (action := _next(flow, result)) is not None:
                is_request = isinstance(action, self._library.Request)
                result = (yield action) if is_request else exchange.do(action)

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        response = None
        if self._sign_from_cache(request):
            response = yield request
            if response.status_code != 401:
                return
        exchange = _Exchange(self, request, is_async=True)
        with closing(exchange.flow(response)) as flow:
            result = None
            while (action := _next(flow, result)) is not None:
                is_request = isinstance(action, self._library.Request)
                result = (yield action) if is_request else await exchange.ado(action)

    def logout(self, client: Any) -> None:
        """Have the tokens revoked (RFC 7009), and forget them, here and in the store.

        The next request logs in anew. Nothing to revoke, or a token that is gone already, is a success.

        Args:
            client: the ``Client`` to do it with.

        Raises:
            TypeError: `client` is not a ``Client``.
            LogoutError: a token was not revoked, or the store may still have it. Here all are forgotten.
        """
        self._run(*self._log_out(client, self._library.Client, is_async=False))

    async def alogout(self, client: Any) -> None:
        """The same as `logout`, for an ``AsyncClient``."""
        await self._arun(*self._log_out(client, self._library.AsyncClient, is_async=True))

    def _log_out(self, client: Any, kind: Any, is_async: bool) -> tuple[Flow[None], Callable[[Any], Any]]:
        """A logout's flow, and what does its actions."""
        if not isinstance(client, kind):
            name = f"{self._library.__name__}.{kind.__name__}"
            raise TypeError(f"client must be a {name}, not {type(client)!r}")
        request = client.build_request("POST", self._account.cloud_url)  # with the client's time-outs
        exchange = _Exchange(self, request, is_async, is_logout=True)

        def do(action: Any) -> Any:
            if isinstance(action, self._library.Request):
                return client.send(action, auth=None, stream=True, follow_redirects=False)
            return exchange.ado(action) if is_async else exchange.do(action)

        return exchange.drive(self._account.log_out()), do

    def _sign_from_cache(self, request: Any) -> bool:
        """Sign a request that needs nothing else. False: `sign` has to be run."""
        url = request.url
        # Comparing the parts is cheaper than to make a string of the URL.
        signature = self._cached_signature_at(url.scheme, url.host, url.port)
        if signature is not None:
            headers = request.headers
            # What `_apply` would do, without the call. httpx puts Host first, so it need not be searched for.
            headers["Authorization"] = signature.authorization
            if headers.raw[0][1] != signature.host.encode():
                headers["Host"] = signature.host
            return True
        signature = self._account.cached_signature(str(url))
        if signature is not None:
            _apply(signature, request)
        return signature is not None


class _Exchange:
    """A user's request under way, or a logout: its steps in the client's terms.

    Args:
        request: the user's own, as it was sent last; or one that has the time-outs for a logout.
    """

    def __init__(self, auth: HttpxAuth, request: Any, is_async: bool, is_logout: bool = False) -> None:
        self._auth = auth
        self._request = request
        self._response: Any = None  # to that request
        self._is_async = is_async
        self._is_logout = is_logout
        self._control_responses: list[Any] = []
        self._steps: Any = None  # what is performed

    def flow(self, response: Any) -> Flow[None]:
        """Sign the request and send it; or, with a `response` of 401, send it again if that helps."""
        account = self._auth.account
        if response is None:
            steps: Steps[Any] = account.sign(str(self._request.url))
        else:
            steps = account.reauthorize(self._received(response, 0))
        for replays in count(0 if response is None else 1):
            signature = yield from self.drive(steps)
            if signature is None:
                return
            _apply(signature, self._request)
            received = self._received((yield self._request), replays)
            if replays == 0 and received.status != 401:
                return
            steps = account.reauthorize(received)

    def drive(self, steps: Steps[Result]) -> Flow[Result]:
        """Yield what is to be done for `steps`: control requests to be sent, and what `do` and `ado` do."""
        self._steps = steps
        result: Any = None
        failure: Exception | None = None
        try:
            while True:
                step = steps.send(result) if failure is None else steps.throw(failure)
                result = failure = None
                try:
                    if isinstance(step, SendControl):
                        result = yield from self._send_control(step.request)
                    else:
                        result = yield step
                except Exception as error:  # at a logout; an auth flow is closed by httpx instead
                    if not isinstance(error, (NotaryAuthError, self._auth._network_error)):
                        raise
                    failure = error
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        except NotaryAuthError as error:
            raise self._auth._to_client_error(error, self._request) from error.__cause__
        finally:  # also when the client closes the flow: cancelled, or the platform could not be reached
            steps.close()

    def do(self, action: Any) -> Any:
        """Do what is not for the client to send."""
        if isinstance(action, ReadControl):
            return action.read()
        return self._response.read() if isinstance(action, Drain) else perform(action)

    async def ado(self, action: Any) -> Any:
        if isinstance(action, ReadControl):
            return await action.aread(self._auth._network_error)
        return await (self._response.aread() if isinstance(action, Drain) else aperform(action))

    def _received(self, response: Any, replays: int) -> Received:
        """Take note of the response to the user's request; keep the control responses out of its history."""
        self._response = response
        self._request = request = response.request  # the last one, if the client followed redirects
        if self._control_responses:
            for hop in (response, *response.history):
                hop.history = [
                    each for each in hop.history if not any(each is control for control in self._control_responses)
                ]
        can_replay = response.status_code == 401 and _can_replay(request, self._auth._library.ByteStream)
        header = request.headers.get("Authorization")
        # Redirects of the user's request. A replayed 401 is among them, which came from a host of the account's.
        passed = tuple(str(hop.request.url) for hop in response.history)
        return Received(response.status_code, str(request.url), header, can_replay, replays, passed)

    def _send_control(self, request: ControlRequest) -> Flow[ControlResponse]:
        auth = self._auth
        try:
            control = auth._control_type(request, self._request, self._is_async, self._abort)
        except (ValueError, auth._library.InvalidURL) as error:  # no host to this client
            url = request.url.partition("?")[0]
            why = f"the client cannot send a request to {url}: {type(error).__name__}"
            raise LoginError(why, url=url) from None
        try:
            response = yield control
        except GeneratorExit:
            # Perhaps an event hook has raised for the response. A refusal is to be remembered all the same.
            status = control.sending.status
            if status in MAYBE_REFUSED:
                with suppress(NotaryAuthError, StopIteration):
                    self._steps.send(ControlResponse(status, {}, b"", is_hidden=True))
            raise
        finally:
            control.forget()
        self._control_responses.append(response)
        return (yield from read_control(control, response))

    def _abort(self, outcome: Outcome) -> None:
        """Raise an error, so that the client stops sending, and end the steps with it.

        Those who wait for this login get the error as well. A logout shares no error and follows no redirect.
        """
        is_error = isinstance(outcome, NotaryAuthError)
        error: Any = outcome if is_error else LoginError(REPEATED)
        if self._is_logout:
            if is_error:
                raise error
            return
        try:
            _ = self._steps.throw(error) if is_error else self._steps.send(outcome)  # a further step is not done
        except NotaryAuthError as raised:
            error = raised
        except StopIteration:
            pass
        raise self._auth._to_client_error(error, self._request)


def _next(flow: Flow[Any], result: Any) -> Any:
    """What a flow yields next; None when it is over."""
    try:
        return flow.send(result)
    except StopIteration:
        return None


def _apply(signature: Signature, request: Any) -> None:
    """Sign a request, and send it where the signature says."""
    if signature.url is not None:
        request.url = _readdressed(request.url, signature.url)
        # The cookies in it are for the host that it was addressed to; the client's jar is out of reach here.
        request.headers.pop("Cookie", None)
    if signature.authorization is not None:
        request.headers["Authorization"] = signature.authorization
        if request.headers.get("Host") != signature.host:
            request.headers["Host"] = signature.host


def _readdressed(url: Any, to: str) -> Any:
    """`url` with the origin of `to`, a URL that is the same otherwise.

    The public way is to read `to`, which takes 20 µs of a request's 400. This takes one, by a private attribute.
    Where that is not there, or is something else, it is the public way.
    """
    kind: Any = type(url)
    try:
        own, home = url._uri_reference, _parsed(kind, to[: to.index("/", len("https://"))])._uri_reference
        readdressed = kind.__new__(kind)
        readdressed._uri_reference = home._replace(path=own.path or "/", query=own.query, fragment=own.fragment)
    except (AttributeError, ValueError):
        return kind(to)
    return readdressed


@lru_cache(maxsize=32)
def _parsed(kind: Any, url: str) -> Any:
    return kind(url)


def _can_replay(request: Any, byte_stream: type) -> bool:
    """Whether a body can be sent again whole: one in memory, or a form whose files go back to their start."""
    stream = request.stream
    if isinstance(stream, byte_stream):
        return True
    if type(stream).__module__.partition(".")[0] != type(request).__module__.partition(".")[0]:
        return False  # of the user's own making, whatever it looks like
    fields = getattr(stream, "fields", None)
    return fields is not None and all(_can_rewind(getattr(field, "file", b"")) for field in fields)


def _can_rewind(file: Any) -> bool:
    if isinstance(file, bytes | str):
        return True
    try:
        file.seek(0)  # as the form does it before it is sent
    except Exception:  # noqa: BLE001  no file, or a closed one: whatever a user's file raises
        return False
    return True
