"""The platform that contestants are measured on: the sandbox, in a process of its own, so that it has its own
core.

It can be as far away as wanted: all that goes there and back then passes a `_Network`, which lets each byte take
half a round trip, counts connections, and lets a connection's first byte wait for TCP's handshake as well.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.managers import BaseManager
from typing import Any
from unittest import mock

import requests

from notary_auth.sandbox import Sandbox
from notary_auth.sandbox._model import API, LOGIN

FILES = f"{API}/stored-files"
CA_VARIABLES = "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"
ADDRESS = "127.0.0.1"


class Platform:
    """What a contestant is told. `home` is the account's data center."""

    url: str
    home: str
    username: str
    password: str
    token: str  # as a script would have it written down
    ca_file: str | None = None

    @property
    def files(self) -> str:
        """What all requests are for, where users write it."""
        return self.url + FILES

    @property
    def token_url(self) -> str:
        """For contestants that have to be told."""
        return self.home + LOGIN


class SandboxPlatform(Platform):
    """A sandbox in another process, to be entered. It has the operations of `_Served`.

    Args:
        tls: whether it is served over TLS, by a CA that `trusted` makes the clients trust.
        round_trip: seconds to it and back; None: nothing lies in between.
    """

    _served: Any = None

    def __init__(self, *, tls: bool = False, round_trip: float | None = None) -> None:
        self._options = tls, round_trip

    def __enter__(self) -> SandboxPlatform:
        self._process = _Process(ctx=multiprocessing.get_context("spawn"))
        self._process.start()
        self._served = self._process.serve(*self._options)  # type: ignore[attr-defined]
        vars(self).update(self._served.about())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.shutdown()

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._served, operation)

    @contextmanager
    def trusted(self) -> Iterator[None]:
        """All clients trust its CA, by the variables that they look at."""
        variables = {} if self.ca_file is None else dict.fromkeys(CA_VARIABLES, self.ca_file)
        with mock.patch.dict(os.environ, variables):
            yield


class _Served:
    """The sandbox and the way to it, in the process that they have to themselves."""

    def __init__(self, tls: bool, round_trip: float | None) -> None:
        self._sandbox = Sandbox(tls=tls).__enter__()  # until the process ends
        # The sandbox's id_token is no JWT, as requests-oauth2client would have it.
        self._sandbox.faults.token_overrides = {"id_token": None}
        self._sandbox.faults.token_fields = frozenset({"expires_on", "expires_in"})
        self._network = _Network(self._sandbox, round_trip)

    def about(self) -> dict[str, Any]:
        """What a `Platform` tells contestants."""
        about = {name: getattr(self._sandbox, name) for name in ("url", "username", "password", "ca_file")}
        home = self._sandbox.data_center_urls[0]
        form = {"grant_type": "password", "username": about["username"], "password": about["password"]}
        reply = requests.post(home + LOGIN, data=form, verify=about["ca_file"] or True)
        self.clear()
        return {**about, "home": home, "token": reply.json()["access_token"]}

    def count(self, *kinds: str) -> int:
        """How many calls of these kinds there were since the last `clear`."""
        return sum(self._sandbox.count(kind) for kind in kinds)

    def connections(self) -> int:
        return self._network.connections

    def clear(self) -> None:
        self._sandbox.clear()
        self._network.connections = 0

    def fault(self, name: str, value: object) -> None:
        setattr(self._sandbox.faults, name, value)

    def revoke_tokens(self) -> None:
        self._sandbox.revoke_tokens()


class _Process(BaseManager):
    pass


_Process.register("serve", _Served)


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
            sandbox._platform.hosts[opened.result()] = host

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
