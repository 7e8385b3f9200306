"""Who is measured: each package used as its own documentation shows, and nothing done for it that its users
would not.

All others have to be told the data center, and are: finding it is half of what notary-auth is for, but it would
be no contest. All are given `expires_in`, which the platform need not send. requests_auth, httpx_auth and
requests-oauth2client know the password grant; Authlib fetches a token with it and renews that with a refresh
token; google-auth and azure-core are shown, as their extension points are meant, a credential that logs in here.

All is written once, in coroutines: with a synchronous client nothing in them ever waits, and `finish` runs them in
a thread. `CONTESTANTS` is the table of all.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta, timezone
from functools import partial
from importlib import import_module
from inspect import isawaitable
from itertools import cycle
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeVar
from unittest import mock
from urllib.parse import urlencode

import aiohttp
import httpx
import httpx2
import requests
from requests.auth import AuthBase
from yarl import URL

import notary_auth.aiohttp
import notary_auth.httpx
import notary_auth.httpx2
import notary_auth.requests
from notary_auth._adapters.drivers import finish
from notary_auth.sandbox._model import LOGIN, LOOKUP

from .platform import FILES, Platform

TIMEOUT = 120.0  # seconds, for all: a crowd takes its time
CONNECTIONS = 100  # of one client, at most: what httpx and aiohttp have by default

# To read the CA bundle takes a client 20 ms, for which a loop stands still. No case has tasks of httpx on TLS.
ASYNC_OPTIONS: dict[str, Any] = {"timeout": TIMEOUT, "verify": False}

Get = Callable[[str], Awaitable[int]]  # a request's URL to the status of its answer
Sign = Callable[[], object]
Opening = AbstractAsyncContextManager["Opened"]
Result = TypeVar("Result")


async def _nothing() -> None:
    pass


class Opened(NamedTuple):
    """A contestant that is ready.

    `new_client` gives a caller its way to make requests. Once one has been answered, `signing` is what signs a
    request to a URL, in process. `log_in` is what users of a package do once, before all else.
    """

    new_client: Callable[[], Awaitable[Get]]
    signing: Callable[[str], Sign] | None = None
    log_in: Callable[[], Awaitable[object]] = _nothing

    async def first_client(self) -> Get:
        await self.log_in()
        return await self.new_client()


class Contestant(NamedTuple):
    """One line of a table.

    `open` opens it on a platform. `renews_before` is how many seconds before a token's end the package takes it
    for due, as it comes; None where that depends on the lifetime, or where it never does. A contestant that
    `discovers` is given the cloud's URL, and finds the data center itself.
    """

    name: str
    client: str
    open: Callable[..., Opening]
    renews_before: float | None = None
    discovers: bool = False
    is_async: bool = False

    @property
    def label(self) -> str:
        has_threads_too = self.is_async and self.client != "aiohttp"
        return f"{self.client}{', async' if has_threads_too else ''}: {self.name}"

    def url(self, platform: Platform) -> str:
        return platform.files if self.discovers else platform.home + FILES

    async def crowd(self, size: int, ask: Callable[[], Coroutine[Any, Any, Result]]) -> tuple[float, list[Result]]:
        """Have so many callers ask at once, in threads or as tasks. Seconds until the last has its answer, and all
        answers."""
        if self.is_async:
            started = time.perf_counter()
            results = await asyncio.gather(*(ask() for _ in range(size)))
            return time.perf_counter() - started, results
        start = threading.Event()

        def ask_in_thread() -> Result:
            start.wait()
            return finish(ask())

        with ThreadPoolExecutor(size) as callers:
            asked = [callers.submit(ask_in_thread) for _ in range(size)]
            started = time.perf_counter()
            start.set()
            results = [each.result() for each in asked]
            return time.perf_counter() - started, results


@asynccontextmanager
async def opened(
    new: Callable[[], Any],
    signing: Callable[[str], Sign] | None = None,
    log_in: Callable[[], Awaitable[object]] = _nothing,
    clients: int = 1,
) -> AsyncIterator[Opened]:
    """So many clients, which callers take by turns; 0: one for each caller."""
    async with AsyncExitStack() as stack:

        async def new_client() -> Get:
            client = new()
            is_async = hasattr(client, "__aenter__")
            return getting(await stack.enter_async_context(client) if is_async else stack.enter_context(client))

        turns = cycle([await new_client() for _ in range(clients)])

        async def next_client() -> Get:
            return next(turns)

        yield Opened(next_client if clients else new_client, signing, log_in)


def getting(client: Any) -> Get:
    async def get(url: str) -> int:
        return int(client.get(url, timeout=TIMEOUT).status_code)

    async def get_in_task(url: str) -> int:
        return int((await client.get(url)).status_code)

    async def get_by_aiohttp(url: str) -> int:
        async with client.get(url) as response:
            await response.read()
            return int(response.status)

    if isinstance(client, aiohttp.ClientSession):
        return get_by_aiohttp
    return get_in_task if hasattr(client, "__aenter__") else get


def form(platform: Platform) -> dict[str, str]:
    """A login by hand."""
    return {"grant_type": "password", "username": platform.username, "password": platform.password}


# requests


def on_requests(auth_for: Callable[[Platform], Any], platform: Platform) -> Opening:
    """A session for each caller, as requests would have it, and one auth object for all of them."""
    auth = auth_for(platform)
    return opened(partial(session_with, auth), partial(requests_signing, auth), clients=0)


def session_with(auth: Any) -> requests.Session:
    session = requests.Session()
    session.auth = auth
    return session


def requests_signing(auth: Callable[[Any], Any], url: str) -> Sign:
    request = requests.Request("GET", url).prepare()
    hooks = request.hooks

    def sign() -> None:
        hooks["response"] = []
        request.url = url
        auth(request)

    return sign


class Header(AuthBase):
    """The floor: a token written down."""

    def __init__(self, platform: Platform) -> None:
        self._header = f"Bearer {platform.token}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request


class HeaderAndHook(Header):
    """The floor for whoever looks at the answer as well: without a look, a revoked token is not noticed."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        request.hooks["response"].append(self._look)
        return request

    def _look(self, response: Any, **_: Any) -> Any:
        return response


