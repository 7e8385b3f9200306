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
from contextlib import suppress
from contextvars import ContextVar
from itertools import count
from typing import Any

from ._extras import missing_extra

try:
    import aiohttp
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
    from yarl import URL
except ModuleNotFoundError as error:
    raise missing_extra("aiohttp", error) from None

from ._adapters.auth import refuse_request
from .adapter import Adapter, ControlBody, ControlRequest, ControlResponse, Drain, Received, SendControl, aperform
from .errors import client_errors

__all__ = ["NotaryAuth"]

TIMEOUT = (10.0, 30.0)  # seconds to connect; and between two bytes of a control response, and for all of its body
CHUNK_SIZE = 16 * 1024  # bytes
Sending = Awaitable[ClientResponse]

#: Where another host's redirect points to: this task's next request there is not signed (docs/limitations.rst).
_foreign_target: ContextVar[URL | None] = ContextVar("foreign_target", default=None)


class NotaryAuth(Adapter):
    __doc__ = Adapter.__doc__

    _errors = client_errors(aiohttp.ClientError, globals())
    _network_error = aiohttp.ClientError, asyncio.TimeoutError

    def __call__(self, request: ClientRequest, handler: ClientHandlerType | None = None) -> Sending:
        """Sign a request and send it; after a 401, replay it if that helps. Another client gets a TypeError."""
        return refuse_request(self, request) if handler is None else self._handle(request, handler)

    async def _handle(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        target = _foreign_target.get()  # a hop of a redirect is a request of its own here
        _foreign_target.set(None)
        if target is not None and target == request.url.origin():  # chosen by another host: not signed (rule 5)
            return _note_redirect(await handler(request))
        url = str(request.url)
        signature = self.account.cached_signature(url)
        if signature is None:
            signature = await self._perform(self.account.sign(url), request.session, request)
        _apply(signature, request)
        response = await handler(request)
        for replays in count():
            if replays == 0 and response.status != 401:
                break
            header = request.headers.get("Authorization")
            received = Received(response.status, str(request.url), header, _can_replay(request), replays)
            again = await self._perform(self.account.reauthorize(received), request.session, request, response)
            if again is None:
                break
            _apply(again, request)
            response = await handler(request)
        is_own = signature.authorization is not None or response.url.origin() == URL(self.account.cloud_url)
        return response if is_own else _note_redirect(response)

    async def alogout(self, session: aiohttp.ClientSession) -> None:
        """Have the tokens revoked (RFC 7009), and forget them, here and in the store.

        Raises:
            LogoutError: the platform did not take them back, or was not reached. They are forgotten all the same.
        """
        await self._perform(self.account.log_out(), session)

    async def _perform(self, steps: Any, session: Any, request: Any = None, response: Any = None) -> Any:
        """Perform `steps` for this request, whose `response` is going to be replaced."""

        async def do(step: Any) -> Any:
            if isinstance(step, SendControl):
                return await _send_control(step.request, session, request)
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


def _note_redirect(response: ClientResponse) -> ClientResponse:
    """Take note of where a redirect leads that is not the account's own, or comes by way of another host."""
    if response.status in (301, 302, 303, 307, 308):
        with suppress(ValueError):  # no URL, or none of a host: aiohttp says so
            _foreign_target.set(response.url.join(URL(response.headers.get("Location", ""))).origin())
    return response


async def _send_control(
    request: ControlRequest, session: aiohttp.ClientSession, users: ClientRequest | None = None
) -> ControlResponse:
    """Send a control request by the connector of the user's session, with nothing else of it."""
    is_plain = request.url.startswith("http:")  # it is for this machine: no proxy is to read the password
    options: dict[str, Any] = {"data": request.body, "headers": request.headers, "allow_redirects": False}
    if users is not None:
        options["ssl"] = users.ssl
        options |= {} if is_plain else {"proxy": users.proxy, "proxy_auth": users.proxy_auth}
    own = aiohttp.ClientSession(
        connector=session.connector,
        connector_owner=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=session.trust_env and not is_plain,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT[0], sock_read=TIMEOUT[1]),
        auto_decompress=False,
    )
    try:
        async with own, own.request(request.method, URL(request.url, encoded=True), **options) as response:
            body = ControlBody(response.status, response.headers, TIMEOUT[1])
            await body.atake_all(response.content.iter_chunked(CHUNK_SIZE))
            return body.response()
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
        # For these, aiohttp would send the user's request again, and there would be a second login.
        raise aiohttp.ClientConnectionError(str(error)) from None
