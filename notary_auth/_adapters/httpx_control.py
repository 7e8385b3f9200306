"""Control requests in httpx's and httpx2's terms: sent nowhere else, and their responses read with suspicion.

Control requests go through the user's client, by being yielded from the auth flow: through its proxies, CA bundle,
mounts, mocks, time-outs and event hooks. So one is watched on its way (`_Sending`), and its response is read apart
from the client, which would read it whatever its size, and keep it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from math import inf
from typing import Any, ClassVar, NoReturn

from notary_auth._secrets import strip_tracebacks
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
        error = None
        try:
            self.body.take_all(self.response.iter_raw())
        except Exception as caught:  # noqa: BLE001  raised again, without the frames that have a token in them
            error = caught
        finally:
            self.response.close()
        if error is not None:
            strip_tracebacks(error)
            raise error

    async def aread(self, network_error: Errors) -> None:
        response = self.response
        if not self.body.is_readable:
            await response.aclose()
            return
        chunks, error = response.aiter_raw(), None
        try:
            await self.body.atake_all(chunks)
        except Exception as caught:  # noqa: BLE001  raised again below, as in `read`
            error = caught
        finally:
            await response.aclose()
        if error is not None:
            strip_tracebacks(error)
            raise error
        if response.http_version.startswith("HTTP/1"):
            # Yields nothing, but ends the client's nested generators, or trio warns of them. HTTP/2 has none.
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


class _ControlRequest:
    """A request whose body can be looked at, by event hooks and transports, and is still sent nowhere else.

    httpx would put what was read in place of the stream, from where a redirect would send it again. Here it stays
    `_Sending`, unless a hook replaces it.

    Args:
        user_request: has the time-outs.
        end_here: called where the client must not go on; raises an error as a rule.
    """

    sending_type: ClassVar[Callable[..., _Sending]]
    _replacement: Any = None  # of the stream

    def __init__(
        self, request: ControlRequest, user_request: Any, is_async: bool, end_here: Callable[[Outcome], None]
    ) -> None:
        self.sending = self.sending_type(request.body or b"", end_here)
        options: Any = {"headers": request.headers, "content": request.body}
        super().__init__(request.method, request.url, **options)  # type: ignore[call-arg]  # the client's
        own: Any = self
        self.sending.url = own.url
        own.extensions["trace"] = self.sending.atrace if is_async else self.sending.trace
        if "timeout" in user_request.extensions:  # or this request would have none
            own.extensions["timeout"] = user_request.extensions["timeout"]

    @property
    def stream(self) -> Any:
        self.sending.is_handed_over = True
        return self.sending if self._replacement is None else self._replacement

    @stream.setter
    def stream(self, stream: Any) -> None:
        if self.sending.url is not None:  # from here on it is a hook's, and not httpx's own
            self._replacement = stream

    def read(self) -> bytes:
        return self.sending.read()

    async def aread(self) -> bytes:
        return self.sending.read()

    @property
    def content(self) -> bytes:
        return self.sending.read()

    def forget(self: Any) -> None:
        """Let go of the password, and of what leads to it: the client's errors have their request with them."""
        self.sending.forget()
        self._replacement = None
        self.headers.pop("Authorization", None)
        self.extensions.pop("trace", None)

    def __reduce__(self) -> str | tuple[Any, ...]:
        return object, ()  # an error is pickled without its control request


def control_type(library: Any) -> type:
    """The class of a client's control requests, and of their bodies, which go out blocking as well as awaited."""
    sending_type = type("Sending", (_Sending, library.SyncByteStream, library.AsyncByteStream), {})
    return type("ControlRequest", (_ControlRequest, library.Request), {"sending_type": sending_type})


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


class _Sending:
    """A control request on its way: its body, and what the transport tells of it (httpx's ``trace`` extension).

    The client must not go on with it

    * if it is redirected: a client that follows redirects would read the body of this response, whatever its size;
    * if its body is asked for again by anything but a transport that repeats it to the same place;
    * if it has no TLS, since it is for this machine, and is sent to a proxy, which would read the password.

    Transports that tell nothing are the user's own.
    """

    def __init__(self, body: bytes, end_here: Callable[[Outcome], None]) -> None:
        self.status: int | None = None  # of the platform's response, before any event hook sees that
        self.url: Any = None
        self.is_handed_over = False  # to the transport
        self._body = body
        self._is_form = bool(body)
        self._end_here = end_here
        self._is_given_out = False
        self._is_connect = False  # whether what comes next is a proxy's response, to CONNECT

    def trace(self, event: str, info: Any) -> None:
        if event.endswith("connect_tcp.started"):
            self._check_peer(info["host"], info["port"])
        elif event.endswith("send_request_headers.started"):
            url = info["request"].url
            self._check_peer(url.host.decode("ascii"), url.port)
            own = self.url.raw_scheme, self.url.raw_host, self.url.port, self.url.raw_path
            if (url.scheme, url.host, url.port, url.target) == own:
                self._is_given_out = False  # the transport repeats it to the same place
        elif event.endswith("receive_response_headers.started"):
            self._is_connect = info["request"].method == b"CONNECT"
        elif event.endswith("receive_response_headers.complete") and not self._is_connect:
            self.status = next(part for part in info["return_value"] if isinstance(part, int))
            if is_redirect(self.status):
                self._end_here(ControlResponse(self.status, {}, b""))

    async def atrace(self, event: str, info: Any) -> None:
        self.trace(event, info)

    def _check_peer(self, host: str, port: int | None) -> None:
        if self.url.scheme == "http" and (host, port or 80) != (self.url.host, self.url.port or 80):
            url = str(self.url).partition("?")[0]
            self._end_here(InsecureUrl(f"{url} is sent without TLS, so through no proxy: set NO_PROXY", url=url))

    def read(self) -> bytes:
        """The body, for whoever looks at it. A transport that reads bodies like this, as mocks do, sends it."""
        self._is_given_out = self._is_given_out or self.is_handed_over
        return self._body

    def _take(self) -> bytes:
        if self._is_given_out and self._is_form:
            self._end_here(LoginError(REPEATED))
        self._is_given_out = True
        return self._body

    def __iter__(self) -> Iterator[bytes]:
        yield self._take()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._take()

    def forget(self) -> None:
        self._body = b""
        self._end_here = _already_over


def _already_over(outcome: Outcome) -> NoReturn:
    raise RuntimeError("this control request is over")
