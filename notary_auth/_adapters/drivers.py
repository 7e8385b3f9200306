"""How steps are performed: by a thread, by an asyncio task, by a trio task.

`perform` and `aperform` do what has nothing to do with HTTP: an adapter is left with `SendControl` and `Drain`.
`run` and `arun` go through a generator of steps. asyncio and trio are looked at only where the program has
imported them.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from notary_auth._core.caller import current_caller, has_started, running_trio
from notary_auth._core.steps import Call, Sleep, Step, Steps, WaitForLogin
from notary_auth._secrets import strip_tracebacks
from notary_auth.errors import NotaryAuthError

if TYPE_CHECKING:
    import asyncio

    import trio

Result = TypeVar("Result")
Errors = type[Exception] | tuple[type[Exception], ...]

_THREADS = "threads"


async def arun(steps: Steps[Result], do: Callable[[Any], Any], network_error: Errors) -> Result:
    """Perform all of `steps`, send each result back, and return what `steps` returns.

    The client's network errors and NotaryAuthErrors are thrown into `steps`. Whatever else `do` raises closes it
    at once, and not when a traceback is let go: others wait for the leader.

    Args:
        do: does a step, and returns its result or what to await for it.
    """
    result: Any = None
    error: Exception | None = None
    try:
        while True:
            try:  # around nothing else: a client's mock may raise StopIteration as well
                step = steps.send(result) if error is None else steps.throw(error)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            result = error = None
            try:
                result = await awaited(do(step))
            except Exception as caught:
                if not isinstance(caught, (NotaryAuthError, network_error)):
                    raise
                strip_tracebacks(caught)  # a password or a token is in the client's frames
                error = caught
    finally:
        steps.close()


def run(steps: Steps[Result], do: Callable[[Any], Any], network_error: Errors) -> Result:
    """The same where `do` returns nothing that has to be awaited."""
    return run_to_end(arun(steps, do, network_error))


async def awaited(value: Any) -> Any:
    """What an asynchronous client returns has to be awaited first."""
    return (await value) if hasattr(value, "__await__") else value


def run_to_end(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine that never suspends, and return its result."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        coroutine.close()
    raise RuntimeError("a synchronous client returned something to be awaited")


def perform(step: Step) -> Any:
    """Perform a `WaitForLogin`, `Sleep` or `Call` in this thread, and return what to send back for it."""
    match step:
        case WaitForLogin(login, seconds):
            # The leader is a task of a loop in this thread, or this thread's outer call: it cannot go on while
            # this waits (rule 8).
            if login.leader.thread is threading.current_thread():
                return False
            waker = login.waker(_THREADS, _ThreadWaker)
            if waker is not None:
                waker.wait(seconds)
            return True
        case Sleep(seconds):
            return time.sleep(seconds)
        case Call(function):
            return function()
    raise TypeError("an adapter sends and drains by itself")


async def aperform(step: Step) -> Any:
    """The same without blocking the event loop, asyncio's or trio's."""
    caller, trio = current_caller(), running_trio()
    if caller.loop is None:
        raise RuntimeError("no running event loop, of asyncio or trio")
    match step:
        case WaitForLogin(login, seconds):
            # The leader is in this thread but not in this loop: it cannot go on while this loop runs (rule 8).
            if login.leader.thread is caller.thread and login.leader.loop is not caller.loop:
                return False
            make = partial(_TaskWaker, caller.loop) if trio is None else partial(_TrioWaker, trio, caller.loop)
            waker: Any = login.waker(caller.loop, make)
            if waker is not None:
                await waker.wait(seconds)
            return True
        case Sleep(seconds):
            running = trio or sys.modules["asyncio"]
            return await running.sleep(seconds)
        case Call(function):
            return await (_in_own_thread(function) if trio is None else _in_trios_thread(function, trio))
    raise TypeError("an adapter sends and drains by itself")


async def _in_own_thread(function: Callable[[], Any]) -> Any:
    """Run a function in a thread that nobody else uses: the loop's own may all be waiting for this very login.

    It is a daemon, so that a prompt that nobody answers any more keeps no program from ending.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    context = copy_context()

    def work() -> None:
        try:
            settle = partial(future.set_result, context.run(function))
        except BaseException as error:  # noqa: BLE001  whatever it is, it is for the task that waits
            settle = partial(future.set_exception, error)
        try:
            loop.call_soon_threadsafe(_settle, future, settle)
        except RuntimeError:  # the loop is closed: nobody waits any more
            pass

    if not has_started(threading.Thread(target=work, name="notary-auth", daemon=True)):
        work()
    return await future


def _settle(future: asyncio.Future[Any], settle: Callable[[], None]) -> None:
    if not future.done():  # its task may have been cancelled meanwhile
        settle()


async def _in_trios_thread(function: Callable[[], Any], trio: Any) -> Any:
    own = trio.CapacityLimiter(1)  # the default one's threads may all be waiting for this very login
    return await trio.to_thread.run_sync(function, abandon_on_cancel=True, limiter=own)


class _ThreadWaker:
    """Wakes all threads that wait: a lock that is held until `wake`, and that each of them takes and releases.

    Not an Event. The garbage collector may close a forgotten leader's generator, and so wake, in a thread that
    is just about to wait, and an Event would then block on the lock that this very thread holds. Releasing a lock
    never blocks.
    """

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._gate.acquire()
        self.wake = self._gate.release  # a login wakes once

    def wait(self, seconds: float) -> None:
        if self._gate.acquire(timeout=seconds):
            self._gate.release()


class _TaskWaker:
    """Wakes the tasks of one asyncio loop, however many, by one call into the loop, and all by one timer.

    Tasks that come later share that timer, so they may wake early; they look, and wait on.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: set[asyncio.Future[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        self._loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        self._stop_timer()  # whoever comes from now on needs a new one
        for future in self._waiting:
            _wake(future)

    async def wait(self, seconds: float) -> None:
        future: asyncio.Future[None] = self._loop.create_future()
        if self._timer is None:
            self._timer = self._loop.call_later(seconds, self._wake_all)
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)
            if not self._waiting:
                self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class _TrioWaker:
    """Wakes the tasks of one trio run."""

    def __init__(self, trio_module: Any, token: trio.lowlevel.TrioToken) -> None:
        self._trio = trio_module
        self._token = token
        self._event: trio.Event = trio_module.Event()

    def wake(self) -> None:
        self._token.run_sync_soon(self._event.set)

    async def wait(self, seconds: float) -> None:
        with self._trio.move_on_after(seconds):
            await self._event.wait()
