"""Which origins are the account's, and what discovery has found."""

from __future__ import annotations

import logging

from notary_auth._wire import LOOKUP_PATH, TOKEN_PATH
from notary_auth._wire.origin import Origin
from notary_auth.errors import DiscoveryError, LoginError, NotaryAuthError

from .state_lock import StateLock

MAX_WARNED_ORIGINS = 1000  # remembered, so that a crawler's memory does not grow without end

MAX_LOOKUP_AGE = 600.0  # seconds; an older response to discovery comes from a cache

log = logging.getLogger("notary_auth")


class DataCenter:
    """The data center that holds the account, as far as it is known, and the origins that are the account's.

    Args:
        cloud: where discovery asks.
        given: the data center, where the user names it: nothing is looked up then (rule 26).
    """

    def __init__(self, cloud: Origin, username: str, lock: StateLock, given: Origin | None = None) -> None:
        self.cloud = cloud
        self.given = given
        self.lookup_url = f"{cloud}{LOOKUP_PATH}"
        self._username = username
        self._lock = lock
        # `forget` keeps the data centers that the account has left: requests to them may be under way.
        self._own_origins = frozenset({cloud} if given is None else {cloud, given})
        self.forget()

    def forget(self) -> None:
        self.current: Origin | None = self.given
        self.is_lookup_due = True  # before the next login
        self._clock_offset: float | None = None  # seconds that the cloud's clock is ahead of the account's
        self._warned: set[Origin | None] = set()

    def owns(self, origin: Origin | None) -> bool:
        """Whether this origin is the account's: the cloud, or a data center that it has lived in."""
        return origin in self._own_origins

    def is_signed(self, url: str) -> bool:
        """Whether requests to this URL get the account's token. Discovery's own endpoint is left alone."""
        origin = Origin.of(url)
        if origin != self.cloud or origin == self.current:
            return self.owns(origin)
        return self.cloud.readdress(url).partition("?")[0].partition("#")[0] != self.lookup_url

    def confirm(self, origin: Origin) -> None:
        """Take note that the account is there."""
        self.current = origin
        self.is_lookup_due = False
        self._own_origins |= {origin}

    def learn(self, origin: Origin, date: float | None, sent_at: float) -> None:
        """Take note of what discovery has found; its response had this date, by the cloud's clock."""
        with self._lock():
            before = self.current
            self.confirm(origin)
            self._clock_offset = None if date is None else date - sent_at
        if origin != before:  # never log under the lock: a handler may come back to this account
            log.info("the data center of %r is %s", self._username, origin)

    def is_from_cache(self, date: float | None, sent_at: float) -> bool:
        """Whether a cache must have answered the latest discovery: else the platform's clock has jumped since.

        A cache that minds ``Cache-Control: no-store`` does not answer it.

        Args:
            date: of the response to the login after it, in seconds by the platform's clock, if it says so.
            sent_at: when the login was sent, in seconds by the account's clock.
        """
        offset = self._clock_offset
        return date is not None and offset is not None and date - sent_at - offset > MAX_LOOKUP_AGE

    def to_error(self, reason: str) -> NotaryAuthError:
        """The error of a caller that gave up waiting."""
        if self.current is None:
            return DiscoveryError(
                f"cannot find the data center of {self._username!r} at {self.cloud}: {reason}", url=self.lookup_url
            )
        return LoginError(
            f"the login of {self._username!r} at {self.current} failed: {reason}",
            url=f"{self.current}{TOKEN_PATH}",
        )

    def warn_once(self, origin: Origin | None) -> None:
        """Log that requests to another origin than the account's are not signed, the first time for each."""
        with self._lock():
            is_new = origin != self.cloud and origin not in self._warned and len(self._warned) < MAX_WARNED_ORIGINS
            if is_new:
                self._warned.add(origin)
        if is_new:
            log.warning(
                "requests to %s are sent unsigned: that is neither %s nor the data center of %r "
                "(is cloud_url= right?)",
                origin or "URLs of an unusual form",
                self.cloud,
                self._username,
            )
