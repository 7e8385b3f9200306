"""The rules of DESIGN, on the bare core: no sockets, no clock but the test's."""

from __future__ import annotations

import itertools
import logging
import pickle
import random
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from notary_auth import (
    Account,
    CredentialsRefused,
    DiscoveryError,
    InsecureUrl,
    LoginError,
    NotaryAuthError,
    TotpRequired,
)
from notary_auth import _protocol as protocol
from notary_auth._flight import leading
from notary_auth._origin import Origin
from notary_auth._steps import UNSIGNED, Answer, Call, Forward, Send, Sleep, Wait
from notary_auth._token import NO_TOKEN

from .core import (
    CLOUD,
    FILES,
    HOME,
    NEW_HOME,
    PASSWORD,
    Clock,
    Conversation,
    answered,
    begin,
    clock_of,
    found,
    granted,
    hold,
    logged_in,
    new_account,
    refused,
    reply,
)

LOOKUP, LOGIN = "api/1/accounts", "api/2/idp/token"


# Addressing


def test_rule_1_building_an_account_does_no_io_and_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_io(*_: object) -> None:
        raise AssertionError("I/O while building")

    monkeypatch.setattr(socket, "socket", no_io)
    monkeypatch.setattr(socket, "getaddrinfo", no_io)
    account = Account("JohnSmith", no_io, totp=no_io)  # type: ignore[arg-type]
    assert (account.server_url, account.base_url) == (None, None)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"username": ""}, ValueError, "username is empty"),
        ({"username": None}, TypeError, "username must be a string, not NoneType"),
        ({"username": b"JohnSmith"}, TypeError, "not bytes"),
        ({"username": "John\0Smith"}, ValueError, "username contains a NUL"),
        ({"username": "John\ud800"}, ValueError, "username contains a lone surrogate"),
        ({"password": ""}, ValueError, "password is empty"),
        ({"password": 5}, TypeError, "password must be a string or a callable returning one, not int"),
        ({"password": None}, TypeError, "not NoneType"),
        ({"password": "a\0b"}, ValueError, "password contains a NUL"),
        ({"password": "a\udcffb"}, ValueError, "password contains a lone surrogate"),
        ({"totp": "123456"}, TypeError, "totp must be a callable"),
        ({"cloud_url": None}, TypeError, "cloud_url must be a string"),
        ({"cloud_url": ""}, ValueError, "cloud_url is not"),
        ({"cloud_url": "cloud.acronis.com"}, ValueError, "cloud_url is not"),
        ({"cloud_url": "ftp://cloud.acronis.com"}, ValueError, "cloud_url is not"),
        ({"cloud_url": "https://u:geheim@cloud.acronis.com"}, ValueError, "user name or password"),
        ({"cloud_url": "https://cloud.acronis.com/api"}, ValueError, "path, query or fragment"),
        ({"cloud_url": "https://cloud.acronis.com?a=b"}, ValueError, "path, query or fragment"),
        ({"cloud_url": "https://cloud.acronis.com/#a"}, ValueError, "path, query or fragment"),
        ({"cloud_url": "https://cloud.acronis.com:99999"}, ValueError, "impossible host or port"),
        ({"cloud_url": "https://cloud.acronis.com:0"}, ValueError, "impossible host or port"),
        ({"cloud_url": "https://[::1"}, ValueError, "cloud_url is not"),
        ({"cloud_url": "https://[::g]"}, ValueError, "cloud_url is not"),
        ({"cloud_url": "https://[1::2::3]"}, ValueError, "impossible host or port"),
        ({"cloud_url": "https://\N{ZERO WIDTH JOINER}"}, ValueError, "cloud_url is not"),
        ({"cloud_url": " https://cloud.acronis.com"}, ValueError, "cloud_url is not"),
        ({"cloud_url": "https://cloud.acronis.com\\@evil.example"}, ValueError, "cloud_url is not"),
        ({"cloud_url": "http://cloud.acronis.com"}, InsecureUrl, "must be https"),
    ],
)
def test_rule_1_wrong_arguments_raise_at_once(
    arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text) as caught:
        Account(**{"username": "JohnSmith", "password": PASSWORD, **arguments})
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://cloud.acronis.com",
        "https://cloud.acronis.com/",
        "HTTPS://Cloud.Acronis.COM:443",
        "https://cloud.acronis.com.",
        "http://localhost:8080",
        "http://127.0.0.1:8080",
        "http://127.8.9.10",
        "http://[::1]:8080",
        "http://notary.localhost",
        "https://bücher.example",
    ],
)
def test_rule_1_these_cloud_urls_are_fine(url: str) -> None:
    Account("JohnSmith", PASSWORD, cloud_url=url)


def test_rule_2_a_cold_start_takes_two_control_calls_and_a_warm_request_none() -> None:
    account = new_account()
    first = hold(account, found(), granted())
    assert first.paths == [LOOKUP, LOGIN]
    assert first.authorizations == ["Bearer token-1"]
    second = hold(account)
    assert second.paths == []
    assert second.authorizations == ["Bearer token-1"]
    assert account.signature(CLOUD + FILES) == second.signatures[0]


def test_rule_2_the_control_calls_are_those_of_the_platform() -> None:
    account = new_account(username="Jörg & Söhne", password="a b&c=ü")
    lookup, login = hold(account, found(), granted()).sent
    assert lookup.method == "GET"
    assert lookup.url.startswith(f"{CLOUD}/{LOOKUP}?")
    assert parse_qs(urlsplit(lookup.url).query) == {"login": ["Jörg & Söhne"]}
    assert lookup.body is None
    assert (login.method, login.url) == ("POST", f"{HOME}/{LOGIN}")
    assert login.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert login.body is not None
    assert parse_qs(login.body.decode("ascii")) == {
        "grant_type": ["password"],
        "username": ["Jörg & Söhne"],
        "password": ["a b&c=ü"],
    }


def test_rule_3_a_request_to_the_cloud_goes_to_the_data_center() -> None:
    account = logged_in()
    assert hold(account).signatures[0].origin == Origin.of(HOME)
    assert hold(account, url=f"{CLOUD}:443{FILES}").signatures[0].origin == Origin.of(HOME)
    assert (account.server_url, account.base_url) == (HOME, f"{HOME}/api/notary/v2")


