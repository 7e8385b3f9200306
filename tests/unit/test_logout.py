"""Logging out on the bare core: tokens are revoked and forgotten, here and in the store."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from notary_auth import CredentialsRefused, LogoutError
from notary_auth._steps import Send
from tests.core import HOME, Conversation, begin, found, granted, hold, new_account, refused, reply
from tests.shared_store import OFFLINE, Members, farewell, fields


def test_a_logout_that_cannot_reach_the_store_is_not_complete(fleet: Members) -> None:
    hold(fleet.account(), found(), granted())

    def fail(*_: object) -> Any:
        raise ConnectionError

    fleet.store.delete = fail  # type: ignore[method-assign]
    conversation = farewell(fleet.account(), reply(200, {}))
    assert isinstance(conversation.error, LogoutError)
    assert "the store failed, and may still have the tokens" in str(conversation.error)
    assert fields(conversation.sent[0])["token"] == "token-1", "revoked all the same"
    fleet.store.load = fail  # type: ignore[method-assign]
    assert isinstance(farewell(fleet.account()).error, LogoutError)


def test_a_password_that_is_not_to_be_had_is_a_logout_error(fleet: Members) -> None:
    error = farewell(fleet.account(password=lambda: 1 / 0)).error
    assert isinstance(error, LogoutError)
    assert "the password callable raised ZeroDivisionError" in str(error)


def test_a_logout_revokes_the_refresh_token_and_the_access_token() -> None:
    account = new_account(**OFFLINE)
    hold(account, found(), granted(refresh_token="refresh-1"))
    assert account.is_logged_in
    conversation = farewell(account, reply(200, {}), reply(200, {}))
    assert conversation.error is None
    assert [(request.url, fields(request)) for request in conversation.sent] == [
        (f"{HOME}/api/2/idp/revoke_token", {"token": "refresh-1", "token_type_hint": "refresh_token"}),
        (f"{HOME}/api/2/idp/revoke_token", {"token": "token-1", "token_type_hint": "access_token"}),
    ]
    assert not account.is_logged_in
    hold(account, granted("token-2"))


def test_a_logout_of_nobody_asks_nothing() -> None:
    assert farewell(new_account()).sent == []


def test_a_logout_keeps_what_was_refused() -> None:
    account = new_account(password="wrong")
    with pytest.raises(CredentialsRefused):
        hold(account, found(), refused())
    farewell(account)
    with pytest.raises(CredentialsRefused):
        hold(account)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (refused("invalid_client", "register first"), "the platform answered invalid_client (register first)"),
        (reply(400, b""), "the platform answered 400 without an explanation that could be read"),
        (reply(302, b""), "the platform answered 302, a redirect, which is not followed with credentials"),
        (reply(500, b""), "the platform answered 500 without an explanation that could be read"),
    ],
)
def test_a_logout_that_the_platform_does_not_take_is_an_error_and_forgets(answer: Any, text: str) -> None:
    account = new_account()
    hold(account, found(), granted())
    error = farewell(account, answer).error
    assert isinstance(error, LogoutError)
    assert str(error) == (
        f"the logout of 'JohnSmith' at {HOME} failed: {text}. The tokens are forgotten here all the same."
    )
    assert error.url == f"{HOME}/api/2/idp/revoke_token"
    assert error.status == answer.status
    assert not account.is_logged_in
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_token_that_is_gone_already_is_a_success() -> None:
    account = new_account()
    hold(account, found(), granted())
    assert farewell(account, refused("invalid_token", status=400)).error is None


def test_both_tokens_are_tried_if_the_first_is_not_taken() -> None:
    account = new_account(**OFFLINE)
    hold(account, found(), granted(refresh_token="refresh-1"))
    conversation = farewell(account, reply(500), reply(200, {}))
    assert isinstance(conversation.error, LogoutError)
    assert len(conversation.sent) == 2


def test_a_busy_platform_is_asked_again_for_a_logout() -> None:
    account = new_account()
    hold(account, found(), granted())
    conversation = farewell(account, reply(503, headers={"retry-after": "1"}), reply(200, {}))
    assert conversation.error is None
    assert conversation.pauses == [1.0]


def test_a_network_error_is_a_logout_error_and_its_cause() -> None:
    account = new_account()
    hold(account, found(), granted())
    steps = account.farewell()
    assert isinstance(next(steps), Send)
    with pytest.raises(LogoutError, match="failed: TimeoutError") as caught:
        steps.throw(TimeoutError("geheim"))
    assert isinstance(caught.value.__cause__, TimeoutError)
    assert not account.is_logged_in


def test_a_logout_waits_for_a_login_under_way() -> None:
    account = new_account()
    login = begin(account)
    logout = Conversation(account.farewell())
    logout.start()
    login.go_on(found(), granted())
    logout.send(True)
    logout.go_on(reply(200, {}))
    assert fields(logout.sent[0])["token"] == "token-1"
    assert not account.is_logged_in


def test_a_logout_is_of_the_whole_fleet(fleet: Members) -> None:
    first, second = fleet.account(**OFFLINE), fleet.account(**OFFLINE)
    hold(first, found(), granted(refresh_token="refresh-1"))
    hold(second)
    conversation = farewell(first, reply(200, {}), reply(200, {}))
    assert [fields(request)["token"] for request in conversation.sent] == ["refresh-1", "token-1"]
    assert fleet.store.records == {}
    hold(second, 401, found(), refused("invalid_grant", status=400), granted("token-2"))


def test_a_logout_leaves_a_refusal_in_the_store(fleet: Members) -> None:
    with pytest.raises(CredentialsRefused):
        hold(fleet.account(password="wrong"), found(), refused())
    assert farewell(fleet.account(password="wrong")).sent == []
    assert len(fleet.store.records) == 1
