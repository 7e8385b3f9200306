"""The one lock that guards a state, an account's for one."""

import os
from contextlib import AbstractContextManager
from threading import RLock


class StateLock:
    """The lock of a state: ``with lock():``. Never held over a step or a log call.

    It is reentrant, since the garbage collector may close a generator, and so end a login, in the middle of
    anything. There is one for each process id: after a fork, another thread of the parent may hold the parent's
    for ever.
    """

    def __init__(self) -> None:
        self._of_process: dict[int, AbstractContextManager[bool]] = {}

    def __call__(self) -> AbstractContextManager[bool]:
        pid = os.getpid()
        return self._of_process.get(pid) or self._of_process.setdefault(pid, RLock())