def test_rule_3_a_request_to_the_data_center_is_signed_where_it_is() -> None:
    account = logged_in()
    for url in (HOME + FILES, f"{HOME}:443{FILES}", "HTTPS://EU2-cloud.acronis.com./x"):
        (signature,) = hold(account, url=url).signatures
        assert signature == (f"Bearer {'token-1'}", None)


@pytest.mark.parametrize("url", [f"{CLOUD}/{LOOKUP}?login=x", f"{CLOUD}:443/{LOOKUP}", f"{CLOUD}/{LOOKUP}#x"])
def test_rule_3_the_lookup_endpoint_is_left_alone(url: str, caplog: pytest.LogCaptureFixture) -> None:
    account = new_account()
    assert hold(account, url=url).signatures == [UNSIGNED]
    account = logged_in()
    assert account.signature(url) is None
    assert hold(account, answered(401, None, url), url=url).signatures == [UNSIGNED]
    assert "unsigned" not in caplog.text


FOREIGN = [
    "https://evil.example/",
    "https://eu2-cloud.acronis.com.evil.example/",
    "https://eu2-cloud.acronis.com@evil.example/",
    "https://eu2-cloud.acronis.com:443@evil.example/",
    "https://evil.example/https://eu2-cloud.acronis.com/",
    "https://evil.example#https://eu2-cloud.acronis.com/",
    "https://evil.example\\@eu2-cloud.acronis.com/",
    "https://eu2-cloud.acronis.com\\.evil.example/",
    "https://eu2-cloud.acronis.com\t.evil.example/",
    "https://eu2-cloud.acronis.com%2eevil.example/",
    "https://eu2-cloud.acronis.com:444/",
    "http://eu2-cloud.acronis.com/",
    "http://eu2-cloud.acronis.com:443/",
    "https://eu2-cloud.acronis.com../",
    "https://xeu2-cloud.acronis.com/",
    "https://eu2-cloud.acronis.co/",
    "https://eu2-cloud.acroni\u017f.com/",
    "https://eu2-\u212aloud.acronis.com/",
    "https:eu2-cloud.acronis.com/",
    "//eu2-cloud.acronis.com/",
    "/api/notary/v2",
    "",
]


@pytest.mark.parametrize("url", FOREIGN)
def test_rule_4_no_other_origin_is_signed(url: str) -> None:
    account = logged_in()
    assert account.signature(url) is None
    assert hold(account, url=url).signatures == [UNSIGNED]
    # Nor does its 401 get anything out of us.
    stranger = answered(401, None, url)
    assert hold(account, stranger, url=url).signatures == [UNSIGNED]
    assert hold(account, answer=stranger).signatures == []


@pytest.mark.parametrize("user", ["", "user@", "user:word@"])
@pytest.mark.parametrize("host", ["eu2-cloud.acronis.com", "EU2-Cloud.Acronis.com", "eu2-cloud.acronis.com."])
@pytest.mark.parametrize("port", ["", ":", ":443", ":0443"])
def test_rule_4_the_same_origin_spelled_otherwise_is_the_same(user: str, host: str, port: str) -> None:
    assert hold(logged_in(), url=f"https://{user}{host}{port}/x?y").authorizations == ["Bearer token-1"]


def test_rule_4_idna_names_are_compared_as_they_are_sent() -> None:
    account = new_account(cloud_url="https://Bücher.example/")
    assert account.cloud_url == "https://xn--bcher-kva.example"
    hold(account, found("https://zürich.bücher.example"), granted(), url="https://xn--bcher-kva.example/")
    assert hold(account, url="https://xn--zrich-kva.xn--bcher-kva.example/").authorizations == ["Bearer token-1"]


def test_rule_4_letters_that_only_look_like_ascii_are_not() -> None:
    account = new_account()
    hold(account, found("https://kiel.example"), granted())
    assert hold(account, url="https://kiel.example/").authorizations == ["Bearer token-1"]
    assert hold(account, url="https://\u212aiel.example/").authorizations == [None]


def test_rule_4_an_unsigned_origin_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    account = logged_in()
    for url in (
        "https://evil.example/1",
        "https://evil.example/2",
        "https://other.example/",
        "https://evil.example",
    ):
        hold(account, url=url)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [text.split()[2] for text in warnings] == ["https://evil.example", "https://other.example"]


def test_rule_4_a_stranger_is_no_reason_to_log_in() -> None:
    account = new_account()
    assert hold(account, found(), url="https://evil.example/").paths == [LOOKUP]
    assert hold(account, url="https://evil.example/").paths == []
    # What was looked up for the stranger is not looked up again.
    assert hold(account, granted()).paths == [LOGIN]


def test_rule_4_a_stranger_has_nothing_to_do_with_a_refused_login() -> None:
    account = new_account()
    leader = begin(account)
    stranger = begin(account, url="https://evil.example/")
    leader.go_on(found(), refused())
    stranger.send(True)
    assert stranger.go_on().signatures == [UNSIGNED]


