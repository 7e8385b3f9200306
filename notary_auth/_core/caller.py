"""Who asks: a thread and, under an event loop, the loop; and what runs on a leader's behalf."""

from __future__ import annotations

import sys
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .single_flight import Login


class Caller(NamedTuple):
    """Who is running: a thread and, under an event loop, the loop."""

    thread: threading.Thread
    loop: Any  # an asyncio loop or a trio token; None outside of one

    @property
    def is_gone(self) -> bool:
        """Whether it is certain that this caller never goes on."""
        is_closed = getattr(self.loop, "is_closed", None)  # trio ends no loop with a task still in it
        return not self.thread.is_alive() or (is_closed is not None and bool(is_closed()))


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