def recipe(platform: Platform) -> Opening:
    """Three requests one after the other, as the platform's documentation has them: a header comes of it."""

    def new_session() -> requests.Session:
        found = requests.get(platform.url + LOOKUP, params={"login": platform.username}, timeout=TIMEOUT)
        reply = requests.post(found.json()["server_url"] + LOGIN, data=form(platform), timeout=TIMEOUT)
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"
        return session

    return opened(new_session, clients=0)


def requests_auth(module: str, platform: Platform) -> Any:
    """requests_auth, or httpx_auth, which is made after it."""
    package = import_module(module)
    package.OAuth2.token_cache.clear()
    return package.OAuth2ResourceOwnerPasswordCredentials(
        platform.token_url, username=platform.username, password=platform.password
    )


def requests_oauth2client(platform: Platform) -> Any:
    from requests_oauth2client import OAuth2Client, OAuth2ResourceOwnerPasswordAuth

    client = OAuth2Client(platform.token_url, client_id="notary", testing=True)  # which allows for http
    return OAuth2ResourceOwnerPasswordAuth(client, username=platform.username, password=platform.password)


def google_auth(platform: Platform) -> Opening:
    from google.auth.credentials import Credentials
    from google.auth.transport.requests import AuthorizedSession, Request

    class Password(Credentials):
        def refresh(self, request: Any) -> None:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            body = urlencode(form(platform))
            reply = request(platform.token_url, method="POST", headers=headers, body=body)
            token = json.loads(reply.data)
            self.token = token["access_token"]
            now = datetime.now(timezone.utc).replace(tzinfo=None)
            self.expiry = now + timedelta(seconds=int(token["expires_in"]))

    credentials = Password()
    headers: dict[str, str] = {}
    return opened(
        lambda: AuthorizedSession(credentials),
        lambda url: partial(credentials.before_request, Request(), "GET", url, headers),
        clients=0,
    )


