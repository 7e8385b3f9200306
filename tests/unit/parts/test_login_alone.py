"""A login alone: in which order a token is got, and what it leaves with the other parts."""

from __future__ import annotations

import pytest

from notary_auth import CredentialsRefused, LoginError
from notary_auth.stores import MemoryStore
from tests.core import (
    FULL,
    HOME,
    Clock,
    Event,
    Parts,
    Secret,
    State,
    finish,
    found,
    granted,
    log_in,
    new_login,
    refused,
    reply,
)
from tests.paths import LOGIN, LOOKUP
from tests.shared_store import form_of


def log_in_with(parts: Parts, *responses: object) -> list[str]:
    """The paths of the control requests that a login sends."""
    sent, _ = finish(log_in(parts, FULL), *responses)
    return [request.url.partition("?")[0][-len(LOGIN if "idp" in request.url else LOOKUP) :] for request in sent]


def test_a_first_login_looks_up_and_sends_the_password() -> None:
    parts = new_login(Clock())
    assert log_in_with(parts, found(), granted()) == [LOOKUP, LOGIN]
    assert parts.cache.current.authorization == "Bearer token-1"
    assert str(parts.data_center.current) == HOME
    assert not parts.data_center.is_lookup_due


def test_a_later_login_looks_nothing_up() -> None:
    parts = new_login(Clock())
    log_in_with(parts, found(), granted())
    assert log_in_with(parts, granted("token-2")) == [LOGIN]


def test_a_login_that_fails_makes_the_next_one_look_up() -> None:
    parts = new_login(Clock())
    log_in_with(parts, found(), granted())
    with pytest.raises(LoginError):
        log_in_with(parts, reply(500, b""))
    assert parts.data_center.is_lookup_due


def test_a_refresh_token_goes_before_the_password() -> None:
    parts = new_login(Clock(), offline_access=True)
    log_in_with(parts, found(), granted(refresh_token="refresh-1"))
    sent, _ = finish(log_in(parts, FULL), granted("token-2"))
    assert form_of(sent[0])["grant_type"] == "refresh_token"
    assert parts.cache.refresh_token == Secret("refresh-1")


def test_a_refusal_is_final_where_a_new_look_up_names_the_same_data_center() -> None:
    parts = new_login(Clock())
    log_in_with(parts, found(), granted())
    with pytest.raises(CredentialsRefused):
        log_in_with(parts, refused(), found())
    with pytest.raises(CredentialsRefused):
        log_in_with(parts)  # nothing is sent any more


def test_another_processs_token_goes_before_all() -> None:
    store = MemoryStore()
    log_in_with(new_login(Clock(), store), found(), granted())
    parts = new_login(Clock(), store)
    assert log_in_with(parts) == []
    assert parts.cache.current.authorization == "Bearer token-1"


def test_rule_15_a_token_that_replaces_a_rejected_one_is_on_probation() -> None:
    parts = new_login(Clock())
    parts.policy.on(Event.REJECTED, 0.0)
    log_in_with(parts, found(), granted())
    assert parts.policy.state is State.PROBATION
