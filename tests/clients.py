"""Every client in one form, so that one body of tests serves all: `Client.send` and `Client.at_once`.

An asynchronous client is driven by a loop of its own for each call, which is what scripts with asyncio.run do.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, TypeVar

import aiohttp
import httpx
import httpx2
import pytest
import requests
import trio

import notary_auth.aiohttp
import notary_auth.httpx
import notary_auth.httpx2
import notary_auth.requests
from notary_auth import Account
from notary_auth.sandbox import Sandbox

from . import grants

TIMEOUT = 30

Test = TypeVar("Test", bound=Callable[..., None])


class Client:
    """A client library, in one of the ways it is used."""

    def __init__(self, name: str, library: ModuleType, adapter: ModuleType, error: type[Exception]) -> None:
        self.name = name
        self.library = library
        self.adapter = adapter
        self.error = error

    def __repr__(self) -> str:
        return self.name

    @property
    def is_async(self) -> bool:
        return False

    @property
    def records_replays(self) -> bool:
        """Whether a response's history has the ones that were replayed."""
        return True

    @property
    def auth_type(self) -> Any:
        return self.adapter.NotaryAuth

    def auth(self, notary: Sandbox, **arguments: Any) -> Any:
        """A NotaryAuth for the sandbox's first account, a user's or an API client's by the test's grant."""
        defaults = {"username": notary.username, "password": notary.password, "cloud_url": notary.url}
        arguments = {**defaults, **arguments}
        if not grants.is_clients():
            return self.auth_type(**arguments)
        notary.add_client(notary.username, notary.password)  # with the name and the password as id and secret
        client_id, secret = arguments.pop("username"), arguments.pop("password")
        return self.auth_type.for_client(client_id, secret, server_url=notary.data_center_urls[0], **arguments)

    def auth_of(self, account: Account) -> Any:
        return self.auth_type.from_account(account)

    def get(self, url: str, auth: Any = None, **options: Any) -> Any:
        return self.send("GET", url, auth=auth, **options)

    def send(self, method: str, url: str, *, auth: Any = None, follow: bool = False, **options: Any) -> Any:
        """Send a request, and return the client's own response. `ca` is a file with the CA to trust."""
        raise NotImplementedError

    def at_once(self, urls: Sequence[str], auth: Any, connections: int = 100) -> list[Any]:
        """Get all URLs at once, with so many connections. Returns responses, or exceptions, in order."""
        raise NotImplementedError

    def log_out(self, auth: Any) -> None:
        raise NotImplementedError

    def call(self, auth: Any, request: Any) -> Any:
        """Call an auth object as the client does."""
        return auth(request)

    def generator(self, chunks: Iterable[bytes]) -> Any:
        """A body that can be read once."""
        return (chunk for chunk in chunks)


def _set_up(session: Any, adapter: Any, options: dict[str, Any]) -> bool:
    """Take what is a session's out of `options`. Returns whether control requests are to go through it."""
    options.setdefault("timeout", TIMEOUT)
    is_special = not options.keys().isdisjoint({"ca", "retries"})
    if "ca" in options:
        session.verify = str(options.pop("ca"))
    if "retries" in options:
        session.mount("http://", adapter(max_retries=options.pop("retries")))
    return is_special


class Requests(Client):
    """requests, and niquests, which has the same interface."""

    def send(self, method: str, url: str, *, auth: Any = None, follow: bool = False, **options: Any) -> Any:
        if "content" in options:
            options["data"] = options.pop("content")
        with self.library.Session() as session:
            if _set_up(session, self.library.adapters.HTTPAdapter, options):
                auth = self.adapter.NotaryAuth.from_account(auth.account, session=session)
            return session.request(method, url, auth=auth, allow_redirects=follow, **options)

    def at_once(self, urls: Sequence[str], auth: Any, connections: int = 100) -> list[Any]:
        with self.library.Session() as session:
            adapter = self.library.adapters.HTTPAdapter(pool_maxsize=connections, pool_block=True)
            session.mount("http://", adapter)
            auth = self.adapter.NotaryAuth.from_account(auth.account, session=session)
            return in_threads(lambda url: session.get(url, auth=auth, timeout=TIMEOUT), urls)

    def log_out(self, auth: Any) -> None:
        auth.logout()


