"""Logging out on the bare core: tokens are revoked and forgotten, here and in the store."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from notary_auth import CredentialsRefused, LogoutError
from tests.core import (
    HOME,
    LEADER_TIMEOUT,
    SendControl,
    WaitForLogin,
    answered,
    begin,
    begin_log_out,
    clock_of,
    complete,
    found,
    granted,
    is_logged_in,
    log_out,
    logged_in,
    make_token_expired,
    new_account,
    refused,
    reply,
)
from tests.shared_store import OFFLINE, Processes, form_of

pytestmark = pytest.mark.both_grants


def test_a_logout_that_cannot_reach_the_store_is_not_complete(processes: Processes) -> None:
    complete(processes.account(), found(), granted())

    def fail(*_: object) -> Any:
        raise ConnectionError

    processes.store.delete = fail  # type: ignore[method-assign]
    conversation = log_out(processes.account(), reply(200, {}))
    assert isinstance(conversation.error, LogoutError)
    assert "the store failed, and may still have the tokens" in str(conversation.error)
    assert form_of(conversation.sent[0])["token"] == "token-1", "revoked all the same"
    processes.store.load = fail  # type: ignore[method-assign]
    assert isinstance(log_out(processes.account()).error, LogoutError)


@pytest.mark.users_only
def test_a_password_that_is_not_to_be_had_is_a_logout_error(processes: Processes) -> None:
    error = log_out(processes.account(password=lambda: 1 / 0)).error
    assert isinstance(error, LogoutError)
    assert "the function that was given as password= raised ZeroDivisionError" in str(error)


@pytest.mark.users_only
def test_a_logout_revokes_the_refresh_token_and_the_access_token() -> None:
    account = new_account(**OFFLINE)
    complete(account, found(), granted(refresh_token="refresh-1"))
    assert is_logged_in(account)
    conversation = log_out(account, reply(200, {}), reply(200, {}))
    assert conversation.error is None
    assert [(request.url, form_of(request)) for request in conversation.sent] == [
        (f"{HOME}/api/2/idp/revoke_token", {"token": "refresh-1", "token_type_hint": "refresh_token"}),
        (f"{HOME}/api/2/idp/revoke_token", {"token": "token-1", "token_type_hint": "access_token"}),
    ]
    assert not is_logged_in(account)
    complete(account, granted("token-2"))


def test_a_logout_of_nobody_asks_nothing() -> None:
    assert log_out(new_account()).sent == []


def test_a_logout_keeps_what_was_refused() -> None:
    account = new_account(password="wrong")
    with pytest.raises(CredentialsRefused):
        complete(account, found(), refused())
    log_out(account)
    with pytest.raises(CredentialsRefused):
        complete(account)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (refused("invalid_client", "register first"), "the platform answered invalid_client (register first)"),
        (reply(400, b""), "the platform answered 400 without an explanation"),
        (
            reply(302, b""),
            "the platform answered 302, a redirect, which is not followed with credentials: is cloud_url right? "
            "Does a proxy answer in its place?",
        ),
        (reply(500, b""), "the platform answered 500 without an explanation: try again later"),
    ],
)
def test_a_logout_that_the_platform_does_not_take_is_an_error_and_forgets(answer: Any, text: str) -> None:
    account = new_account()
    complete(account, found(), granted())
    error = log_out(account, answer).error
    assert isinstance(error, LogoutError)
    assert str(error) == (
        f"the logout of 'JohnSmith' at {HOME} failed: {text}{'' if text.endswith('?') else '.'} "
        "The tokens are forgotten here all the same."
    )
    assert error.url == f"{HOME}/api/2/idp/revoke_token"
    assert error.status == answer.status
    assert not is_logged_in(account)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_token_that_is_gone_already_is_a_success() -> None:
    account = new_account()
    complete(account, found(), granted())
    assert log_out(account, refused("invalid_token", status=400)).error is None


@pytest.mark.users_only
def test_both_tokens_are_revoked_though_the_first_revocation_fails() -> None:
    account = new_account(**OFFLINE)
    complete(account, found(), granted(refresh_token="refresh-1"))
    conversation = log_out(account, reply(500), reply(200, {}))
    assert isinstance(conversation.error, LogoutError)
    assert len(conversation.sent) == 2


def test_a_busy_platform_is_asked_again_for_a_logout() -> None:
    account = new_account()
    complete(account, found(), granted())
    conversation = log_out(account, reply(503, headers={"retry-after": "1"}), reply(200, {}))
    assert conversation.error is None
    assert len(conversation.pauses) == 1


def test_a_network_error_is_a_logout_error_and_its_cause() -> None:
    account = new_account()
    complete(account, found(), granted())
    logout = begin_log_out(account)
    assert isinstance(logout.step, SendControl)
    with pytest.raises(LogoutError, match="failed: TimeoutError") as caught:
        logout.throw(TimeoutError("geheim"))
    assert isinstance(caught.value.__cause__, TimeoutError)
    assert not is_logged_in(account)


def test_a_logout_waits_for_a_login_under_way() -> None:
    account = new_account()
    login = begin(account)
    logout = begin_log_out(account)
    login.go_on(found(), granted())
    logout.send(True)
    logout.go_on(reply(200, {}))
    assert form_of(logout.sent[0])["token"] == "token-1"
    assert not is_logged_in(account)


@pytest.mark.users_only
def test_a_logout_deletes_the_record_for_all_processes(processes: Processes) -> None:
    first, second = processes.account(**OFFLINE), processes.account(**OFFLINE)
    complete(first, found(), granted(refresh_token="refresh-1"))
    complete(second)
    conversation = log_out(first, reply(200, {}), reply(200, {}))
    assert [form_of(request)["token"] for request in conversation.sent] == ["refresh-1", "token-1"]
    assert processes.store.records == {}
    complete(second, 401, found(), refused("invalid_grant", status=400), granted("token-2"))


def test_a_logout_leaves_a_refusal_in_the_store(processes: Processes) -> None:
    with pytest.raises(CredentialsRefused):
        complete(processes.account(password="wrong"), found(), refused())
    assert log_out(processes.account(password="wrong")).sent == []
    assert len(processes.store.records) == 1


def test_a_logout_that_cannot_wait_for_a_login_logs_out_at_once() -> None:
    account = logged_in()
    make_token_expired(account)
    login = begin(account)
    logout = begin_log_out(account)
    assert isinstance(logout.step, WaitForLogin)
    logout.send(False)
    logout.go_on(reply(200, {}))
    assert [form_of(sent)["token"] for sent in logout.sent] == ["token-1"]
    login.close()


def test_a_logout_waits_for_a_login_that_never_ends_for_a_minute() -> None:
    account = logged_in()
    make_token_expired(account)
    login = begin(account)
    logout = begin_log_out(account)
    clock_of(account).advance(LEADER_TIMEOUT)
    logout.send(True)
    logout.go_on(reply(200, {}))
    assert [form_of(sent)["token"] for sent in logout.sent] == ["token-1"]
    login.close()


def test_rule_7_the_error_of_a_logout_is_not_shared_with_those_who_want_a_token() -> None:
    account = logged_in()
    logout = begin_log_out(account)
    waiting = begin(account)
    assert isinstance(waiting.step, WaitForLogin)
    logout.send(reply(500, b""))
    assert isinstance(logout.error, LogoutError)
    waiting.send(True)
    assert waiting.go_on(granted("token-2")).authorizations == ["Bearer token-2"]


@pytest.mark.users_only
def test_there_is_something_to_revoke_while_there_is_a_token_of_either_kind() -> None:
    account = logged_in()
    assert is_logged_in(account)
    account = new_account(**OFFLINE)
    complete(account, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    clock_of(account).advance(900)
    complete(account, answer=answered(401, "token-1", can_replay=False))
    assert is_logged_in(account), "the refresh token is left"


@pytest.mark.users_only
def test_a_logout_that_is_given_up_by_those_who_wait_revokes_all_the_same() -> None:
    account = new_account(offline_access=True)
    complete(account, found(), granted(refresh_token="refresh-1"))
    logout, other = begin_log_out(account), begin(account)
    assert isinstance(other.step, WaitForLogin)
    while isinstance(other.step, WaitForLogin):
        clock_of(account).advance(other.step.seconds)
        other.send(True)
    assert other.error is not None
    assert isinstance(logout.step, SendControl)
    assert isinstance(logout.send(reply(200, {})), SendControl), "the access token is revoked as well"
    assert logout.send(reply(200, {})) is None
    assert logout.error is None
