"""What an account consists of. All its parts share one lock and one clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from notary_auth._wire.origin import Origin

from .credentials import Credentials
from .data_center import DataCenter
from .refusals import FailedAttempts, Refusals
from .shared_tokens import SharedTokens
from .single_flight import SingleFlight
from .state_lock import StateLock
from .token import clock
from .token_cache import TokenCache
from .token_store import TokenStore
from .unauthorized import UnauthorizedPolicy

Self = TypeVar("Self", bound="Parts")


class Parts(NamedTuple):
    credentials: Credentials
    lock: StateLock
    now: Callable[[], float]  # seconds of the account's clock
    data_center: DataCenter
    single_flight: SingleFlight
    cache: TokenCache
    shared_tokens: SharedTokens
    refusals: Refusals
    failed_attempts: FailedAttempts
    policy: UnauthorizedPolicy

    @classmethod
    def of(
        cls: type[Self], credentials: Credentials, cloud: Origin, given: Origin | None, store: TokenStore | None
    ) -> Self:
        """The parts of an account of which nothing is known, unless its data center is `given`."""
        lock, username = StateLock(), credentials.username
        data_center = DataCenter(cloud, username, lock, given)
        single_flight = SingleFlight(lock, clock, data_center.to_error)
        cache = TokenCache(username, lock, clock, single_flight)
        # What keeps accounts apart in a store; the user name does so too.
        place = f"{'client ' if credentials.is_client else ''}{cloud}{'' if given is None else f' {given}'}"
        shared_tokens = SharedTokens(store, username, place)
        refusals, failed_attempts, policy = Refusals(), FailedAttempts(), UnauthorizedPolicy()
        return cls(
            credentials,
            lock,
            clock,
            data_center,
            single_flight,
            cache,
            shared_tokens,
            refusals,
            failed_attempts,
            policy,
        )

    def forget(self) -> None:
        """Drop all that was learned."""
        with self.lock():
            for part in (self.cache, self.data_center, self.refusals, self.failed_attempts, self.policy):
                part.forget()
