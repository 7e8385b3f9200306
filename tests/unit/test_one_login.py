"""Rules 6 to 8 on the bare core: one caller logs in, the others wait, and nobody waits for ever."""

from __future__ import annotations

import itertools
import threading
from contextlib import suppress
from typing import Any

import pytest

from notary_auth import (
    Account,
    CredentialsRefused,
    DiscoveryError,
    LoginError,
    NotaryAuthError,
)
from tests.core import (
    LEADER_TIMEOUT,
    Conversation,
    SendControl,
    Sleep,
    WaitForLogin,
    at_line,
    begin,
    clock_of,
    complete,
    current_login,
    found,
    granted,
    logins_led_in,
    new_account,
    refused,
    reply,
)
from tests.grants import is_clients

pytestmark = pytest.mark.both_grants

LINES_THAT_END_A_LOGIN = 3


def test_rule_6_one_caller_logs_in_and_the_others_wait() -> None:
    account = new_account()
    leader = begin(account)
    others = [begin(account) for _ in range(5)]
    assert all(isinstance(other.step, WaitForLogin) for other in others)
    leader.go_on(found(), granted())
    for other in others:
        other.send(True)
        assert other.go_on().authorizations == ["Bearer token-1"]
        assert other.sent == []


def overtaken_at(number: int) -> tuple[Conversation, list[str]] | None:
    """Begin a request, and let another thread go its whole way to a login at this line of it.

    Returns the request and what the other was signed with, nothing if it had to wait; None behind the last line.
    """
    account = new_account()
    signed: list[str] = []
    others: list[threading.Thread] = []

    def go_all_the_way() -> None:
        other = begin(account)
        if isinstance(
            other.step, SendControl
        ):  # else the first request has the lead, and this one would have to wait
            signed.extend(map(str, other.go_on(found(), granted()).authorizations))

    def overtake() -> None:
        others.append(threading.Thread(target=go_all_the_way))
        others[0].start()
        others[0].join(0.02)  # in vain where the first one holds the lock

    with at_line(number, overtake) as reached:
        overtaken = begin(account)
    for other in others:
        other.join()
    return (overtaken, signed) if reached else None


def test_rule_6_a_caller_that_another_one_overtakes_at_any_line_does_not_log_in_again() -> None:
    overtaken_by_a_login = 0
    for number in itertools.count():
        outcome = overtaken_at(number)
        if outcome is None:
            break
        overtaken, signed = outcome
        if signed:
            overtaken_by_a_login += 1
            assert not isinstance(overtaken.step, SendControl), f"line {number}: it logs in a second time"
        overtaken.close()
    assert overtaken_by_a_login > 20


def test_rule_7_a_leaders_error_is_shared() -> None:
    account = new_account()
    leader, other = begin(account), begin(account)
    leader.go_on(found(), refused())
    other.send(True)
    assert isinstance(leader.error, CredentialsRefused)
    assert isinstance(other.error, CredentialsRefused)
    assert other.error is not leader.error
    assert str(other.error) == str(leader.error)
    assert other.error.error == "access_denied"
    assert other.sent == []


@pytest.mark.parametrize(
    "answers", [[reply(200, b"<html>")], [found(), reply(200, [])], [found(), reply(500, b"")]]
)
def test_rule_7_a_response_that_is_not_the_platforms_is_a_shared_error_too(answers: list[Any]) -> None:
    account = new_account()
    leader, other = begin(account), begin(account)
    leader.go_on(*answers)
    other.send(True)
    assert isinstance(leader.error, NotaryAuthError)
    assert type(other.error) is type(leader.error)
    # and the next request starts clean
    assert complete(account, found(), granted()).authorizations == ["Bearer token-1"]


def test_rule_7_a_lost_leader_hands_over_to_the_next() -> None:
    account = new_account()
    leader, second, third = begin(account), begin(account), begin(account)
    leader.close()
    assert isinstance(second.send(True), SendControl)
    assert isinstance(third.send(True), WaitForLogin)
    second.go_on(found(), granted())
    third.send(True)
    assert third.go_on().authorizations == ["Bearer token-1"]


@pytest.mark.parametrize(("known", "error"), [(False, DiscoveryError), (True, LoginError)])
def test_rule_7_whoever_has_seen_two_leaders_go_gives_up(known: bool, error: type[Exception]) -> None:
    account = new_account()
    if known:
        complete(account, found(), url="https://evil.example/")
    first, second, third, fourth = (begin(account) for _ in range(4))
    first.close()
    for waiting in (second, third, fourth):
        waiting.send(True)
    second.close()
    for waiting in (third, fourth):
        waiting.send(True)
        assert type(waiting.error) is (LoginError if is_clients() else error)
        assert "2 attempts" in str(waiting.error)
    assert complete(account, found(), granted()).authorizations == ["Bearer token-1"]