def test_rule_4_before_the_data_center_is_known_a_lookup_decides() -> None:
    account = new_account()
    conversation = hold(account, found(), granted(), url=HOME + FILES)
    assert conversation.paths == [LOOKUP, LOGIN]
    assert conversation.authorizations == ["Bearer token-1"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_rule_5_a_redirected_control_call_is_an_error(status: int) -> None:
    redirect = reply(status, b"", {"location": "https://evil.example/"})
    with pytest.raises(DiscoveryError, match="redirect") as discovery:
        hold(new_account(), redirect)
    assert discovery.value.status == status
    with pytest.raises(LoginError, match="redirect") as login:
        hold(new_account(), found(), redirect)
    assert login.value.status == status
    assert not isinstance(login.value, CredentialsRefused)


# Login


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


def test_rule_9_a_refused_password_is_sent_once() -> None:
    account = new_account()
    first = begin(account).go_on(found(), refused())
    assert str(first.error) == (
        "the platform refused the login of 'JohnSmith' at https://eu2-cloud.acronis.com: "
        "access_denied (Wrong login or password). "
        "It will not be tried again for 5 minutes unless the password changes."
    )
    for _ in range(3):
        again = begin(account).go_on()
        assert isinstance(again.error, CredentialsRefused)
        assert (again.sent, again.error.status, again.error.url) == ([], 401, f"{HOME}/{LOGIN}")
    clock_of(account).advance(299)
    assert begin(account).go_on().sent == []
    clock_of(account).advance(2)
    assert begin(account).go_on(found(), refused()).paths == [LOOKUP, LOGIN]


def test_rule_9_another_password_is_tried_at_once() -> None:
    passwords = iter(["old", "old", "new"])
    account = new_account(password=lambda: next(passwords))
    assert begin(account).go_on(found(), refused()).paths == [LOOKUP, LOGIN]
    assert begin(account).go_on().paths == []
    assert hold(account, found(), granted()).authorizations == ["Bearer token-1"]


def test_rule_9_a_refusal_is_kept_if_the_look_up_after_it_fails() -> None:
    account = logged_in()
    clock_of(account).advance(7200)
    with pytest.raises(DiscoveryError):
        hold(account, refused(), reply(500, None))
    conversation = begin(account).go_on(found())
    assert isinstance(conversation.error, CredentialsRefused)
    assert conversation.paths == ["api/1/accounts"]


def test_rule_9_two_wrong_passwords_by_turns_are_sent_once_each() -> None:
    passwords = ["wrong", "wrong too"] * 3
    account = new_account(password=passwords.pop)
    sent = []
    for results in ((found(), refused()), (found(), refused()), (), (), (), ()):
        conversation = begin(account).go_on(*results)
        assert isinstance(conversation.error, CredentialsRefused)
        sent.append(len(conversation.sent))
    assert sent == [2, 2, 0, 0, 0, 0]


def test_rule_9_a_password_refused_during_a_pause_is_not_sent_after_it() -> None:
    account = logged_in()
    clock_of(account).advance(7200)
    first = begin(account)
    first.send(reply(503, None))
    assert isinstance(first.step, Sleep)
    # One who cannot wait, on the same thread, logs in meanwhile.
    second = begin(account)
    assert isinstance(second.step, Wait)
    second.send(False)
    second.go_on(found(), refused())
    assert isinstance(second.error, CredentialsRefused)
    first.send(None)
    assert isinstance(first.error, CredentialsRefused)


def test_rule_9_a_refusal_that_is_not_final_yet_counts_at_its_data_center() -> None:
    account = logged_in()
    clock_of(account).advance(7200)
    first = begin(account)
    second = begin(account)
    second.send(False)  # cannot wait, and logs in as well
    second.send(found())
    second.send(reply(503, b""))
    assert isinstance(second.step, Sleep)
    first.send(refused())  # and asks now whether the account has moved
    second.send(None)
    assert isinstance(second.error, CredentialsRefused)
    assert second.paths == [LOOKUP, LOGIN], "the password is not sent once more"


def test_rule_9_a_password_is_remembered_salted() -> None:
    accounts = [new_account(), new_account()]
    for account in accounts:
        begin(account).go_on(found(), refused())
    digests = {account._refusals[0].digest for account in accounts}
    assert len(digests) == 2


def test_rule_15_a_request_in_flight_while_all_is_forgotten_is_replayed() -> None:
    account = logged_in()
    conversation = begin(account)
    account.forget()
    conversation.go_on(401, found(), granted("token-2"))
    assert conversation.authorizations == ["Bearer token-1", "Bearer token-2"]


def test_rule_9_forget_forgets_the_refusal() -> None:
    account = new_account()
    begin(account).go_on(found(), refused())
    account.forget()
    assert account.server_url is None
    assert hold(account, found(), granted()).authorizations == ["Bearer token-1"]


@pytest.mark.parametrize("error", ["totp_required", "invalid_totp", "totp_setup_required"])
@pytest.mark.parametrize("status", [400, 401, 403])
def test_rule_9_a_totp_refusal_is_not_a_refused_password(error: str, status: int) -> None:
    account = new_account()
    conversation = begin(account).go_on(found(), refused(error, "no code", status))
    assert type(conversation.error) is TotpRequired
    assert ("Check the secret" if error == "invalid_totp" else "Pass totp=") in str(conversation.error)
    assert hold(account, found(), granted()).authorizations == ["Bearer token-1"]


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        (refused("access_denied", status=400), True),
        (refused("access_denied", status=403), True),
        (refused("invalid_grant", status=400), True),
        (reply(401, b"<html>"), True),
        (reply(403, b"<html>"), False),
        (reply(400, b""), False),
        (refused("invalid_request", status=400), False),
        (refused("access_denied", status=500), False),
        (reply(404, {}), False),
    ],
)
def test_rule_9_what_is_a_refusal_of_the_password_and_what_is_not(answer: Any, kept: bool) -> None:
    account = new_account()
    error = begin(account).go_on(found(), answer).error
    assert type(error) is (CredentialsRefused if kept else LoginError)
    again = begin(account)
    assert isinstance(again.step, Send) is not kept


def test_rule_9_a_moved_accounts_old_data_center_has_not_the_last_word() -> None:
    account = logged_in()
    clock_of(account).advance(7201)
    moved = hold(account, refused(), found(NEW_HOME), granted("token-2"))
    assert [request.url for request in moved.sent] == [
        f"{HOME}/{LOGIN}",
        moved.sent[1].url,
        f"{NEW_HOME}/{LOGIN}",
    ]
    assert moved.authorizations == ["Bearer token-2"]


def test_rule_9_a_refusal_where_the_account_still_is_stands() -> None:
    account = logged_in()
    clock_of(account).advance(7201)
    assert begin(account).go_on(refused(), found()).paths == [LOGIN, LOOKUP]
    assert begin(account).go_on().paths == []


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_rule_10_a_busy_platform_is_asked_three_times(status: int) -> None:
    account = new_account()
    busy = reply(status, b"")
    conversation = hold(account, busy, busy, found(), busy, granted())
    assert conversation.paths == [LOOKUP, LOOKUP, LOOKUP, LOGIN, LOGIN]
    assert all(0.5 <= pause <= 2 for pause in conversation.pauses)
    assert conversation.pauses[0] <= 1 <= conversation.pauses[1]
    for answers, error in (((), DiscoveryError), ((found(),), LoginError)):
        failed = begin(new_account()).go_on(*answers, busy, busy, busy)
        assert isinstance(failed.error, error)
        assert failed.error.status == status