class NiquestsAsyncio(Client):
    """niquests' AsyncSession."""

    @property
    def is_async(self) -> bool:
        return True

    @property
    def auth_type(self) -> Any:
        return self.adapter.AsyncNotaryAuth

    def run(self, work: Callable[[], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            return await work()

        return asyncio.run(main())

    def send(self, method: str, url: str, *, auth: Any = None, follow: bool = False, **options: Any) -> Any:
        if "content" in options:
            options["data"] = options.pop("content")

        async def send() -> Any:
            async with self.library.AsyncSession() as session:
                own = auth
                if _set_up(session, self.library.adapters.AsyncHTTPAdapter, options):
                    own = self.adapter.AsyncNotaryAuth.from_account(auth.account, session=session)
                return await session.request(method, url, auth=own, allow_redirects=follow, **options)

        return self.run(send)

    def at_once(self, urls: Sequence[str], auth: Any, connections: int = 100) -> list[Any]:
        async def get_all() -> list[Any]:
            async with self.library.AsyncSession(pool_maxsize=connections) as session:
                own = self.adapter.AsyncNotaryAuth.from_account(auth.account, session=session)

                async def get(url: str) -> Any:
                    try:
                        return await session.get(url, auth=own, timeout=TIMEOUT)
                    except Exception as error:
                        return error

                return await asyncio.gather(*map(get, urls))

        return self.run(get_all)  # type: ignore[no-any-return]

    def log_out(self, auth: Any) -> None:
        self.run(auth.alogout)

    def call(self, auth: Any, request: Any) -> Any:
        return self.run(lambda: auth(request))

    def generator(self, chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
        async def generate() -> AsyncIterator[bytes]:
            for chunk in chunks:
                yield chunk

        return generate()


class HttpxSync(Client):
    def send(self, method: str, url: str, *, auth: Any = None, follow: bool = False, **options: Any) -> Any:
        verify = _verify(options)
        with self.library.Client(verify=verify, timeout=TIMEOUT, follow_redirects=follow) as client:
            return client.request(method, url, auth=auth, **options)

    def at_once(self, urls: Sequence[str], auth: Any, connections: int = 100) -> list[Any]:
        # All connections may stay: closing surplus ones, the pool can hit one in use (encode/httpcore#1110).
        limits = self.library.Limits(max_connections=connections, max_keepalive_connections=connections)
        with self.library.Client(verify=False, timeout=TIMEOUT, auth=auth, limits=limits) as client:
            return in_threads(client.get, urls)

    def log_out(self, auth: Any) -> None:
        # The client's own auth, headers and cookies have no part in it.
        own: dict[str, Any] = {
            "auth": ("user", "password"),
            "headers": {"Authorization": "x"},
            "cookies": {"a": "b"},
        }
        with self.library.Client(verify=False, timeout=TIMEOUT, follow_redirects=True, **own) as client:
            auth.logout(client)


class HttpxAsync(Client):
    @property
    def is_async(self) -> bool:
        return True

    def run(self, work: Callable[[], Awaitable[Any]]) -> Any:
        raise NotImplementedError

    async def gather(self, work: Callable[[Any], Awaitable[Any]], arguments: Sequence[Any]) -> list[Any]:
        raise NotImplementedError

    def send(self, method: str, url: str, *, auth: Any = None, follow: bool = False, **options: Any) -> Any:
        async def send() -> Any:
            verify = _verify(options)
            async with self.library.AsyncClient(verify=verify, timeout=TIMEOUT, follow_redirects=follow) as client:
                return await client.request(method, url, auth=auth, **options)

        return self.run(send)

    def at_once(self, urls: Sequence[str], auth: Any, connections: int = 100) -> list[Any]:
        async def get_all() -> list[Any]:
            limits = self.library.Limits(max_connections=connections)
            async with self.library.AsyncClient(verify=False, timeout=TIMEOUT, auth=auth, limits=limits) as client:

                async def get(url: str) -> Any:
                    try:
                        return await client.get(url)
                    except Exception as error:
                        return error

                return await self.gather(get, urls)

        return self.run(get_all)  # type: ignore[no-any-return]

    def log_out(self, auth: Any) -> None:
        async def log_out() -> None:
            own: dict[str, Any] = {"auth": ("user", "password"), "headers": {"Authorization": "x"}}
            async with self.library.AsyncClient(verify=False, timeout=TIMEOUT, **own) as client:
                await auth.alogout(client)

        self.run(log_out)

    def generator(self, chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
        async def generate() -> AsyncIterator[bytes]:
            for chunk in chunks:
                yield chunk

        return generate()


class HttpxAsyncio(HttpxAsync):
    def run(self, work: Callable[[], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            return await work()

        return asyncio.run(main())

    async def gather(self, work: Callable[[Any], Awaitable[Any]], arguments: Sequence[Any]) -> list[Any]:
        return await asyncio.gather(*(work(argument) for argument in arguments))


class HttpxTrio(HttpxAsync):
    def run(self, work: Callable[[], Awaitable[Any]]) -> Any:
        return trio.run(work)

    async def gather(self, work: Callable[[Any], Awaitable[Any]], arguments: Sequence[Any]) -> list[Any]:
        results: list[Any] = [None] * len(arguments)

        async def keep(index: int) -> None:
            results[index] = await work(arguments[index])

        async with trio.open_nursery() as nursery:
            for index in range(len(arguments)):
                nursery.start_soon(keep, index)
        return results


class AiohttpAsyncio(Client):
    """aiohttp's ClientSession, with the auth object as its middleware."""

    @property
    def records_replays(self) -> bool:
        return False  # no middleware's replay is recorded, as of aiohttp's own digest authentication

    @property
    def is_async(self) -> bool:
        return True

    def run(self, work: Callable[[], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            return await work()

        return asyncio.run(main())

    def send(self, method: str, url: str, *, auth: Any = None, follow: bool = False, **options: Any) -> Any:
        if "content" in options:
            options["data"] = options.pop("content")
        if "files" in options:
            options["data"] = form = aiohttp.FormData(quote_fields=False)
            for name, file in options.pop("files").items():
                filename, content = file if isinstance(file, tuple) else (name, file)
                form.add_field(name, content, filename=filename)
        if "ca" in options:
            options["ssl"] = ssl.create_default_context(cafile=str(options.pop("ca")))
        middlewares = () if auth is None else (auth,)

        async def send() -> AiohttpResponse:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT, sock_read=TIMEOUT)
            async with (
                aiohttp.ClientSession(middlewares=middlewares, timeout=timeout) as session,
                session.request(method, url, allow_redirects=follow, **options) as response,
            ):
                return AiohttpResponse(response, await response.read())

        return self.run(send)

    def at_once(self, urls: Sequence[str], auth: Any, connections: int = 100) -> list[Any]:
        async def get_all() -> list[Any]:
            connector = aiohttp.TCPConnector(limit=connections)
            timeout = aiohttp.ClientTimeout(total=TIMEOUT)
            async with aiohttp.ClientSession(middlewares=(auth,), connector=connector, timeout=timeout) as session:

                async def get(url: str) -> Any:
                    try:
                        async with session.get(url) as response:
                            return AiohttpResponse(response, await response.read())
                    except Exception as error:
                        return error

                return await asyncio.gather(*map(get, urls))

        return self.run(get_all)  # type: ignore[no-any-return]

    def log_out(self, auth: Any) -> None:
        async def log_out() -> None:
            async with aiohttp.ClientSession() as session:
                await auth.alogout(session)

        self.run(log_out)

    def call(self, auth: Any, request: Any) -> Any:
        return self.run(lambda: auth(request, None))

    def generator(self, chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
        async def generate() -> AsyncIterator[bytes]:
            for chunk in chunks:
                yield chunk

        return generate()


class AiohttpResponse:
    """aiohttp's response, read, in the words of the other clients."""

    def __init__(self, response: Any, content: bytes) -> None:
        self.status_code: int = response.status
        self.content = content
        self.text = content.decode(errors="replace")
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        self.url = str(response.url)
        self.history = [AiohttpResponse(hop, b"") for hop in response.history]

    def json(self) -> Any:
        return json.loads(self.content)


def _verify(options: dict[str, Any]) -> Any:
    """With `ca`, a file: check certificates against that. Else nothing is, which spares loading the CA bundle."""
    return ssl.create_default_context(cafile=options.pop("ca")) if "ca" in options else False


def in_threads(work: Callable[[Any], Any], arguments: Sequence[Any]) -> list[Any]:
    """Results or exceptions of `work`, each in a thread of its own, all started together."""
    together = threading.Barrier(len(arguments))

    def start(argument: Any) -> Any:
        together.wait()
        try:
            return work(argument)
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(arguments)) as pool:
        return list(pool.map(start, arguments))


def _httpx_clients(library: ModuleType, adapter: ModuleType) -> Iterator[Client]:
    name = library.__name__
    yield HttpxSync(name, library, adapter, library.HTTPError)
    yield HttpxAsyncio(f"{name}-asyncio", library, adapter, library.HTTPError)
    yield HttpxTrio(f"{name}-trio", library, adapter, library.HTTPError)


def _niquests_clients() -> Iterator[Client]:
    """Where niquests is installed: the extra ``test-niquests``, since it replaces urllib3 for all."""
    if find_spec("niquests") is None:
        return
    library, adapter = import_module("niquests"), import_module("notary_auth.niquests")
    yield Requests("niquests", library, adapter, library.RequestException)
    yield NiquestsAsyncio("niquests-asyncio", library, adapter, library.RequestException)


CLIENTS: list[Client] = [
    Requests("requests", requests, notary_auth.requests, requests.RequestException),
    *_niquests_clients(),
    *_httpx_clients(httpx, notary_auth.httpx),
    *_httpx_clients(httpx2, notary_auth.httpx2),
    AiohttpAsyncio("aiohttp", aiohttp, notary_auth.aiohttp, aiohttp.ClientError),
]
#: The names of those that the default run has; the others have a smoke test in it, and all else in the matrix.
DEFAULT = ("requests", "httpx", "httpx-asyncio")
HTTPX = [client for client in CLIENTS if client.library in (httpx, httpx2)]
#: Those with sessions, response hooks and urllib3's retries.
SESSIONS = [client for client in CLIENTS if isinstance(client, Requests | NiquestsAsyncio)]
#: Those that tests/dry.py can run without a network.
DRY = [client for client in CLIENTS if not isinstance(client, NiquestsAsyncio | AiohttpAsyncio)]


def each(clients: Iterable[Client]) -> list[Any]:
    """Clients as the parameters of a test: those that the default run has, and the others for the matrix."""
    return [
        pytest.param(client, id=str(client), marks=[] if client.name in DEFAULT else pytest.mark.matrix)
        for client in clients
    ]


def leaves_sockets(test: Test) -> Test:
    """Mark a test that cancels requests: old versions of httpcore leave their sockets to the garbage collector."""
    for warning in (
        "unclosed:ResourceWarning",
        "Exception ignored in. <(socket|function _SelectorTransport):pytest.PytestUnraisableExceptionWarning",
    ):
        test = pytest.mark.filterwarnings(f"ignore:{warning}")(test)
    marked: Test = pytest.mark.usefixtures("garbage")(test)
    return marked
