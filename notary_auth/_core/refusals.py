"""What was refused, and is not sent again; and logins that keep failing (rule 9).

Times are in seconds of the account's clock.
"""

import os
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from notary_auth._secrets import Secret, digest
from notary_auth._wire.origin import Origin
from notary_auth.errors import LoginError, NotaryAuthError

from .steps import Steps

REFUSAL_TTL = 300.0  # seconds for which a refused password is not sent again
MAX_FAILURES = 3  # attempts in a row that were answered and led to no token; further ones are paced
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0  # seconds between two paced attempts, doubled each time

#: The commands replace it by what their user can do.
HOW_TO_TRY_AT_ONCE = "After forget() of the account, the next request tries at once."

Result = TypeVar("Result")


class Refusal(NamedTuple):
    """A password that a data center refused, of which only a salted digest is kept, and the platform's message.

    If it is final, it is raised before anything is sent: the data center was looked up just before, or only a code
    is missing, and no refresh token can help.
    """

    data_center: Origin
    salt: bytes
    digest: bytes
    error: LoginError
    refused_at: float
    is_final: bool = False

    @classmethod
    def of(cls, password: Secret, data_center: Origin, error: LoginError, refused_at: float) -> "Refusal":
        salt = os.urandom(16)
        return cls(data_center, salt, digest(password, salt), error, refused_at)

    def __repr__(self) -> str:  # the digest is quick to make, so passwords could be tried against it
        return f"<Refusal by {self.data_center}>"

    @property
    def until(self) -> float:
        return self.refused_at + REFUSAL_TTL

    def recalled(self, now: float) -> NotaryAuthError:
        """The error that is raised in place of sending the password again."""
        return recalled(self.error, now - self.refused_at, self.until - now)


class Refusals:
    """The latest refusal of each data center."""

    def __init__(self) -> None:
        self._by_data_center: dict[Origin, Refusal] = {}  # replaced as a whole: readers take no lock
        self.accepts_stored = True

    def add(self, refusal: Refusal, now: float) -> None:
        valid = {each.data_center: each for each in self._by_data_center.values() if now < each.until}
        self._by_data_center = {**valid, refusal.data_center: refusal}
        self.accepts_stored = True

    def find(self, password: Secret, now: float, data_center: Origin | None = None) -> Refusal | None:
        """The refusal of this very password by a data center; without one, a final refusal by any."""
        for refusal in self._by_data_center.values():
            concerned = refusal.is_final if data_center is None else refusal.data_center == data_center
            if concerned and now < refusal.until and refusal.digest == digest(password, refusal.salt):
                return refusal
        return None

    def check(self, password: Secret, now: float, data_center: Origin | None = None) -> None:
        """Raise the refusal of this password, if one is remembered."""
        refusal = self.find(password, now, data_center)
        if refusal is not None:
            raise refusal.recalled(now)

    def clear(self) -> None:
        self._by_data_center = {}
        self.accepts_stored = True

    def forget(self) -> None:
        """Let the next login send the password, whatever other processes have saved."""
        self._by_data_center = {}
        self.accepts_stored = False


class FailedAttempts:
    """Attempts in a row, discoveries or logins, that got an answer and led to no token, whatever the reason.

    After `MAX_FAILURES`, the latest error is raised at once for a pause, and only then is there another attempt.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._count = 0
        self._pause = FIRST_PAUSE / 2
        # The error, when it was answered, when the next attempt may be. Replaced as a whole: readers take no lock.
        self._latest: tuple[NotaryAuthError, float, float] | None = None

    def check(self, now: float) -> None:
        """Raise the latest error, if there is a pause."""
        latest = self._latest
        if latest is not None:
            error, answered_at, until = latest
            if now < until:
                raise recalled(error, now - answered_at, until - now)

    def count(self, attempt: Steps[Result], now: Callable[[], float]) -> Steps[Result]:
        """Make an attempt, and take note of its outcome."""
        try:
            result = yield from attempt
        except NotaryAuthError as error:
            if error.status is not None and error.age is None:  # it is an answer, and a new one
                self._add(error, now())
            raise
        self.forget()
        return result

    def _add(self, error: NotaryAuthError, now: float) -> None:
        self._count += 1
        until = now
        if self._count >= MAX_FAILURES:
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            until += max(self._pause, error.retry_after or 0.0)
        self._latest = error.as_type(type(error)), now, until


def recalled(error: NotaryAuthError, age: float, seconds_left: float) -> NotaryAuthError:
    """An error as it is raised from memory, `age` seconds after its answer and for `seconds_left` more."""
    message = (
        f"{error.args[0]} (This is the answer of {age:.0f} s ago, and nothing was sent now. {HOW_TO_TRY_AT_ONCE})"
    )
    return error.as_type(type(error), message, age=age, retry_after=seconds_left)
