"""A control request with its retries (rule 10): a busy platform is asked again, after a pause."""

import logging
import time
from collections.abc import Callable
from random import random

from notary_auth._wire import protocol
from notary_auth._wire.explanation import RETRIED
from notary_auth._wire.messages import ControlRequest, ControlResponse

from .caller import TakenOver
from .effort import FULL, Effort
from .steps import SendControl, Sleep, Steps
from .token import clock

log = logging.getLogger("notary_auth")


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