def test_rule_10_a_look_up_after_a_refusal_is_tried_three_times_too() -> None:
    account = logged_in()
    clock_of(account).advance(7200)
    busy = reply(503, b"")
    failed = begin(account).go_on(refused(), busy, busy, busy)
    assert isinstance(failed.error, DiscoveryError)
    account = logged_in()
    clock_of(account).advance(7200)
    failed = begin(account).go_on(refused(), found(NEW_HOME), busy, busy, busy)
    assert isinstance(failed.error, LoginError)


@pytest.mark.parametrize(
    ("attempt", "jitter", "pause"), [(2, 0.0, 0.5), (2, 1.0, 1.0), (3, 0.0, 1.0), (3, 1.0, 2.0)]
)
def test_rule_10_the_pause_grows_and_is_jittered(attempt: int, jitter: float, pause: float) -> None:
    assert protocol.pause_before(attempt, jitter) == pause


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_rule_10_nothing_else_is_asked_again(status: int) -> None:
    assert begin(new_account()).go_on(reply(status, b"")).paths == [LOOKUP]
    assert begin(new_account()).go_on(found(), reply(status, b"")).paths == [LOOKUP, LOGIN]


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "3600"}, 60),
        ({"retry-after": "9" * 400}, 60),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:20 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 20),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT", "date": "Wed, 21 Oct 2015 07:28:20 GMT"}, 0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "\u0663"}, None),
    ],
)
def test_rule_10_the_pause_is_what_retry_after_says(headers: dict[str, str], pause: float | None) -> None:
    conversation = hold(new_account(), reply(503, b"", headers), found(), granted())
    (found_pause,) = conversation.pauses
    assert found_pause == pause if pause is not None else 0.5 <= found_pause <= 1


def test_rule_11_control_calls_carry_only_their_own_headers() -> None:
    lookup, login = hold(new_account(), found(), granted()).sent
    assert set(lookup.headers) == {"Accept", "User-Agent"}
    assert set(login.headers) == {"Accept", "User-Agent", "Content-Type"}
    assert lookup.headers["User-Agent"].startswith("notary-auth/")


BAD_LOOKUPS = [
    reply(404, found().body and {}),
    reply(200, b""),
    reply(200, b"<html>"),
    reply(200, b"\xff\xfe"),
    reply(200, b"[" * 100_000),
    reply(200, b'{"server_url": "https://eu2-cloud.acro'),
    reply(200, b'{"n": ' + b"9" * 5000 + b"}"),
    reply(200, []),
    reply(200, None),
    reply(200, {}),
    reply(200, b" " * (1024 * 1024) + b"{}"),
    *(
        found(server_url)
        for server_url in (
            None,
            5,
            "",
            ["https://eu2-cloud.acronis.com"],
            "eu2-cloud.acronis.com",
            "http://eu2-cloud.acronis.com",
            "ftp://eu2-cloud.acronis.com",
            "https://u:p@eu2-cloud.acronis.com",
            "https://eu2-cloud.acronis.com/path",
            "https://eu2-cloud.acronis.com?q",
            "https://eu2-cloud.acronis.com#f",
            "https://eu2-cloud.acronis.com:99999",
            "https://eu2 cloud.acronis.com",
            "https://eu2-cloud.acronis.com\r\nHost: evil.example",
            "https://",
            "javascript:alert(1)",
        )
    ),
]


@pytest.mark.parametrize("answer", BAD_LOOKUPS, ids=range(len(BAD_LOOKUPS)))
def test_rule_12_a_lookup_reply_that_does_not_fit_is_a_discovery_error(answer: Any) -> None:
    account = new_account()
    with pytest.raises(DiscoveryError) as caught:
        hold(account, answer)
    assert caught.value.url == f"{CLOUD}/{LOOKUP}"
    assert caught.value.__context__ is None
    assert account.server_url is None
    hold(account, found(), granted())


BAD_LOGINS = [
    reply(200, b""),
    reply(200, b"<html>token-1</html>"),
    reply(200, b"[" * 100_000),
    reply(200, granted().body[:-5]),
    reply(200, granted().body + b" " * (1024 * 1024)),
    reply(200, []),
    reply(204, b""),
    reply(201, {"access_token": "token-1", "token_type": "bearer"}),
    granted(access_token=...),
    granted(access_token=None),
    granted(access_token=5),
    granted(access_token=""),
    granted(access_token="a b"),
    granted(access_token="a\r\nX-Evil: 1"),
    granted(access_token="tokän"),
    granted(access_token="=abc"),
    granted(token_type=...),
    granted(token_type="mac"),
    granted(token_type=5),
    granted(expires_in="7200"),
    granted(expires_on="soon"),
    granted(expires_in=True),
    granted(expires_in=[1]),
    reply(200, b'{"access_token": "t", "token_type": "bearer", "expires_in": NaN}'),
    reply(200, b'{"access_token": "t", "token_type": "bearer", "expires_on": 1e400}'),
    reply(200, b'{"access_token": "t", "token_type": "bearer", "expires_on": ' + b"9" * 400 + b"}"),
]


@pytest.mark.parametrize("answer", BAD_LOGINS, ids=range(len(BAD_LOGINS)))
def test_rule_12_a_login_reply_that_does_not_fit_is_a_login_error(answer: Any) -> None:
    account = new_account()
    with pytest.raises(LoginError) as caught:
        hold(account, found(), answer)
    assert caught.value.url == f"{HOME}/{LOGIN}"
    assert caught.value.__context__ is None
    assert "token-1" not in str(caught.value)
    assert PASSWORD not in str(caught.value)
    hold(account, found(), granted())


@pytest.mark.parametrize("token_type", ["bearer", "Bearer", "BEARER"])
def test_rule_12_bearer_is_written_in_any_case(token_type: str) -> None:
    hold(new_account(), found(), granted(token_type=token_type))


