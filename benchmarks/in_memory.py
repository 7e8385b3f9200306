"""A platform in the place of all sockets, for what sockets would hide.

Ten thousand tasks on one client of httpx spend their time in its pool, which looks at every connection for every
request that waits for one; and there are not ten thousand sockets to be had. So what is at the very bottom of each
client, the sending of a request, is replaced. All above it is the client's own.
"""

from __future__ import annotations

import asyncio
import io
import json
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Any
from unittest import mock

import httpx
import httpx2
import requests
import urllib3

from notary_auth.sandbox._model import LOGIN, LOOKUP

from .platform import FILES


class InMemoryPlatform:
    """A cloud and a data center that are reached without a socket. While it is entered, clients talk to it alone.

    Args:
        login_takes: seconds that a login takes; any other call takes none.
    """

    url = "https://cloud.acronis.com"
    home = "https://eu2-cloud.acronis.com"
    files = url + FILES
    token_url = home + LOGIN
    username = "JohnSmith"
    password = "qwe123QWE"
    token = "eyJ0eXAi" * 40

    def __init__(self, login_takes: float = 0.0) -> None:
        self._login_takes = login_takes
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def count(self, *kinds: str) -> int:
        return sum(self._counts[kind] for kind in kinds)

    def __enter__(self) -> InMemoryPlatform:
        platform = self

        def send(adapter: Any, request: Any, **options: Any) -> Any:
            time.sleep(platform._time_for(request.url))
            status, body = platform._answer(request)
            raw = urllib3.HTTPResponse(io.BytesIO(body), {}, status, preload_content=False)
            return adapter.build_response(request, raw)

        def in_thread(library: Any) -> Any:
            def handle(transport: Any, request: Any) -> Any:
                time.sleep(platform._time_for(str(request.url)))
                status, body = platform._answer(request)
                return library.Response(status, content=body)

            return handle

        def in_task(library: Any) -> Any:
            async def handle(transport: Any, request: Any) -> Any:
                await asyncio.sleep(platform._time_for(str(request.url)))
                status, body = platform._answer(request)
                return library.Response(status, content=body)

            return handle

        self._patches = [mock.patch.object(requests.adapters.HTTPAdapter, "send", send)]
        for library in (httpx, httpx2):
            self._patches += [
                mock.patch.object(library.HTTPTransport, "handle_request", in_thread(library)),
                mock.patch.object(library.AsyncHTTPTransport, "handle_async_request", in_task(library)),
            ]
        for patch in self._patches:
            patch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for patch in self._patches:
            patch.stop()

    def _time_for(self, url: str) -> float:
        return self._login_takes if url == self.token_url else 0.0

    def _answer(self, request: Any) -> tuple[int, bytes]:
        url = str(request.url)
        if url.startswith(self.url + LOOKUP):
            return 200, self._counted("lookup", {"server_url": self.home})
        if url == self.token_url:
            token = {"access_token": self.token, "token_type": "bearer", "expires_in": 7200}
            return 200, self._counted(
                "login", {**token, "refresh_token": "spare", "expires_on": time.time() + 7200}
            )
        is_signed = request.headers.get("Authorization") == f"Bearer {self.token}"
        return 200 if is_signed else 401, self._counted("request", {"files": []})

    def _counted(self, kind: str, body: dict[str, object]) -> bytes:
        with self._lock:
            self._counts[kind] += 1
        return json.dumps(body).encode()
