"""The token cache alone: fresh, due, expired; rejected, spent, taken."""

from __future__ import annotations

from typing import Any

import pytest

from notary_auth import LoginError
from tests.core import (
    AHEAD,
    FULL,
    NO_TOKEN,
    REFRESH_PAUSE,
    Clock,
    Effort,
    Secret,
    TokenCache,
    finish,
    new_token_cache,
    token_good_for,
)


class Logins:
    """Puts a new token of this lifetime into the cache at each login; or fails."""

    def __init__(self, clock: Clock, cache: TokenCache, lifetime: float = 1000.0) -> None:
        self.clock = clock
        self.cache = cache
        self.lifetime = lifetime
        self.efforts: list[Effort] = []
        self.error: Exception | None = None

    def __call__(self, effort: Effort) -> Any:
        self.efforts.append(effort._replace(login=None))
        if self.error is not None:
            raise self.error
        self.cache.current = token_good_for(self.lifetime, self.clock(), f"token-{len(self.efforts)}")
        return
        yield  # a generator


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> TokenCache:
    return new_token_cache(clock)


@pytest.fixture
def logins(clock: Clock, cache: TokenCache) -> Logins:
    return Logins(clock, cache)


def get(cache: TokenCache, logins: Logins) -> str:
    _, token = finish(cache.get(logins))
    return str(token.authorization)


def test_a_token_is_got_once_and_then_kept(cache: TokenCache, logins: Logins) -> None:
    assert [get(cache, logins), get(cache, logins)] == ["Bearer token-1"] * 2
    assert logins.efforts == [FULL]


def test_an_expired_token_is_replaced(cache: TokenCache, clock: Clock, logins: Logins) -> None:
    get(cache, logins)
    clock.advance(1000)
    assert get(cache, logins) == "Bearer token-2"
    assert logins.efforts == [FULL, FULL]


def test_rule_14_a_due_token_is_refreshed_with_less_effort(
    cache: TokenCache, clock: Clock, logins: Logins
) -> None:
    get(cache, logins)
    clock.advance(950)
    assert get(cache, logins) == "Bearer token-2"
    assert logins.efforts == [FULL, AHEAD]


@pytest.mark.parametrize("error", [LoginError("no"), ConnectionError("no route")])
def test_rule_14_a_refresh_that_fails_leaves_the_token_in_use(
    cache: TokenCache, clock: Clock, logins: Logins, error: Exception
) -> None:
    get(cache, logins)
    clock.advance(950)
    logins.error = error
    assert [get(cache, logins), get(cache, logins)] == ["Bearer token-1"] * 2
    clock.advance(REFRESH_PAUSE)
    assert get(cache, logins) == "Bearer token-1"
    assert logins.efforts == [FULL, AHEAD, AHEAD]


def test_rule_14_one_caller_refreshes_and_the_token_stays_the_same(
    cache: TokenCache, clock: Clock, logins: Logins
) -> None:
    get(cache, logins)
    token = cache.current
    clock.advance(950)
    assert cache.postpone_refresh(token, clock())
    assert not cache.postpone_refresh(token, clock())
    assert cache.current is token


def test_rule_14_a_token_that_has_expired_when_it_arrives_causes_no_loop(
    cache: TokenCache, logins: Logins
) -> None:
    logins.lifetime = -1.0
    assert get(cache, logins) == "Bearer token-1"
    assert len(logins.efforts) == 1


def test_rejected_and_spent_tokens_are_remembered(cache: TokenCache, logins: Logins) -> None:
    get(cache, logins)
    cache.refresh_token = Secret("refresh-1")
    cache.reject()
    cache.spend(Secret("refresh-1"))
    assert cache.current is NO_TOKEN
    assert cache.refresh_token is None
    assert not cache.may_adopt("Bearer token-1")
    assert cache.was_spent(Secret("refresh-1"))
    assert cache.may_adopt("Bearer token-2")
    assert not cache.holds("")


def test_popping_forgets_the_tokens_and_returns_them(cache: TokenCache, logins: Logins) -> None:
    get(cache, logins)
    cache.refresh_token = Secret("refresh-1")
    token, refresh_token = cache.pop_tokens()
    assert (token.authorization, refresh_token) == ("Bearer token-1", Secret("refresh-1"))
    assert cache.pop_tokens() == (NO_TOKEN, None)