@asynccontextmanager
async def azure_core(platform: Platform) -> AsyncIterator[Opened]:
    from azure.core.credentials import AccessToken
    from azure.core.pipeline import Pipeline, PipelineContext, PipelineRequest
    from azure.core.pipeline.policies import BearerTokenCredentialPolicy, _authentication
    from azure.core.pipeline.transport import RequestsTransport
    from azure.core.rest import HttpRequest

    class Password:
        def get_token(self, *scopes: str, **_: Any) -> AccessToken:
            token = requests.post(platform.token_url, data=form(platform), timeout=TIMEOUT).json()
            return AccessToken(token["access_token"], int(time.time()) + int(token["expires_in"]))

    policy = BearerTokenCredentialPolicy(Password(), "notary")
    transport = RequestsTransport(read_timeout=TIMEOUT)
    pipeline = Pipeline(transport=transport, policies=[policy])

    def signing(url: str) -> Sign:
        request = PipelineRequest(HttpRequest("GET", url), PipelineContext(transport))
        options = request.context.options

        def sign() -> None:
            options["enforce_https"] = False
            policy.on_request(request)

        return sign

    async def get(url: str) -> int:
        return int(pipeline.run(HttpRequest("GET", url), enforce_https=False).http_response.status_code)

    async def new_client() -> Get:
        return get

    # It draws up to a minute by which it renews later, for each token: nothing that could be waited for.
    with transport, mock.patch.object(_authentication, "MAX_REFRESH_JITTER_SECONDS", 0):
        yield Opened(new_client, signing)


def notary_auth_for(adapter: Any, platform: Platform, **options: Any) -> Any:
    return adapter.NotaryAuth(platform.username, platform.password, cloud_url=platform.url, **options)


def notary_session(platform: Platform) -> Opening:
    """The user's own session for the control calls as well: the login's connection is there for the request."""
    session = requests.Session()
    session.auth = notary_auth_for(notary_auth.requests, platform, session=session)
    return opened(lambda: session)


# httpx and httpx2


def on_httpx(
    library: Any,
    auth_for: Callable[[Platform], Any],
    platform: Platform,
    *,
    is_async: bool = False,
    clients: int = 1,  # it takes 20 ms to build one
    connections: int = CONNECTIONS,
) -> Opening:
    auth = auth_for(platform)
    options = {"auth": auth, "limits": library.Limits(max_connections=connections, max_keepalive_connections=20)}
    if is_async:
        new = partial(library.AsyncClient, **options, **ASYNC_OPTIONS)
    else:
        new = partial(library.Client, **options, timeout=TIMEOUT)
    return opened(new, partial(httpx_signing, library, auth, is_async), clients=clients)


def httpx_signing(library: Any, auth: Any, is_async: bool, url: str) -> Sign:
    request = library.Request("GET", url)
    parsed = request.url
    answer = SimpleNamespace(status_code=200)

    def sign() -> None:
        request.url = parsed
        flow = auth.sync_auth_flow(request)
        next(flow)
        try:
            flow.send(answer)
        except StopIteration:
            pass

    def asign() -> None:
        request.url = parsed
        flow = auth.async_auth_flow(request)
        run_out(flow.__anext__())
        run_out(flow.asend(answer))

    return asign if is_async else sign


def run_out(awaitable: Any) -> None:
    """Run what waits for nothing, but may give way to other tasks."""
    try:
        while True:
            awaitable.send(None)
    except (StopIteration, StopAsyncIteration):
        pass


def header_for(library: Any, platform: Platform) -> Any:
    class Header(library.Auth):
        def auth_flow(self, request: Any) -> Any:
            request.headers["Authorization"] = header
            yield request

    header = f"Bearer {platform.token}"
    return Header()


