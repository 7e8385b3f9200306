"""Accounts of several processes that share a store and a clock, on the bare core."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from notary_auth import Account

from .core import ControlRequest, clock_of, new_account, set_clock

OFFLINE = {"offline_access": True}


class Lease:
    """A lock of a `RecordingStore`."""

    def __init__(self, store: RecordingStore, name: str) -> None:
        self._store = store
        self._name = name

    def acquire(self) -> bool:
        return self._store.leases.setdefault(self._name, self) is self

    def release(self) -> None:
        if self._store.leases.get(self._name) is self:
            del self._store.leases[self._name]


class RecordingStore:
    """A token store on the accounts' own clock that notes what it is asked.

    Its locks are leases that last until the test ends them (`expire_leases`).
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.asked: list[str] = []
        self.records: dict[str, tuple[bytes, float]] = {}  # by name: the record, and when it ends
        self.leases: dict[str, Lease] = {}

    def load(self, name: str) -> tuple[bytes, float] | None:
        self.asked.append("load")
        record, end = self.records.get(name, (b"", 0.0))
        return (record, end - self.clock()) if end > self.clock() else None

    def save(self, name: str, record: bytes, seconds: float) -> None:
        self.asked.append("save")
        self.records[name] = record, self.clock() + seconds

    def delete(self, name: str) -> None:
        self.asked.append("delete")
        self.records.pop(name, None)

    def lock(self, name: str, seconds: float) -> Lease:
        return Lease(self, name)

    @property
    def is_locked(self) -> bool:
        return bool(self.leases)

    def expire_leases(self) -> None:
        """Let all leases come to their end, whoever holds them."""
        self.leases.clear()


class Processes:
    """Accounts of as many processes as a test asks for, which share a store and a clock."""

    def __init__(self) -> None:
        self.clock = clock_of(new_account())
        self.store = RecordingStore(self.clock)

    def account(self, **arguments: Any) -> Account:
        """The account in another process."""
        account = new_account(**{"store": self.store, **arguments})
        set_clock(account, self.clock)
        return account

    def settle(self) -> RecordingStore:
        """Wait for the threads in which abandoned logins end. Returns the store."""
        for thread in threading.enumerate():
            if thread.name == "notary-auth":
                thread.join(10)
        return self.store


def form_of(request: ControlRequest) -> dict[str, str]:
    """The fields of a control request's form."""
    assert request.body is not None
    return dict(parse_qsl(request.body.decode()))
