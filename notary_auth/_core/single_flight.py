"""One login at a time: who leads it, who waits for it, and how it ended.

A *flight* is one discovery and login under way. The first caller that needs one takes it off and leads it; all
others wait for it to land, whatever they are: threads, asyncio tasks on any loop, trio tasks. Nothing here does
I/O and nothing blocks for longer than it takes to set a variable. How a caller waits is in `_waiting`; a flight
only keeps the bells to be rung when it is over, one for each place (a loop, or all threads) that waits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from threading import RLock
from typing import Any, Protocol, TypeVar

from notary_auth.errors import NotaryAuthError

from .caller import Caller


class Waker(Protocol):
    """What wakes those who wait in one place. `ring` may be called from any thread."""

    def ring(self) -> None: ...


AnyWaker = TypeVar("AnyWaker", bound=Waker)


class Login:
    """A login under way. It is over when it has landed with a result or a verdict, or was lost without either."""

    __slots__ = ("_bells", "_lock", "is_lost", "is_over", "leader", "verdict")

    def __init__(self, leader: Caller) -> None:
        self.leader = leader
        self.is_over = False
        self.is_lost = False
        self.verdict: NotaryAuthError | None = None
        self._bells: dict[Hashable, Waker] = {}
        self._lock = RLock()

    def bell(self, place: Hashable, make: Callable[[], AnyWaker]) -> AnyWaker | None:
        """The bell that all who wait in `place` share; None if there is nothing to wait for any more."""
        with self._lock:
            bell: Any = self._bells.get(place)
            if bell is None:
                bell = self._bells[place] = make()
            # Looked at last: the garbage collector may have ended the flight in this thread in between.
            return None if self.is_over else bell

    def end(self, verdict: NotaryAuthError | None, lost: bool) -> None:
        """End it, and wake all who wait for it. The second time, this does nothing."""
        with self._lock:
            if self.is_over:
                return
            self.verdict = verdict
            self.is_lost = lost
            self.is_over = True
            bells, self._bells = self._bells, {}
        for bell in bells.values():
            try:
                bell.ring()
            except RuntimeError:  # that loop is closed, so nobody waits there
                pass


class _Runway:
    """The lock and the flight under way, for one process."""

    __slots__ = ("flight", "lock")

    def __init__(self) -> None:
        # Reentrant, since the garbage collector may close a leader's generator, and so land its flight, in the
        # middle of anything.
        self.lock = RLock()
        self.flight: Login | None = None


class SingleFlight:
    """The flights of one Account: at most one is under way.

    State is kept for each process by its id: after a fork the child has a new lock that nobody holds and no
    flight whose leader stayed behind in its parent.
    """

    def __init__(self) -> None:
        self._runways: dict[int, _Runway] = {}

    @property
    def lock(self) -> AbstractContextManager[bool]:
        """The one lock of the Account's state. Never held over a step."""
        return self._runway.lock

    @property
    def _runway(self) -> _Runway:
        pid = os.getpid()
        return self._runways.get(pid) or self._runways.setdefault(pid, _Runway())

    @property
    def under_way(self) -> Login | None:
        """The flight that has taken off and is not over, if there is one."""
        flight = self._runway.flight
        return None if flight is None or flight.is_over else flight

    def board(self, flight: Login) -> Login | None:
        """Take off with `flight`. If there is one under way already, do not, and return that."""
        runway = self._runway
        with runway.lock:
            under_way = self.under_way
            if under_way is None:
                runway.flight = flight
            return under_way

    def land(self, flight: Login, *, verdict: NotaryAuthError | None = None, lost: bool = False) -> None:
        """End `flight`, whether it has taken off or not. The second time for one flight, this does nothing."""
        flight.end(verdict, lost)  # first: an interrupt in between must not leave one that never ends
        runway = self._runway
        with runway.lock:
            if runway.flight is flight:
                runway.flight = None
