"""What the adapters for httpx and httpx2 share, which is all but the names: both have the same auth flow.

Neither client is imported here; each adapter brings its classes along (`control_type`). httpx hands an auth object
the request and sends what its flow yields: control calls go that way too, and so through the user's client
with its proxies, CA bundle, mounts, mocks and time-outs.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import suppress
from functools import partial
from math import inf
from typing import Any, ClassVar, NoReturn

from notary_auth._core.steps import Call, Forward, Received, SendControl, Signature, Sleep, Steps, WaitForLogin
from notary_auth._secrets import strip_tracebacks
from notary_auth._wire import messages, protocol
from notary_auth._wire.messages import ControlRequest, ControlResponse
from notary_auth.errors import LoginError, LogoutError, NotaryAuthError

from .auth import Adapter, refuse_request
from .drivers import adrive, aperform, drive, perform


class _Read:
    """Read this control reply's body, still encoded, into `body`. Send `body` back, and close the response."""

    __slots__ = ("body", "response")

    def __init__(self, response: Any, body: messages.Body) -> None:
        self.response = response
        self.body = body


class _Release:
    """Read this answer to the user's request to its end, so that its connection is free for others."""

    __slots__ = ("response",)

    def __init__(self, response: Any) -> None:
        self.response = response


class HttpxAdapter(Adapter):
    """The auth flows of httpx and httpx2, synchronous and asynchronous."""

    _library: ClassVar[Any]
    _request_error: ClassVar[type[Exception]]
    _control_type: ClassVar[Callable[..., Any]]
    _client_types: ClassVar[tuple[type, type]]  # synchronous, asynchronous

    def __call__(self, request: object) -> NoReturn:
        """Refuse a client of another kind: they all call an auth object that they take for a function."""
        refuse_request(self, request)

    def auth_flow(self, request: Any) -> NoReturn:
        """Refuse to be driven without knowing how to wait.

        Raises:
            TypeError: always.
        """
        raise TypeError("use sync_auth_flow or async_auth_flow: a login may have to be waited for")

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        if not self._sign_warm(request):
            flow = self._flow(request, None, _OneShotSync)
        else:
            response = yield request
            if response.status_code != 401:
                return
            flow = self._flow(request, response, _OneShotSync)
        try:
            result = None
            while True:
                try:
                    action = flow.send(result)
                except StopIteration:
                    return
                if isinstance(action, _Read):
                    result = self._read(action.response, action.body)
                elif isinstance(action, _Release):
                    action.response.read()
                elif isinstance(action, WaitForLogin | Sleep | Call):
                    result = perform(action)
                else:
                    result = yield action
        finally:
            flow.close()

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        if not self._sign_warm(request):
            flow = self._flow(request, None, _OneShotAsync)
        else:
            response = yield request
            if response.status_code != 401:
                return
            flow = self._flow(request, response, _OneShotAsync)
        try:
            result = None
            while True:
                try:
                    action = flow.send(result)
                except StopIteration:
                    return
                if isinstance(action, _Read):
                    result = await self._aread(action.response, action.body)
                elif isinstance(action, _Release):
                    await action.response.aread()
                elif isinstance(action, WaitForLogin | Sleep | Call):
                    result = await aperform(action)
                else:
                    result = yield action
        finally:
            flow.close()

    def logout(self, client: Any) -> None:
        """Have the tokens revoked (RFC 7009), and forget them, here and in the store.

        The next request logs in anew. Nothing to revoke, or a token that is gone already, is a success.

        Args:
            client: the ``Client`` to do it with.

        Raises:
            TypeError: `client` is none.
            LogoutError: the platform did not take them back, or was not reached. They are forgotten all the same.
        """
        _check_client(client, self._client_types[0])
        drive(self._farewell(client, _OneShotSync), partial(self._do, client), self._request_error)

    def _do(self, client: Any, action: Any) -> Any:
        if isinstance(action, _Read):
            return self._read(action.response, action.body)
        if isinstance(action, WaitForLogin | Sleep | Call):
            return perform(action)
        return client.send(action, auth=None, stream=True, follow_redirects=False)

    async def alogout(self, client: Any) -> None:
        """The same as `logout`, for an ``AsyncClient``."""
        _check_client(client, self._client_types[1])
        await adrive(self._farewell(client, _OneShotAsync), partial(self._ado, client), self._request_error)

    async def _ado(self, client: Any, action: Any) -> Any:
        if isinstance(action, _Read):
            return await self._aread(action.response, action.body)
        if isinstance(action, WaitForLogin | Sleep | Call):
            return await aperform(action)
        return await client.send(action, auth=None, stream=True, follow_redirects=False)

    def _farewell(self, client: Any, body_type: type[_OneShot]) -> Generator[Any, Any, None]:
        """A logout in httpx's terms, as `_flow` is for a request. A network error is thrown in."""
        steps = self._account.farewell()
        result: Any = None
        failure: Exception | None = None

        def refuse_repeat() -> NoReturn:
            raise self._to_client_error(LogoutError("the logout was repeated by the client: not followed"))

        try:
            while (step := self._advance(steps, result, None, failure)) is not None:
                failure = None
                if not isinstance(step, SendControl):
                    result = yield step
                    continue
                plain = client.build_request(step.request.method, step.request.url)  # with the client's time-outs
                control = _control_request(self._control_type, step.request, plain, body_type, refuse_repeat)
                try:
                    response = yield control
                    result = yield from self._reply(control, response)
                except self._request_error as error:
                    strip_tracebacks(error)  # in its client's frames is the token
                    failure = error
        finally:
            steps.close()

    def _sign_warm(self, request: Any) -> bool:
        """Sign a request that needs nothing else. False: it takes a conversation."""
        account = self._account
        token = account.token
        home = token.data_center
        url = request.url
        if (
            home is None
            or url.host != home.host
            or url.scheme != home.scheme
            or url.port != home.port
            or account.now() >= token.refresh_at
        ):
            signature = account.signature(str(url))
            if signature is None:
                return False
            _apply(signature, request)
        else:
            request.headers["Authorization"] = token.authorization
        return True

    def _flow(self, request: Any, response: Any, body_type: type[_OneShot]) -> Generator[Any, Any, None]:
        """A conversation in httpx's terms: yields requests to send, replies to read, steps to perform."""
        answer = None if response is None else self._answer(response)
        conversation = self._account.conversation(str(request.url), answer)
        control_calls: list[Any] = []
        result: Any = None
        try:
            while (step := self._advance(conversation, result, request)) is not None:
                if isinstance(step, Forward):
                    if response is not None:  # redirects may have led elsewhere: replay what was refused
                        request = response.request
                    _apply(step.signature, request)
                    response = yield request
                    _leave_out(control_calls, response)
                    result = self._answer(response)
                    continue
                if response is not None and not response.is_closed:
                    # It is going to be replayed. Those who wait must not hold what the login may need: httpx
                    # reads a refused answer only when it is replayed, and the pool has so many connections.
                    yield _Release(response)
                if isinstance(step, SendControl):
                    refuse_repeat = partial(self._refuse_repeat, conversation, request)
                    control = _control_request(self._control_type, step.request, request, body_type, refuse_repeat)
                    trace = control.extensions["trace"]  # which a hook may replace
                    try:
                        reply = yield control
                    except GeneratorExit:
                        # Perhaps an event hook that raises at a refusal. The password was refused all the same.
                        if trace.status in protocol.REFUSALS:
                            with suppress(NotaryAuthError):
                                conversation.send(ControlResponse(trace.status, {}, b"", is_hidden=True))
                        raise
                    control_calls.append(reply)
                    result = yield from self._reply(control, reply)
                else:
                    result = yield step
        finally:  # also when the client closes the flow: cancelled, or the platform could not be reached
            conversation.close()

    def _answer(self, response: Any) -> Received:
        request = response.request  # not the one that was yielded, if the client has followed redirects
        return Received(
            response.status_code,
            str(request.url),
            request.headers.get("Authorization"),
            response.status_code == 401 and _can_replay(request, self._library.ByteStream),
        )

    def _refuse_repeat(self, conversation: Steps[None], request: Any) -> NoReturn:
        # Called by a control call's body, in the middle of the client's sending: whatever the conversation makes
        # of it, this must not go on.
        repeated = LoginError("the login was answered with a redirect, or repeated by the client: not followed")
        self._advance(conversation, None, request, repeated)
        raise self._to_client_error(repeated)

    def _reply(self, control: Any, response: Any) -> Generator[Any, Any, ControlResponse]:
        if response.request is not control:
            # The client has followed a redirect: what counts is the platform's own reply.
            response = next((hop for hop in response.history if hop.request is control), response)
            return ControlResponse(response.status_code, _lower(response.headers), b"")
        headers = _lower(response.headers)
        if response.is_stream_consumed:  # by an event hook of the user's
            return ControlResponse(response.status_code, headers, response.content)
        body = yield _Read(_detached(response), messages.Body(_read_timeout(control)))
        return ControlResponse(response.status_code, headers, bytes(body), body.is_late)

    def _read(self, response: Any, body: messages.Body) -> messages.Body:
        try:
            return body if messages.is_encoded(response.headers) else body.take_all(response.iter_raw())
        finally:
            response.close()

    async def _aread(self, response: Any, body: messages.Body) -> messages.Body:
        if messages.is_encoded(response.headers):
            await response.aclose()
            return body
        chunks = response.aiter_raw()
        try:
            async for chunk in chunks:
                goes_on = body.take(chunk)
                del chunk  # no traceback with locals is to show it
                if not goes_on:
                    break
        finally:
            await response.aclose()
        if response.http_version.startswith("HTTP/1"):
            # To no avail, but it ends the client's nested generators, which trio would complain about. Over
            # HTTP/2 there would be nothing to end it.
            try:
                async for _ in chunks:
                    pass
            except self._request_error:
                pass
        return body


