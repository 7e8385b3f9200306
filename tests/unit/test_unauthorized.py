"""Rules 15 and 16 on the bare core: what a 401 means."""

from __future__ import annotations

import itertools
import random
import threading

import pytest

from tests.core import (
    FILES,
    HOME,
    NEW_HOME,
    Clock,
    Conversation,
    Forward,
    Received,
    SendControl,
    Signature,
    WaitForLogin,
    answered,
    at_line,
    begin,
    clock_of,
    complete,
    found,
    granted,
    logged_in,
    make_token_expired,
    new_account,
    replayed,
    set_clock,
    signature_of_replay,
)
from tests.grants import asked
from tests.paths import LOGIN, LOOKUP

pytestmark = pytest.mark.both_grants


def test_rule_15_a_request_in_flight_while_all_is_forgotten_is_replayed() -> None:
    account = logged_in()
    conversation = begin(account)
    account.forget()
    conversation.go_on(401, found(), granted("token-2"))
    assert conversation.authorizations == ["Bearer token-1", "Bearer token-2"]


def test_rule_15_a_rejected_token_is_replaced_once() -> None:
    account = logged_in()
    conversation = complete(account, 401, found(), granted("token-2"), 200)
    assert conversation.paths == asked(LOOKUP, LOGIN)
    assert conversation.authorizations == ["Bearer token-1", "Bearer token-2"]


def test_rule_15_a_token_that_is_no_longer_current_costs_no_login() -> None:
    account = logged_in()
    complete(account, found(), granted("token-2"), answer=answered(401, "token-1"))
    late = complete(account, answer=answered(401, "token-1"))
    assert late.sent == []
    assert late.authorizations == ["Bearer token-2"]


def test_rule_15_any_number_of_requests_in_flight_cause_one_login() -> None:
    account = logged_in()
    in_flight = [begin(account, answer=answered(401, "token-1")) for _ in range(50)]
    in_flight[0].go_on(found(), granted("token-2"))
    for conversation in in_flight[1:]:
        assert isinstance(conversation.step, WaitForLogin)
        conversation.send(True)
        conversation.go_on()
        assert conversation.sent == []
        assert conversation.authorizations == ["Bearer token-2"]


def test_rule_15_a_401_on_a_fresh_token_is_the_callers() -> None:
    account = logged_in()
    first = complete(account, 401, found(), granted("token-2"), 401)
    assert first.paths == asked(LOOKUP, LOGIN)
    for _ in range(3):
        assert complete(account, 401).sent == []
    stale = complete(account, 200, answer=answered(401, "token-1"))
    assert stale.authorizations == ["Bearer token-2"], "that is another matter"
    clock_of(account).advance(59)
    assert complete(account, 401).sent == []
    clock_of(account).advance(2)
    assert complete(account, 401, found(), granted("token-3")).authorizations == [
        "Bearer token-2",
        "Bearer token-3",
    ]


def test_rule_15_those_who_waited_for_the_fresh_token_do_not_log_in_again() -> None:
    account = logged_in()
    first, second = (begin(account, answer=answered(401, "token-1")) for _ in range(2))
    first.send(found())
    first.send(granted("token-2"))
    second.send(True)
    assert isinstance(second.step, Forward)
    assert second.go_on(401).sent == []
    assert first.go_on(401).paths == asked(LOOKUP, LOGIN)


def test_rule_15_a_fresh_token_that_ran_out_on_its_way_is_replaced() -> None:
    account = logged_in()
    conversation = begin(account, answer=answered(401, "token-1"))
    conversation.send(found())
    conversation.send(granted("token-2", lifetime=2))
    clock_of(account).advance(3)  # a slow network, a busy machine
    conversation.go_on(401, granted("token-3"))
    assert conversation.authorizations == ["Bearer token-2", "Bearer token-3"]
    assert complete(account, 401, found(), granted("token-4")).authorizations[-1] == "Bearer token-4", "no pause"