def header_in_flows_for(library: Any, platform: Platform) -> Any:
    """The same without httpx's own wrapper around `auth_flow`, as notary-auth has to do without it."""

    async def async_auth_flow(request: Any) -> Any:
        request.headers["Authorization"] = header
        yield request

    header = f"Bearer {platform.token}"
    auth = header_for(library, platform)
    auth.sync_auth_flow, auth.async_auth_flow = auth.auth_flow, async_auth_flow
    return auth


# Authlib


def on_authlib(client: Any, signing: Callable[[str], Sign], platform: Platform) -> Opening:
    """One client for all callers, with which its users log in first."""

    async def log_in() -> None:
        fetched = client.fetch_token(username=platform.username, password=platform.password)
        if isawaitable(fetched):
            await fetched

    return opened(lambda: client, signing, log_in)


def authlib_options(platform: Platform) -> dict[str, Any]:
    return {"client_id": "notary", "token_endpoint": platform.token_url, "scope": "offline_access"}


def authlib_requests(platform: Platform) -> Opening:
    from authlib.integrations.requests_client import OAuth2Session

    session = OAuth2Session(**authlib_options(platform))
    return on_authlib(session, lambda url: requests_signing(session.token_auth, url), platform)


def authlib_httpx(platform: Platform, *, is_async: bool = False) -> Opening:
    from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuth2Client

    client: Any
    if is_async:
        client = AsyncOAuth2Client(**authlib_options(platform), **ASYNC_OPTIONS)
    else:
        client = OAuth2Client(**authlib_options(platform), timeout=TIMEOUT)

    def signing(url: str) -> Sign:
        sign_only = httpx_signing(httpx2, client.token_auth, is_async, url)

        def sign() -> None:
            check = client.ensure_active_token(client.token)
            if is_async:
                run_out(check)
            sign_only()

        return sign

    return on_authlib(client, signing, platform)


# aiohttp


def aiohttp_session(platform: Platform, connections: int = CONNECTIONS, **options: Any) -> aiohttp.ClientSession:
    # aiohttp has read the CA bundle when it was imported.
    trusted = ssl.create_default_context(cafile=platform.ca_file) if platform.ca_file else True
    connector = aiohttp.TCPConnector(limit=connections, ssl=trusted)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(TIMEOUT), **options)


def on_aiohttp(
    middleware_for: Callable[[Platform], Any],
    platform: Platform,
    *,
    clients: int = 1,
    connections: int = CONNECTIONS,
) -> Opening:
    middleware = middleware_for(platform)
    new = partial(aiohttp_session, platform, connections, middlewares=(middleware,))
    return opened(new, partial(aiohttp_signing, middleware), clients=clients)


def aiohttp_signing(middleware: Any, url: str) -> Sign:
    parsed = URL(url)
    session: Any = SimpleNamespace(cookie_jar=aiohttp.CookieJar())
    request = aiohttp.ClientRequest("GET", parsed, session=session)
    answer = SimpleNamespace(status=200, url=parsed, headers={})

    async def handler(_: Any) -> Any:
        return answer

    def sign() -> None:
        request.url = request.original_url = parsed
        run_out(middleware(request, handler))

    return sign


def aiohttp_header(platform: Platform) -> Any:
    header = f"Bearer {platform.token}"

    async def middleware(request: Any, handler: Any) -> Any:
        request.headers["Authorization"] = header
        return await handler(request)

    return middleware


