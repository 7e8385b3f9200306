"""A server that answers with whatever bytes a test wants, at whatever pace, on a real socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from types import TracebackType

Script = Callable[[socket.socket], None]


class BadServer:
    """Accepts connections on a loopback port, reads one request on each, and lets `script` answer it."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests: list[bytes] = []
        self.stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> BadServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        answering = []
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                break
            answering.append(threading.Thread(target=self._answer, args=(connection,), daemon=True))
            answering[-1].start()
        for each in answering:
            each.join()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(30)
            try:
                request = connection.recv(65536)
                if request:
                    self.requests.append(request)
                    self._script(connection)
            except OSError:  # the client has gone away
                pass


def drip(head: bytes, body: Iterable[bytes], pause: float, server: list[BadServer]) -> Script:
    """Send `head` at once, and then a piece of `body` every `pause` seconds, as long as the server runs."""

    def script(connection: socket.socket) -> None:
        connection.sendall(head)
        for piece in body:
            if server[0].stopping.wait(pause):
                return
            connection.sendall(piece)

    return script
