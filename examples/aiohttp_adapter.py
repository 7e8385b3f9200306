"""How to add a client: notary-auth for aiohttp, in under a hundred lines that touch nothing else.

    auth = NotaryAuth("JohnSmith", "qwe123QWE")
    async with aiohttp.ClientSession() as session:
        response = await auth.request(session, "GET", "https://cloud.acronis.com/api/notary/v2/stored-files")
        print(await response.json())

An adapter signs the user's request, sends it, and asks after a 401 whether to send it again. It performs the steps
of these questions with its client. All rules are the account's.
"""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import count
from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from notary_auth.adapter import (
    Adapter,
    ControlBody,
    ControlRequest,
    ControlResponse,
    Drain,
    Received,
    SendControl,
    Signature,
    Step,
    aperform,
    client_errors,
)

TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10, sock_read=30)  # of a control request


class NotaryAuth(Adapter):
    """An Account in the hands of aiohttp, which knows no auth objects: so this sends the request."""

    _errors = client_errors(aiohttp.ClientError, globals())
    _network_error = aiohttp.ClientError, asyncio.TimeoutError

    async def request(
        self, session: aiohttp.ClientSession, method: str, url: str, **options: Any
    ) -> aiohttp.ClientResponse:
        """Send a request as ``session.request`` does, signed. Redirects are the caller's to follow.

        Raises:
            aiohttp.ClientError, TimeoutError: the client's own; errors of ours are ClientErrors as well.
        """
        response: Any = None

        async def do(step: Step) -> Any:
            return await (response.read() if isinstance(step, Drain) else _perform(session, step))

        url = str(URL(url))
        signature = self.account.cached_signature(url) or await self._arun(self.account.sign(url), do)
        response = await _send(session, method, url, options, signature)
        if response.status == 401:
            for replays in count():
                received = _received(response, options, replays)
                again = await self._arun(self.account.reauthorize(received), do)
                if again is None:
                    break
                response = await _send(session, method, received.url, options, again)
        return response

    async def alogout(self, session: aiohttp.ClientSession) -> None:
        await self._arun(self.account.log_out(), partial(_perform, session))


async def _send(
    session: aiohttp.ClientSession, method: str, url: str, options: dict[str, Any], signature: Signature
) -> aiohttp.ClientResponse:
    """The user's own request, signed, and sent where the signature says: cookies of another host stay behind."""
    headers = CIMultiDict(options.get("headers") or {})
    if signature.url is not None:
        for name in ("Host", "Cookie"):
            headers.popall(name, None)
    if signature.authorization is not None:
        headers["Authorization"] = signature.authorization
    options = {**options, "headers": headers, "allow_redirects": False}
    return await session.request(method, signature.url or url, **options)


def _received(response: aiohttp.ClientResponse, options: dict[str, Any], replays: int) -> Received:
    """What the account needs to know of a response. A file or a generator is not sent twice."""
    header = response.request_info.headers.get("Authorization")
    can_replay = isinstance(options.get("data"), bytes | str | dict | None)
    return Received(response.status, str(response.request_info.url), header, can_replay, replays)


async def _perform(session: aiohttp.ClientSession, step: Step) -> Any:
    return await (_send_control(session, step.request) if isinstance(step, SendControl) else aperform(step))


async def _send_control(session: aiohttp.ClientSession, request: ControlRequest) -> ControlResponse:
    """A control request: never redirected, and its response is read no further than it has to be."""
    async with session.request(
        request.method,
        URL(request.url, encoded=True),
        data=request.body,
        headers=request.headers,
        allow_redirects=False,
        timeout=TIMEOUT,
    ) as response:
        body = ControlBody(response.status, response.headers)
        if body.is_readable:
            async for chunk in response.content.iter_chunked(16 * 1024):
                goes_on = body.take(chunk)
                del chunk  # no traceback with locals is to show the token in it
                if not goes_on:
                    break
        return body.response()