@asynccontextmanager
async def aiohttp_recipe(platform: Platform) -> AsyncIterator[Opened]:
    """What is written by hand today: whoever finds no token, or one that is due, logs in, and the others wait at a
    lock. The session's headers have the token."""
    lock = asyncio.Lock()
    due_at = 0.0

    async def new_client() -> Get:
        return get

    async def get(url: str) -> int:
        if time.time() >= due_at:
            async with lock:
                if time.time() >= due_at:
                    await log_in()
        return await getting_signed(url)

    async def log_in() -> None:
        nonlocal due_at
        async with session.get(platform.url + LOOKUP, params={"login": platform.username}) as found:
            home = (await found.json())["server_url"]
        async with session.post(home + LOGIN, data=form(platform)) as reply:
            token = await reply.json()
        session.headers["Authorization"] = f"Bearer {token['access_token']}"
        due_at = time.time() + token["expires_in"] - RECIPE_RENEWS_BEFORE

    async with aiohttp_session(platform) as session:
        getting_signed = getting(session)
        yield Opened(new_client)


NOTARY_AUTH = "notary-auth"
HEADER = "hard-coded header"
HEADER_AND_HOOK = "hard-coded header, and a hook"
HEADER_IN_FLOWS = "hard-coded header, two flows"
RECIPE_RENEWS_BEFORE = 60


def _notary(opener: Callable[..., Opening], adapter: Any) -> Callable[..., Opening]:
    return partial(opener, partial(notary_auth_for, adapter))


def _as_tasks(contestants: list[Contestant]) -> list[Contestant]:
    return [each._replace(open=partial(each.open, is_async=True), is_async=True) for each in contestants]


on_httpx1, on_httpx2 = partial(on_httpx, httpx), partial(on_httpx, httpx2)
_HTTPX = [
    Contestant(HEADER, "httpx", partial(on_httpx1, partial(header_for, httpx))),
    Contestant("httpx_auth", "httpx", partial(on_httpx1, partial(requests_auth, "httpx_auth")), renews_before=30),
    Contestant(NOTARY_AUTH, "httpx", _notary(on_httpx1, notary_auth.httpx), discovers=True),
    Contestant(HEADER, "httpx2", partial(on_httpx2, partial(header_for, httpx2))),
    Contestant("Authlib", "httpx2", authlib_httpx, renews_before=60),
    Contestant(NOTARY_AUTH, "httpx2", _notary(on_httpx2, notary_auth.httpx2), discovers=True),
]
THREADS = [
    Contestant(HEADER, "requests", partial(on_requests, Header)),
    Contestant("the recipe", "requests", recipe),
    Contestant("requests_auth", "requests", partial(on_requests, partial(requests_auth, "requests_auth")), 30),
    Contestant("requests-oauth2client", "requests", partial(on_requests, requests_oauth2client), 20),
    Contestant("Authlib", "requests", authlib_requests, renews_before=60),
    Contestant("google-auth", "requests", google_auth, renews_before=225),
    Contestant("azure-core", "requests", azure_core, renews_before=300),
    Contestant(NOTARY_AUTH, "requests", _notary(on_requests, notary_auth.requests), discovers=True),
    *_HTTPX,
]
TASKS = [
    *_as_tasks(_HTTPX),
    Contestant(HEADER, "aiohttp", partial(on_aiohttp, aiohttp_header), is_async=True),
    Contestant("the recipe, in a lock", "aiohttp", aiohttp_recipe, RECIPE_RENEWS_BEFORE, is_async=True),
    Contestant(NOTARY_AUTH, "aiohttp", _notary(on_aiohttp, notary_auth.aiohttp), discovers=True, is_async=True),
]
CONTESTANTS = [*THREADS, *TASKS]

# Floors that a signature is compared with, and nothing else.
_IN_FLOWS = [
    Contestant(HEADER_IN_FLOWS, "httpx", partial(on_httpx1, partial(header_in_flows_for, httpx))),
    Contestant(HEADER_IN_FLOWS, "httpx2", partial(on_httpx2, partial(header_in_flows_for, httpx2))),
]
FLOORS = [
    Contestant(HEADER_AND_HOOK, "requests", partial(on_requests, HeaderAndHook)),
    *_IN_FLOWS,
    *_as_tasks(_IN_FLOWS),
]
