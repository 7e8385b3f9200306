"""Who is measured: each package used as its own documentation shows, and nothing done for it that its users
would not.

All others have to be told the data center, and are: finding it is half of what notary-auth is for, but it would
be no contest. All are given `expires_in`, which the platform need not send. requests_auth, httpx_auth and
requests-oauth2client know the password grant; Authlib fetches a token with it and renews that with a refresh
token; google-auth and azure-core are shown, as their extension points are meant, a credential that logs in here.

A contestant is opened on a platform. That gives a function for new callers. Each has a requests session of its
own, as requests would have it, if the package's credentials can be shared by sessions (Authlib's cannot).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any, NamedTuple, Protocol
from unittest import mock
from urllib.parse import urlencode

import httpx
import httpx2
import requests
from requests.auth import AuthBase

import notary_auth.httpx
import notary_auth.httpx2
import notary_auth.requests
from notary_auth.sandbox._model import LOGIN, LOOKUP

from .platform import FILES

TIMEOUT = 120.0  # seconds, for all: a crowd takes its time

# To read the CA bundle takes a client 20 ms, for which a loop stands still. No case has tasks on TLS.
ASYNC_OPTIONS: dict[str, Any] = {"timeout": TIMEOUT, "verify": False}

Get = Callable[[str], int]  # a request's URL to the status of its answer
AsyncGet = Callable[[str], Awaitable[int]]


class Platform(Protocol):
    """What a contestant is told."""

    url: str
    home: str
    username: str
    password: str

    @property
    def files(self) -> str: ...

    @property
    def token_url(self) -> str: ...

    @property
    def token(self) -> str: ...


Sign = Callable[[], object]


class Opened(NamedTuple):
    """A contestant that is ready.

    `new_client` is for a caller. Once that has been answered, `signing` is what signs a request to a URL, in
    process.
    """

    new_client: Callable[[], Get]
    signing: Callable[[str], Sign]


class OpenedAsync(NamedTuple):
    """The same with one asynchronous client for all tasks."""

    get: AsyncGet
    signing: Callable[[str], Sign]


class Contestant(NamedTuple):
    """One line of a table.

    `renews_before` is how many seconds before a token's end the package takes it for due, as it comes; None
    where that depends on the lifetime, or where it never does. A contestant that `discovers` is given the
    cloud's URL, and finds the data center itself.
    """

    name: str
    client: str
    open: Callable[[Any], Any]  # a context manager that gives an `Opened`
    renews_before: float | None = None
    discovers: bool = False

    def url(self, platform: Platform) -> str:
        return platform.files if self.discovers else platform.home + FILES


class AsyncContestant(Contestant):
    """One line of a table, for tasks: what it opens is asynchronous, and gives an `OpenedAsync`."""


# requests


def form(platform: Platform) -> dict[str, str]:
    """A login by hand."""
    return {"grant_type": "password", "username": platform.username, "password": platform.password}


@contextmanager
def sessions(auth: Any) -> Iterator[Opened]:
    """A session for each caller, and one auth object for all."""
    with ExitStack() as clients:

        def new_client() -> Get:
            session = clients.enter_context(requests.Session())
            session.auth = auth
            return lambda url: session.get(url, timeout=TIMEOUT).status_code

        yield Opened(new_client, partial(requests_signing, auth))


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

    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

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


def requests_header(platform: Platform) -> AbstractContextManager[Opened]:
    return sessions(Header(platform.token))


def requests_header_and_hook(platform: Platform) -> AbstractContextManager[Opened]:
    return sessions(HeaderAndHook(platform.token))


@contextmanager
def recipe(platform: Platform) -> Iterator[Opened]:
    """Three requests one after the other, as the platform's documentation has them: a header comes of it."""
    with ExitStack() as clients:

        def new_client() -> Get:
            found = requests.get(platform.url + LOOKUP, params={"login": platform.username}, timeout=TIMEOUT)
            home = found.json()["server_url"]
            reply = requests.post(home + LOGIN, data=form(platform), timeout=TIMEOUT)
            session = clients.enter_context(requests.Session())
            session.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"
            return lambda url: session.get(home + FILES, timeout=TIMEOUT).status_code

        yield Opened(new_client, partial(requests_signing, lambda request: request))


def with_requests_auth(platform: Platform) -> AbstractContextManager[Opened]:
    from requests_auth import OAuth2, OAuth2ResourceOwnerPasswordCredentials

    OAuth2.token_cache.clear()
    auth = OAuth2ResourceOwnerPasswordCredentials(
        platform.token_url, username=platform.username, password=platform.password
    )
    return sessions(auth)


