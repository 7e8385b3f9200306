"""Who is measured: each package used as its own documentation shows, and nothing done for it that its users
would not.

All others have to be told the data center, and are: finding it is half of what notary-auth is for, but it would
be no contest. All are given `expires_in`, which the platform need not send. requests_auth, httpx_auth and
requests-oauth2client know the password grant; Authlib fetches a token with it and renews that with a refresh
token; google-auth and azure-core are shown, as their extension points are meant, a credential that logs in here.

All is written once, in coroutines: with a synchronous client nothing in them ever waits, and `run_to_end` runs
them in a thread. The table of all is at the end.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta, timezone
from functools import partial
from importlib import import_module
from itertools import cycle
from types import SimpleNamespace
from typing import Any, NamedTuple

import aiohttp
import httpx
import httpx2
import requests
from yarl import URL

from notary_auth._adapters.drivers import awaited, run_to_end
from notary_auth.sandbox._model import LOGIN, LOOKUP

from .platform import FORM, Platform

TIMEOUT = 120.0  # seconds, for httpx, whose own 5 are not enough for a crowd
RECIPE_RENEWS_BEFORE = 60  # seconds

NOTARY_AUTH = "notary-auth"
HEADER = "hard-coded header"
HEADER_AND_HOOK = "hard-coded header, and a hook"
HEADER_IN_FLOWS = "hard-coded header, two flows"

Get = Callable[[str], Awaitable[int]]  # a request's URL to the status of its answer
Sign = Callable[[], object]
Opened = tuple["Package", Callable[[], Get]]  # the package, and what gives a caller its client


class Package(NamedTuple):
    """What is used on a platform: `new` makes a client, or returns the one that there is. `log_in` is what users
    do once, before all else. After a first request, `signing` is what signs one to a URL, in process."""

    new: Callable[[], Any]
    signing: Callable[[str], Sign] | None = None
    log_in: Callable[[], object] = lambda: None


class Contestant(NamedTuple):
    """One line of a table. `renews_before` is how many seconds before a token's end it takes it for due, as it
    comes; None where that depends on the lifetime, or where it never does."""

    name: str
    client: str
    use: Callable[..., Package]
    imports: str = ""  # what its users import
    renews_before: float | None = None

    @property
    def label(self) -> str:
        return f"{self.client}: {self.name}"

    @property
    def library(self) -> str:
        return self.client.removesuffix(", async")

    @property
    def is_async(self) -> bool:
        return self.client == "aiohttp" or self.client.endswith("async")

    def url(self, platform: Platform) -> str:
        """notary-auth finds the data center itself."""
        return platform.files if self.name.startswith(NOTARY_AUTH) else platform.home_files

    @asynccontextmanager
    async def opened(self, platform: Platform, clients: int = 1, **options: Any) -> AsyncIterator[Opened]:
        """Callers take so many clients by turns; with requests, each has a session of its own."""
        package = self.use(platform, **options)
        async with AsyncExitStack() as stack:
            if self.client == "requests":
                yield package, lambda: getting(stack.enter_context(package.new()))
            else:
                enter: Any = stack.enter_async_context if self.is_async else stack.enter_context
                entered = [await awaited(enter(package.new())) for _ in range(clients)]
                yield package, cycle(map(getting, entered)).__next__

    async def crowd(self, size: int, ask: Callable[[], Coroutine[Any, Any, None]]) -> float:
        """Have so many callers ask at once, in threads or as tasks. Seconds until all have their answers."""
        if self.is_async:
            started = time.perf_counter()
            await asyncio.gather(*(ask() for _ in range(size)))
            return time.perf_counter() - started
        start = threading.Event()

        def ask_in_thread(_: int) -> None:
            start.wait()
            run_to_end(ask())

        with ThreadPoolExecutor(size) as callers:
            asked = callers.map(ask_in_thread, range(size))
            started = time.perf_counter()
            start.set()
            list(asked)
            return time.perf_counter() - started


def getting(client: Any) -> Get:
    async def get(url: str) -> int:
        return int((await awaited(client.get(url))).status_code)

    async def get_by_aiohttp(url: str) -> int:
        async with client.get(url) as response:
            await response.read()
            return int(response.status)

    return get_by_aiohttp if isinstance(client, aiohttp.ClientSession) else get


def on_requests(auth_for: Callable[[Platform], Any], platform: Platform) -> Package:
    auth = auth_for(platform)

    def new() -> requests.Session:
        session = requests.Session()
        session.auth = auth
        return session

    return Package(new, partial(requests_signing, auth))


def requests_signing(auth: Callable[[Any], Any], url: str) -> Sign:
    request = requests.Request("GET", url).prepare()
    hooks = request.hooks

    def sign() -> None:
        hooks["response"] = []
        request.url = url
        auth(request)

    return sign


class Header(requests.auth.AuthBase):
    """The floor: a token written down."""

    def __init__(self, platform: Platform) -> None:
        self._header = platform.header

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


def recipe(platform: Platform) -> Package:
    """Three requests one after the other, as the platform's documentation has them: a header comes of it."""

    def new() -> requests.Session:
        found = requests.get(platform.url + LOOKUP, params={"login": platform.username})
        reply = requests.post(found.json()["server_url"] + LOGIN, data=FORM)
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"
        return session

    return Package(new)


