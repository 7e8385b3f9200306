"""For tests: mock replies (`login_replies`), and checks for a token store of your own (`store_conformance`).

`login_replies` is for libraries that answer in a client's place (responses, respx and the like). ::

    for reply in login_replies("JohnSmith"):
        responses.add(**reply)

`store_conformance` is for stores. ::

    import pytest
    from notary_auth.testing import store_conformance

    @pytest.mark.parametrize("check", store_conformance, ids=lambda check: check.__name__)
    def test_the_store(check):
        check(lambda: MyStore("memcached://…"))

Neither needs pytest: ``for check in store_conformance: check(make)`` does as well. Each check uses names of
its own, leaves nothing behind that does not end by itself, and takes eleven seconds at most.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from notary_auth._core.account import CLOUD_URL
from notary_auth._wire import TOKEN_PATH, protocol
from notary_auth._wire.origin import Origin

if TYPE_CHECKING:
    from .stores import StoreLock, TokenStore

__all__ = ["login_replies", "store_conformance"]

Make = Callable[[], "TokenStore"]  # a new object each time, for the same place
Check = Callable[[Make], None]

SHORT, LONG = 1.0, 60.0  # seconds for which things are kept: to be waited for, and not
SLACK = 5.0  # seconds by which something that ends may be late, on a slow machine or a clock of whole seconds
ENDING = SHORT + SLACK  # seconds for which a record is kept whose end is waited for
RECORD = bytes(range(256)) * 16  # 4 KiB, of any bytes


def login_replies(
    username: str,
    *,
    cloud_url: str = CLOUD_URL,
    server_url: str = "https://eu2-cloud.acronis.com",
    access_token: str = "an-access-token",  # noqa: S107  nobody's secret
) -> list[dict[str, Any]]:
    """What the platform replies to discovery and to the login after it, for libraries that mock HTTP clients.

    Args:
        username: the login name that is looked up.
        cloud_url: the cloud that is asked.
        server_url: the data center that it names.
        access_token: the token that the login gives, good for two hours.

    Returns:
        A dictionary for each, with the ``method`` and the ``url`` of the request and the ``json`` of the reply.
    """
    lookup = protocol.lookup_request(Origin.of_base_url(cloud_url), username)
    token = {"access_token": access_token, "token_type": "bearer", "expires_in": 7200}
    return [
        {"method": "GET", "url": lookup.url, "json": {"login": username, "id": 0, "server_url": server_url}},
        {"method": "POST", "url": f"{Origin.of_base_url(server_url)}{TOKEN_PATH}", "json": token},
    ]


def _name() -> str:
    return os.urandom(16).hex()


def nothing_is_found_at_first(make: Make) -> None:
    """A name that nobody has saved under has no record, and deleting it is no error."""
    store, name = make(), _name()
    assert store.load(name) is None, "load finds something where nothing was saved"
    store.delete(name)


def what_is_saved_is_loaded(make: Make) -> None:
    """A record comes back byte by byte, with the seconds that it has left, in another object as well."""
    name = _name()
    make().save(name, RECORD, LONG)
    found = make().load(name)
    assert found is not None, "what was saved is not found"
    record, left = found
    assert isinstance(record, bytes), "load returns something else than bytes"
    assert record == RECORD, "load returns other bytes than those saved"
    assert LONG - SLACK <= left <= LONG + 1, f"a record to be kept for {LONG} s has {left} s left at once"
    make().delete(name)


def names_have_nothing_to_do_with_each_other(make: Make) -> None:
    """Each name has a record of its own."""
    store, one, other = make(), _name(), _name()
    store.save(one, b"one", LONG)
    assert store.load(other) is None, "a record is found under another name"
    store.save(other, b"other", LONG)
    store.delete(other)
    found = store.load(one)
    assert found is not None, "deleting a record deletes another one"
    assert found[0] == b"one", "saving a record changes another one"
    store.delete(one)


def a_new_record_replaces_the_old_one(make: Make) -> None:
    """The newer record is found, and ends when it is to end."""
    store, name = make(), _name()
    store.save(name, b"old" * 100, SHORT)
    store.save(name, b"new", LONG)
    time.sleep(1.5 * SHORT)
    found = store.load(name)
    assert found is not None, "a record ends when the one before was to end"
    assert found[0] == b"new", "the old record is found, or a part of it"
    store.delete(name)


def a_deleted_record_is_gone(make: Make) -> None:
    """Deleting works, twice as well."""
    store, name = make(), _name()
    store.save(name, RECORD, LONG)
    store.delete(name)
    assert store.load(name) is None, "a deleted record is found"
    store.delete(name)


def a_record_ends(make: Make) -> None:
    """A record is gone when its time is over, and has less left the older it is."""
    store, name = make(), _name()
    store.save(name, RECORD, ENDING)
    time.sleep(SHORT)
    found = store.load(name)
    assert found is not None, "a record is gone before its time"
    assert found[1] < ENDING - SHORT / 2, "the seconds left do not become less"
    assert _becomes(lambda: store.load(name) is None, 2 * SLACK), "a record is found after its end"


def a_lock_has_one_holder(make: Make) -> None:
    """Of two holders only one gets it, at once; and the other one when the first has given it back."""
    name = _name()
    first, second = make().lock(name, LONG), make().lock(name, LONG)
    started = time.monotonic()
    assert first.acquire(), "a free lock is not given"
    assert not second.acquire(), "a lock is given to two"
    assert time.monotonic() - started < SLACK, "acquire waits"
    first.release()
    assert second.acquire(), "a lock that was given back is not given again"
    second.release()


def a_lock_has_nothing_to_do_with_the_record(make: Make) -> None:
    """Under one name there are a lock and a record."""
    store, name = make(), _name()
    lock = store.lock(name, LONG)
    assert lock.acquire(), "a free lock is not given"
    assert store.load(name) is None, "a lock is found as a record"
    store.save(name, RECORD, LONG)
    lock.release()
    assert store.load(name) is not None, "giving back a lock removes the record"
    store.delete(name)


def a_lock_is_not_released_by_another_holder(make: Make) -> None:
    """Who does not have it cannot give it back, and does no harm by trying."""
    name = _name()
    holder, other, third = (make().lock(name, LONG) for _ in range(3))
    assert holder.acquire(), "a free lock is not given"
    assert not other.acquire(), "a lock is given to two"
    other.release()
    assert not third.acquire(), "a lock was released by one who did not hold it"
    holder.release()


def a_lock_may_be_released_in_another_thread(make: Make) -> None:
    """It is taken in one thread, and given back in another one."""
    name = _name()
    lock, again = make().lock(name, LONG), make().lock(name, LONG)
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(lock.acquire).result(), "a free lock is not given"
        lock.release()
        assert again.acquire(), "a lock cannot be given back in another thread"
        thread.submit(again.release).result()


def a_crowd_gets_a_lock_one_at_a_time(make: Make) -> None:
    """Of sixteen threads that try at one moment, one gets it."""
    name, together = _name(), threading.Barrier(16)
    locks = [make().lock(name, LONG) for _ in range(16)]

    def race(lock: StoreLock) -> bool:
        together.wait()
        return lock.acquire()

    with ThreadPoolExecutor(16) as threads:
        given = sum(threads.map(race, locks))
    assert given == 1, f"a lock was given to {given} of 16"
    for lock in locks:
        lock.release()


def _becomes(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


#: The checks: each takes a callable that makes a new store for the same place, and raises an AssertionError that
#: says what is wrong. That a dead holder's lock becomes free is not among them: it takes a process to be killed.
store_conformance: tuple[Check, ...] = (
    nothing_is_found_at_first,
    what_is_saved_is_loaded,
    names_have_nothing_to_do_with_each_other,
    a_new_record_replaces_the_old_one,
    a_deleted_record_is_gone,
    a_record_ends,
    a_lock_has_one_holder,
    a_lock_has_nothing_to_do_with_the_record,
    a_lock_is_not_released_by_another_holder,
    a_lock_may_be_released_in_another_thread,
    a_crowd_gets_a_lock_one_at_a_time,
)