def with_requests_oauth2client(platform: Platform) -> AbstractContextManager[Opened]:
    from requests_oauth2client import OAuth2Client, OAuth2ResourceOwnerPasswordAuth

    client = OAuth2Client(platform.token_url, client_id="notary", testing=True)  # which allows for http
    return sessions(
        OAuth2ResourceOwnerPasswordAuth(client, username=platform.username, password=platform.password)
    )


@contextmanager
def with_authlib_requests(platform: Platform) -> Iterator[Opened]:
    from authlib.integrations.requests_client import OAuth2Session

    once = threading.Lock()
    with OAuth2Session("notary", token_endpoint=platform.token_url, scope="offline_access") as session:

        def new_client() -> Get:
            with once:  # as its users log in once, before all else
                if not session.token:
                    session.fetch_token(username=platform.username, password=platform.password)
            return lambda url: session.get(url, timeout=TIMEOUT).status_code

        yield Opened(new_client, lambda url: requests_signing(session.token_auth, url))


@contextmanager
def with_google_auth(platform: Platform) -> Iterator[Opened]:
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
    with ExitStack() as clients:

        def new_client() -> Get:
            session = clients.enter_context(AuthorizedSession(credentials))
            return lambda url: session.get(url, timeout=TIMEOUT).status_code

        headers: dict[str, str] = {}
        yield Opened(new_client, lambda url: partial(credentials.before_request, Request(), "GET", url, headers))


@contextmanager
def with_azure_core(platform: Platform) -> Iterator[Opened]:
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

    def get(url: str) -> int:
        return int(pipeline.run(HttpRequest("GET", url), enforce_https=False).http_response.status_code)

    # It draws up to a minute by which it renews later, for each token: nothing that could be waited for.
    with transport, mock.patch.object(_authentication, "MAX_REFRESH_JITTER_SECONDS", 0):
        yield Opened(lambda: get, signing)


def notary_requests(platform: Platform) -> AbstractContextManager[Opened]:
    return sessions(notary_auth.requests.NotaryAuth(platform.username, platform.password, cloud_url=platform.url))


@contextmanager
def notary_session(platform: Platform) -> Iterator[Opened]:
    """The user's own session for the control calls as well: the login's connection is there for the request."""
    with requests.Session() as session:
        session.auth = auth = notary_auth.requests.NotaryAuth(
            platform.username, platform.password, cloud_url=platform.url, session=session
        )

        def get(url: str) -> int:
            return session.get(url, timeout=TIMEOUT).status_code

        yield Opened(lambda: get, partial(requests_signing, auth))


# httpx and httpx2


class _Answer:
    status_code = 200


def httpx_signing(library: Any, auth: Any, is_async: bool, url: str) -> Sign:
    request = library.Request("GET", url)
    parsed = request.url
    answer: Any = _Answer()

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
        step(flow.__anext__())
        step(flow.asend(answer))

    def step(awaitable: Any) -> None:
        try:
            awaitable.send(None)
        except (StopIteration, StopAsyncIteration):
            pass

    return asign if is_async else sign


def header_for(library: Any, platform: Platform) -> Any:
    class Header(library.Auth):
        def auth_flow(self, request: Any) -> Any:
            request.headers["Authorization"] = header
            yield request

    header = f"Bearer {platform.token}"
    return Header()


def header_in_flows_for(library: Any, platform: Platform) -> Any:
    """The same without httpx's own wrapper around `auth_flow`, as notary-auth has to do without it."""

    class Header(library.Auth):
        def sync_auth_flow(self, request: Any) -> Any:
            request.headers["Authorization"] = header
            yield request

        async def async_auth_flow(self, request: Any) -> Any:
            request.headers["Authorization"] = header
            yield request

    header = f"Bearer {platform.token}"
    return Header()


def httpx_auth_for(library: Any, platform: Platform) -> Any:
    from httpx_auth import OAuth2, OAuth2ResourceOwnerPasswordCredentials

    OAuth2.token_cache.clear()
    return OAuth2ResourceOwnerPasswordCredentials(
        platform.token_url, username=platform.username, password=platform.password
    )


def notary_for(library: Any, platform: Platform) -> Any:
    adapter: Any = notary_auth.httpx if library is httpx else notary_auth.httpx2
    return adapter.NotaryAuth(platform.username, platform.password, cloud_url=platform.url)


AuthFor = Callable[[Any, Platform], Any]


