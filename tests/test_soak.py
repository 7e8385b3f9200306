"""Rules 6, 7, 14 and 15 for a minute (NOTARY_AUTH_SOAK): all clients ask, while anything befalls the platform."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable

import pytest

from notary_auth import Account
from notary_auth.sandbox import Sandbox

from .clients import leaves_sockets
from .core import faults_left, is_on_probation, now, token_of
from .crowd import Crowd
from .paths import LOGIN, LOOKUP

SECONDS = int(os.environ.get("NOTARY_AUTH_SOAK", "60"))


class Weather:
    """What befalls the platform in a soak: faults that cost nobody anything, and outages that do.

    Only one at a time, and only when everybody has been answered since the last: a request that is refused twice
    on its way is its caller's (rule 15).
    """

    def __init__(self, notary: Sandbox, account: Account, crowd: Crowd, seed: int) -> None:
        self._notary = notary
        self._account = account
        self._crowd = crowd
        self._dice = random.Random(seed)
        self.befell: Counter[str] = Counter()

    def change(self) -> None:
        kinds: list[Callable[[], None]] = [
            self._revocation,
            self._move,
            self._busy,
            self._slow,
            self._clock,
            self._outage,
            self._refusal,
        ]
        kind = self._dice.choice(kinds)
        self.befell[kind.__name__.strip("_")] += 1
        kind()
        self._crowd.settle(1)

    def _revocation(self) -> None:
        self._await_fresh_token()
        self._notary.revoke_tokens()

    def _move(self) -> None:
        self._await_fresh_token()
        self._notary.move()

    def _busy(self) -> None:
        status = self._dice.choice([429, 502, 503, 504])
        self._answer_next(status, {"Retry-After": "0"}, b"", self._dice.randint(1, 2))
        self._await_none_left()  # two and two would be more than anyone asks again for

    def _slow(self) -> None:
        self._notary.faults.latency_of[LOGIN] = self._dice.uniform(0, 0.5)

    def _clock(self) -> None:
        self._await_fresh_token()
        self._notary.faults.clock_offset = self._dice.uniform(-10_000, 10_000)

    def _outage(self) -> None:
        status, body = self._dice.choice(
            [(500, b"<html>"), (200, b"{}"), (302, b""), (503, b""), (200, b"\xff" * 9)]
        )
        with self._crowd.excused():
            self._answer_next(status, {"Retry-After": "0"}, body, self._dice.randint(1, 9))
            self._await_answered_by_a_token()  # rule 9 would let nobody ask for up to a minute

    def _refusal(self) -> None:
        with self._crowd.excused():
            self._notary.faults.answer_next(LOGIN, 401, {}, b'{"error": "access_denied"}')
            # It stands only where a new look-up has come to the same data center, and is refused there as well.
            self._notary.faults.answer_next(LOGIN, 401, {}, b'{"error": "access_denied"}')
            self._await_answered_by_a_token()

    def _await_answered_by_a_token(self) -> None:
        """Let all faults befall those who ask, who forget each of them."""
        self._await(lambda: not faults_left(self._notary), meanwhile=self._account.forget)
        # The last of them may be on its way still, and be remembered after all has been forgotten.
        self._await(self._has_token, meanwhile=self._account.forget)
        self._crowd.settle(1)

    def _has_token(self) -> bool:
        return now(self._account) < token_of(self._account).expires_at

    def _answer_next(self, status: int, headers: dict[str, str], body: bytes, times: int) -> None:
        path = self._dice.choice([LOOKUP, LOGIN])
        if path == LOOKUP:
            self._account.forget()  # or nobody would look up
        self._notary.faults.answer_next(path, status, headers, body, times=times)

    def _await_none_left(self) -> None:
        self._await(lambda: not faults_left(self._notary))

    def _await_fresh_token(self) -> None:
        """A token that ends anyway at this very moment would be the second thing to happen to a request.

        So would be a second 401 within a minute where nobody has replayed the first: its caller was cancelled.
        """
        if is_on_probation(self._account):
            self._account.forget()
        self._await(lambda: 0.5 < token_of(self._account).expires_at - now(self._account) < 1.7)

    def _await(self, wanted: Callable[[], bool], meanwhile: Callable[[], None] = lambda: None) -> None:
        deadline = time.monotonic() + 60
        while not wanted():
            assert time.monotonic() < deadline, "nobody asks the platform any more"
            meanwhile()
            time.sleep(0.03)


@pytest.mark.long
@leaves_sockets
def test_a_soak_loses_no_request_that_the_platform_could_have_answered(notary: Sandbox, files: str) -> None:
    """Tokens of two seconds, some of the tasks cancelled, and random faults."""
    notary.faults.token_lifetime = 2.0
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    account = Account(notary.username, notary.password, cloud_url=notary.url)
    crowd = Crowd(account, files, threads=2, asyncio_tasks=5, trio_tasks=5, pause=0.02, impatience=0.1)
    weather = Weather(notary, account, crowd, seed)
    deadline = time.monotonic() + SECONDS
    with crowd.asking():
        crowd.settle()
        while time.monotonic() < deadline:
            weather.change()
            notary.clear()
    print(
        f"{crowd.answered:,} requests of {crowd.size} callers answered, {crowd.cancelled:,} cancelled, "
        f"{len(crowd.failures):,} failed with nobody to answer them, {len(crowd.lost)} lost; "
        + ", ".join(f"{count} times {kind}" for kind, count in weather.befell.items())
    )
    assert crowd.lost[:3] == []
    assert crowd.answered >= crowd.size * weather.befell.total()
    assert notary.account().failures == 0
