"""The platform served: a uvicorn server in a background thread, with a loopback socket for each host."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import uvicorn
from starlette.applications import Starlette

from ._model import API, CLOUD, FIRST, FOREIGN, HOSTS, SECOND
from ._platform import Platform

ADDRESS = "127.0.0.1"
START_LIMIT = 30.0  # seconds
STOP_LIMIT = 1.0  # seconds for answers under way
ACCEPTING = 5  # turns of the event loop that asyncio needs, at most, between a socket and its connection
READING = 10  # and between what a client has sent and its answer being under way, with a new connection

Self = TypeVar("Self", bound="Served")


class Served:
    """A platform with open ports, from `start` to `stop`, or for a ``with`` block; and where it is.

    Args:
        port: where the cloud listens; data centers and the foreign host take the three ports above it.
            0: any free ports.
        tls: serve https, with certificates of a CA of its own (`ca_file`).
    """

    def __init__(self, *, port: int, tls: bool) -> None:
        self._platform = Platform()
        self._port = port
        self._tls = tls
        self._running: ExitStack | None = None
        self._server: _Server | None = None
        self._ca_file: str | None = None

    def start(self: Self) -> Self:
        """Open the sockets and serve them in the background, until `stop`. One that runs already runs on.

        Raises:
            OSError: a port is not free.
            RuntimeError: the server did not come up.
        """
        if self._running is not None:
            return self
        with ExitStack() as opened:
            sockets = {host: opened.enter_context(_listen(self._port, i)) for i, host in enumerate(HOSTS)}
            certificate = self._certificate(opened) if self._tls else None
            scheme = "https" if self._tls else "http"
            for host, listener in sockets.items():
                port = listener.getsockname()[1]
                self._platform.hosts[port] = host
                self._platform.urls[host] = f"{scheme}://{ADDRESS}:{port}"
            server = _Server(_config(self._platform.app, certificate))
            thread = threading.Thread(
                target=server.run, args=(list(sockets.values()),), name="notary-auth sandbox", daemon=True
            )
            thread.start()
            opened.callback(self._platform.close)
            opened.callback(server.stop, thread)
            _await_start(server, thread)
            self._server = server
            self._running = opened.pop_all()
        return self

    def stop(self) -> None:
        """Stop serving, and drop what was stored."""
        running, self._running, self._server = self._running, None, None
        if running is not None:
            running.close()

    def __enter__(self: Self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _certificate(self, opened: ExitStack) -> str:
        import trustme  # only where TLS is asked for

        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="notary-auth-")))
        ca = trustme.CA()
        certificate = ca.issue_cert(ADDRESS, "localhost")
        ca.cert_pem.write_to_path(str(folder / "ca.pem"))
        certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
        self._ca_file = str(folder / "ca.pem")
        return str(folder / "server.pem")

    @property
    def url(self) -> str:
        """The cloud's URL."""
        return self._url_of(CLOUD)

    @property
    def api_url(self) -> str:
        """The URL of the Notary API as users write it: below the cloud's."""
        return self.url + API

    @property
    def data_center_urls(self) -> tuple[str, str]:
        """The URLs of the two data centers. Accounts begin at the first."""
        return self._url_of(FIRST), self._url_of(SECOND)

    @property
    def foreign_url(self) -> str:
        """The URL of a host that has nothing to do with the platform. It answers 200 to everything."""
        return self._url_of(FOREIGN)

    def _url_of(self, host: str) -> str:
        url = self._platform.urls.get(host)
        if url is None:
            raise RuntimeError("no port is open yet: start it first, with `with` or `start`")
        return url

    @property
    def ca_file(self) -> str | None:
        """With TLS: a file with the CA's certificate, for ``verify=``."""
        return self._ca_file

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """With TLS: a client's context that trusts the CA."""
        return ssl.create_default_context(cafile=self._ca_file)

    def _settle(self) -> None:
        """Return when all that clients have sent by now is under way."""
        if self._server is not None:
            self._server.settle()


def _config(app: Starlette, certificate: str | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        date_header=False,  # the platform's clock is a fault that can be set
        server_header=False,
        timeout_keep_alive=60,
        ssl_certfile=certificate,
    )


def _listen(port: int, offset: int) -> socket.socket:
    # With its protocol named, asyncio sends small packets at once (TCP_NODELAY). Without, a kept connection takes
    # 40 ms for every answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((ADDRESS, port + offset if port else 0))
        listener.listen(1024)
    except BaseException:
        listener.close()
        raise
    return listener


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + START_LIMIT
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the sandbox did not come up")
        time.sleep(0.005)


class _Server(uvicorn.Server):
    """uvicorn's server, but gone as soon as it is told to stop.

    uvicorn looks for that ten times a second, and then gives its clients another tenth. A test suite with a
    sandbox for each test would wait for minutes in all.
    """

    _loop: asyncio.AbstractEventLoop
    _stopping: asyncio.Event

    def stop(self, thread: threading.Thread) -> None:
        """Stop, from any thread, and wait until `thread`, which serves, has ended."""
        self.should_exit = True  # for one that has not started yet
        if self.started and thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
        thread.join()

    def settle(self) -> None:
        """Return when all that clients have sent by now is under way."""

        async def take_turns() -> None:
            for _ in range(READING):
                await asyncio.sleep(0)

        asyncio.run_coroutine_threadsafe(take_turns(), self._loop).result()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        await super().startup(sockets)

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._stop_accepting()
        for connection in list(self.server_state.connections):
            connection.shutdown()  # at once where it is idle, else after its answer
        # A connection is gone when the last of its answer has been sent, and not when its task has ended.
        deadline = time.monotonic() + STOP_LIMIT
        while self.server_state.connections and time.monotonic() < deadline:  # noqa: ASYNC110  there is no event
            await asyncio.sleep(0.001)
        for connection in list(self.server_state.connections):
            connection.transport.abort()  # a client that keeps a TLS connection and says no goodbye
        for task in list(self.server_state.tasks):
            task.cancel()

    async def _stop_accepting(self) -> None:
        # What asyncio has accepted becomes a connection some turns of the loop later. If its server is closed by
        # then, it is lost with its socket open. Windows' loop has no readers to remove.
        with suppress(NotImplementedError):
            for server in self.servers:
                for listener in server.sockets:
                    self._loop.remove_reader(listener)
        for _ in range(ACCEPTING):
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()
