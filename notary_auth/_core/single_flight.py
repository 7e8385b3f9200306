"""One login at a time for an account: who leads it, who waits for it, how it ended, and who takes over.

The first caller that needs a login *leads* it; all others wait until it is over, whatever they are: threads,
asyncio tasks on any loop, trio tasks. A leader that fails with an error of ours shares that with those who
waited. One that ends without (it was cancelled, or could not reach the platform) is *lost*, and the next waiter
takes the lead.

Nothing here does I/O or blocks for longer than it takes to set a variable. How a caller waits is the driver's.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from notary_auth.errors import NotaryAuthError

from .caller import Login, TakenOver, current_caller, led_logins
from .state_lock import StateLock
from .steps import Steps, WaitForLogin

LEADER_TIMEOUT = 60.0  # seconds that a caller waits for another one's login
LIVENESS_INTERVAL = 2.0  # seconds after which a waiter looks whether the leader may still go on
LIVENESS_PATIENCE = 4.0  # seconds for which the leader's event loop may not answer
MAX_LOST_LEADERS = 2  # lost leaders after which a caller gives up

#: The work. It is given the login that the caller leads; None if the caller works beside a leader.
Attempt = Callable[[Login | None], Steps[object]]

log = logging.getLogger("notary_auth")


class SingleFlight:
    """The logins of one account, at most one of them under way in a process.

    Args:
        now: the account's clock, in seconds.
        to_error: makes the error of a caller that gives up waiting, from the reason.
    """

    def __init__(
        self, lock: StateLock, now: Callable[[], float], to_error: Callable[[str], NotaryAuthError]
    ) -> None:
        self._lock = lock
        self._now = now
        self._to_error = to_error
        self._latest: Login | None = None

    @property
    def current(self) -> Login | None:
        """The login under way, if there is one. After a fork, the parent's is none of the child's."""
        login = self._latest
        return None if login is None or login.is_over or login.pid != os.getpid() else login

    def run(self, attempt: Attempt, is_done: Callable[[], bool]) -> Steps[None]:
        """Run `attempt` in one caller; the others wait until `is_done()`. A caller that cannot wait runs it too.

        Raises:
            NotaryAuthError: the attempt failed, here or in the leader; or this caller has given up waiting.
        """
        lost = 0
        while not is_done():
            login = yield from self.lead(attempt, is_done)
            if login is None:
                continue
            if not (yield from self.wait(login)):
                log.debug("one more login: this caller cannot wait for the one under way")
                yield from attempt(None)
            elif login.error is not None and not is_done():
                raise login.error.as_type(type(login.error))
            elif login.is_lost:
                lost += 1
                if lost == MAX_LOST_LEADERS:
                    raise self._to_error(f"{lost} attempts of other callers ended without an answer")

    def lead(
        self, attempt: Attempt, is_done: Callable[[], bool], shares_error: bool = True
    ) -> Steps[Login | None]:
        """Run `attempt`, unless a login is under way: then return that, to be waited for.

        Those who wait get an error of the attempt if `shares_error`. If another caller has taken over, return this
        caller's own login, which is lost.
        """
        current = self.current
        if current is not None:  # for all of a crowd but one, without making a Login for each
            return current
        login = Login(current_caller())
        error: NotaryAuthError | None = None
        is_lost = True
        # Drop ended logins: one that ended in another context is still listed in this one.
        led_before = tuple(each for each in led_logins.get() if not each.is_over)
        led_now = (*led_before, login)
        try:  # around the start as well: an interrupt must leave no login behind that nobody leads
            current = self.try_start(login)
            if current is not None:
                return current
            led_logins.set(led_now)
            if not is_done():  # the login before this one may have finished in between
                yield from attempt(login)
            is_lost = False
            return None
        except TakenOver:
            return login
        except NotaryAuthError as failure:
            error, is_lost = failure.as_type(type(failure)) if shares_error else None, False
            raise
        finally:  # also when the generator is closed: cancelled, timed out, or the platform not reached
            self.finish(login, error=error, is_lost=is_lost)
            if led_logins.get() is led_now:  # the garbage collector may end this in another caller's context
                led_logins.set(led_before)

    def wait(self, login: Login) -> Steps[bool]:
        """Wait until `login` is over. False: this caller cannot, since the leader needs it to go on."""
        if login in led_logins.get():  # a hook or a callable of the leader's asks, in whatever thread or task
            return False
        deadline = self._now() + LEADER_TIMEOUT
        while not login.is_over:
            if not login.check_leader(self._now(), LIVENESS_PATIENCE):
                self.finish(login, is_lost=True)
            elif self._now() >= deadline:
                self.finish(login, is_lost=True)  # so that the next caller need not wait as well
                raise self._to_error(f"another caller's attempt has not ended in {LEADER_TIMEOUT:.0f} seconds")
            elif not (yield WaitForLogin(login, LIVENESS_INTERVAL)):
                return False
        return True

    def try_start(self, login: Login) -> Login | None:
        """Let `login` be the one under way. If there is one already, return that instead."""
        with self._lock():
            current = self.current
            if current is None:
                self._latest = login
            return current

    def finish(self, login: Login, *, error: NotaryAuthError | None = None, is_lost: bool = False) -> None:
        """End `login`, whether it has started or not. The second time, this does nothing."""
        login.end(error, is_lost)  # first: an interrupt in between must not leave a login that never ends
        with self._lock():
            if self._latest is login:
                self._latest = None
