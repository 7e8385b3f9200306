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
from typing import Any
from unittest import mock

import aiohttp
import httpx
import httpx2
import requests
import urllib3

from notary_auth.sandbox._model import LOOKUP

from .platform import Platform


class InMemoryPlatform(Platform):
    """A cloud and a data center that are reached without a socket. While it is entered, clients talk to it alone.

    Args:
        login_takes: seconds that a login takes; any other call takes none.
    """

    url = "https://cloud.acronis.com"
    home = "https://eu2-cloud.acronis.com"
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
        self._patches = [
            mock.patch.object(requests.adapters.HTTPAdapter, "send", self._by_requests()),
            mock.patch.object(aiohttp.TCPConnector, "_create_connection", _connected),
            mock.patch.object(aiohttp.ClientRequest, "send", self._by_aiohttp(aiohttp.ClientRequest.send)),
        ]
        for library in (httpx, httpx2):
            in_thread, in_task = self._by_httpx(library)
            self._patches += [
                mock.patch.object(library.HTTPTransport, "handle_request", in_thread),
                mock.patch.object(library.AsyncHTTPTransport, "handle_async_request", in_task),
            ]
        for patch in self._patches:
            patch.start()
        return self

    def __exit__(self, *_: object) -> None:
        for patch in self._patches:
            patch.stop()

    def _by_requests(self) -> Any:
        def send(adapter: Any, request: Any, **options: Any) -> Any:
            time.sleep(self._time_for(request))
            status, body = self._answer(request)
            raw = urllib3.HTTPResponse(io.BytesIO(body), {}, status, preload_content=False)
            return adapter.build_response(request, raw)

        return send

    def _by_httpx(self, library: Any) -> tuple[Any, Any]:
        def in_thread(transport: Any, request: Any) -> Any:
            time.sleep(self._time_for(request))
            status, body = self._answer(request)
            return library.Response(status, content=body)

        async def in_task(transport: Any, request: Any) -> Any:
            await asyncio.sleep(self._time_for(request))
            status, body = self._answer(request)
            return library.Response(status, content=body)

        return in_thread, in_task

    def _by_aiohttp(self, real_send: Any) -> Any:
        async def send(request: Any, connection: Any) -> Any:
            response = await real_send(request, connection)
            await asyncio.sleep(self._time_for(request))
            status, body = self._answer(request)
            head = f"HTTP/1.1 {status} \r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.protocol.data_received(head.encode() + body)
            return response

        return send

    def _time_for(self, request: Any) -> float:
        return self._login_takes if str(request.url) == self.token_url else 0.0

    def _answer(self, request: Any) -> tuple[int, bytes]:
        url = str(request.url)
        if url.startswith(self.url + LOOKUP):
            return 200, self._counted("lookup", {"server_url": self.home})
        if url == self.token_url:
            lifetime = {"expires_in": 7200, "expires_on": time.time() + 7200}
            token = {"access_token": self.token, "token_type": "bearer", "refresh_token": "spare", **lifetime}
            return 200, self._counted("login", token)
        is_signed = request.headers.get("Authorization") == f"Bearer {self.token}"
        return 200 if is_signed else 401, self._counted("request", {"files": []})

    def _counted(self, kind: str, body: dict[str, object]) -> bytes:
        with self._lock:
            self._counts[kind] += 1
        return json.dumps(body).encode()


async def _connected(connector: Any, *_: Any) -> Any:
    protocol = connector._factory()
    protocol.connection_made(_Nowhere(protocol))
    return protocol


class _Nowhere(asyncio.Transport):
    """What aiohttp writes a request to. The answer is not made from that, but from the request itself."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._protocol = protocol

    def write(self, data: Any) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        self._protocol.connection_lost(None)