def test_rule_15_a_fresh_token_that_another_caller_replaced_says_nothing() -> None:
    account = logged_in()
    conversation = begin(account, answer=answered(401, "token-1"))
    conversation.send(found())
    conversation.send(granted("token-2"))
    account.forget()
    complete(account, found(), granted("token-3"))
    assert conversation.go_on(401).authorizations == ["Bearer token-2", "Bearer token-3"]


def test_rule_15_a_token_that_was_seen_to_work_is_not_on_probation() -> None:
    account = logged_in()
    assert complete(account, 401, found(), granted("token-2")).authorizations[-1] == "Bearer token-2"
    assert complete(account, 401, found(), granted("token-3")).authorizations[-1] == "Bearer token-3", (
        "revoked again"
    )


@pytest.mark.parametrize("seed", range(5))
def test_rule_15_a_crowd_that_is_refused_whatever_it_carries_logs_in_once_a_minute(seed: int) -> None:
    """A data center that answers 401 to everything is not stormed, in whatever order the answers come in."""
    account = logged_in()
    dice = random.Random(seed)
    crowd = [begin(account) for _ in range(50)]
    logins = 0
    for _ in range(3000):
        index = dice.randrange(len(crowd))
        each = crowd[index]
        match each.step:
            case SendControl(request) if request.method == "POST":
                logins += 1
                each.send(granted(f"token-{logins + 1}"))
            case SendControl():
                each.send(found())
            case WaitForLogin():
                each.send(True)
            case Forward(signature):
                each.send(Received(401, HOME + FILES, signature.authorization, can_replay=True))
            case None:
                crowd[index] = begin(account)
        clock_of(account).advance(0.01)
    assert logins == 1


def test_rule_15_only_the_token_that_replaces_a_rejected_one_is_on_probation() -> None:
    account = logged_in()
    complete(account, 401, found(), granted("token-2"))
    clock_of(account).advance(7200 - 100)
    refreshing = begin(account)
    refreshing.send(granted("token-3"))
    assert isinstance(refreshing.step, Forward)  # and nobody has seen it work yet
    assert complete(account, 401, found(), granted("token-4")).authorizations[-1] == "Bearer token-4"


def test_rule_15_a_gateways_error_is_not_seen_as_working() -> None:
    account = logged_in()
    complete(account, 401, found(), granted("token-2"), 500)
    assert complete(account, 401).sent == [], "still doubted"


def test_rule_15_a_401_is_judged_by_one_look_at_the_token() -> None:
    """Not by the doubts that another thread has about the next one."""
    account = logged_in()
    late = begin(account)
    clock = clock_of(account)

    class Preempted(Clock):
        """Whoever looks at it for the first time is overtaken by another thread, which gets a new token."""

        def __call__(self) -> float:
            if clock_of(account) is self:
                set_clock(account, clock)
                other = threading.Thread(target=replace)
                other.start()
                other.join(0.05)
                threads.append(other)
            return clock()

    def replace() -> None:
        other = begin(account, answer=old)
        if isinstance(other.step, SendControl):  # else it comes too late
            other.send(found())
            other.send(granted("token-2"))
        replaced.append(other)

    threads: list[threading.Thread] = []
    replaced: list[Conversation] = []
    old = answered(401, "token-1")
    set_clock(account, Preempted())
    late.send(old)
    for thread in threads:
        thread.join()
    assert late.step is not None, "it is replayed"


@pytest.mark.users_only
def test_rule_15_a_moved_account_is_followed() -> None:
    account = logged_in()
    conversation = complete(account, 401, found(NEW_HOME), granted("token-2"), 200)
    assert [signature.url for signature in conversation.signatures] == [HOME + FILES, NEW_HOME + FILES]
    assert account.server_url == NEW_HOME
    # Requests that were under way to the old one, or are still addressed to it, are looked after as well.
    late = complete(account, answer=answered(401, "token-1"))
    assert late.signatures == [Signature("Bearer token-2", NEW_HOME + FILES)]
    assert complete(account, url=HOME + FILES).signatures == late.signatures


