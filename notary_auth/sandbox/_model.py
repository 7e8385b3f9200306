"""What a test sees and sets of the platform: accounts, calls, faults; and what its hosts and calls are called."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

LOOKUP = "/api/1/accounts"
LOGIN = "/api/2/idp/token"
REVOKE = "/api/2/idp/revoke_token"
API = "/api/notary/v2"

CLOUD, FIRST, SECOND, FOREIGN = "cloud", "data center 1", "data center 2", "foreign host"
HOSTS = (CLOUD, FIRST, SECOND, FOREIGN)


@dataclass(slots=True)
class Account:
    """An account of the sandbox's.

    `failures` is how many logins have failed in a row, `failed_at` when the last of them did, and `locked_until`
    when the lock ends that they led to: in seconds since the epoch, by the server's clock.
    """

    username: str
    password: str = field(repr=False)
    data_center: str = FIRST
    totp: str | Callable[[], str] | None = field(default=None, repr=False)
    failures: int = 0
    failed_at: float = 0.0
    locked_until: float = 0.0
    now: Callable[[], float] = field(default=time.time, repr=False, compare=False)

    @property
    def is_locked(self) -> bool:
        return self.now() < self.locked_until

    def fail(self, faults: Faults) -> None:
        """Count a failed login, and lock the account after too many."""
        now = self.now()
        self.failures = 1 + (self.failures if now < self.failed_at + faults.failures_kept else 0)
        self.failed_at = now
        if self.failures >= faults.failures_before_lock:
            self.locked_until = now + faults.lock_time

    def takes_code(self, code: str) -> bool:
        expected = self.totp() if callable(self.totp) else self.totp
        return expected is None or code == expected


@dataclass(slots=True)
class Client:
    """An API client of the sandbox's."""

    client_id: str
    client_secret: str = field(repr=False)
    data_center: str = FIRST


KINDS = "lookup", "login", "refresh", "revoke", "request"


@dataclass(frozen=True, slots=True)
class Call:
    """A call that arrived, and what it was answered with.

    `host` is ``"cloud"``, ``"data center 1"``, ``"data center 2"`` or ``"foreign host"``. `kind` is
    ``"lookup"``, ``"login"``, ``"refresh"``, ``"revoke"`` or ``"request"``. Header names are in lower case.
    `body_size` is how many bytes of the body came in at the foreign host, the only one that has no use for them.
    `grant` is a login's ``grant_type``, if the call got as far as being read.
    """

    host: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    status: int
    body_size: int = 0
    grant: str = ""

    @property
    def kind(self) -> str:
        if self.path == LOGIN and self.grant == "refresh_token":
            return "refresh"
        return {LOOKUP: "lookup", LOGIN: "login", REVOKE: "revoke"}.get(self.path, "request")

    @property
    def is_signed(self) -> bool:
        return "authorization" in self.headers


@dataclass(slots=True)
class Faults:
    """What can be made to go wrong, at any time. All are off to begin with.

    Attributes:
        latency: seconds added to every answer.
        latency_of: seconds added to the answers of a path, such as ``{"/api/2/idp/token": 1.0}``.
        held: paths that are not answered for as long as they are in this set.
        clock_offset: seconds the server's clock is ahead of this machine's.
        send_date: whether answers have a ``Date``.
        token_lifetime: seconds that a token lives.
        token_fields: which of ``expires_on`` and ``expires_in`` the token reply has.
        token_overrides: fields of the token reply to be replaced, or left out where the value is None.
        explains_401: whether a 401 of the Notary API has a JSON body that says why. The platform's is empty.
        failures_before_lock: failed logins in a row that lock an account.
        lock_time: seconds for which they do.
        failures_kept: seconds without a failed login after which the count begins anew.
    """

    latency: float = 0.0
    latency_of: dict[str, float] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    clock_offset: float = 0.0
    send_date: bool = True
    token_lifetime: float = 7200.0
    token_fields: frozenset[str] = frozenset({"expires_on"})
    token_overrides: dict[str, Any] = field(default_factory=dict)
    explains_401: bool = False
    failures_before_lock: int = 10
    lock_time: float = 300.0
    failures_kept: float = 900.0
    _next: deque[tuple[str, str | None, Response]] = field(default_factory=deque)

    def answer_next(
        self,
        path: str,
        status: int,
        headers: Mapping[str, str] | None = None,
        body: bytes | str = b"",
        *,
        times: int = 1,
        host: str | None = None,
    ) -> None:
        """Answer the next calls of a path like this instead, at one host or whichever comes first.

        Raises:
            ValueError: `path` does not begin with a slash.
        """
        if not path.startswith("/"):
            raise ValueError(f"{path!r} is no path: begin it with a slash")
        for _ in range(times):
            self._next.append((path, host, Response(body, status, dict(headers or {}))))

    def take(self, path: str, host: str) -> Response | None:
        for fault in self._next:
            if fault[0] == path and fault[1] in (None, host):
                self._next.remove(fault)
                return fault[2]
        return None
