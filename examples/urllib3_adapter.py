"""How to add a client: notary-auth for urllib3, in a few dozen lines that touch nothing else.

    auth = NotaryAuth("JohnSmith", "qwe123QWE")
    response = auth.request(urllib3.PoolManager(), "GET", "https://cloud.acronis.com/api/notary/v2/stored-files")
    print(response.json())

An adapter signs the user's request, sends it, and asks after a 401 whether to send it again. It performs the steps
of these questions with its client. All rules are the account's.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import urllib3

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
    client_errors,
    perform,
)

TIMEOUT = urllib3.Timeout(connect=10, read=30)  # seconds, of a control request
CHUNK_SIZE = 16 * 1024  # bytes


class NotaryAuth(Adapter):
    """An Account in the hands of urllib3, which knows no auth objects: so this sends the request."""

    _errors = client_errors(urllib3.exceptions.HTTPError, globals())
    _network_error = urllib3.exceptions.HTTPError

    def request(
        self, pool: urllib3.PoolManager, method: str, url: str, **options: Any
    ) -> urllib3.BaseHTTPResponse:
        """Send a request as ``pool.request`` does, signed. Redirects are the caller's to follow.

        Raises:
            urllib3.exceptions.HTTPError: the client's own; errors of ours are HTTPErrors as well.
        """
        response: Any = None

        def do(step: Step) -> Any:
            if isinstance(step, SendControl):
                return _send_control(pool, step.request)
            return response.drain_conn() if isinstance(step, Drain) else perform(step)

        signature = self.account.cached_signature(url) or self._run(self.account.sign(url), do)
        for replays in count():
            url = signature.url or url
            response = _send(pool, method, url, options, signature)
            if replays == 0 and response.status != 401:
                break
            # Only text and bytes can be sent again for certain.
            can_replay = isinstance(options.get("body"), bytes | str | None)
            received = Received(response.status, url, signature.authorization, can_replay, replays)
            again = self._run(self.account.reauthorize(received), do)
            if again is None:
                break
            signature = again
        return response

    def logout(self, pool: urllib3.PoolManager) -> None:
        def do(step: Step) -> Any:
            return _send_control(pool, step.request) if isinstance(step, SendControl) else perform(step)

        self._run(self.account.log_out(), do)


def _send(
    pool: urllib3.PoolManager, method: str, url: str, options: dict[str, Any], signature: Signature
) -> urllib3.BaseHTTPResponse:
    """The user's own request, signed: cookies of the host that it was addressed to stay behind."""
    headers = urllib3.HTTPHeaderDict(options.get("headers") or pool.headers)
    if signature.url is not None:
        headers.discard("Cookie")
    if signature.authorization is not None:
        headers["Authorization"] = signature.authorization
        headers["Host"] = signature.host
    return pool.request(method, url, **{**options, "headers": headers, "redirect": False})


def _send_control(pool: urllib3.PoolManager, request: ControlRequest) -> ControlResponse:
    """A control request: sent once, never redirected, and its response is read no further than it has to be."""
    if request.url.startswith("http:"):  # it is for this machine: no proxy is to read the password
        pool = urllib3.PoolManager()
    response = pool.request(
        request.method,
        request.url,
        body=request.body,
        headers=request.headers,
        retries=False,
        timeout=TIMEOUT,
        preload_content=False,
    )
    body = ControlBody(response.status, response.headers, 30)
    try:
        body.take_all(response.stream(CHUNK_SIZE, decode_content=False))
    finally:
        response.close()
    return body.response()
