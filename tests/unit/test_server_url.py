"""Rule 26 on the bare core: where the user names the data center, nothing is looked up."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from notary_auth import Account, CredentialsRefused, InsecureUrl
from notary_auth.stores import MemoryStore
from tests.core import (
    CLOUD,
    HOME,
    NEW_HOME,
    PASSWORD,
    answered,
    begin,
    clock_of,
    complete,
    granted,
    new_account,
    refused,
    reply,
    signature_of_replay,
)
from tests.paths import FILES, LOGIN


def known(**arguments: Any) -> Account:
    return new_account(server_url=HOME, **arguments)


@pytest.mark.parametrize("host", [CLOUD, HOME])
def test_rule_26_nothing_is_looked_up(host: str) -> None:
    account = known()
    assert (account.server_url, account.base_url) == (HOME, f"{HOME}/api/notary/v2")
    conversation = begin(account, host + FILES).go_on(granted())
    assert conversation.paths == [LOGIN]
    assert [request.url for request in conversation.sent] == [HOME + LOGIN]
    (signature,) = conversation.signatures
    assert signature.url == (HOME + FILES if host == CLOUD else None)


def test_rule_26_another_host_is_no_reason_to_look_up() -> None:
    conversation = begin(known(), "https://files.example.com/x").go_on()
    assert (conversation.paths, conversation.authorizations) == ([], [None])


def test_rule_26_after_a_401_there_is_a_login_and_no_look_up() -> None:
    account = known()
    complete(account, granted())
    conversation = begin(account, answer=answered(401, "token-1")).go_on(granted("token-2"))
    assert conversation.paths == [LOGIN]
    assert conversation.authorizations[-1] == "Bearer token-2"


def test_rule_26_a_refusal_is_final_without_a_look_up() -> None:
    account = known()
    for sent in ([LOGIN], [], []):
        conversation = begin(account).go_on(*[refused()] * len(sent))
        assert isinstance(conversation.error, CredentialsRefused)
        assert conversation.paths == sent


def test_rule_26_forgetting_does_not_forget_the_data_center() -> None:
    account = known()
    complete(account, granted())
    account.forget()
    assert account.server_url == HOME
    assert begin(account).go_on(granted("token-2")).paths == [LOGIN]


def test_rule_26_a_refresh_looks_nothing_up() -> None:
    account = known(offline_access=True)
    complete(account, granted(refresh_token="refresh-1"))
    clock_of(account).advance(7200)
    assert begin(account).go_on(granted("token-2", refresh_token="refresh-2")).paths == [LOGIN]
    clock_of(account).advance(7200)
    assert begin(account).go_on(reply(400, {"error": "invalid_grant"}), granted("token-3")).paths == [LOGIN] * 2


def test_rule_26_another_data_center_has_another_record_in_a_store() -> None:
    store = MemoryStore()
    complete(known(store=store), granted())
    assert begin(known(store=store)).go_on().paths == [], "the same finds it"
    for other in (new_account(store=store, server_url=NEW_HOME), new_account(store=store)):
        assert begin(other).step is not None
        assert begin(other).perform_calls() is not None, "another one has to log in"


@pytest.mark.parametrize(
    ("server_url", "kind", "text"),
    [
        (5, TypeError, "server_url must be a string, not int"),
        ("eu2-cloud.acronis.com", ValueError, "server_url must be an https URL of a host"),
        (f"{HOME}/api", ValueError, "server_url must not have a path"),
        ("http://eu2-cloud.acronis.com", InsecureUrl, "server_url must be https"),
    ],
)
def test_rule_26_it_is_checked_as_the_clouds_url_is(server_url: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        new_account(server_url=server_url)


def test_rule_26_copies_and_pickles_keep_it() -> None:
    account = known()
    for again in (copy.copy(account), copy.deepcopy(account), pickle.loads(pickle.dumps(account))):
        assert again.server_url == HOME
    assert repr(account) == f"Account('JohnSmith', cloud_url='{CLOUD}', server_url='{HOME}')"
    assert PASSWORD not in repr(account)


def test_rule_26_a_replay_goes_to_the_data_center() -> None:
    account = known()
    complete(account, granted())
    clock_of(account).advance(1)
    account.forget()
    complete(account, granted("token-2"))
    signature = signature_of_replay(account, answered(401, "token-1"))
    assert signature is not None
    assert (signature.authorization, signature.url) == ("Bearer token-2", None)
