"""A control request with its retries (rule 10), and how much a caller does for a login."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from random import random
from typing import NamedTuple

from notary_auth._wire import protocol
from notary_auth._wire.explanation import RETRIED
from notary_auth._wire.messages import ControlRequest, ControlResponse

from .caller import Login, TakenOver
from .steps import SendControl, Sleep, Steps
from .token import clock

MAX_ATTEMPTS = 3
STORE_LOCK_TIMEOUT = 40.0  # seconds that a leader waits for another process's login; less than `LEADER_TIMEOUT`

log = logging.getLogger("notary_auth")


class Effort(NamedTuple):
    """How much a login is worth to the caller that leads it."""

    attempts: int = MAX_ATTEMPTS  # at each control request
    store_timeout: float = STORE_LOCK_TIMEOUT  # seconds to wait while another process logs in
    gives_way: bool = False  # whether to leave the login to that process
    takes_stored: bool = True  # whether another process's token will do
    login: Login | None = None  # that this caller leads; None: there is none that others wait for


FULL = Effort()
#: Of a caller that cannot wait for a leader of its own process, and so waits for no other process either.
WITHOUT_WAITING = Effort(store_timeout=0.0)
#: Whatever is stored, there is to be a new token.
FRESH = Effort(takes_stored=False)
#: Ahead of expiry. A request with a good token in hand neither waits out a Retry-After nor waits for others.
AHEAD = Effort(attempts=1, store_timeout=0.0, gives_way=True)


def send(
    request: ControlRequest | Callable[[], Steps[ControlRequest]],
    effort: Effort = FULL,
    now: Callable[[], float] = clock,
) -> Steps[tuple[ControlResponse, float]]:
    """Send a control request, again while the platform is busy.

    Args:
        request: or what makes it for each attempt, since a TOTP code may expire in a pause.
        now: the account's clock, in seconds.

    Returns:
        The last response, and when its request was sent.

    Raises:
        TakenOver: another caller leads this login now.
    """
    attempt = 1
    while True:
        built = request if isinstance(request, ControlRequest) else (yield from request())
        if effort.login is not None and effort.login.is_over:  # it sends nothing more (rule 8)
            raise TakenOver
        log.debug("asking %r", built)
        sent_at = now()
        response: ControlResponse = yield SendControl(built)
        if response.status not in RETRIED or attempt == effort.attempts:
            return response._replace(tries=attempt), sent_at
        attempt += 1
        pause = protocol.pause_before(attempt, random(), protocol.retry_after(response, time.time()))
        where = built.url.partition("?")[0]
        log.info("%s answered %d, try %d of %d in %.1f s", where, response.status, attempt, effort.attempts, pause)
        yield Sleep(pause)