def password_grant(module: str, platform: Platform) -> Any:
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


def google_auth(platform: Platform) -> Package:
    from google.auth.credentials import Credentials
    from google.auth.transport.requests import AuthorizedSession, Request

    class Password(Credentials):
        def refresh(self, request: Any) -> None:
            token = platform.log_in()
            self.token = token["access_token"]
            now = datetime.now(timezone.utc).replace(tzinfo=None)
            self.expiry = now + timedelta(seconds=int(token["expires_in"]))

    credentials = Password()
    return Package(
        lambda: AuthorizedSession(credentials),
        lambda url: partial(credentials.before_request, Request(), "GET", url, {}),
    )


def azure_core(platform: Platform) -> Package:
    from azure.core import PipelineClient
    from azure.core.credentials import AccessToken
    from azure.core.pipeline import PipelineContext, PipelineRequest
    from azure.core.pipeline.policies import BearerTokenCredentialPolicy, _authentication
    from azure.core.rest import HttpRequest

    class Password:
        def get_token(self, *scopes: str, **_: Any) -> AccessToken:
            token = platform.log_in()
            return AccessToken(token["access_token"], int(time.time()) + int(token["expires_in"]))

    class Client(PipelineClient[Any, Any]):
        def get(self, url: str) -> Any:  # type: ignore[override]
            return self.send_request(HttpRequest("GET", url), enforce_https=False)

    def signing(url: str) -> Sign:
        context = PipelineContext(None, enforce_https=False)
        return partial(policy.on_request, PipelineRequest(HttpRequest("GET", url), context))

    # It draws up to a minute by which it renews later, for each token: nothing that could be waited for.
    _authentication.MAX_REFRESH_JITTER_SECONDS = 0
    policy = BearerTokenCredentialPolicy(Password(), "notary")
    client = Client(platform.url, policies=[policy])
    return Package(lambda: client, signing)


def on_httpx(
    library: Any, is_async: bool, auth_for: Any, platform: Platform, connections: int = 100, transport: Any = None
) -> Package:
    auth, limits = auth_for(platform), library.Limits(max_connections=connections)
    client = library.AsyncClient if is_async else library.Client
    new = partial(client, auth=auth, timeout=TIMEOUT, limits=limits, verify=platform.verify, transport=transport)
    return Package(new, partial(httpx_signing, library, is_async, auth))


