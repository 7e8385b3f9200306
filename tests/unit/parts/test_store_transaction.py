"""A transaction with a store alone: read, lock, publish, commit; rules a to e are held with accounts elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from notary_auth.stores import MemoryStore
from tests.core import (
    CLOUD,
    HOME,
    Bearer,
    Origin,
    Secret,
    SharedRecord,
    SharedTokens,
    finish,
)

RECORD = SharedRecord(Origin.of_base_url(HOME), Bearer("token-1"), 1000.0)


def begin(store: Any, password: str = "qwe123QWE") -> Any:
    _, transaction = finish(SharedTokens(store, "JohnSmith", CLOUD).begin(Secret(password)))
    return transaction


def done(steps: Any) -> Any:
    return finish(steps)[1]


def test_what_is_committed_is_read_by_the_next_transaction() -> None:
    store = MemoryStore()
    first = begin(store)
    assert done(first.read()) is None
    assert done(first.try_lock())
    first.publish(RECORD)
    done(first.commit())
    record = done(begin(store).read())
    assert (record.data_center, record.authorization, record.lifetime) == RECORD[:3]
    assert record.age < 5


def test_rule_a_another_password_reads_nothing() -> None:
    store = MemoryStore()
    first = begin(store)
    first.publish(RECORD)
    done(first.commit())
    assert done(begin(store, "another").read()) is None


def test_rule_b_one_transaction_has_the_lock_until_it_commits() -> None:
    store = MemoryStore()
    first, second = begin(store), begin(store)
    assert done(first.try_lock())
    assert not done(second.try_lock())
    assert not second.may_log_in
    done(first.commit())
    assert done(second.try_lock())


def test_rule_b_what_finishes_in_the_background_saves_and_unlocks() -> None:
    store = MemoryStore()
    first = begin(store)
    done(first.try_lock())
    first.publish(RECORD)
    first.finish_in_background()
    second = begin(store)
    while not done(second.try_lock()):
        pass
    assert done(second.read()).authorization == "Bearer token-1"


def test_rule_c_a_store_that_fails_is_asked_once(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(MemoryStore):
        calls = 0

        def load(self, name: str) -> Any:
            self.calls += 1
            raise OSError("redis://:geheim@cache")

    store = Broken()
    transaction = begin(store)
    assert done(transaction.read()) is None
    assert transaction.may_log_in
    assert done(transaction.read()) is None
    assert store.calls == 1
    assert "the store of 'JohnSmith' failed" in caplog.text
    assert "geheim" not in caplog.text


def test_without_a_store_nothing_has_to_be_waited_for() -> None:
    transaction = begin(None)
    assert transaction.may_log_in
    assert done(transaction.read()) is None
    transaction.publish(RECORD)
    done(transaction.commit())