def on_httpx(library: Any, auth_for: AuthFor) -> Callable[[Platform], AbstractContextManager[Opened]]:
    @contextmanager
    def opened(platform: Platform) -> Iterator[Opened]:
        auth = auth_for(library, platform)
        with library.Client(auth=auth, timeout=TIMEOUT) as client:  # for all threads: it takes 20 ms to build

            def get(url: str) -> int:
                return int(client.get(url).status_code)

            yield Opened(lambda: get, partial(httpx_signing, library, auth, False))

    return opened


def on_async_httpx(
    library: Any, auth_for: AuthFor
) -> Callable[[Platform], AbstractAsyncContextManager[OpenedAsync]]:
    @asynccontextmanager
    async def opened(platform: Platform) -> AsyncIterator[OpenedAsync]:
        auth = auth_for(library, platform)
        async with library.AsyncClient(auth=auth, **ASYNC_OPTIONS) as client:

            async def get(url: str) -> int:
                return int((await client.get(url)).status_code)

            yield OpenedAsync(get, partial(httpx_signing, library, auth, True))

    return opened


@contextmanager
def with_authlib_httpx(platform: Platform) -> Iterator[Opened]:
    from authlib.integrations.httpx_client import OAuth2Client

    options = {"token_endpoint": platform.token_url, "scope": "offline_access", "timeout": TIMEOUT}
    once = threading.Lock()
    with OAuth2Client("notary", **options) as client:

        def new_client() -> Get:
            with once:
                if not client.token:
                    client.fetch_token(username=platform.username, password=platform.password)
            return lambda url: int(client.get(url).status_code)

        def signing(url: str) -> Sign:
            sign_only = httpx_signing(httpx2, client.token_auth, False, url)

            def sign() -> None:
                client.ensure_active_token(client.token)
                sign_only()

            return sign

        yield Opened(new_client, signing)


@asynccontextmanager
async def with_authlib_async(platform: Platform) -> AsyncIterator[OpenedAsync]:
    from authlib.integrations.httpx_client import AsyncOAuth2Client

    options = {"token_endpoint": platform.token_url, "scope": "offline_access", **ASYNC_OPTIONS}
    async with AsyncOAuth2Client("notary", **options) as client:
        await client.fetch_token(username=platform.username, password=platform.password)

        async def get(url: str) -> int:
            return int((await client.get(url)).status_code)

        def signing(url: str) -> Sign:
            sign_only = httpx_signing(httpx2, client.token_auth, True, url)

            def sign() -> None:
                check = client.ensure_active_token(client.token)
                try:
                    while True:  # it gives way to other tasks
                        check.send(None)
                except StopIteration:
                    sign_only()

            return sign

        yield OpenedAsync(get, signing)


NOTARY_AUTH = "notary-auth"
HEADER = "hard-coded header"
HEADER_AND_HOOK = "hard-coded header, and a hook"
HEADER_IN_FLOWS = "hard-coded header, two flows"

THREADS = [
    Contestant(HEADER, "requests", requests_header),
    Contestant("the recipe", "requests", recipe, discovers=True),
    Contestant("requests_auth", "requests", with_requests_auth, renews_before=30),
    Contestant("requests-oauth2client", "requests", with_requests_oauth2client, renews_before=20),
    Contestant("Authlib", "requests", with_authlib_requests, renews_before=60),
    Contestant("google-auth", "requests", with_google_auth, renews_before=225),
    Contestant("azure-core", "requests", with_azure_core, renews_before=300),
    Contestant(NOTARY_AUTH, "requests", notary_requests, discovers=True),
    Contestant(HEADER, "httpx", on_httpx(httpx, header_for)),
    Contestant("httpx_auth", "httpx", on_httpx(httpx, httpx_auth_for), renews_before=30),
    Contestant(NOTARY_AUTH, "httpx", on_httpx(httpx, notary_for), discovers=True),
    Contestant(HEADER, "httpx2", on_httpx(httpx2, header_for)),
    Contestant("Authlib", "httpx2", with_authlib_httpx, renews_before=60),
    Contestant(NOTARY_AUTH, "httpx2", on_httpx(httpx2, notary_for), discovers=True),
]
TASKS = [
    AsyncContestant(HEADER, "httpx", on_async_httpx(httpx, header_for)),
    AsyncContestant("httpx_auth", "httpx", on_async_httpx(httpx, httpx_auth_for), renews_before=30),
    AsyncContestant(NOTARY_AUTH, "httpx", on_async_httpx(httpx, notary_for), discovers=True),
    AsyncContestant(HEADER, "httpx2", on_async_httpx(httpx2, header_for)),
    AsyncContestant("Authlib", "httpx2", with_authlib_async, renews_before=60),
    AsyncContestant(NOTARY_AUTH, "httpx2", on_async_httpx(httpx2, notary_for), discovers=True),
]
