"""How to add a client: notary-auth for aiohttp, in under a hundred lines that touch nothing else.

    auth = NotaryAuth("JohnSmith", "qwe123QWE")
    async with aiohttp.ClientSession() as session:
        answer = await auth.request(session, "GET", "https://cloud.acronis.com/api/notary/v2/stored-files")
        print(await answer.json())

An adapter performs the steps of a conversation with its client, and says which of its client's errors ours are.
All rules (who is signed, one login for all, what a 401 means) are the conversation's.
"""

from __future__ import annotations

from typing import Any

import aiohttp
from yarl import URL

from notary_auth._adapters.auth import Adapter
from notary_auth._adapters.drivers import aperform
from notary_auth._core.steps import Forward, Received, SendControl, Signature
from notary_auth._wire.messages import Body, ControlRequest, ControlResponse
from notary_auth.errors import client_errors

TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10, sock_read=30)  # of a control call


class NotaryAuth(Adapter):
    """An Account in the hands of aiohttp, which knows no auth objects: so this sends the request."""

    _errors = client_errors(aiohttp.ClientError, globals())

    async def request(
        self, session: aiohttp.ClientSession, method: str, url: str, **options: Any
    ) -> aiohttp.ClientResponse:
        """Send a request as ``session.request`` does, signed. Redirects are the caller's to follow.

        Raises:
            aiohttp.ClientError: the client's own, and ours, which are such errors too.
        """
        conversation = self._account.conversation(str(URL(url)))
        result: Any = None
        error: Exception | None = None
        response: aiohttp.ClientResponse | None = None
        try:
            while (step := self._advance(conversation, result, None, error)) is not None:
                error = None
                if isinstance(step, Forward):
                    if response is not None:  # it is replayed, where it came from
                        url = str(response.request_info.url)
                        response.release()
                    response = await _forward(session, method, url, options, step.signature)
                    result = _answer(response, options)
                elif isinstance(step, SendControl):
                    try:
                        result = await _send(session, step.request)
                    except aiohttp.ClientError as network_error:
                        error = network_error
                else:
                    result = await aperform(step)
        finally:
            conversation.close()  # also when the task is cancelled: others wait for the leader
        assert response is not None
        return response


async def _forward(
    session: aiohttp.ClientSession, method: str, url: str, options: dict[str, Any], signature: Signature
) -> aiohttp.ClientResponse:
    """The user's own request, addressed and signed as the conversation wants it."""
    headers = dict(options.get("headers") or {})
    if signature.authorization is not None:
        headers["Authorization"] = signature.authorization
    if signature.origin is not None:
        url = signature.origin.readdress(str(URL(url)))
    return await session.request(method, url, **{**options, "headers": headers, "allow_redirects": False})


def _answer(response: aiohttp.ClientResponse, options: dict[str, Any]) -> Received:
    """What the conversation needs to know of an answer. A file or a generator is not sent twice."""
    is_replayable = isinstance(options.get("data"), bytes | str | dict | None)
    header = response.request_info.headers.get("Authorization")
    return Received(response.status, str(response.request_info.url), header, is_replayable)


async def _send(session: aiohttp.ClientSession, request: ControlRequest) -> ControlResponse:
    """A control call: never redirected, and read no further than it takes to see that it is too large."""
    async with session.request(
        request.method,
        URL(request.url, encoded=True),
        data=request.body,
        headers=request.headers,
        allow_redirects=False,
        timeout=TIMEOUT,
    ) as response:
        body = Body()
        async for chunk in response.content.iter_chunked(16 * 1024):
            if not body.take(chunk):
                break
        headers = {name.lower(): value for name, value in response.headers.items()}
        return ControlResponse(response.status, headers, bytes(body))
