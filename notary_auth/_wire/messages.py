"""A control request, the response to it, and the response's body as it comes in. Data only."""

import time
from collections.abc import Iterable, Mapping
from math import inf
from typing import NamedTuple

REPLY_LIMIT = 1024 * 1024  # bytes

# requests hands a piece on when it is full, and each of its bytes may take a read time-out. (Pieces of one byte
# would take 20 ms of processor time for a token.)
CHUNK_SIZE = 16


class ControlRequest:
    """A control call: what notary-auth itself asks the platform."""

    __slots__ = ("body", "headers", "method", "url")

    def __init__(self, method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body

    def __repr__(self) -> str:  # the body has the password in it, the query the user's name
        return f"<ControlRequest {self.method} {self.url.partition('?')[0]}>"


class ControlResponse(NamedTuple):
    """The platform's reply to a control call; `body` is cut soon after `REPLY_LIMIT`."""

    status: int  #: of the response
    headers: Mapping[str, str]  #: by lower-case names
    body: bytes  #: no more of it than `ControlBody` takes
    is_late: bool = False  #: whether the body took too long, and was not read to its end
    is_hidden: bool = False  #: whether nothing but the status is known

    def __repr__(self) -> str:  # the body has the token in it
        return f"<ControlResponse {self.status}, {len(self.body)} bytes>"


def is_encoded(headers: Mapping[str, str]) -> bool:
    """Whether a reply with these headers (by lower-case names) has an encoded body, which is not read."""
    return headers.get("content-encoding", "identity").strip().lower() != "identity"


class ControlBody:
    """A reply's body on its way in, read no further than it takes to see that it is too large or too slow.

    A time-out of the client is from one byte to the next; `seconds` is for all of them. No repr and no traceback
    with locals shows what is in it.
    """

    __slots__ = ("_bytes", "_deadline", "is_late")

    def __init__(self, seconds: float = inf) -> None:
        self._bytes = bytearray()
        self._deadline = time.monotonic() + seconds
        self.is_late = False

    def take(self, chunk: bytes) -> bool:
        """Add a chunk. Returns whether there may be another."""
        self._bytes += chunk
        self.is_late = time.monotonic() > self._deadline
        return not self.is_late and len(self._bytes) <= REPLY_LIMIT

    def take_all(self, chunks: Iterable[bytes]) -> "ControlBody":
        """Add chunks until there need not be another. Returns this body."""
        all(map(self.take, chunks))  # no variable ever holds a chunk
        return self

    def __bytes__(self) -> bytes:
        return bytes(self._bytes)
