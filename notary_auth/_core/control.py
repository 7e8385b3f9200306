"""A control request with its retries (rule 10): a busy platform is asked again, after a pause."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from random import random

from notary_auth._wire import protocol
from notary_auth._wire.messages import ControlRequest, ControlResponse

from .steps import SendControl, Sleep, Steps
from .token import clock

MAX_ATTEMPTS = 3

log = logging.getLogger("notary_auth")


def send(
    build: Callable[[], Steps[ControlRequest]], attempts: int = MAX_ATTEMPTS, now: Callable[[], float] = clock
) -> Steps[tuple[ControlResponse, float]]:
    """Send a control request, `attempts` times at most while the platform is busy.

    Args:
        build: makes the request anew for each attempt, since a TOTP code may expire in a pause.
        now: the account's clock, in seconds.

    Returns:
        The last response, and when its request was sent.
    """
    attempt = 1
    while True:
        request = yield from build()
        log.debug("asking %r", request)
        sent_at = now()
        response: ControlResponse = yield SendControl(request)
        if response.status not in protocol.RETRIED or attempt == attempts:
            return response, sent_at
        attempt += 1
        pause = protocol.retry_after(response, time.time())
        yield Sleep(protocol.pause_before(attempt, random()) if pause is None else pause)


def ready(request: ControlRequest) -> Callable[[], Steps[ControlRequest]]:
    """A request that is the same at each attempt, as `send` takes it."""

    def build() -> Steps[ControlRequest]:
        return request
        yield  # a generator

    return build
