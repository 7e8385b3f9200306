"""Rules 13 and 14 on the bare core: how long a token lives, and who refreshes it."""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import Any

import pytest

from tests.core import (
    FILES,
    HOME,
    Forward,
    Origin,
    SendControl,
    TokenEndpoint,
    WaitForLogin,
    answered,
    begin,
    cached_signature,
    clock,
    clock_of,
    complete,
    found,
    granted,
    logged_in,
    new_account,
    now,
    parse_date,
    postpone_refresh,
    refused,
    reply,
    token_of,
)
from tests.grants import asked
from tests.paths import LOGIN, LOOKUP

pytestmark = pytest.mark.both_grants


@pytest.mark.parametrize(
    ("fields", "date", "lifetime"),
    [
        ({"expires_on": 1_445_412_480 + 3600}, "Wed, 21 Oct 2015 07:28:00 GMT", 3600),
        ({"expires_on": 1_445_412_480 + 3600, "expires_in": 99}, "Wed, 21 Oct 2015 07:28:00 GMT", 3600),
        ({"expires_on": 1_445_412_480 + 3600, "expires_in": 99}, None, 99),
        ({"expires_on": 1_445_412_480 + 3600, "expires_in": 99}, "yesterday", 99),
        ({"expires_in": 1800}, "Wed, 21 Oct 2015 07:28:00 GMT", 1800),
        ({"expires_in": 1800.5}, None, 1800.5),
        ({"expires_on": 5000 + 600}, None, 600),
        ({}, "Wed, 21 Oct 2015 07:28:00 GMT", None),
        ({"expires_on": None}, None, None),
        ({"expires_on": 1_445_412_480 - 1}, "Wed, 21 Oct 2015 07:28:00 GMT", None),
        ({"expires_in": 0}, None, None),
    ],
)
def test_rule_13_the_lifetime_is_told_by_the_servers_clock(
    fields: dict[str, Any], date: str | None, lifetime: float | None
) -> None:
    answer = granted(lifetime=None, **fields)._replace(headers={"date": date} if date else {})
    origin = Origin.of(HOME)
    assert origin is not None
    assert TokenEndpoint(origin, "JohnSmith").read(answer, [], 5000) == ("Bearer token-1", lifetime, None)


@pytest.mark.parametrize(
    "date", ["Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 09:28:00 +0200", "Wed, 21 Oct 2015 07:28:00 -0000"]
)
def test_rule_13_a_date_is_one_in_any_time_zone(date: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert parse_date(date) == 1_445_412_480
    finally:
        monkeypatch.undo()
        time.tzset()


def test_rule_13_without_a_date_the_local_clock_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 5000.0)
    account = new_account()
    complete(account, found(), granted(lifetime=None, expires_on=5600))
    assert token_of(account).expires_at == clock_of(account).seconds + 600


def test_times_are_from_here_on() -> None:
    """Each limit to the second: what is good before it is not at it."""
    account = logged_in()
    clock_of(account).seconds = token_of(account).refresh_at
    assert cached_signature(account, HOME + FILES) is None
    assert complete(account, granted("token-2")).authorizations == ["Bearer token-2"]
    clock_of(account).seconds = token_of(account).expires_at
    assert complete(account, granted("token-3")).authorizations == ["Bearer token-3"]
    conversation = begin(account)
    clock_of(account).seconds = token_of(account).expires_at
    conversation.go_on(401, granted("token-4"))  # no look-up: it had run out, and was not refused
    assert conversation.authorizations == ["Bearer token-3", "Bearer token-4"]
    refused_twice = complete(account, 401, found(), granted("token-5"), 401)
    assert refused_twice.authorizations == ["Bearer token-4", "Bearer token-5"]
    clock_of(account).advance(60)  # for which a 401 is passed on
    assert complete(account, 401, found(), granted("token-6")).authorizations == [
        "Bearer token-5",
        "Bearer token-6",
    ]
    account = logged_in()
    complete(account, answered(401, "token-1", can_replay=False))
    complete(account, found(), granted("token-2"), answered(204, None, "https://evil.example/"))
    clock_of(account).advance(60)  # after which a token that has replaced another is like any
    assert complete(account, 401, found(), granted("token-3")).authorizations == [
        "Bearer token-2",
        "Bearer token-3",
    ]
    account = new_account()
    begin(account).go_on(found(), refused())
    clock_of(account).advance(300)
    assert begin(account).go_on(found(), refused()).paths == asked(LOOKUP, LOGIN)


def test_rule_13_an_unknown_lifetime_lasts_until_a_401() -> None:
    account = new_account()
    complete(account, found(), granted(lifetime=None))
    clock_of(account).advance(10 * 365 * 86400)
    assert complete(account).authorizations == ["Bearer token-1"]


def test_rule_13_the_lifetime_counts_from_before_the_login() -> None:
    account = new_account()
    login = begin(account)
    login.send(found())
    clock_of(account).advance(50)  # a slow answer
    login.go_on(granted(lifetime=100))
    clock_of(account).advance(50)
    assert complete(account, granted("token-2")).authorizations == ["Bearer token-2"]


def test_rule_13_the_clock_cannot_be_set_and_counts_sleep() -> None:
    if sys.platform == "linux":
        assert isinstance(clock, partial)
        assert clock.args == (time.CLOCK_BOOTTIME,)
    assert clock() <= clock()