def test_rule_15_a_401_after_a_redirect_to_the_data_center_gets_a_signature() -> None:
    account = logged_in()
    unsigned = answered(401, None)
    assert complete(account, unsigned, url="https://elsewhere.example/").authorizations == [None, "Bearer token-1"]


@pytest.mark.parametrize("status", [200, 400, 402, 403, 404, 500])
def test_rule_15_other_answers_are_the_callers(status: int) -> None:
    assert len(complete(logged_in(), status).signatures) == 1


def dropped_at(number: int) -> Conversation | None:
    """A request whose account forgets its token at this line of the library's; None behind the last line."""
    account = logged_in()
    make_token_expired(account)

    def drop() -> None:
        other = threading.Thread(target=account.forget)
        other.start()
        other.join(0.01)  # in vain where the request holds the lock

    with at_line(number, drop) as reached:
        conversation = begin(account)
        while conversation.step is not None:
            match conversation.step:
                case SendControl(request):
                    conversation.send(found() if request.method == "GET" else granted("token-2"))
                case Forward(signature):
                    conversation.send(conversation.answer_to(signature, 200))
    return conversation if reached else None


def test_rule_15_a_token_that_is_dropped_at_any_line_leaves_no_request_unsigned() -> None:
    for number in itertools.count():
        conversation = dropped_at(number)
        if conversation is None:
            break
        assert conversation.authorizations == ["Bearer token-2"], f"line {number}"
    assert number > 100


def test_rule_15_a_header_that_somebody_rewrites_makes_no_loop() -> None:
    account = logged_in()
    rewritten = answered(401, "of-somebody-else")
    assert len(complete(account, *[rewritten] * 4).signatures) == 4


def test_rule_15_forgetting_during_a_login_leaves_an_account_that_knows_its_401s() -> None:
    account = new_account()
    login = begin(account)
    login.send(found())
    account.forget()
    login.go_on(granted())
    assert account.server_url == HOME
    assert complete(account, 401, found(), granted("token-2")).authorizations == [
        "Bearer token-1",
        "Bearer token-2",
    ]


def test_rule_16_a_body_that_cannot_be_sent_again_is_not() -> None:
    account = logged_in()
    conversation = complete(account, answered(401, "token-1", can_replay=False))
    assert conversation.sent == []
    assert len(conversation.signatures) == 1
    assert complete(account, found(), granted("token-2")).authorizations == ["Bearer token-2"]


def test_rule_16_bodies_that_cannot_be_sent_again_cause_one_login_a_minute() -> None:
    """A platform that answers 401 to every upload, whatever its token, is not asked for one each time."""
    account = logged_in()
    logins = 0
    for upload in range(12):
        conversation = begin(account)
        if isinstance(conversation.step, SendControl):
            logins += 1
            conversation.send(found())
            conversation.send(granted(f"token-{upload}"))
        assert isinstance(conversation.step, Forward)
        header = conversation.step.signature.authorization
        conversation.send(Received(401, HOME + FILES, header, can_replay=False))
        assert conversation.step is None
        clock_of(account).advance(10)
    assert logins == 2


def test_rule_15_the_third_replay_is_the_last_and_its_response_is_taken_note_of() -> None:
    account = logged_in()
    outdated = answered(401, "token-0")
    for replays, is_replayed in ((0, True), (2, True), (3, False)):
        signature = signature_of_replay(account, replayed(outdated, replays))
        assert (signature is not None) == is_replayed
    complete(account, 401, found(), granted("token-2"), 500)  # on probation
    signature_of_replay(account, replayed(answered(200, "token-2"), 3))
    assert complete(account, 401, found(), granted("token-3"), 200).authorizations == [
        "Bearer token-2",
        "Bearer token-3",
    ]