def httpx_signing(library: Any, is_async: bool, auth: Any, url: str) -> Sign:
    request = library.Request("GET", url)
    parsed = request.url
    answer = SimpleNamespace(status_code=200)

    def sign() -> None:
        request.url = parsed
        flow = auth.sync_auth_flow(request)
        next(flow)
        run_out(flow, answer)

    def asign() -> None:
        request.url = parsed
        flow = auth.async_auth_flow(request)
        run_out(flow.__anext__())
        run_out(flow.asend(answer))

    return asign if is_async else sign


def run_out(steps: Any, sent: Any = None) -> None:
    """Run what waits for nothing, but may give way to other tasks."""
    try:
        while True:
            steps.send(sent)
    except (StopIteration, StopAsyncIteration):
        pass


def httpx_header(library: Any, platform: Platform, in_flows: bool = False) -> Any:
    """As httpx's documentation has it; or without the wrapper around `auth_flow`, as notary-auth has to be."""
    header = platform.header

    def auth_flow(request: Any) -> Any:
        request.headers["Authorization"] = header
        yield request

    async def async_auth_flow(request: Any) -> Any:
        request.headers["Authorization"] = header
        yield request

    auth = library.Auth()
    auth.auth_flow = auth_flow
    if in_flows:
        auth.sync_auth_flow, auth.async_auth_flow = auth_flow, async_auth_flow
    return auth


def authlib(module: str, client_class: str, platform: Platform) -> Package:
    """One client for all callers, with which its users log in first."""
    is_requests, is_async = client_class == "OAuth2Session", client_class.startswith("Async")
    options: dict[str, Any] = {} if is_requests else {"timeout": TIMEOUT, "verify": platform.verify}
    options |= {"client_id": "notary", "token_endpoint": platform.token_url, "scope": "offline_access"}
    client = getattr(import_module(module), client_class)(**options)

    def signing(url: str) -> Sign:
        if is_requests:
            return requests_signing(client.token_auth, url)
        sign_only = httpx_signing(httpx2, is_async, client.token_auth, url)

        def sign() -> None:
            check = client.ensure_active_token(client.token)
            if is_async:
                run_out(check)
            sign_only()

        return sign

    log_in = partial(client.fetch_token, username=platform.username, password=platform.password)
    return Package(lambda: client, signing, log_in)


def on_aiohttp(auth_for: Any, platform: Platform, connections: int = 100) -> Package:
    middleware = auth_for(platform)

    def new() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=connections, ssl=platform.verify)
        return aiohttp.ClientSession(connector=connector, middlewares=(middleware,))

    return Package(new, partial(aiohttp_signing, middleware))


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
    header = platform.header

    async def middleware(request: Any, handler: Any) -> Any:
        request.headers["Authorization"] = header
        return await handler(request)

    return middleware


def aiohttp_recipe(platform: Platform) -> Any:
    """What is written by hand today, after aiohttp's cookbook: whoever finds no token, or one that is due, logs
    in, and the others wait at a lock."""
    lock = asyncio.Lock()
    header, due_at = "", 0.0

    async def middleware(request: Any, handler: Any) -> Any:
        if time.time() >= due_at:
            async with lock:
                if time.time() >= due_at:
                    await log_in(partial(request.session.request, middlewares=()))
        request.headers["Authorization"] = header
        return await handler(request)

    async def log_in(send: Any) -> None:
        nonlocal header, due_at
        async with send("GET", platform.url + LOOKUP, params={"login": platform.username}) as found:
            home = (await found.json())["server_url"]
        async with send("POST", home + LOGIN, data=FORM) as reply:
            token = await reply.json()
        header = f"Bearer {token['access_token']}"
        due_at = time.time() + token["expires_in"] - RECIPE_RENEWS_BEFORE

    return middleware


def notary_auth_for(module: str, platform: Platform, **options: Any) -> Any:
    adapter = import_module(module)
    return adapter.NotaryAuth(platform.username, platform.password, cloud_url=platform.url, **options)


