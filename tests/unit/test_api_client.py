"""Rule 27 on the bare core: an API client's credentials in place of a user's, and the rules that hold for both."""

from __future__ import annotations

import base64
import copy
import pickle
from typing import Any

import pytest

from notary_auth import Account, CredentialsRefused, InsecureUrl, LoginError, LogoutError
from notary_auth.stores import MemoryStore
from tests.core import (
    CLOUD,
    HOME,
    WaitForLogin,
    answered,
    basic_of,
    begin,
    clock_of,
    complete,
    granted,
    log_out,
    new_client,
    refused,
    reply,
)
from tests.leaks import leaks, shown_by
from tests.paths import FILES, LOGIN, REVOKE
from tests.shared_store import form_of

ID, SECRET = "client-1", "geheim: & 9€"


def test_rule_27_the_client_authenticates_itself_with_basic() -> None:
    conversation = begin(new_client(), CLOUD + FILES).go_on(granted())
    (login,) = conversation.sent
    assert login.url == HOME + LOGIN
    assert form_of(login) == {"grant_type": "client_credentials"}
    scheme, _, encoded = login.headers["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(encoded).decode()) == ("Basic", "client-1:geheim%3A+%26+9%E2%82%AC")
    (signature,) = conversation.signatures
    assert (signature.authorization, signature.url) == ("Bearer token-1", HOME + FILES)


def test_rule_27_there_is_no_refresh_token() -> None:
    account = new_client()
    complete(account, granted(refresh_token="refresh-1"))
    clock_of(account).advance(7200)
    conversation = begin(account).go_on(granted("token-2"))
    assert [form_of(request)["grant_type"] for request in conversation.sent] == ["client_credentials"]


@pytest.mark.parametrize("status", [400, 401])
def test_rule_27_a_refused_secret_is_sent_once(status: int) -> None:
    account = new_client()
    first = begin(account).go_on(refused("invalid_client", "Unknown client", status)).error
    assert isinstance(first, CredentialsRefused)
    assert str(first) == (
        f"the platform refused the login of 'client-1' at {HOME}: invalid_client (Unknown client). "
        "The data center is the one given as server_url=: has the account moved? "
        "This auth object will not send the client secret again for 5 minutes, unless it changes."
    )
    for _ in range(3):
        assert begin(account).go_on().sent == []
    clock_of(account).advance(301)
    assert begin(account).go_on(granted()).error is None


def test_rule_27_a_secret_is_asked_again_at_each_login() -> None:
    secrets = ["new", "old"]
    account = new_client(client_secret=secrets.pop)
    complete(account, granted())
    conversation = begin(account, answer=answered(401, "token-1")).go_on(granted("token-2"))
    assert basic_of(conversation.sent[0]) == "client-1:new"


def test_rule_27_other_refusals_are_about_the_request() -> None:
    for code in ("unauthorized_client", "invalid_scope", "unsupported_grant_type"):
        error = begin(new_client()).go_on(refused(code, "No", 400)).error
        assert type(error) is LoginError
        assert "about the request" in str(error)


def test_rule_27_callers_share_a_login() -> None:
    account = new_client()
    first, second = begin(account), begin(account)
    assert isinstance(second.step, WaitForLogin)
    first.go_on(granted())
    second.send(True)
    assert second.go_on().authorizations == ["Bearer token-1"]


def test_rule_27_a_store_shares_tokens_and_refusals_among_clients_and_not_with_users() -> None:
    store = MemoryStore()
    complete(new_client(store=store), granted())
    assert begin(new_client(store=store)).go_on().authorizations == ["Bearer token-1"]
    user = Account(ID, SECRET, server_url=HOME, store=store)
    assert begin(user).perform_calls() is not None, "a user of the same name and password finds nothing"
    store = MemoryStore()
    begin(new_client(store=store)).go_on(refused("invalid_client"))
    assert isinstance(begin(new_client(store=store)).go_on().error, CredentialsRefused)


def test_rule_27_a_logout_authenticates_itself() -> None:
    account = new_client()
    complete(account, granted())
    (revoke,) = log_out(account, reply(200, {})).sent
    assert (revoke.url, form_of(revoke)["token"]) == (HOME + REVOKE, "token-1")
    assert basic_of(revoke) == "client-1:geheim%3A+%26+9%E2%82%AC"


def test_rule_27_a_logout_whose_secret_is_not_to_be_had_is_an_error() -> None:
    secrets: list[str] = [SECRET]
    account = new_client(client_secret=secrets.pop)
    complete(account, granted())
    error = log_out(account).error
    assert isinstance(error, LogoutError)
    assert "the function that was given as client_secret= raised IndexError" in str(error)


def test_rule_18_no_secret_of_a_client_is_shown() -> None:
    account = new_client()
    answers = [
        refused("invalid_client", f"{SECRET} of client-1:geheim%3A+%26+9%E2%82%AC is unknown"),
        reply(200, {"access_token": SECRET, "token_type": "mac"}),
        reply(500, b""),
    ]
    for answer in answers:
        account.forget()
        error = begin(account).go_on(answer).error
        assert error is not None
        assert not leaks(
            shown_by(error), [SECRET, "geheim%3A+%26+9%E2%82%AC", "client-1:geheim%3A+%26+9%E2%82%AC"]
        )
    assert "geheim" not in repr(account)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda account: pickle.loads(pickle.dumps(account))])
def test_rule_21_a_client_copies_and_pickles(again: Any) -> None:
    account = new_client()
    complete(account, granted())
    conversation = begin(again(account)).go_on(granted("token-2"))
    assert basic_of(conversation.sent[0]).startswith("client-1:")
    assert conversation.authorizations == ["Bearer token-2"]


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({"client_id": ""}, ValueError, "client_id is empty"),
        ({"client_id": 5}, TypeError, "client_id must be a string, not int"),
        ({"client_secret": ""}, ValueError, "client_secret is empty"),
        ({"client_secret": 5}, TypeError, "client_secret must be a string, or a function that returns one"),
        ({"server_url": None}, TypeError, "server_url must be a string, not NoneType"),
        ({"server_url": "http://eu2-cloud.acronis.com"}, InsecureUrl, "server_url must be https"),
    ],
)
def test_rule_27_wrong_arguments_raise_at_once(
    arguments: dict[str, Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        new_client(**arguments)