def _check_client(client: object, kind: type) -> None:
    if not isinstance(client, kind):
        raise TypeError(
            f"client must be a {kind.__module__.partition('.')[0]}.{kind.__name__}, not {type(client)!r}"
        )


def _apply(signature: Signature, request: Any) -> None:
    if signature.origin is not None:
        origin = signature.origin
        request.url = type(request.url)(origin.readdress(str(request.url)))
        request.headers["Host"] = origin.netloc
        # The cookies in it are those of the host it was addressed to; the client's jar is out of reach here.
        request.headers.pop("Cookie", None)
    if signature.authorization is not None:
        request.headers["Authorization"] = signature.authorization


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
        file.seek(file.tell())
    except Exception:  # noqa: BLE001  no file, or a closed one: whatever a user's file raises
        return False
    return True


def _leave_out(control_calls: list[Any], response: Any) -> None:
    """Keep the control calls out of the history that the user sees."""
    if control_calls:
        for hop in (response, *response.history):
            hop.history = [each for each in hop.history if not any(each is call for call in control_calls)]


def _read_timeout(request: Any) -> float:
    """Seconds that the user's client waits for bytes, and a control reply's body may take in all."""
    seconds = request.extensions.get("timeout", {}).get("read")
    return inf if seconds is None else float(seconds)


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _control_request(
    control_type: Callable[..., Any],
    request: ControlRequest,
    user_request: Any,
    body_type: type[_OneShot],
    refuse_repeat: Callable[[], NoReturn],
) -> Any:
    headers = dict(request.headers)
    content = None
    if request.body is not None:
        headers["Content-Length"] = str(len(request.body))
        content = body_type(request.body, refuse_repeat)
    control = control_type(request.method, request.url, headers=headers, content=content)
    control.notary_auth_body = request.body or b""
    control.extensions["trace"] = body_type.trace_type()
    if "timeout" in user_request.extensions:  # or the control call would have none
        control.extensions["timeout"] = user_request.extensions["timeout"]
    return control


