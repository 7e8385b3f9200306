"""Every client without a network: each notes the host that its own parser would have it connect to.

What decides whether a token leaks is not what a URL looks like, but where the bytes go. requests tells by the
connection pool it picks, httpx and httpx2 by what they hand to their transport.
"""

from __future__ import annotations

import asyncio
import io
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import httpx2
import trio
import urllib3

import notary_auth

from .clients import Client

TESTS, LIBRARY = Path(__file__).parent, Path(notary_auth.__file__).parent
DEFAULT_PORTS = {"http": 80, "https": 443}


class Sent(NamedTuple):
    """A request, and where it went."""

    scheme: str
    host: str  # as DNS would have it: lower case, no dot at its end
    port: int
    path: str
    authorization: str | None
    body: bytes

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port


class Answered(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


Respond = Callable[[Sent], Answered]


def visit(client: Client, auth: Any, urls: Sequence[str], respond: Respond, *, follow: bool = False) -> list[Any]:
    """Get each URL, one after the other, with redirects if `follow`. Returns statuses, or what was raised.

    Raises:
        Exception: one that is neither the client's own nor about an invalid URL, and has notary-auth in its way.
    """
    expected = (client.error, ValueError, getattr(client.library, "InvalidURL", ValueError))
    if client.library not in (httpx, httpx2):
        with client.library.Session() as session:
            session.max_redirects = 12
            adapter = session_adapter(client.library)(respond)
            session.mount("http://", adapter)
            session.mount("https://", adapter)
            session.trust_env = False
            auth = client.adapter.NotaryAuth.from_account(auth.account, session=session)
            get = partial(session.get, auth=auth, allow_redirects=follow)
            return [_outcome(get, url, expected) for url in urls]
    transport = {httpx: _HttpxTransport, httpx2: _Httpx2Transport}[client.library](respond)
    options = {"transport": transport, "auth": auth, "follow_redirects": follow, "trust_env": False}
    if not client.is_async:
        with client.library.Client(**options) as http:
            return [_outcome(http.get, url, expected) for url in urls]

    async def main() -> list[Any]:
        outcomes = []
        async with client.library.AsyncClient(**options) as http:
            for url in urls:
                try:
                    outcomes.append((await http.get(url)).status_code)
                except Exception as error:
                    outcomes.append(_of_the_client(error, expected))
        return outcomes

    return trio.run(main) if client.name.endswith("trio") else asyncio.run(main())


def _outcome(get: Callable[[str], Any], url: str, expected: tuple[type[Exception], ...]) -> Any:
    try:
        return get(url).status_code
    except Exception as error:
        return _of_the_client(error, expected)


def _of_the_client(error: Exception, expected: tuple[type[Exception], ...]) -> Exception:
    """An error of the client's, or one that it trips over all by itself, as niquests does with some URLs.

    Any other is raised again.
    """
    folders = [Path(frame.filename).parent for frame in traceback.extract_tb(error.__traceback__)]
    is_ours = LIBRARY in folders or folders[-1] in (TESTS, TESTS.parent / "fuzz")
    if is_ours and not isinstance(error, expected):
        raise error
    return error


def _sent(scheme: str, host: str, port: int | None, path: str, authorization: str | None, body: Any) -> Sent:
    scheme, host = scheme.lower(), host.strip("[]").lower()
    return Sent(
        scheme, host.removesuffix("."), port or DEFAULT_PORTS.get(scheme, 0), path, authorization, body or b""
    )


def _encoded(headers: Mapping[str, str]) -> dict[str, bytes]:
    """Header values as a server that does not care what is allowed in them puts them on the wire."""
    return {name: value.encode("utf-8", "surrogatepass") for name, value in headers.items()}


@cache
def session_adapter(library: Any) -> Any:
    """An adapter for sessions of requests, or of niquests."""

    class Adapter(library.adapters.HTTPAdapter):  # type: ignore[misc,name-defined]
        def __init__(self, respond: Respond) -> None:
            super().__init__()
            self._respond = respond

        def send(self, request: Any, *_: Any, **__: Any) -> Any:
            pool = self._pool(request)
            header = request.headers.get("Authorization")
            body = request.body.encode() if isinstance(request.body, str) else request.body
            status, headers, content = self._respond(
                _sent(pool.scheme, pool.host, pool.port, request.path_url, header, body)
            )
            as_read = {name: value.decode("latin-1") for name, value in _encoded(headers).items()}
            raw = urllib3.HTTPResponse(
                io.BytesIO(content), as_read, status, preload_content=False, decode_content=False
            )
            response = self.build_response(request, raw)
            response.connection = self  # a hook replays by it
            return response

        def _pool(self, request: Any) -> Any:
            # From a new manager each time: that of niquests' urllib3 waits for ever for a pool that could not be
            # built the first time.
            self.init_poolmanager(1, 1)
            if hasattr(self, "get_connection_with_tls_context"):
                return self.get_connection_with_tls_context(request, True)
            return self.get_connection(request.url)

    return Adapter


def _httpx_sent(request: Any, body: bytes) -> Sent:
    url = request.url  # these are what httpx hands to httpcore
    return _sent(
        url.raw_scheme.decode("ascii"),
        url.raw_host.decode("ascii"),
        url.port,
        url.raw_path.decode("ascii"),
        request.headers.get("Authorization"),
        body,
    )


def _transport(library: Any) -> Any:
    class Stream(library.SyncByteStream, library.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, content: bytes) -> None:
            self._content = content

        def __iter__(self) -> Iterator[bytes]:
            yield self._content

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield self._content

    class Transport(library.BaseTransport, library.AsyncBaseTransport):  # type: ignore[misc]
        def __init__(self, respond: Respond) -> None:
            self._respond = respond

        def handle_request(self, request: Any) -> Any:
            return self._answer(request, b"".join(request.stream))

        async def handle_async_request(self, request: Any) -> Any:
            return self._answer(request, b"".join([chunk async for chunk in request.stream]))

        def _answer(self, request: Any, body: bytes) -> Any:
            status, headers, content = self._respond(_httpx_sent(request, body))
            return library.Response(status, headers=_encoded(headers), stream=Stream(content))

    return Transport


_HttpxTransport = _transport(httpx)
_Httpx2Transport = _transport(httpx2)
