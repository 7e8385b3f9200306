"""A control request, the response to it, and the response's body as it comes in. Data only."""

import time
from collections.abc import AsyncIterable, Iterable, Mapping
from math import inf
from typing import NamedTuple

from notary_auth._secrets import SecretBytes

BODY_LIMIT = 1024 * 1024  # bytes
#: Statuses that count as an answer even where an event hook raised for them.
MAYBE_REFUSED = frozenset({400, 401, 403})

# requests hands a piece on when it is full, and each of its bytes may take a read time-out. (Pieces of one byte
# would take 20 ms of processor time for a token.)
CHUNK_SIZE = 16


class ControlRequest(NamedTuple):
    """A control call: what notary-auth itself asks the platform."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None = None

    def __repr__(self) -> str:  # the body has the password in it, the query the user's name
        return f"<ControlRequest {self.method} {self.url.partition('?')[0]}>"


class ControlResponse(NamedTuple):
    """The platform's reply to a control call; `body` is cut soon after `BODY_LIMIT`."""

    status: int  #: of the response
    headers: Mapping[str, str]  #: by lower-case names
    body: bytes  #: no more of it than `ControlBody` takes
    is_late: bool = False  #: whether the body took too long, and was not read to its end
    is_hidden: bool = False  #: whether nothing but the status is known
    tries: int = 1  #: how often the request was sent until this response came

    def __repr__(self) -> str:  # the body has the token in it
        return f"<ControlResponse {self.status}, {len(self.body)} bytes>"


def is_redirect(status: int) -> bool:
    """Whether a client would follow a response of this status to elsewhere, where no credentials are to go."""
    return status in (301, 302, 303, 307, 308)


def is_encoded(headers: Mapping[str, str]) -> bool:
    """Whether a response with these headers (by lower-case names) has an encoded body, which is not read."""
    return headers.get("content-encoding", "identity").strip().lower() != "identity"


class ControlBody:
    """A control response's body as it comes in, read until it ends, is too large or takes too long.

    A time-out of the client is from one byte to the next; `seconds` is for all of them. No repr and no traceback
    with locals shows what is in it.

    Args:
        status: of the response. The body of a redirect, which is not followed, is not read.
        headers: of the response. An encoded body is not read either, since none was accepted.
        seconds: that reading it may take.
    """

    __slots__ = ("_bytes", "_deadline", "_headers", "_status", "is_late", "is_readable")

    def __init__(self, status: int, headers: Mapping[str, str], seconds: float = inf) -> None:
        self._status = status
        self._headers = {name.lower(): value for name, value in headers.items()}
        self._bytes = bytearray()
        self._deadline = time.monotonic() + seconds
        self.is_late = False
        self.is_readable = not is_redirect(status) and not is_encoded(self._headers)  # whether it may be read

    def take(self, chunk: bytes) -> bool:
        """Add a chunk. Returns whether there may be another."""
        self._bytes += chunk
        self.is_late = time.monotonic() > self._deadline
        return not self.is_late and len(self._bytes) <= BODY_LIMIT

    def take_all(self, chunks: Iterable[bytes]) -> None:
        """Add chunks until there need not be another; none of a body that is not readable."""
        if self.is_readable:
            all(map(self.take, chunks))  # don't bind chunks to locals: they would show up in tracebacks

    async def atake_all(self, chunks: AsyncIterable[bytes]) -> None:
        """The same for chunks that have to be awaited."""
        if self.is_readable:
            async for chunk in chunks:
                goes_on = self.take(chunk)
                del chunk
                if not goes_on:
                    break

    def response(self) -> "ControlResponse":
        """The response that this is the body of."""
        return ControlResponse(self._status, self._headers, SecretBytes(self._bytes), self.is_late)