@pytest.mark.users_only
def test_rule_7_nobody_waits_longer_than_a_minute() -> None:
    account = new_account()
    leader, other = begin(account), begin(account)
    waited = 0
    while isinstance(other.step, WaitForLogin):
        clock_of(account).advance(other.step.seconds)
        waited += 1
        other.send(True)
    assert 29 <= waited <= 32
    assert isinstance(other.error, DiscoveryError)
    next_one = begin(account)
    assert isinstance(next_one.step, SendControl), "need not wait as well"
    assert isinstance(leader.send(found()), WaitForLogin), (
        "sends nothing more, since another caller has taken over"
    )
    next_one.go_on(found(), granted())
    leader.send(True)
    assert leader.go_on().authorizations == ["Bearer token-1"]


@pytest.mark.users_only
def test_rule_7_a_leader_that_is_taken_over_twice_gives_up() -> None:
    """It does not begin anew each time, and ask a busy platform again and again."""
    account = new_account()
    leader = begin(account)
    for _ in range(2):
        other = begin(account)
        while isinstance(other.step, WaitForLogin):
            clock_of(account).advance(other.step.seconds)
            other.send(True)
        assert other.error is not None
        leader.send(found() if len(leader.sent) == 1 else reply(503, b""))
        if isinstance(leader.step, Sleep):
            leader.send(None)
    assert isinstance(leader.error, LoginError)


def test_rule_7_a_leader_whose_thread_died_is_found_out() -> None:
    account = new_account()
    abandoned = []
    thread = threading.Thread(target=lambda: abandoned.append(begin(account)))
    other_steps = []
    thread.start()
    thread.join()
    other = begin(account)
    other_steps.append(other.step)
    assert isinstance(other.step, SendControl), "leads, since the leader's thread is no more"
    assert other.go_on(found(), granted()).authorizations == ["Bearer token-1"]
    abandoned[0].close()
    assert complete(account).authorizations == ["Bearer token-1"]


def test_rule_8_whoever_the_leader_depends_on_does_not_wait_for_it() -> None:
    """A callable or a hook runs in the leader's context, whatever thread or task it is in."""
    account = new_account()
    leader, waiting = begin(account), begin(account)
    assert isinstance(waiting.step, WaitForLogin)
    assert waiting.step.login is current_login(account)
    inner = begin(account, context=leader.context)
    assert isinstance(inner.step, SendControl), "logs in, and does not wait"
    assert inner.go_on(found(), granted("token-2")).authorizations == ["Bearer token-2"]
    leader.go_on(found(), granted("token-3"))
    assert logins_led_in(leader.context) == ()
    account.forget()
    other = begin(account)
    assert isinstance(other.step, SendControl)
    late = begin(account, context=leader.context)
    assert isinstance(late.step, WaitForLogin), "that login is over"


def interrupted_at(number: int) -> Account | None:
    """The account whose login was interrupted at this line of the library's; None behind the last line."""
    account = new_account()

    def interrupt() -> None:
        raise KeyboardInterrupt

    with at_line(number, interrupt) as reached, suppress(KeyboardInterrupt):
        begin(account).go_on(found(), granted())
    return account if reached else None


def test_rule_7_an_interrupt_at_any_line_leaves_nobody_waiting_for_ever() -> None:
    """And, but for the few lines that end the login themselves, nobody waiting at all."""
    lines_that_leave_one_waiting = 0
    for number in itertools.count():
        account = interrupted_at(number)
        if account is None:
            break
        next_one = begin(account)
        if isinstance(next_one.step, WaitForLogin):
            lines_that_leave_one_waiting += 1
            clock_of(account).advance(LEADER_TIMEOUT)
            next_one.send(True)
            assert next_one.error is not None
            next_one = begin(account)
        assert not isinstance(next_one.step, WaitForLogin), f"line {number} leaves a login that nobody leads"
    assert number > 100
    assert lines_that_leave_one_waiting <= LINES_THAT_END_A_LOGIN


def test_rule_8_a_caller_that_cannot_wait_logs_in_by_itself() -> None:
    account = new_account()
    leader, other = begin(account), begin(account)
    other.send(False)
    assert other.go_on(found(), granted("token-2")).authorizations == ["Bearer token-2"]
    leader.go_on(found(), granted("token-3"))
    assert complete(account).authorizations == ["Bearer token-3"]
