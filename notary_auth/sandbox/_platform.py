"""What the platform does with a call: one application for all its hosts, faults, and the record of calls.

Which host a call is for is told by the port it came in on. Nothing here knows how it is served.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from email.utils import formatdate

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ._files import StoredFiles
from ._identity import Identity
from ._model import API, CLOUD, FIRST, FOREIGN, HOSTS, LOGIN, LOOKUP, REVOKE, SECOND, Call, Faults

HELD_PAUSE = 0.001  # seconds between two looks at whether a call is still held
CLIENT_CLOSED_REQUEST = 499  # nginx's word for a client that went away

Endpoint = Callable[[Request], Awaitable[Response]]


class Platform:
    """The state of a platform, and the application that serves it."""

    def __init__(self) -> None:
        self.identity = Identity(self)
        self.stored = StoredFiles(self)
        self.faults = Faults()
        self.calls = _new_record()
        self.pending: list[str] = []  # paths of calls that have arrived, and are not answered yet
        self.hosts: dict[int, str] = {}  # by port
        self.urls: dict[str, str] = {}  # by host
        self.app = Starlette(
            routes=[
                Route(LOOKUP, self._at(self.identity.look_up, CLOUD)),
                Route(LOGIN, self._at(self.identity.log_in, FIRST, SECOND), methods=["POST"]),
                Route(REVOKE, self._at(self.identity.revoke, FIRST, SECOND), methods=["POST"]),
                Route(f"{API}/stored-files", self._at(self.stored.list, FIRST, SECOND), methods=["GET"]),
                Route(f"{API}/stored-files", self._at(self.stored.store, FIRST, SECOND), methods=["POST"]),
                Route(f"{API}/stored-files/{{file_id}}", self._at(self.stored.describe, FIRST, SECOND)),
                Route(f"{API}/stored-files/{{file_id}}/download", self._at(self.stored.download, FIRST, SECOND)),
                Route("/{path:path}", self._at(self._elsewhere, *HOSTS), methods=_METHODS),
            ],
        )

    def now(self) -> float:
        """Seconds since the epoch by the server's clock."""
        return time.time() + self.faults.clock_offset

    def reset(self) -> None:
        self.close()
        self.identity.clear()
        self.calls, self.pending = _new_record(), []
        self.faults = Faults()

    def close(self) -> None:
        self.stored.close()

    def _at(self, endpoint: Endpoint, *hosts: str) -> Endpoint:
        """What all calls have in common: faults, the record, and that not every host has every call."""

        async def answer(request: Request) -> Response:
            host = self.hosts[request.scope["server"][1]]
            request.state.host = host
            request.state.body_size = 0
            request.state.grant = ""
            path = request.url.path
            request.state.calls = calls = self.calls
            try:
                if path in (LOGIN, REVOKE):
                    await request.body()  # a form has arrived when all of it has
                await self._wait_to_answer(path)
                if self.is_past(request):
                    return Response(status_code=503)
                endpoint_here = endpoint if host in hosts else self._elsewhere
                response = self.faults.take(path, host) or await endpoint_here(request)
            except ClientDisconnect:  # arrived all the same
                response = Response(status_code=CLIENT_CLOSED_REQUEST)
            if self.faults.send_date and "date" not in response.headers:
                response.headers["date"] = formatdate(self.now(), usegmt=True)
            calls.append(
                Call(
                    host,
                    request.method,
                    path,
                    request.url.query,
                    dict(request.headers),
                    response.status_code,
                    request.state.body_size,
                    request.state.grant,
                )
            )
            return response

        return answer

    async def _wait_to_answer(self, path: str) -> None:
        faults, pending = self.faults, self.pending
        pending.append(path)
        try:
            await asyncio.sleep(faults.latency + faults.latency_of.get(path, 0.0))
            while path in faults.held and faults is self.faults:  # noqa: ASYNC110  a set of the user's has no event
                await asyncio.sleep(HELD_PAUSE)
        finally:
            pending.remove(path)

    def is_past(self, request: Request) -> bool:
        """Whether a `reset` came since this call did: it is no part of what is now, and must change nothing."""
        return request.state.calls is not self.calls

    async def _elsewhere(self, request: Request) -> Response:
        if request.state.host == FOREIGN:
            async for chunk in request.stream():
                request.state.body_size += len(chunk)
            return JSONResponse({"host": FOREIGN, "path": request.url.path})
        return JSONResponse({"message": f"the {request.state.host} has no such call"}, 404)


def _new_record() -> deque[Call]:
    return deque(maxlen=1_000_000)


_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
