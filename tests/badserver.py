"""A platform of one host whose replies can be any bytes, at any pace, on a real socket.

The sandbox is a proper HTTP server, and cannot answer with less than that.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING

from .paths import LOGIN, LOOKUP

if TYPE_CHECKING:
    import trustme

TOKEN = "eyJ0eXAi-a-token-that-nobody-may-see"

Script = Callable[[socket.socket, threading.Event], None]  # answers on a connection, until the event is set


class BadServer:
    """Answers well, but for the paths in `faults`, which their scripts answer."""

    def __init__(self, certificate: trustme.LeafCert | None = None) -> None:
        self._tls = None if certificate is None else ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if certificate is not None and self._tls is not None:
            certificate.configure_cert(self._tls)
        self.faults: dict[str, Script] = {}
        self.once: dict[str, Script] = {}  # the same for the next request only
        self.paths: list[str] = []  # that were asked for, in order
        self.heads: list[bytes] = []  # of these requests: first line and headers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"{'http' if certificate is None else 'https'}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> BadServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
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
        connection.settimeout(30)
        try:
            with self._secured(connection) as secured:
                head = _request_head(secured)
                if head:
                    path = head.split(b" ")[1].partition(b"?")[0].decode("ascii")
                    self.heads.append(head)
                    self.paths.append(path)
                    script = self.once.pop(path, None) or self.faults.get(path, self._good(path))
                    script(secured, self._stopping)
        except OSError:  # the client has gone away
            pass
        finally:
            connection.close()

    def _secured(self, connection: socket.socket) -> socket.socket:
        return connection if self._tls is None else self._tls.wrap_socket(connection, server_side=True)

    def _good(self, path: str) -> Script:
        if path == LOOKUP:
            return send(reply({"server_url": self.url}))
        if path == LOGIN:
            return send(reply({"access_token": TOKEN, "token_type": "bearer", "expires_in": 7200}))
        return send(reply({"files": []}))


def _request_head(connection: socket.socket) -> bytes:
    """First line and headers of the request that comes in, once its body is here as well; empty if none comes."""
    request = b""
    while b"\r\n\r\n" not in request:
        chunk = connection.recv(65536)
        if not chunk:
            return b""
        request += chunk
    head, _, body = request.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        ),
        0,
    )
    while len(body) < length:
        chunk = connection.recv(65536)
        if not chunk:
            return b""
        body += chunk
    return head + b"\r\n"


def reply(
    document: object = None, status: int = 200, headers: Iterable[str] = (), body: bytes | None = None
) -> bytes:
    """The bytes of a whole reply, after which the connection is closed."""
    body = json.dumps(document).encode() if body is None else body
    head = [f"HTTP/1.1 {status} Whatever", "Connection: close", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def send(data: bytes) -> Script:
    """Send this, and close."""
    return lambda connection, stopping: connection.sendall(data)


def reset(data: bytes) -> Script:
    """Send this, and reset the connection."""

    def script(connection: socket.socket, stopping: threading.Event) -> None:
        connection.sendall(data)
        stopping.wait(0.05)  # let it be read
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return script


def drip(data: bytes, pieces: Iterable[bytes], pause: float) -> Script:
    """Send `data` at once, and then a piece every `pause` seconds."""

    def script(connection: socket.socket, stopping: threading.Event) -> None:
        connection.sendall(data)
        for piece in pieces:
            if stopping.wait(pause):
                return
            connection.sendall(piece)

    return script


def say_nothing(connection: socket.socket, stopping: threading.Event) -> None:
    stopping.wait(30)


def tunnel(host: str) -> Script:
    """Connect to ``address:port`` as a proxy does after CONNECT, and hand bytes on until either side ends."""

    def script(connection: socket.socket, stopping: threading.Event) -> None:
        address, _, port = host.rpartition(":")
        with socket.create_connection((address, int(port))) as server:
            connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=_hand_on, args=(server, connection), daemon=True)
            back.start()
            _hand_on(connection, server)
            back.join()

    return script


def _hand_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while chunk := source.recv(65536):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_RDWR)
    except OSError:  # either has gone away
        pass