@pytest.mark.parametrize("server_url", ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:1"])
def test_rule_12_a_data_center_on_this_machine_needs_no_tls(server_url: str) -> None:
    account = new_account()
    hold(account, found(server_url), granted())
    assert account.server_url == server_url


def test_rule_12_what_the_platform_says_is_shown_safely() -> None:
    password = "p&ss wörd"
    description = f"no: {password} p%26ss%20w%C3%B6rd p%26ss+w%C3%B6rd\x1b[31m\r\n" + "x" * 1000
    account = new_account(password=password)
    error = begin(account).go_on(found(), refused(f"denied {password}", description)).error
    assert isinstance(error, CredentialsRefused)
    assert error.error == "denied ***"
    assert error.error_description is not None
    assert error.error_description.startswith("no: *** *** ***\\x1b[31m\\r\\nxxx")
    assert len(error.error_description) < 250
    assert error.error_description in str(error)


# Token


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
    assert protocol.read_login(answer, origin, "JohnSmith", [], 5000) == ("Bearer token-1", lifetime, None)


@pytest.mark.parametrize(
    "date", ["Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 09:28:00 +0200", "Wed, 21 Oct 2015 07:28:00 -0000"]
)
def test_rule_13_a_date_is_one_in_any_time_zone(date: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert protocol._parsed_date(date) == 1_445_412_480
    finally:
        monkeypatch.undo()
        time.tzset()


def test_rule_13_without_a_date_the_local_clock_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 5000.0)
    account = new_account()
    hold(account, found(), granted(lifetime=None, expires_on=5600))
    assert account.token.expires_at == clock_of(account).seconds + 600


def test_times_are_from_here_on() -> None:
    """Each limit to the second: what is good before it is not at it."""
    account = logged_in()
    clock_of(account).seconds = account.token.refresh_at
    assert account.signature(HOME + FILES) is None
    assert hold(account, granted("token-2")).authorizations == ["Bearer token-2"]
    clock_of(account).seconds = account.token.expires_at
    assert hold(account, granted("token-3")).authorizations == ["Bearer token-3"]
    conversation = begin(account)
    clock_of(account).seconds = account.token.expires_at
    conversation.go_on(401, granted("token-4"))  # no look-up: it had run out, and was not refused
    assert conversation.authorizations == ["Bearer token-3", "Bearer token-4"]
    refused_twice = hold(account, 401, found(), granted("token-5"), 401)
    assert refused_twice.authorizations == ["Bearer token-4", "Bearer token-5"]
    clock_of(account).advance(60)  # for which a 401 is passed on
    assert hold(account, 401, found(), granted("token-6")).authorizations == ["Bearer token-5", "Bearer token-6"]
    account = logged_in()
    hold(account, answered(401, "token-1", replayable=False))
    hold(account, found(), granted("token-2"), answered(204, None, "https://evil.example/"))
    clock_of(account).advance(60)  # after which a token that has replaced another is like any
    assert hold(account, 401, found(), granted("token-3")).authorizations == ["Bearer token-2", "Bearer token-3"]
    account = new_account()
    begin(account).go_on(found(), refused())
    clock_of(account).advance(300)
    assert begin(account).go_on(found(), refused()).paths == [LOOKUP, LOGIN]


def test_rule_13_an_unknown_lifetime_lasts_until_a_401() -> None:
    account = new_account()
    hold(account, found(), granted(lifetime=None))
    clock_of(account).advance(10 * 365 * 86400)
    assert hold(account).authorizations == ["Bearer token-1"]


def test_rule_13_the_lifetime_counts_from_before_the_login() -> None:
    account = new_account()
    login = begin(account)
    login.send(found())
    clock_of(account).advance(50)  # a slow answer
    login.go_on(granted(lifetime=100))
    clock_of(account).advance(50)
    assert hold(account, granted("token-2")).authorizations == ["Bearer token-2"]


def test_rule_13_the_clock_cannot_be_set_and_counts_sleep() -> None:
    from notary_auth._token import clock

    if sys.platform == "linux":
        assert isinstance(clock, partial)
        assert clock.args == (time.CLOCK_BOOTTIME,)
    assert clock() <= clock()


def test_rule_14_one_caller_renews_and_the_others_go_on() -> None:
    account = logged_in()
    clock_of(account).advance(7200 - 200)
    renewing = begin(account)
    assert isinstance(renewing.step, Send)
    for _ in range(3):
        assert account.signature(HOME + FILES) is not None, "the warm path is open to all others"
        assert hold(account).authorizations == ["Bearer token-1"]
    renewing.go_on(granted("token-2"))
    assert renewing.paths == [LOGIN]
    assert renewing.authorizations == ["Bearer token-2"]
    assert hold(account).authorizations == ["Bearer token-2"]


@pytest.mark.parametrize(("lifetime", "earliest", "latest"), [(7200, 300, 225), (1000, 100, 75), (20, 2, 1.5)])
def test_rule_14_the_renewal_is_due_in_time_and_jittered(lifetime: float, earliest: float, latest: float) -> None:
    due = set()
    for _ in range(50):
        account = new_account()
        hold(account, found(), granted(lifetime=lifetime))
        due.add(account.token.expires_at - account.token.refresh_at)
        assert latest - 0.001 <= account.token.expires_at - account.token.refresh_at <= earliest + 0.001
    assert len(due) > 10


@pytest.mark.parametrize("failure", [refused(), reply(200, b"<html>"), reply(500, b"")])
def test_rule_14_if_the_renewal_fails_the_old_token_serves_on(
    failure: Any, caplog: pytest.LogCaptureFixture
) -> None:
    account = logged_in()
    clock_of(account).advance(7200 - 200)
    answers = [failure, found()] if failure.status == 401 else [failure]
    assert hold(account, *answers).authorizations == ["Bearer token-1"]
    assert "not renewed" in caplog.text
    clock_of(account).advance(29)
    assert hold(account).authorizations == ["Bearer token-1"], "the next try waits"
    clock_of(account).advance(2)
    again = begin(account)  # with a login, unless it would be the refused password once more
    assert isinstance(again.step, Forward if failure.status == 401 else Send)


def test_rule_14_a_renewal_that_fails_on_the_network_costs_no_request(caplog: pytest.LogCaptureFixture) -> None:
    account = logged_in()
    clock_of(account).advance(7200 - 200)
    renewing = begin(account)
    step = renewing.steps.throw(ConnectionError("no route, and something secret"))
    assert isinstance(step, Forward)
    assert step.signature.authorization == "Bearer token-1"
    assert "ConnectionError" in caplog.text
    assert "secret" not in caplog.text


def test_rule_14_a_renewal_waits_for_no_busy_platform() -> None:
    account = logged_in()
    clock_of(account).advance(7200 - 200)
    conversation = hold(account, reply(503, b"", {"retry-after": "60"}))
    assert conversation.pauses == []
    assert conversation.authorizations == ["Bearer token-1"]


def test_rule_14_a_renewal_that_fails_is_no_verdict_for_those_who_need_a_token() -> None:
    """It is tried once only. Whoever waits for it, since the old token has ended meanwhile, has three tries."""
    account = logged_in()
    clock_of(account).advance(7200 - 1)
    renewing = begin(account)
    clock_of(account).advance(2)
    waiting = begin(account)
    assert isinstance(waiting.step, Wait)
    renewing.send(reply(503, b""))
    waiting.send(True)
    assert waiting.error is None
    first = renewing if isinstance(renewing.step, Send) else waiting
    first.go_on(reply(503, b""), found(), granted("token-2"))
    assert first.authorizations == ["Bearer token-2"]


def test_rule_14_a_lost_renewal_leaves_the_old_token() -> None:
    account = logged_in()
    clock_of(account).advance(7200 - 200)
    begin(account).close()
    assert hold(account).authorizations == ["Bearer token-1"]
    clock_of(account).advance(31)
    assert hold(account, found(), granted("token-2")).authorizations == ["Bearer token-2"]


def test_rule_14_a_token_that_ends_during_its_renewal_is_waited_for() -> None:
    account = logged_in()
    clock_of(account).advance(7200 - 20)
    renewing = begin(account)
    clock_of(account).advance(30)
    other = begin(account)
    assert isinstance(other.step, Wait)
    renewing.go_on(granted("token-2"))
    other.send(True)
    assert other.go_on().authorizations == ["Bearer token-2"]


def test_rule_14_a_token_that_is_put_off_is_not_taken_for_a_new_one() -> None:
    """One reads the clock just before the token's end, and puts its renewal off just after it."""
    account = logged_in()
    clock = clock_of(account)
    clock.seconds = account.token.expires_at
    leader, waiting = begin(account), begin(account)
    assert isinstance(waiting.step, Wait)
    account.token = account.token.postponed(clock.seconds - 0.001)
    leader.close()
    waiting.send(True)
    assert isinstance(waiting.step, Send), "logs in, and does not go out with a token that has ended"


def test_rule_14_the_same_token_again_makes_no_loop() -> None:
    account = logged_in()
    end = account.token.expires_at
    clock_of(account).advance(7200 - 200)
    logins = 0
    while account.now() < end + 100:
        conversation = begin(account)
        if isinstance(conversation.step, Send):
            logins += 1
            conversation.go_on(granted("token-1", end - account.now()))
        else:
            conversation.go_on()
        clock_of(account).advance(0.1)
    assert 1 <= logins <= 6


@pytest.mark.parametrize("lifetime", [-5, 0, 1e-9])
def test_rule_14_an_expired_token_makes_no_loop(lifetime: float) -> None:
    account = new_account()
    first = hold(account, found(), granted(lifetime=lifetime))
    assert first.paths == [LOOKUP, LOGIN]
    assert first.authorizations == ["Bearer token-1"]
    if lifetime <= 0:
        clock_of(account).advance(60)
        assert hold(account).authorizations == ["Bearer token-1"], "it serves until it is refused"


def test_rule_15_a_refused_token_is_replaced_once() -> None:
    account = logged_in()
    conversation = hold(account, 401, found(), granted("token-2"), 200)
    assert conversation.paths == [LOOKUP, LOGIN]
    assert conversation.authorizations == ["Bearer token-1", "Bearer token-2"]


def test_rule_15_a_token_that_is_no_longer_current_costs_no_login() -> None:
    account = logged_in()
    hold(account, found(), granted("token-2"), answer=answered(401, "token-1"))
    late = hold(account, answer=answered(401, "token-1"))
    assert late.sent == []
    assert late.authorizations == ["Bearer token-2"]


def test_rule_15_any_number_of_requests_in_flight_cause_one_login() -> None:
    account = logged_in()
    in_flight = [begin(account, answer=answered(401, "token-1")) for _ in range(50)]
    in_flight[0].go_on(found(), granted("token-2"))
    for conversation in in_flight[1:]:
        assert isinstance(conversation.step, Wait)
        conversation.send(True)
        conversation.go_on()
        assert conversation.sent == []
        assert conversation.authorizations == ["Bearer token-2"]


def test_rule_15_a_401_on_a_fresh_token_is_the_callers() -> None:
    account = logged_in()
    first = hold(account, 401, found(), granted("token-2"), 401)
    assert first.paths == [LOOKUP, LOGIN]
    for _ in range(3):
        assert hold(account, 401).sent == []
    stale = hold(account, 200, answer=answered(401, "token-1"))
    assert stale.authorizations == ["Bearer token-2"], "that is another matter"
    clock_of(account).advance(59)
    assert hold(account, 401).sent == []
    clock_of(account).advance(2)
    assert hold(account, 401, found(), granted("token-3")).authorizations == ["Bearer token-2", "Bearer token-3"]


def test_rule_15_those_who_waited_for_the_fresh_token_do_not_log_in_again() -> None:
    account = logged_in()
    first, second = (begin(account, answer=answered(401, "token-1")) for _ in range(2))
    first.send(found())
    first.send(granted("token-2"))
    second.send(True)
    assert isinstance(second.step, Forward)
    assert second.go_on(401).sent == []
    assert first.go_on(401).paths == [LOOKUP, LOGIN]


def test_rule_15_a_fresh_token_that_ran_out_on_its_way_is_replaced() -> None:
    account = logged_in()
    conversation = begin(account, answer=answered(401, "token-1"))
    conversation.send(found())
    conversation.send(granted("token-2", lifetime=2))
    clock_of(account).advance(3)  # a slow network, a busy machine
    conversation.go_on(401, granted("token-3"))
    assert conversation.authorizations == ["Bearer token-2", "Bearer token-3"]
    assert hold(account, 401, found(), granted("token-4")).authorizations[-1] == "Bearer token-4", "no pause"


def test_rule_15_a_fresh_token_that_another_caller_replaced_says_nothing() -> None:
    account = logged_in()
    conversation = begin(account, answer=answered(401, "token-1"))
    conversation.send(found())
    conversation.send(granted("token-2"))
    account.forget()
    hold(account, found(), granted("token-3"))
    assert conversation.go_on(401).authorizations == ["Bearer token-2", "Bearer token-3"]


def test_rule_15_a_token_that_has_been_seen_to_work_is_not_doubted() -> None:
    account = logged_in()
    assert hold(account, 401, found(), granted("token-2")).authorizations[-1] == "Bearer token-2"
    assert hold(account, 401, found(), granted("token-3")).authorizations[-1] == "Bearer token-3", "revoked again"


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
            case Send(request) if request.method == "POST":
                logins += 1
                each.send(granted(f"token-{logins + 1}"))
            case Send():
                each.send(found())
            case Wait():
                each.send(True)
            case Forward(signature):
                each.send(Answer(401, HOME + FILES, signature.authorization, replayable=True))
            case None:
                crowd[index] = begin(account)
        clock_of(account).advance(0.01)
    assert logins == 1


def test_rule_15_only_the_token_that_replaces_a_refused_one_is_doubted() -> None:
    account = logged_in()
    hold(account, 401, found(), granted("token-2"))
    clock_of(account).advance(7200 - 100)
    renewing = begin(account)
    renewing.send(granted("token-3"))
    assert isinstance(renewing.step, Forward)  # and nobody has seen it work yet
    assert hold(account, 401, found(), granted("token-4")).authorizations[-1] == "Bearer token-4"


def test_rule_15_a_gateways_error_is_not_seen_as_working() -> None:
    account = logged_in()
    hold(account, 401, found(), granted("token-2"), 500)
    assert hold(account, 401).sent == [], "still doubted"


def test_rule_15_a_401_is_judged_by_one_look_at_the_token() -> None:
    """Not by the doubts that another thread has about the next one."""
    account = logged_in()
    late = begin(account)
    clock = clock_of(account)

    class Preempted(Clock):
        """Whoever looks at it for the first time is overtaken by another thread, which gets a new token."""

        def __call__(self) -> float:
            if account.now is self:
                account.now = clock
                other = threading.Thread(target=replace)
                other.start()
                other.join(0.5)
                threads.append(other)
            return clock()

    def replace() -> None:
        other = begin(account, answer=old)
        if isinstance(other.step, Send):  # else it comes too late
            other.send(found())
            other.send(granted("token-2"))
        replaced.append(other)

    threads: list[threading.Thread] = []
    replaced: list[Conversation] = []
    old = answered(401, "token-1")
    account.now = Preempted()
    late.send(old)
    for thread in threads:
        thread.join()
    assert late.step is not None, "it is replayed"


def test_rule_9_refusals_are_kept_for_five_minutes() -> None:
    passwords = ["wrong", "wrong too"]
    account = new_account(password=passwords.pop)
    begin(account).go_on(found(), refused())
    clock_of(account).advance(301)
    begin(account).go_on(found(), refused())
    assert len(account._refusals) == 1


def test_rule_15_a_moved_account_is_followed() -> None:
    account = logged_in()
    conversation = hold(account, 401, found(NEW_HOME), granted("token-2"), 200)
    assert [signature.origin for signature in conversation.signatures] == [Origin.of(HOME), Origin.of(NEW_HOME)]
    assert account.server_url == NEW_HOME
    # Requests that were under way to the old one, or are still addressed to it, are looked after as well.
    late = hold(account, answer=answered(401, "token-1"))
    assert late.signatures == [("Bearer token-2", Origin.of(NEW_HOME))]
    assert hold(account, url=HOME + FILES).signatures == late.signatures


def test_rule_15_a_401_after_a_redirect_to_the_data_center_gets_a_signature() -> None:
    account = logged_in()
    unsigned = answered(401, None)
    assert hold(account, unsigned, url="https://elsewhere.example/").authorizations == [None, "Bearer token-1"]


@pytest.mark.parametrize("status", [200, 400, 402, 403, 404, 500])
def test_rule_15_other_answers_are_the_callers(status: int) -> None:
    assert len(hold(logged_in(), status).signatures) == 1


def test_rule_15_a_token_that_is_dropped_at_the_last_moment_leaves_no_request_unsigned() -> None:
    class Vanishing(Account):
        """Its token is dropped by another thread as soon as it was looked at once after the login."""

        looks = 0
        current = NO_TOKEN

        @property
        def token(self) -> Any:
            self.looks -= 1
            if self.looks == 0:
                found_token, self.current = self.current, NO_TOKEN
                return found_token
            return self.current

        @token.setter
        def token(self, token: Any) -> None:
            self.current = token

        def _together(self, *arguments: Any) -> Any:
            yield from super()._together(*arguments)
            self.looks = 1

    account = Vanishing("JohnSmith", PASSWORD)
    assert hold(account, found(), granted()).authorizations == ["Bearer token-1"]


def test_rule_15_a_header_that_somebody_rewrites_makes_no_loop() -> None:
    account = logged_in()
    rewritten = answered(401, "of-somebody-else")
    assert len(hold(account, *[rewritten] * 4).signatures) == 4


def test_rule_15_forgetting_during_a_login_leaves_an_account_that_knows_its_401s() -> None:
    account = new_account()
    login = begin(account)
    login.send(found())
    account.forget()
    login.go_on(granted())
    assert account.server_url == HOME
    assert hold(account, 401, found(), granted("token-2")).authorizations == ["Bearer token-1", "Bearer token-2"]


def test_rule_16_a_body_that_cannot_be_sent_again_is_not() -> None:
    account = logged_in()
    conversation = hold(account, answered(401, "token-1", replayable=False))
    assert conversation.sent == []
    assert len(conversation.signatures) == 1
    assert hold(account, found(), granted("token-2")).authorizations == ["Bearer token-2"]


# Secrets and life


def test_rule_16_bodies_that_cannot_be_sent_again_cause_one_login_a_minute() -> None:
    """A platform that answers 401 to every upload, whatever its token, is not asked for one each time."""
    account = logged_in()
    logins = 0
    for upload in range(12):
        conversation = begin(account)
        if isinstance(conversation.step, Send):
            logins += 1
            conversation.send(found())
            conversation.send(granted(f"token-{upload}"))
        assert isinstance(conversation.step, Forward)
        header = conversation.step.signature.authorization
        conversation.send(Answer(401, HOME + FILES, header, replayable=False))
        assert conversation.step is None
        clock_of(account).advance(10)
    assert logins == 2


def test_rule_18_nothing_of_a_conversation_shows_a_secret() -> None:
    account = new_account(totp=lambda: "424242")
    conversation = begin(account)
    shown = [repr(conversation.step)]
    conversation.send(found())
    shown += [repr(conversation.step)]
    assert isinstance(conversation.step, Call)
    conversation.send(conversation.step.function())
    shown += [repr(conversation.step), str(conversation.step)]
    conversation.send(granted("tok-geheim"))
    shown += [repr(conversation.step), str(conversation.step)]
    assert isinstance(conversation.step, Forward)
    shown += [repr(account), str(account), repr(account.token), repr(granted("tok-geheim"))]
    shown.append(repr(Answer(200, HOME, "Bearer tok-geheim", True)))
    for text in shown:
        for secret in (PASSWORD, "424242", "tok-geheim"):
            assert secret not in text


def test_rule_20_a_callable_password_is_asked_at_each_login_and_not_kept() -> None:
    asked: list[str] = []

    def ask() -> str:
        asked.append("geheim")
        return "geheim"

    account = new_account(password=ask)
    hold(account, found(), granted())
    hold(account)
    assert len(asked) == 1
    clock_of(account).advance(7201)
    hold(account, granted("token-2"))
    assert len(asked) == 2
    assert "geheim" not in repr([vars(account), vars(account._flights)])
    clock_of(account).advance(7201)
    begin(account).go_on(refused(), found())
    (refusal,) = account._refusals
    assert "geheim" not in repr([refusal.salt, refusal.digest, refusal.until, vars(refusal.error)])


def _raise() -> str:
    raise LookupError("no such entry")


@pytest.mark.parametrize(
    ("password", "text"),
    [
        (_raise, "the password callable raised LookupError"),
        (lambda: None, "what the password callable returned must be a string, not NoneType"),
        (lambda: b"bytes", "must be a string, not bytes"),
        (lambda: "", "returned is empty"),
        (lambda: "a\0b", "contains a NUL"),
        (lambda: "a\ud800", "contains a lone surrogate"),
    ],
)
def test_rule_20_a_callable_that_fails_is_a_login_error(password: Callable[[], Any], text: str) -> None:
    account = new_account(password=password)
    conversation = begin(account).go_on()
    assert type(conversation.error) is LoginError
    assert text in str(conversation.error)
    totp = new_account(totp=password)
    conversation = begin(totp).go_on(found())
    assert type(conversation.error) is LoginError
    assert text.replace("password", "totp") in str(conversation.error)


def test_rule_20_a_callable_that_raises_is_the_cause() -> None:
    error = begin(new_account(password=_raise)).go_on().error
    assert error is not None
    assert isinstance(error.__cause__, LookupError)


def test_rule_9_a_password_that_is_in_an_error_code_changes_no_verdict() -> None:
    conversation = begin(new_account(password="totp")).go_on(found(), refused("totp_required", "no"))
    assert type(conversation.error) is TotpRequired
    assert conversation.error.error == "***_required"


def test_a_log_handler_may_come_back_to_the_account() -> None:
    account = new_account()
    calls: list[str] = []

    def take_the_lock(message: str) -> None:
        with account._flights.lock:
            calls.append(message)

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            thread = threading.Thread(target=take_the_lock, args=(record.getMessage(),))
            thread.start()
            thread.join(10)

    handler = Handler(logging.DEBUG)
    logger = logging.getLogger("notary_auth")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        hold(account, found(), granted(), 401, found(NEW_HOME), granted("token-2"))
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert len(calls) >= 8


def test_totp_codes_are_asked_for_at_each_attempt() -> None:
    codes = iter(["111111", "222222", "333333"])
    account = new_account(totp=lambda: next(codes))
    conversation = hold(account, found(), reply(503, b""), granted())
    bodies = [request.body for request in conversation.sent if request.body]
    assert [parse_qs(body.decode())["totp_code"] for body in bodies] == [["111111"], ["222222"]]


def test_a_totp_code_that_the_platform_repeats_is_not_shown() -> None:
    account = new_account(totp=lambda: "424242")
    error = begin(account).go_on(found(), refused("invalid_totp", "424242 is wrong")).error
    assert isinstance(error, TotpRequired)
    assert "424242" not in str(error)
    assert error.error_description == "*** is wrong"


def test_rule_21_a_pickled_account_has_its_credentials_and_nothing_learned() -> None:
    account = logged_in(cloud_url="https://cloud.example")
    restored = pickle.loads(pickle.dumps(account))
    assert restored.arguments() == account.arguments()
    assert restored.server_url is None


def test_rule_22_errors_pickle() -> None:
    error = begin(new_account()).go_on(found(), refused()).error
    assert isinstance(error, CredentialsRefused)
    restored = pickle.loads(pickle.dumps(error))
    assert type(restored) is CredentialsRefused
    assert (str(restored), vars(restored)) == (str(error), vars(error))
    assert issubclass(InsecureUrl, ValueError)
    assert issubclass(TotpRequired, LoginError)


def test_rule_23_what_is_logged_and_how_loudly(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "notary_auth")
    account = new_account()
    hold(account, found(), granted())
    hold(account, url="https://evil.example/")
    hold(account, 401, found(), granted("token-2"))
    by_level = {
        level: [record.getMessage() for record in caplog.records if record.levelname == level]
        for level in ("INFO", "WARNING", "DEBUG")
    }
    assert by_level["INFO"] == [
        "the data center of 'JohnSmith' is https://eu2-cloud.acronis.com",
        "logged in 'JohnSmith' at https://eu2-cloud.acronis.com, token good for 7200 s",
        "logged in 'JohnSmith' at https://eu2-cloud.acronis.com, token good for 7200 s",
    ]
    assert len(by_level["WARNING"]) == 1
    assert "asking <Request POST https://eu2-cloud.acronis.com/api/2/idp/token>" in by_level["DEBUG"]
    assert all(type(handler) is logging.NullHandler for handler in logging.getLogger("notary_auth").handlers)


def test_rule_24_the_warm_path_takes_no_lock() -> None:
    account = logged_in()
    account._flights = None  # type: ignore[assignment]  # where the lock is: whoever reaches for it fails
    assert account.signature(HOME + FILES) is account.token.here
    assert account.signature(CLOUD + FILES) is account.token.there
    assert hold(account).authorizations == ["Bearer token-1"]


def test_pauses_are_steps_and_not_sleeps() -> None:
    conversation = begin(new_account())
    assert isinstance(conversation.send(reply(503, b"", {"retry-after": "30"})), Sleep)
