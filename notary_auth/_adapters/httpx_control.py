"""Control requests in httpx's and httpx2's terms: sent once, and their responses read with suspicion.

Control requests go through the user's client, by being yielded from the auth flow: through its proxies, CA bundle,
mounts, mocks and time-outs, and past its event hooks. So the body of one is given out only once, to be safe from
redirects, and the response is read apart from the client, which would read it whatever its size, and keep it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from math import inf
from typing import Any, NoReturn

from notary_auth._wire.messages import ControlBody, ControlRequest, ControlResponse, is_redirect
from notary_auth.errors import InsecureUrl, LoginError, NotaryAuthError

from .drivers import Errors

#: What ends a control request in the middle of the client's sending: an error, or the platform's response.
Outcome = NotaryAuthError | ControlResponse

REPEATED = "the request was answered with a redirect, or repeated by the client: not followed"


class ReadControl:
    """Read this control response's body into `body`, and close the response."""

    __slots__ = ("body", "response")

    def __init__(self, response: Any, body: ControlBody) -> None:
        self.response = response
        self.body = body

    def read(self) -> None:
        try:
            self.body.take_all(self.response.iter_raw())
        finally:
            self.response.close()

    async def aread(self, network_error: Errors) -> None:
        response = self.response
        if not self.body.is_readable:
            await response.aclose()
            return
        chunks = response.aiter_raw()
        try:
            async for chunk in chunks:
                goes_on = self.body.take(chunk)
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
            except network_error:
                pass


def read_control(control: Any, response: Any) -> Generator[ReadControl, Any, ControlResponse]:
    """The response to `control`, as the core takes it."""
    if response.request is not control:
        # The client has followed a redirect: what counts is the platform's own response.
        response = next((hop for hop in response.history if hop.request is control), response)
        return ControlBody(response.status_code, response.headers).response()
    body = ControlBody(response.status_code, response.headers, _read_timeout(control))
    if response.is_stream_consumed:  # by an event hook of the user's
        body.take_all([response.content])
    else:
        yield ReadControl(_detached(response), body)
    return body.response()


def to_client_request(
    control_type: Callable[..., Any],
    request: ControlRequest,
    user_request: Any,
    is_async: bool,
    end_here: Callable[[Outcome], None],
) -> tuple[Any, _Trace]:
    """A control request as the client sends it, with the time-outs of the user's request; and what traces it.

    Args:
        end_here: called where the client must not go on; raises an error as a rule.
    """
    control = control_type(request.method, request.url, headers=request.headers)
    if request.body is not None:
        control.notary_auth_body = request.body
        control.headers["Content-Length"] = str(len(request.body))
        control.stream = control.one_shot(request.body, end_here)
    trace = _Trace(control.url, end_here)
    control.extensions["trace"] = trace.anote if is_async else trace.note
    if "timeout" in user_request.extensions:  # or the control request would have none
        control.extensions["timeout"] = user_request.extensions["timeout"]
    return control, trace


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

    def forget(self: Any) -> None:
        """Let go of the password, and of what leads to it: the client's errors have their request with them."""
        self.notary_auth_body = b""
        self.stream = self.one_shot(b"", _end_late)
        self.extensions.pop("trace", None)

    def __reduce__(self) -> str | tuple[Any, ...]:
        return _ControlRequest, ()  # it is pickled with an error, and perhaps in the middle of being sent


def control_type(library: Any) -> type:
    """The class of a client's control requests, and of their bodies, which go out blocking as well as awaited."""
    one_shot = type("OneShot", (_OneShot, library.SyncByteStream, library.AsyncByteStream), {})
    return type("ControlRequest", (_ControlRequest, library.Request), {"one_shot": one_shot})


def _read_timeout(request: Any) -> float:
    """Seconds that the user's client waits for bytes, and a control response's body may take in all."""
    seconds = request.extensions.get("timeout", {}).get("read")
    return inf if seconds is None else float(seconds)


def _detached(response: Any) -> Any:
    """A response to read the body from in place of `response`, which is left with an empty one.

    The client reads the response to a control request to its end, whatever its size, and keeps it. This way there
    is nothing to be read, and no token to be kept.
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
    """What the transport tells of a control request on its way, before the client or any event hook knows of it.

    A redirect ends there: a client that follows redirects would read its body, whatever its size. And a request
    without TLS must not go through a proxy, which would read the password. Transports without a trace are the
    user's own.
    """

    def __init__(self, url: Any, end_here: Callable[[Outcome], None]) -> None:
        self.status: int | None = None
        self._url = url
        self._end_here = end_here
        self._is_a_proxys = False  # whether what comes next is a proxy's response, to CONNECT

    def note(self, event: str, info: Any) -> None:
        if event.endswith("connect_tcp.started"):
            self._check_peer(info["host"], info["port"])
        elif event.endswith("send_request_headers.started"):
            self._check_peer(info["request"].url.host.decode("ascii"), info["request"].url.port)
        elif event.endswith("receive_response_headers.started"):
            self._is_a_proxys = info["request"].method == b"CONNECT"
        elif event.endswith("receive_response_headers.complete") and not self._is_a_proxys:
            self.status = next(part for part in info["return_value"] if isinstance(part, int))
            if is_redirect(self.status):
                self._end_here(ControlResponse(self.status, {}, b""))

    def _check_peer(self, host: str, port: int | None) -> None:
        if self._url.scheme == "http" and (host, port or 80) != (self._url.host, self._url.port or 80):
            url = str(self._url).partition("?")[0]
            self._end_here(InsecureUrl(f"{url} is sent without TLS, so through no proxy: set NO_PROXY", url=url))

    async def anote(self, event: str, info: Any) -> None:
        self.note(event, info)


class _OneShot:
    """The body of a control request: a client that follows a redirect with it gets an error, and no password."""

    def __init__(self, body: bytes, end_here: Callable[[Outcome], None]) -> None:
        self._body: bytes | None = body
        self._end_here = end_here

    def _take(self) -> bytes:
        body, self._body = self._body, None
        if body is None:
            self._end_here(LoginError(REPEATED))
        return body or b""

    def __iter__(self) -> Iterator[bytes]:
        yield self._take()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._take()


def _end_late(outcome: Outcome) -> NoReturn:
    raise RuntimeError("this control request is over")
