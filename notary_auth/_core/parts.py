"""What an account consists of. Its parts share one clock, and those that lock share one lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .data_center import DataCenter
from .refusals import FailedAttempts, Refusals
from .shared_tokens import SharedTokens
from .single_flight import SingleFlight
from .state_lock import StateLock
from .token import clock
from .token_cache import TokenCache
from .unauthorized import UnauthorizedPolicy

if TYPE_CHECKING:
    from notary_auth._wire.origin import Origin

    from .credentials import Credentials
    from .token_store import TokenStore


class Parts:
    """The parts of an account, of which nothing is known yet, unless its data center is `given`.

    What works with them (`login`, `logout`) is imported when there is a login or a logout.
    """

    def __init__(
        self, credentials: Credentials, cloud: Origin, given: Origin | None, store: TokenStore | None
    ) -> None:
        username = credentials.username
        # What keeps accounts apart in a store; the user name does so too.
        place = f"{'client ' if credentials.is_client else ''}{cloud}{'' if given is None else f' {given}'}"
        self.credentials = credentials
        self.lock = StateLock()
        self.now: Callable[[], float] = clock  # seconds of the account's clock
        self.data_center = DataCenter(cloud, username, self.lock, given)
        self.single_flight = SingleFlight(self.lock, clock, self.data_center.to_error)
        self.cache = TokenCache(username, self.lock, clock, self.single_flight)
        self.shared_tokens = SharedTokens(store, username, place)
        self.refusals = Refusals()
        self.failed_attempts = FailedAttempts()
        self.policy = UnauthorizedPolicy()

    def forget(self) -> None:
        """Drop all that was learned."""
        with self.lock():
            for part in (self.cache, self.data_center, self.refusals, self.failed_attempts, self.policy):
                part.forget()
