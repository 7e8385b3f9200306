"""The platform that contestants are measured on: the sandbox, in a process of its own, so that it has its own
core.

It can be as far away as wanted: all that goes there and back then passes a `_Network`, which lets each byte take
half a round trip, counts connections, and lets a connection's first byte wait for TCP's handshake as well.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import ssl
import threading
from multiprocessing.managers import BaseManager
from typing import Any
from unittest import mock

import requests

from notary_auth.sandbox import Sandbox
from notary_auth.sandbox._model import API, LOGIN
from notary_auth.sandbox._server import ADDRESS

FILES = f"{API}/stored-files"
FORM = {"grant_type": "password", "username": "JohnSmith", "password": "qwe123QWE"}
Counts = tuple[int, int, int]  # look-ups, logins with refreshes, and connections, since the last `clear`


class Platform:
    """What a contestant is told: a sandbox in another process, to be entered. It has the operations of `_Served`.

    Args:
        tls: whether it is served over TLS. All clients trust its CA then, by the variables that they look at.
        round_trip: seconds to it and back; None: nothing lies in between.
    """

    username, password = FORM["username"], FORM["password"]
    _served: Any = None

    def __init__(self, *, tls: bool = False, round_trip: float | None = None) -> None:
        self._options = tls, round_trip

    def __enter__(self) -> Platform:
        self._process = BaseManager(ctx=multiprocessing.get_context("spawn"))
        self._process.start()
        self._served = self._process.serve(*self._options)  # type: ignore[attr-defined]
        urls: tuple[str, str, str | None] = self._served.urls()
        self.url, self.home, ca_file = urls
        self.files = self.url + FILES  # what all requests are for, where users write it
        self.home_files, self.token_url = self.home + FILES, self.home + LOGIN  # for those that have to be told
        variables = dict.fromkeys(("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), ca_file) if ca_file else {}
        self._trust = mock.patch.dict(os.environ, variables)
        self._trust.start()
        # For httpx and aiohttp: to read the usual bundle of CAs would take each client 20 ms.
        self.verify = ssl.create_default_context(cafile=ca_file) if ca_file else False
        self.header = f"Bearer {self.log_in()['access_token']}"  # as a script would have it written down
        return self

    def __exit__(self, *_: object) -> None:
        self._trust.stop()
        self._process.shutdown()

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._served, operation)

    def log_in(self) -> Any:
        """By hand."""
        return requests.post(self.token_url, data=FORM).json()


class _Served(Sandbox):
    """The sandbox and the way to it, in the process that they have to themselves."""

    def __init__(self, tls: bool, round_trip: float | None) -> None:
        super().__init__(tls=tls)
        self.start()  # until the process ends
        # The sandbox's id_token is no JWT, as requests-oauth2client would have it.
        self.faults.token_overrides = {"id_token": None}
        self.faults.token_fields = frozenset({"expires_on", "expires_in"})
        self._network = _Network(self, round_trip)

    def urls(self) -> tuple[str, str, str | None]:
        """The cloud's and the data center's; and the file with the CA."""
        return self.url, self.data_center_urls[0], self.ca_file

    def counts(self) -> Counts:
        logins = self.count("login") + self.count("refresh")
        return self.count("lookup"), logins, self._network.connections

    def clear(self) -> None:
        super().clear()
        self._network.connections = 0

    def fault(self, name: str, value: object) -> None:
        setattr(self.faults, name, value)


BaseManager.register("serve", _Served)


class _Network:
    """What lies between a client and the sandbox. The platform's URLs lead through it."""

    def __init__(self, sandbox: Sandbox, round_trip: float | None) -> None:
        self.connections = 0
        if round_trip is None:
            return
        self._round_trip = round_trip
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="network", daemon=True).start()
        urls = sandbox._platform.urls
        for host, url in urls.items():
            start, _, port = url.rpartition(":")
            opened = asyncio.run_coroutine_threadsafe(self._listen(int(port)), self._loop)
            urls[host] = f"{start}:{opened.result()}"

    async def _listen(self, port: int) -> int:
        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            connected_at = self._loop.time() + self._round_trip
            onward_reader, onward_writer = await asyncio.open_connection(ADDRESS, port)
            await asyncio.gather(
                self._pump(reader, onward_writer, connected_at), self._pump(onward_reader, writer, 0.0)
            )

        server = await asyncio.start_server(carry, ADDRESS, 0)
        return int(server.sockets[0].getsockname()[1])

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, not_before: float) -> None:
        while True:
            try:
                data = await reader.read(65536)
            except ConnectionError:
                data = b""
            arrival = max(self._loop.time(), not_before) + self._round_trip / 2
            if not data:
                self._loop.call_at(arrival, writer.close)
                return
            self._loop.call_at(arrival, writer.write, data)
