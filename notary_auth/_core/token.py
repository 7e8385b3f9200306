"""A token, the data center it is good at, and the clock it is kept on."""

import sys
import time
from collections.abc import Callable
from functools import partial
from math import inf
from random import uniform

from notary_auth._secrets import Bearer
from notary_auth._wire.origin import Origin

from .steps import Signature

REFRESH_MARGIN = 300.0  # seconds before its end at which a token is refreshed, at most
REFRESH_PAUSE = 30.0  # seconds between two attempts to refresh it


def _choose_clock() -> Callable[[], float]:
    """Seconds on a clock that no one can set, and that counts the time a laptop sleeps if the system has one."""
    if sys.platform == "linux":
        return partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":  # Python's monotonic() stops during sleep there, CLOCK_MONOTONIC does not
        return partial(time.clock_gettime, time.CLOCK_MONOTONIC)
    return time.monotonic


clock = _choose_clock()


class Token:
    """An access token (RFC 6750), ready to be put on requests. Times are in seconds of `clock`.

    Only `refresh_at` ever changes, so that identity means the same token. No named tuple: its attributes are read
    for each request, which takes a tenth less of a signature's time with a slotted class.
    """

    __slots__ = ("authorization", "data_center", "expires_at", "prefix", "refresh_at", "signature")

    def __init__(
        self, authorization: str, data_center: Origin | None, prefix: str, refresh_at: float, expires_at: float
    ) -> None:
        self.authorization = authorization  # the header's value
        self.data_center = data_center
        self.prefix = prefix  # what the URLs of its data center begin with; the slash at its end closes the host
        self.refresh_at = refresh_at  # from here on, one caller gets a new token
        self.expires_at = expires_at  # from here on, it is not used
        # Of a request that is addressed to the data center.
        self.signature = Signature(authorization, None, "" if data_center is None else data_center.netloc)

    @classmethod
    def issued(cls, authorization: Bearer, data_center: Origin, now: float, lifetime: float | None) -> "Token":
        """A token that was asked for at `now`, `lifetime` seconds long; None: good until a 401."""
        expires_at = inf if lifetime is None else now + lifetime
        margin = 0.0 if lifetime is None else min(REFRESH_MARGIN, lifetime / 10)
        return cls(
            authorization,
            data_center,
            f"{data_center}/",
            # Jittered, so that many processes with tokens of one age do not all log in at one moment.
            expires_at - uniform(0.75, 1.0) * margin,
            expires_at,
        )

    def __repr__(self) -> str:
        return f"<Token for {self.data_center}>"


#: No URL begins with a NUL, and no time is before the beginning: this one never signs anything.
NO_TOKEN = Token("", None, "\0", -inf, -inf)
