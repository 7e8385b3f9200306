"""Who asks: a thread and, under an event loop, the loop; the logins they lead; and what runs on their behalf."""

import os
import sys
import threading
from collections.abc import Callable, Hashable
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol, TypeVar

from notary_auth.errors import NotaryAuthError


class Caller(NamedTuple):
    """Who is running: a thread and, under an event loop, the loop."""

    thread: threading.Thread
    loop: Any  # an asyncio loop or a trio token; None outside of one

    @property
    def is_gone(self) -> bool:
        """Whether this caller certainly cannot go on while the calling code waits for it."""
        # The main thread in an exit handler does not count as alive.
        is_here = self.thread is threading.current_thread()
        if not is_here and not self.thread.is_alive():
            return True
        if not hasattr(self.loop, "is_running"):  # a thread; or trio, which ends no loop with a task still in it
            return False
        # A loop that was stopped in this very thread may run again, but not before this code is over.
        return (is_here and not self.loop.is_running()) or bool(self.loop.is_closed())


def has_started(thread: threading.Thread) -> bool:
    """Start a thread. False: there are no new ones any more, since the interpreter is shutting down."""
    if sys.is_finalizing():  # before Python 3.12, `start` would wait for ever
        return False
    try:
        thread.start()
    except RuntimeError:
        return False
    return True


class Waker(Protocol):
    """What wakes those who wait in one place. `wake` may be called from any thread."""

    def wake(self) -> None: ...


AnyWaker = TypeVar("AnyWaker", bound=Waker)


class Login:
    """A login under way: a discovery, a login, a refresh or a logout that one caller leads.

    It keeps the wakers to be called when it is over, one for each place (a loop, or all threads) that waits.
    It is over when the leader has finished, perhaps with an `error`, or was lost.
    """

    __slots__ = ("_asked_at", "_lock", "_wakers", "error", "is_lost", "is_over", "leader", "pid")

    def __init__(self, leader: Caller) -> None:
        self.leader = leader
        self.pid = os.getpid()
        self.is_over = False
        self.is_lost = False
        self.error: NotaryAuthError | None = None  # what the leader shares with those who wait
        self._asked_at: float | None = None  # when the leader's loop was sent a wake-up that it has not answered
        self._wakers: dict[Hashable, Waker] = {}
        self._lock = threading.RLock()

    def check_leader(self, now: float, patience: float) -> bool:
        """Send the leader's loop a wake-up, and return whether the leader may still go on.

        Waiters call this repeatedly, in any thread. A loop that does not answer within `patience` seconds is
        stopped or blocked: two loops may wait for each other.
        """
        if self.leader.is_gone:
            return False
        asked_at = self._asked_at  # read once: it may be answered at any time
        if asked_at is not None:
            return now < asked_at + patience
        loop = self.leader.loop
        if loop is not None:
            self._asked_at = now
            post = getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon
            try:
                post(self._answer)
            except RuntimeError:  # it has just been closed
                return False
        return True

    def _answer(self) -> None:
        self._asked_at = None

    def waker(self, place: Hashable, make: Callable[[], AnyWaker]) -> AnyWaker | None:
        """The waker that all who wait in `place` share; None if there is nothing to wait for any more."""
        with self._lock:
            waker: Any = self._wakers.get(place)
            if waker is None:
                waker = self._wakers[place] = make()
            # Look last: the garbage collector may have ended the login in this thread in between.
            return None if self.is_over else waker

    def end(self, error: NotaryAuthError | None, is_lost: bool) -> None:
        """End it, and wake all who wait for it. The second time, this does nothing."""
        with self._lock:
            if self.is_over:
                return
            self.error = error
            self.is_lost = is_lost
            self.is_over = True
            wakers, self._wakers = self._wakers, {}
        for waker in wakers.values():
            try:
                waker.wake()
            except RuntimeError:  # that loop is closed, so nobody waits there
                pass


class TakenOver(Exception):
    """Another caller has taken over a login: who led it sends nothing more.

    Nothing between `control.send` and `SingleFlight.lead` may swallow it.
    """


#: The logins that the running context leads: one, or more where a hook or a callable logs in elsewhere. Child
#: tasks and worker threads inherit it. It tells those that a leader depends on from those that may wait for it
#: (rule 8).
led_logins: ContextVar[tuple[Login, ...]] = ContextVar("notary_auth.led_logins", default=())


def current_caller() -> Caller:
    """The thread, and the event loop if there is one, that this is called in."""
    thread = threading.current_thread()
    trio = running_trio()
    if trio is not None:
        return Caller(thread, trio.lowlevel.current_trio_token())
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        try:
            return Caller(thread, asyncio.get_running_loop())
        except (AttributeError, RuntimeError):  # half imported by another thread, or not under a loop
            pass
    return Caller(thread, None)


def running_trio() -> Any:
    """trio, if this is called in a trio task; else None."""
    trio = sys.modules.get("trio")
    if trio is None:
        return None
    try:
        trio.lowlevel.current_task()
    except (AttributeError, RuntimeError):  # half imported by another thread, or not in a task
        return None
    return trio