class _ControlRequest:
    """A request whose body can be looked at, by event hooks and transports, and is still sent only once.

    httpx puts what was read in place of the stream, from where a redirect would send it again.
    """

    notary_auth_body: bytes = b""

    def read(self) -> bytes:
        return self.notary_auth_body

    async def aread(self) -> bytes:
        return self.notary_auth_body

    @property
    def content(self) -> bytes:
        return self.notary_auth_body

    def __reduce__(self) -> str | tuple[Any, ...]:
        return _ControlRequest, ()  # it is pickled with an error, and has the password in it


def control_type(request_type: type) -> type:
    """The class of a client's control calls."""
    return type("ControlRequest", (_ControlRequest, request_type), {})


def _detached(response: Any) -> Any:
    """A response to read the body from in place of `response`, which is left with an empty one.

    The client reads the reply to a control call to its end, whatever its size, and keeps it. This way there is
    nothing to be read, and no token to be kept.
    """
    detached = type(response)(
        response.status_code,
        headers=response.headers,
        stream=response.stream,
        request=response.request,
        extensions=response.extensions,
    )
    response.stream = type(response)(200, content=b"").stream
    return detached


class _Trace:
    """Notes the status of the platform's answer as soon as it is there, before any event hook sees it."""

    status: int | None = None
    _is_a_proxys = False  # whether what comes next is a proxy's answer, to CONNECT

    def note(self, event: str, info: Any) -> None:
        if event.endswith("receive_response_headers.started"):
            self._is_a_proxys = info["request"].method == b"CONNECT"
        elif event.endswith("receive_response_headers.complete") and not self._is_a_proxys:
            self.status = next(part for part in info["return_value"] if isinstance(part, int))


class _TraceSync(_Trace):
    def __call__(self, event: str, info: Any) -> None:
        self.note(event, info)


class _TraceAsync(_Trace):
    async def __call__(self, event: str, info: Any) -> None:
        self.note(event, info)


class _OneShot:
    """The body of a control call: a client that follows a redirect with it gets an error, and no password."""

    trace_type: ClassVar[type[_Trace]]

    def __init__(self, body: bytes, refuse_repeat: Callable[[], NoReturn]) -> None:
        self._body: bytes | None = body
        self._refuse_repeat = refuse_repeat

    def _take(self) -> bytes:
        body, self._body = self._body, None
        if body is None:
            self._refuse_repeat()
        return body


class _OneShotSync(_OneShot):
    trace_type = _TraceSync

    def __iter__(self) -> Iterator[bytes]:
        yield self._take()


class _OneShotAsync(_OneShot):
    trace_type = _TraceAsync

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._take()
