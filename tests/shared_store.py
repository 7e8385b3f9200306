"""Accounts of several processes that have a store and a clock in common, on the bare core."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from notary_auth import Account
from notary_auth._steps import Call
from notary_auth.stores import MemoryStore

from .core import (
    Conversation,
    clock_of,
    new_account,
)

OFFLINE = {"offline_access": True}


class Store(MemoryStore):
    """A store on the accounts' own clock, with a record of what was asked of it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self.clock = clock
        self.asked: list[str] = []

    def load(self, name: str) -> tuple[bytes, float] | None:
        self.asked.append("load")
        record, end = self._records.get(name, (b"", 0.0))
        return (record, end - self.clock()) if end > self.clock() else None

    def save(self, name: str, record: bytes, seconds: float) -> None:
        self.asked.append("save")
        self._records[name] = record, self.clock() + seconds

    def delete(self, name: str) -> None:
        self.asked.append("delete")
        super().delete(name)

    @property
    def records(self) -> dict[str, tuple[bytes, float]]:
        return self._records

    @property
    def is_locked(self) -> bool:
        return bool(self._leases)


class Members:
    """Accounts in as many processes, which have a store and a clock in common."""

    def __init__(self) -> None:
        first = new_account()
        self.clock = clock_of(first)
        self.store = Store(self.clock)

    def account(self, **arguments: Any) -> Account:
        account = new_account(**{"store": self.store, **arguments})
        account.now = self.clock
        return account


def farewell(account: Account, *results: Any) -> Conversation:
    conversation = Conversation(account.farewell())
    conversation.start()
    conversation.go_on(*results)
    assert not conversation.signatures
    return conversation


def fields(request: Any) -> dict[str, str]:
    from urllib.parse import parse_qsl

    return dict(parse_qsl(request.body.decode()))


def settled(fleet: Members) -> Store:
    """The store when nobody is busy with it any more: what was abandoned ends in a thread of its own."""
    for thread in threading.enumerate():
        if thread.name == "notary-auth":
            thread.join(10)
    return fleet.store


def perform_calls(conversation: Conversation) -> Any:
    """Perform what may block, up to another step. Returns that."""
    while isinstance(conversation.step, Call):
        conversation.send(conversation.step.function())
    return conversation.step
