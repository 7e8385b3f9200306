"""Rules 6 to 8 on the bare core: one caller logs in, the others wait, and nobody waits for ever."""

from __future__ import annotations

import itertools
import sys
import threading
from types import FrameType
from typing import Any

import pytest

from notary_auth import (
    Account,
    CredentialsRefused,
    DiscoveryError,
    LoginError,
    NotaryAuthError,
)
from notary_auth._flight import leading
from notary_auth._steps import Forward, Send, Wait
from tests.core import (
    CLOUD,
    FILES,
    Conversation,
    begin,
    clock_of,
    found,
    granted,
    hold,
    new_account,
    refused,
    reply,
)

LOOKUP, LOGIN = "api/1/accounts", "api/2/idp/token"


def test_rule_6_one_caller_logs_in_and_the_others_wait() -> None:
    account = new_account()
    leader = begin(account)
    others = [begin(account) for _ in range(5)]
    assert all(isinstance(other.step, Wait) for other in others)
    leader.go_on(found(), granted())
    for other in others:
        other.send(True)
        assert other.go_on().authorizations == ["Bearer token-1"]
        assert other.sent == []


def test_rule_6_one_that_boards_just_after_the_landing_does_not_log_in_again() -> None:
    account = new_account()
    late = account.conversation(CLOUD + FILES)
    board = account._flights.board

    def board_late(caller: Any) -> Any:
        account._flights.board = board  # type: ignore[method-assign]
        hold(account, found(), granted())  # lands between the look at the token and the boarding
        return board(caller)

    account._flights.board = board_late  # type: ignore[method-assign]
    assert isinstance(late.send(None), Forward)


def test_rule_7_a_verdict_is_shared() -> None:
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
def test_rule_7_what_is_no_platforms_answer_is_a_verdict_too(answers: list[Any]) -> None:
    account = new_account()
    leader, other = begin(account), begin(account)
    leader.go_on(*answers)
    other.send(True)
    assert isinstance(leader.error, NotaryAuthError)
    assert type(other.error) is type(leader.error)
    # and the next request starts clean
    assert hold(account, found(), granted()).authorizations == ["Bearer token-1"]


def test_rule_7_a_lost_leader_hands_over_to_the_next() -> None:
    account = new_account()
    leader, second, third = begin(account), begin(account), begin(account)
    leader.close()
    assert isinstance(second.send(True), Send)
    assert isinstance(third.send(True), Wait)
    second.go_on(found(), granted())
    third.send(True)
    assert third.go_on().authorizations == ["Bearer token-1"]


@pytest.mark.parametrize(("known", "error"), [(False, DiscoveryError), (True, LoginError)])
def test_rule_7_whoever_has_seen_two_leaders_go_gives_up(known: bool, error: type[Exception]) -> None:
    account = new_account()
    if known:
        hold(account, found(), url="https://evil.example/")
    first, second, third, fourth = (begin(account) for _ in range(4))
    first.close()
    for waiting in (second, third, fourth):
        waiting.send(True)
    second.close()
    for waiting in (third, fourth):
        waiting.send(True)
        assert type(waiting.error) is error
        assert "2 attempts" in str(waiting.error)
    assert hold(account, found(), granted()).authorizations == ["Bearer token-1"]


def test_rule_7_nobody_waits_longer_than_a_minute() -> None:
    account = new_account()
    leader, other = begin(account), begin(account)
    waited = 0
    while isinstance(other.step, Wait):
        clock_of(account).advance(other.step.seconds)
        waited += 1
        other.send(True)
    assert 11 <= waited <= 13
    assert isinstance(other.error, DiscoveryError)
    assert isinstance(begin(account).step, Send), "the next one need not wait as well"
    leader.go_on(found(), granted())
    assert hold(account).authorizations == ["Bearer token-1"]


def test_rule_7_a_leader_whose_thread_died_is_found_out() -> None:
    account = new_account()
    abandoned = []
    thread = threading.Thread(target=lambda: abandoned.append(begin(account)))
    other_steps = []
    thread.start()
    thread.join()
    other = begin(account)
    other_steps.append(other.step)
    assert isinstance(other.step, Send), "leads, since the leader's thread is no more"
    assert other.go_on(found(), granted()).authorizations == ["Bearer token-1"]
    abandoned[0].close()
    assert hold(account).authorizations == ["Bearer token-1"]


def test_rule_8_whoever_the_leader_depends_on_does_not_wait_for_it() -> None:
    """A callable or a hook runs in the leader's context, whatever thread or task it is in."""
    account = new_account()
    leader, waiting = begin(account), begin(account)
    assert isinstance(waiting.step, Wait)
    assert waiting.step.flight is account._flights._runway.flight
    inner = Conversation(account.conversation(CLOUD + FILES), leader.context)
    assert isinstance(inner.start(), Send), "logs in, and does not wait"
    assert inner.go_on(found(), granted("token-2")).authorizations == ["Bearer token-2"]
    leader.go_on(found(), granted("token-3"))
    assert leader.context.run(leading.get) == ()
    account.forget()
    other = begin(account)
    assert isinstance(other.step, Send)
    late = Conversation(account.conversation(CLOUD + FILES), leader.context)
    assert isinstance(late.start(), Wait), "that flight is over"


def interrupted_at(number: int) -> tuple[str, Account] | None:
    """Interrupt a login at this line of the core's. Returns the function that it was in, and what is left."""
    account = new_account()
    lines = itertools.count()
    where: list[str] = []

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if "notary_auth" not in frame.f_code.co_filename:
            return None
        if event == "line" and next(lines) == number:
            where.append(frame.f_code.co_name)
            raise KeyboardInterrupt
        return trace

    conversation = None
    before = sys.gettrace()
    try:
        sys.settrace(trace)
        conversation = begin(account).go_on(found(), granted())
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    del conversation
    return (where[0], account) if where else None


def test_rule_7_an_interrupt_at_any_line_leaves_nobody_waiting_for_ever() -> None:
    """And, but for those in the landing itself, nobody waiting at all."""
    for number in itertools.count():
        left = interrupted_at(number)
        if left is None:
            break
        where, account = left
        next_one = begin(account)
        if isinstance(next_one.step, Wait):
            assert where in ("_lead", "land", "end"), (
                f"line {number} leaves a flight that nobody leads, in {where}"
            )
            clock_of(account).advance(60)
            next_one.send(True)
            assert next_one.error is not None
            next_one = begin(account)
        assert not isinstance(next_one.step, Wait)
    assert number > 100


def test_rule_8_a_caller_that_cannot_wait_logs_in_by_itself() -> None:
    account = new_account()
    leader, other = begin(account), begin(account)
    other.send(False)
    assert other.go_on(found(), granted("token-2")).authorizations == ["Bearer token-2"]
    leader.go_on(found(), granted("token-3"))
    assert hold(account).authorizations == ["Bearer token-3"]
