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
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any
from unittest import mock

import requests

from notary_auth.sandbox import Sandbox
from notary_auth.sandbox._model import API, LOGIN

FILES = f"{API}/stored-files"
CA_VARIABLES = "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"

ADDRESS = "127.0.0.1"


class Platform:
    """A sandbox in another process, to be entered. `home` is the account's data center.

    Args:
        tls: whether it is served over TLS, by a CA that `trusted` makes the clients trust.
        round_trip: seconds to it and back; None: nothing lies in between.
    """

    url: str
    home: str
    username: str
    password: str
    ca_file: str | None
    token: str  # as a script would have it written down

    def __init__(self, *, tls: bool = False, round_trip: float | None = None) -> None:
        self._options = {"tls": tls, "round_trip": round_trip}

    def __enter__(self) -> Platform:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), kwargs=self._options, daemon=True)
        self._process.start()
        vars(self).update(self._pipe.recv())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.close()
        self._process.join()

    @property
    def files(self) -> str:
        """What all requests are for, where users write it."""
        return self.url + FILES

    @property
    def token_url(self) -> str:
        """For contestants that have to be told."""
        return self.home + LOGIN

    def count(self, *kinds: str) -> int:
        """How many calls of these kinds there were since the last `clear`."""
        return sum(int(self._have("count", kind)) for kind in kinds)

    def connections(self) -> int:
        return int(self._have("connections"))

    def clear(self) -> None:
        self._have("clear")

    def fault(self, name: str, value: object) -> None:
        self._have("fault", name, value)

    def revoke_tokens(self) -> None:
        self._have("revoke_tokens")

    def _have(self, name: str, *arguments: object) -> Any:
        self._pipe.send((name, arguments))
        return self._pipe.recv()

    @contextmanager
    def trusted(self) -> Iterator[None]:
        """All clients trust its CA, by the variables that they look at."""
        variables = {} if self.ca_file is None else dict.fromkeys(CA_VARIABLES, self.ca_file)
        with mock.patch.dict(os.environ, variables):
            yield


def _serve(pipe: Connection, *, tls: bool, round_trip: float | None) -> None:
    with Sandbox(tls=tls) as sandbox:
        # The sandbox's id_token is no JWT, as requests-oauth2client would have it.
        sandbox.faults.token_overrides = {"id_token": None}
        sandbox.faults.token_fields = frozenset({"expires_on", "expires_in"})
        network = _Network(sandbox, round_trip)
        pipe.send(
            {
                "url": sandbox.url,
                "home": sandbox.data_center_urls[0],
                "username": sandbox.username,
                "password": sandbox.password,
                "ca_file": sandbox.ca_file,
                "token": _token(sandbox),
            }
        )
        operations = _Operations(sandbox, network)
        while True:
            try:
                name, arguments = pipe.recv()
            except EOFError:
                return
            pipe.send(getattr(operations, name)(*arguments))


def _token(sandbox: Sandbox) -> str:
    form = {"grant_type": "password", "username": sandbox.username, "password": sandbox.password}
    verify = sandbox.ca_file or True
    reply = requests.post(sandbox.data_center_urls[0] + LOGIN, data=form, verify=verify)
    sandbox.clear()
    return str(reply.json()["access_token"])


class _Operations:
    """What can be asked for from outside."""

    def __init__(self, sandbox: Sandbox, network: _Network) -> None:
        self.count = sandbox.count
        self.revoke_tokens = sandbox.revoke_tokens
        self._sandbox = sandbox
        self._network = network

    def connections(self) -> int:
        return self._network.connections

    def clear(self) -> None:
        self._sandbox.clear()
        self._network.connections = 0

    def fault(self, name: str, value: object) -> None:
        setattr(self._sandbox.faults, name, value)


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