def notary_auth_on_session(platform: Platform) -> Package:
    """The user's own session for the control calls as well: the login's connection is there for the request."""
    session = requests.Session()
    session.auth = notary_auth_for("notary_auth.requests", platform, session=session)
    return Package(lambda: session)


# Of each client: what uses an auth object, the auth object of a header, and notary-auth's module.
CLIENTS: dict[str, tuple[Callable[..., Package], Callable[..., Any], str]] = {
    "requests": (on_requests, Header, "notary_auth.requests"),
    "httpx": (partial(on_httpx, httpx, False), partial(httpx_header, httpx), "notary_auth.httpx"),
    "httpx2": (partial(on_httpx, httpx2, False), partial(httpx_header, httpx2), "notary_auth.httpx2"),
    "httpx, async": (partial(on_httpx, httpx, True), partial(httpx_header, httpx), "notary_auth.httpx"),
    "httpx2, async": (partial(on_httpx, httpx2, True), partial(httpx_header, httpx2), "notary_auth.httpx2"),
    "aiohttp": (on_aiohttp, aiohttp_header, "notary_auth.aiohttp"),
}


def _row(name: str, client: str, auth_for: Any, *facts: Any) -> Contestant:
    return Contestant(name, client, partial(CLIENTS[client][0], auth_for), *facts)


def _authlib(client: str, integration: str, client_class: str) -> Contestant:
    module = f"authlib.integrations.{integration}"
    return Contestant("Authlib", client, partial(authlib, module, client_class), module, 60)


_AZURE_CORE = "azure.core.pipeline.policies, azure.core.pipeline.transport"
_REQUESTS_AUTH, _HTTPX_AUTH = partial(password_grant, "requests_auth"), partial(password_grant, "httpx_auth")
_HTTPX = [client for client in CLIENTS if client.startswith("httpx")]
_ROWS = [
    *(_row(HEADER, client, header) for client, (_, header, _) in CLIENTS.items()),
    _row(HEADER_AND_HOOK, "requests", HeaderAndHook),
    *(_row(HEADER_IN_FLOWS, each, partial(CLIENTS[each][1], in_flows=True)) for each in _HTTPX),
    Contestant("the recipe", "requests", recipe),
    _row("the recipe, in a lock", "aiohttp", aiohttp_recipe, "", RECIPE_RENEWS_BEFORE),
    _row("requests_auth", "requests", _REQUESTS_AUTH, "requests_auth", 30),
    _row("httpx_auth", "httpx", _HTTPX_AUTH, "httpx_auth", 30),
    _row("httpx_auth", "httpx, async", _HTTPX_AUTH, "httpx_auth", 30),
    _row("requests-oauth2client", "requests", requests_oauth2client, "requests_oauth2client", 20),
    _authlib("requests", "requests_client", "OAuth2Session"),
    _authlib("httpx2", "httpx_client", "OAuth2Client"),
    _authlib("httpx2, async", "httpx_client", "AsyncOAuth2Client"),
    Contestant("google-auth", "requests", google_auth, "google.auth.transport.requests", 225),
    Contestant("azure-core", "requests", azure_core, _AZURE_CORE, 300),
    *(_row(NOTARY_AUTH, each, partial(notary_auth_for, module), module) for each, (*_, module) in CLIENTS.items()),
]
# By client. What only a signature is compared with is no contestant in the other cases.
SIGNING = sorted(_ROWS, key=lambda each: [*CLIENTS].index(each.client))
CONTESTANTS = [each for each in SIGNING if each.name not in (HEADER_AND_HOOK, HEADER_IN_FLOWS)]
THREADS = [each for each in CONTESTANTS if not each.is_async]
TASKS = [each for each in CONTESTANTS if each.is_async]
ON_SESSION = Contestant(f"{NOTARY_AUTH}, session=", "requests", notary_auth_on_session)