def test_rule_14_one_caller_refreshes_and_the_others_keep_the_token() -> None:
    account = logged_in()
    clock_of(account).advance(7200 - 200)
    refreshing = begin(account)
    assert isinstance(refreshing.step, SendControl)
    for _ in range(3):
        assert cached_signature(account, HOME + FILES) is not None, "the warm path is open to all others"
        assert complete(account).authorizations == ["Bearer token-1"]
    refreshing.go_on(granted("token-2"))
    assert refreshing.paths == [LOGIN]
    assert refreshing.authorizations == ["Bearer token-2"]
    assert complete(account).authorizations == ["Bearer token-2"]


@pytest.mark.parametrize(("lifetime", "earliest", "latest"), [(7200, 300, 225), (1000, 100, 75), (20, 2, 1.5)])
def test_rule_14_the_refresh_is_due_in_time_and_jittered(lifetime: float, earliest: float, latest: float) -> None:
    due = set()
    for _ in range(50):
        account = new_account()
        complete(account, found(), granted(lifetime=lifetime))
        due.add(token_of(account).expires_at - token_of(account).refresh_at)
        assert latest - 0.001 <= token_of(account).expires_at - token_of(account).refresh_at <= earliest + 0.001
    assert len(due) > 10


@pytest.mark.parametrize("failure", [refused(), reply(200, b"<html>"), reply(500, b"")])
def test_rule_14_if_the_refresh_fails_the_current_token_stays_in_use(
    failure: Any, caplog: pytest.LogCaptureFixture
) -> None:
    account = logged_in()
    clock_of(account).advance(7200 - 200)
    answers = [failure, found()] if failure.status == 401 else [failure]
    assert complete(account, *answers).authorizations == ["Bearer token-1"]
    assert "not refreshed" in caplog.text
    clock_of(account).advance(29)
    assert complete(account).authorizations == ["Bearer token-1"], "the next try waits"
    clock_of(account).advance(2)
    again = begin(account)  # with a login, unless it would be the refused password once more
    assert isinstance(again.step, Forward if failure.status == 401 else SendControl)


def test_rule_14_a_refresh_that_fails_on_the_network_fails_no_request(caplog: pytest.LogCaptureFixture) -> None:
    account = logged_in()
    clock_of(account).advance(7200 - 200)
    refreshing = begin(account)
    step = refreshing.throw(ConnectionError("no route, and something secret"))
    assert isinstance(step, Forward)
    assert step.signature.authorization == "Bearer token-1"
    assert "ConnectionError" in caplog.text
    assert "secret" not in caplog.text


def test_rule_14_a_refresh_waits_for_no_busy_platform() -> None:
    account = logged_in()
    clock_of(account).advance(7200 - 200)
    conversation = complete(account, reply(503, b"", {"retry-after": "60"}))
    assert conversation.pauses == []
    assert conversation.authorizations == ["Bearer token-1"]


def test_rule_14_the_error_of_a_refresh_is_not_shared_with_those_who_need_a_token() -> None:
    """It is tried once only. Whoever waits for it, since the old token has ended meanwhile, has three tries."""
    account = logged_in()
    clock_of(account).advance(7200 - 1)
    refreshing = begin(account)
    clock_of(account).advance(2)
    waiting = begin(account)
    assert isinstance(waiting.step, WaitForLogin)
    refreshing.send(reply(503, b""))
    waiting.send(True)
    assert waiting.error is None
    first = refreshing if isinstance(refreshing.step, SendControl) else waiting
    first.go_on(reply(503, b""), found(), granted("token-2"))
    assert first.authorizations == ["Bearer token-2"]


def test_rule_14_a_lost_refresh_leaves_the_current_token() -> None:
    account = logged_in()
    clock_of(account).advance(7200 - 200)
    begin(account).close()
    assert complete(account).authorizations == ["Bearer token-1"]
    clock_of(account).advance(31)
    assert complete(account, found(), granted("token-2")).authorizations == ["Bearer token-2"]


def test_rule_14_a_token_that_expires_during_its_refresh_is_waited_for() -> None:
    account = logged_in()
    clock_of(account).advance(7200 - 20)
    refreshing = begin(account)
    clock_of(account).advance(30)
    other = begin(account)
    assert isinstance(other.step, WaitForLogin)
    refreshing.go_on(granted("token-2"))
    other.send(True)
    assert other.go_on().authorizations == ["Bearer token-2"]


def test_rule_14_a_token_whose_refresh_is_postponed_is_no_new_one() -> None:
    """One reads the clock just before the token's end, and puts its refresh off just after it."""
    account = logged_in()
    moving = clock_of(account)
    moving.seconds = token_of(account).expires_at
    leader, waiting = begin(account), begin(account)
    assert isinstance(waiting.step, WaitForLogin)
    postpone_refresh(account, moving.seconds - 0.001)
    leader.close()
    waiting.send(True)
    assert isinstance(waiting.step, SendControl), "logs in, and does not go out with a token that has ended"


def test_rule_14_the_same_token_again_makes_no_loop() -> None:
    account = logged_in()
    end = token_of(account).expires_at
    clock_of(account).advance(7200 - 200)
    logins = 0
    while now(account) < end + 100:
        conversation = begin(account)
        if isinstance(conversation.step, SendControl):
            logins += 1
            conversation.go_on(granted("token-1", end - now(account)))
        else:
            conversation.go_on()
        clock_of(account).advance(0.1)
    assert 1 <= logins <= 6


@pytest.mark.parametrize("lifetime", [-5, 0, 1e-9])
def test_rule_14_an_expired_token_makes_no_loop(lifetime: float) -> None:
    account = new_account()
    first = complete(account, found(), granted(lifetime=lifetime))
    assert first.paths == asked(LOOKUP, LOGIN)
    assert first.authorizations == ["Bearer token-1"]
    if lifetime <= 0:
        clock_of(account).advance(60)
        assert complete(account).authorizations == ["Bearer token-1"], "it serves until it is refused"
