"""notary-auth for aiohttp, as a client middleware (aiohttp 3.12.15 and later).

import aiohttp
from notary_auth.aiohttp import NotaryAuth

async with aiohttp.ClientSession(middlewares=(NotaryAuth("JohnSmith", "qwe123QWE"),)) as session:
    async with session.get("https://cloud.acronis.com/api/notary/v2/stored-files") as response:
        print(await response.json())
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from ssl import SSLContext
from typing import Any
from urllib.request import getproxies, proxy_bypass
from weakref import ref

from ._extras import missing_extra

try:
    import aiohttp
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
    from yarl import URL
except ModuleNotFoundError as error:
    raise missing_extra("aiohttp", error) from None

from ._adapters.auth import refuse_request
from ._core.account import owns
from .adapter import Adapter, ControlBody, ControlRequest, ControlResponse, Drain, Received, SendControl, aperform
from .errors import client_errors

__all__ = ["NotaryAuth"]

TIMEOUT = (10.0, 30.0)  # seconds to connect; and between two bytes of a control response, and for all of its body
Sending = Awaitable[ClientResponse]
#: Responses of other hosts, by the id of the timer that all hops of a call share, and that each response keeps.
_foreign: dict[int, ref[ClientResponse]] = {}


class NotaryAuth(Adapter):
    __doc__ = Adapter.__doc__

    _errors = client_errors(aiohttp.ClientError, globals())
    _network_error = aiohttp.ClientError, asyncio.TimeoutError

    def __call__(self, request: ClientRequest, handler: ClientHandlerType | None = None) -> Sending:
        """Sign a request and send it; after a 401, replay it if that helps. Another client gets a TypeError."""
        return refuse_request(self, request) if handler is None else self._handle(request, handler)

    async def _handle(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        call = id(getattr(request, "_timer", None) or asyncio.current_task())
        if call in _foreign:  # another host has chosen this URL: it is not signed (rule 5)
            return await handler(request)
        url = str(request.url)
        signature = self.account.cached_signature(url)
        if signature is None:
            signature = await self._perform(self.account.sign(url), request.session, request)
        _apply(signature, request)
        response = await handler(request)
        replays = 0
        while replays or response.status == 401:
            header = request.headers.get("Authorization")
            received = Received(response.status, str(request.url), header, _can_replay(request), replays)
            again = await self._perform(self.account.reauthorize(received), request.session, request, response)
            if again is None:
                break
            _apply(again, request)
            request.update_expect_continue()  # or the replay would wait for the first sending's 100
            response = await handler(request)
            replays += 1
        if signature.authorization is None and not owns(self.account, url):
            _foreign[call] = ref(response, lambda _: _foreign.pop(call, None))
        return response

    async def alogout(self, session: aiohttp.ClientSession) -> None:
        """Have the tokens revoked (RFC 7009), and forget them, here and in the store.

        Raises:
            LogoutError: a token was not revoked, or the store may still have it. Here all are forgotten.
        """
        await self._perform(self.account.log_out(), session)

    async def _perform(self, steps: Any, session: Any, request: Any = None, response: Any = None) -> Any:
        """Perform `steps` for this request, whose `response` is going to be replaced."""

        async def do(step: Any) -> Any:
            if isinstance(step, SendControl):
                is_own = request is not None and owns(self.account, str(request.url))
                return await _send_control(step.request, session, _connection_of(request) if is_own else {})
            if isinstance(step, Drain):
                await response.read()
                return response.release()
            return await aperform(step)

        return await self._arun(steps, do)


def _apply(signature: Any, request: ClientRequest) -> None:
    """Sign a request, and send it where the signature says. The jar fills in the cookies of the new host."""
    if signature.url is not None:
        request.url = request.original_url = URL(signature.url, encoded=True)  # the latter is the response's
        request.headers.popall("Cookie", None)
        request.update_cookies(request.session.cookie_jar.filter_cookies(request.url))
    if signature.authorization is not None:
        request.headers["Authorization"] = signature.authorization
        request.headers["Host"] = signature.host


def _can_replay(request: ClientRequest) -> bool:
    """Whether a request's body can be sent again whole. A generator that was sent once would go out empty."""
    body: Any = request.body
    return not body or not getattr(body, "consumed", not isinstance(body, aiohttp.BytesPayload))


def _connection_of(request: Any) -> dict[str, Any]:
    """The proxy and the TLS context of an own request, for control requests."""
    headers = dict(request.proxy_headers or {})
    if request.proxy_auth is not None:  # the argument of this name is deprecated
        headers["Proxy-Authorization"] = request.proxy_auth.encode()
    # `ssl=False` is not taken over: that a request may go unverified does not say that the password may.
    tls = {"ssl": request.ssl} if isinstance(request.ssl, SSLContext) else {}
    return {"proxy": request.proxy, "proxy_headers": headers, **tls}


async def _send_control(
    request: ControlRequest, session: aiohttp.ClientSession, connection: dict[str, Any]
) -> ControlResponse:
    """Send a control request by the connector and the proxy of the user's session, with nothing else of it."""
    url = URL(request.url, encoded=True)
    options: dict[str, Any] = {"data": request.body, "headers": request.headers, "allow_redirects": False}
    options["timeout"] = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT[0], sock_read=TIMEOUT[1])
    if url.scheme == "https":  # plain http is for this machine: no proxy is to read the password
        options |= {"proxy": getattr(session, "_default_proxy", None), **connection}
        # Not by `trust_env=`, which brings along netrc's credentials as well.
        if options["proxy"] is None and session.trust_env and not proxy_bypass(url.host or ""):
            options["proxy"] = getproxies().get(url.scheme)
    try:
        async with aiohttp.request(
            request.method, url, connector=session.connector, auto_decompress=False, **options
        ) as response:
            body = ControlBody(response.status, response.headers, TIMEOUT[1])
            await body.atake_all(response.content.iter_any())
            return body.response()
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
        # For these, aiohttp would send the user's request again, and there would be a second login.
        raise aiohttp.ClientConnectionError(str(error)) from None
