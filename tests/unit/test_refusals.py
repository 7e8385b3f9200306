"""Rule 9 on the bare core: what was refused is not sent again."""

from __future__ import annotations

from typing import Any

import pytest

from notary_auth import (
    Account,
    CredentialsRefused,
    DiscoveryError,
    LoginError,
    TotpRequired,
    TotpSetupRequired,
)
from notary_auth.stores import MemoryStore
from tests.core import (
    HOME,
    NEW_HOME,
    PASSWORD,
    SendControl,
    Sleep,
    WaitForLogin,
    begin,
    clock_of,
    complete,
    found,
    granted,
    logged_in,
    make_token_due,
    make_token_expired,
    new_account,
    refused,
    remembered_refusals,
    reply,
)
from tests.grants import asked, is_clients
from tests.paths import LOGIN, LOOKUP

pytestmark = pytest.mark.both_grants


@pytest.mark.users_only
def test_rule_9_a_refused_password_is_sent_once() -> None:
    account = new_account()
    first = begin(account).go_on(found(), refused())
    assert str(first.error) == (
        "the platform refused the login of 'JohnSmith' at https://eu2-cloud.acronis.com: "
        "access_denied (Wrong login or password). "
        "This auth object will not send the password again for 5 minutes, unless it changes."
    )
    for _ in range(3):
        again = begin(account).go_on()
        assert isinstance(again.error, CredentialsRefused)
        assert (again.sent, again.error.status, again.error.url) == ([], 401, f"{HOME}{LOGIN}")
    clock_of(account).advance(299)
    assert begin(account).go_on().sent == []
    clock_of(account).advance(2)
    assert begin(account).go_on(found(), refused()).paths == asked(LOOKUP, LOGIN)


def test_rule_9_another_password_is_tried_at_once() -> None:
    passwords = iter(["old", "old", "new"])
    account = new_account(password=lambda: next(passwords))
    assert begin(account).go_on(found(), refused()).paths == asked(LOOKUP, LOGIN)
    assert begin(account).go_on().paths == []
    assert complete(account, found(), granted()).authorizations == ["Bearer token-1"]


@pytest.mark.users_only
def test_rule_9_a_refusal_is_kept_if_the_look_up_after_it_fails() -> None:
    account = logged_in()
    clock_of(account).advance(7200)
    with pytest.raises(DiscoveryError):
        complete(account, refused(), reply(500, None))
    conversation = begin(account).go_on(found())
    assert isinstance(conversation.error, CredentialsRefused)
    assert conversation.paths == ["/api/1/accounts"]


NOON, ONE = "Fri, 27 Nov 2026 12:00:00 GMT", "Fri, 27 Nov 2026 13:00:00 GMT"


@pytest.mark.users_only
def test_rule_25_a_refusal_at_a_data_center_that_a_cache_named_is_not_taken_for_the_passwords() -> None:
    """A cache that ignores Cache-Control goes on to name the data center that the account has left."""
    store = MemoryStore()
    account = new_account(store=store)
    stale = found()._replace(headers={"date": NOON})
    conversation = begin(account).go_on(stale, refused()._replace(headers={"date": ONE}))
    error = conversation.error
    assert type(error) is LoginError
    assert "a cache named that data center" in str(error)
    assert f"Keep https://cloud.acronis.com{LOOKUP} out of the cache" in str(error)
    again = begin(account).go_on(stale)
    assert again.paths == asked(LOOKUP), "the password is not sent there again"
    assert type(again.error) is LoginError
    sharing = begin(new_account(store=store)).go_on(found(NEW_HOME), reply(500, None))
    assert sharing.paths == asked(LOOKUP, LOGIN), "nothing of it was stored"
    moved = complete(account, found(NEW_HOME)._replace(headers={"date": ONE}), granted())
    assert moved.authorizations == ["Bearer token-1"]


@pytest.mark.users_only
def test_rule_9_a_password_that_was_changed_hours_after_the_discovery_is_refused_as_ever() -> None:
    """No cache is to blame where the clocks have gone on together."""
    store = MemoryStore()
    account = new_account(store=store)
    clock = clock_of(account)
    complete(account, found()._replace(headers={"date": NOON}), granted())
    clock.advance(2 * 3600)
    dated = refused()._replace(headers={"date": "Fri, 27 Nov 2026 14:00:00 GMT"})
    conversation = begin(account).go_on(dated, found()._replace(headers={"date": "Fri, 27 Nov 2026 14:00:01 GMT"}))
    assert isinstance(conversation.error, CredentialsRefused)
    assert begin(account).go_on().paths == [], "it is final"
    assert isinstance(begin(new_account(store=store)).go_on().error, CredentialsRefused), "and all know of it"


@pytest.mark.users_only
def test_a_code_that_is_long_in_coming_makes_no_cache_of_the_discovery() -> None:
    account = new_account(totp=lambda: (clock_of(account).advance(11 * 60), "123456")[1])
    late = refused()._replace(headers={"date": "Fri, 27 Nov 2026 12:11:00 GMT"})
    conversation = begin(account).go_on(found()._replace(headers={"date": NOON}), late)
    assert isinstance(conversation.error, CredentialsRefused)


@pytest.mark.parametrize("date", [NOON, None])
def test_a_refusal_soon_after_a_look_up_is_the_passwords(date: str | None) -> None:
    headers = {} if date is None else {"date": date}
    conversation = begin(new_account()).go_on(
        found()._replace(headers=headers), refused()._replace(headers={"date": NOON})
    )
    assert isinstance(conversation.error, CredentialsRefused)


def test_rule_9_the_latest_refused_password_is_remembered() -> None:
    passwords = ["wrong", "wrong too", "wrong too", "wrong", "wrong"]
    account = new_account(password=passwords.pop)
    sent = []
    for results in ((found(), refused()), (), (found(), refused()), (), (found(), refused())):
        conversation = begin(account).go_on(*results)
        assert isinstance(conversation.error, CredentialsRefused)
        sent.append(len(conversation.sent))
    tried = len(asked(LOOKUP, LOGIN))
    assert sent == [tried, 0, tried, 0, tried]


def test_rule_9_a_password_refused_during_a_pause_is_not_sent_after_it() -> None:
    account = logged_in()
    clock_of(account).advance(7200)
    first = begin(account)
    first.send(reply(503, None))
    assert isinstance(first.step, Sleep)
    # One who cannot wait, on the same thread, logs in meanwhile.
    second = begin(account)
    assert isinstance(second.step, WaitForLogin)
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
    assert second.paths == asked(LOOKUP, LOGIN), "the password is not sent once more"


def test_rule_9_a_password_is_remembered_salted() -> None:
    accounts = [new_account(), new_account()]
    for account in accounts:
        begin(account).go_on(found(), refused())
    digests = {remembered_refusals(account)[0].digest for account in accounts}
    assert len(digests) == 2


@pytest.mark.users_only
def test_rule_9_forget_forgets_the_refusal() -> None:
    account = new_account()
    begin(account).go_on(found(), refused())
    account.forget()
    assert account.server_url is None
    assert complete(account, found(), granted()).authorizations == ["Bearer token-1"]


@pytest.mark.parametrize("status", [400, 401, 403])
def test_rule_9_a_code_that_is_required_and_cannot_be_given_is_no_reason_to_log_in_again(status: int) -> None:
    account = new_account()
    conversation = begin(account).go_on(found(), refused("totp_required", "no code", status))
    assert type(conversation.error) is TotpRequired
    assert "Pass totp=" in str(conversation.error)
    again: Any = begin(account).go_on().error
    assert type(again) is TotpRequired
    assert again.age is not None
    clock_of(account).advance(301)
    assert complete(account, found(), granted()).authorizations == ["Bearer token-1"]


@pytest.mark.parametrize("error", ["invalid_totp", "totp_setup_required"])
@pytest.mark.parametrize("status", [400, 401, 403])
def test_rule_9_a_totp_refusal_is_not_a_refused_password(error: str, status: int) -> None:
    account = new_account()
    conversation = begin(account).go_on(found(), refused(error, "no code", status))
    assert type(conversation.error) is (TotpRequired if error == "invalid_totp" else TotpSetupRequired)
    assert ("Check the secret" if error == "invalid_totp" else "enrol the account") in str(conversation.error)
    assert complete(account, found(), granted()).authorizations == ["Bearer token-1"]


ABOUT_THE_REQUEST = (
    "invalid_request",
    "invalid_scope",
    "unsupported_grant_type",
    "invalid_client",
    "unauthorized_client",
)


@pytest.mark.users_only
@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        (refused("access_denied", status=400), True),
        (refused("access_denied", status=401), True),
        (refused("invalid_grant", status=400), True),
        (refused("something_else", status=401), True),
        (reply(401, b"<html>"), True),
        (reply(401, b""), True),
        (refused("access_denied", status=403), False),
        (refused("something_else", status=403), False),
        (refused("something_else", status=400), False),
        *((refused(code, status=status), False) for code in ABOUT_THE_REQUEST for status in (400, 401, 403)),
        (reply(403, b"<html>"), False),
        (reply(400, b""), False),
        (refused("invalid_request", status=400), False),
        (refused("access_denied", status=500), False),
        (reply(404, {}), False),
    ],
)
def test_rule_25_what_is_a_refusal_of_the_password_and_what_is_not(answer: Any, kept: bool) -> None:
    account = new_account()
    error = begin(account).go_on(found(), answer).error
    assert type(error) is (CredentialsRefused if kept else LoginError)
    again = begin(account)
    assert isinstance(again.step, SendControl) is not kept


@pytest.mark.users_only
def test_rule_9_a_moved_accounts_old_data_center_has_not_the_last_word() -> None:
    account = logged_in()
    clock_of(account).advance(7201)
    moved = complete(account, refused(), found(NEW_HOME), granted("token-2"))
    assert [request.url for request in moved.sent] == [
        f"{HOME}{LOGIN}",
        moved.sent[1].url,
        f"{NEW_HOME}{LOGIN}",
    ]
    assert moved.authorizations == ["Bearer token-2"]


@pytest.mark.users_only
def test_rule_9_a_refusal_where_the_account_still_is_stands() -> None:
    account = logged_in()
    clock_of(account).advance(7201)
    assert begin(account).go_on(refused(), found()).paths == asked(LOGIN, LOOKUP)
    assert begin(account).go_on().paths == []


def test_rule_9_refusals_are_kept_for_five_minutes() -> None:
    passwords = ["wrong", "wrong too"]
    account = new_account(password=passwords.pop)
    begin(account).go_on(found(), refused())
    clock_of(account).advance(301)
    begin(account).go_on(found(), refused())
    assert len(remembered_refusals(account)) == 1


def test_rule_9_a_password_that_is_in_an_error_code_changes_no_decision() -> None:
    conversation = begin(new_account(password="totp")).go_on(found(), refused("totp_required", "no"))
    assert type(conversation.error) is TotpRequired
    assert conversation.error.error == "***_required"


def test_rule_9_a_password_that_is_in_an_error_code_is_sent_once() -> None:
    account = new_account(password="totp")
    begin(account).go_on(found(), refused("totp_required", "no"))
    assert begin(account).go_on().error is not None, "nothing was sent"


def fail(account: Account, *answers: Any) -> Any:
    """The error of an attempt, which sends just as much as is answered."""
    conversation = begin(account).go_on(*answers)
    assert conversation.error is not None
    return conversation.error


ANSWERS = {
    "a gateway's page": reply(403, b"<html>"),
    "422": reply(422, b""),
    "404": refused("access_denied", status=404),
    "423": refused("access_denied", status=423),
    "a redirect": reply(302, b"", {"location": "https://elsewhere.example"}),
    "a wrong code": refused("invalid_totp"),
    "no token": reply(200, {}),
    "an unknown grant": refused("unsupported_grant_type", status=500),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_rule_9_logins_that_keep_failing_are_paced(answer: Any) -> None:
    account = new_account()
    fail(account, found(), answer)
    fail(account, found(), answer)
    error = fail(account, found(), answer)
    assert error.age is None
    for pause in (2, 4, 8, 16, 32, 60, 60):
        for _ in range(20):
            again = fail(account)
            assert type(again) is type(error)
            assert again.status == error.status
            assert str(again).startswith(str(error))
            assert "forget() of the account" in str(again)
            assert again.age == pytest.approx(0, abs=0.1)
            assert again.retry_after == pytest.approx(pause, abs=0.1)
        clock_of(account).advance(pause - 1)
        assert fail(account).age == pytest.approx(pause - 1, abs=0.1)
        clock_of(account).advance(1.1)
        assert fail(account, found(), answer).age is None
    clock_of(account).advance(61)
    complete(account, found(), granted(lifetime=1000))
    clock_of(account).advance(1001)
    fail(account, answer)
    for _ in range(2):  # a success has ended it
        assert fail(account, found(), answer).age is None


@pytest.mark.users_only
def test_rule_9_look_ups_that_keep_failing_are_paced() -> None:
    account = new_account()
    for _ in range(3):
        fail(account, reply(404, b""))
    assert fail(account).age is not None
    unsigned = begin(account, "https://elsewhere.example/x").go_on()
    assert isinstance(unsigned.error, DiscoveryError)
    account.forget()
    complete(account, found(), granted())


def test_rule_9_a_crowd_of_wrong_passwords_is_paced() -> None:
    passwords = iter(f"wrong-{number}" for number in range(100))
    account = new_account(password=lambda: next(passwords))
    fail(account, found(), refused())
    for _ in range(2):
        fail(account, found(), refused())
    for _ in range(10):
        assert fail(account).age is not None


def test_rule_9_a_refusal_from_memory_is_no_further_failure() -> None:
    passwords = ["wrong"]
    account = new_account(password=lambda: passwords[0])
    fail(account, found(), refused())
    for _ in range(10):
        fail(account)
    passwords[0] = PASSWORD
    complete(account, found(), granted())


def test_rule_9_the_pause_is_as_long_as_the_platform_says() -> None:
    account = new_account()
    busy = reply(429, b"", {"retry-after": "50"})
    fail(account, found(), busy, busy, busy)
    fail(account, found(), busy, busy, busy)
    assert fail(account, found(), busy, busy, busy).retry_after == 50
    assert fail(account).retry_after == pytest.approx(50, abs=0.1)
    clock_of(account).advance(49)
    assert fail(account).age == pytest.approx(49, abs=0.1)


def test_rule_9_what_is_not_answered_is_not_paced() -> None:
    account = new_account(password=lambda: "")
    for _ in range(10):
        assert fail(account).status is None


def test_rule_9_a_refresh_ahead_that_fails_is_not_counted() -> None:
    account = new_account()
    complete(account, found(), granted(lifetime=1000))
    for _ in range(5):
        clock_of(account).advance(0.1)
        make_token_due(account)
        complete(account, reply(403, b""))
    make_token_expired(account)
    for _ in range(3):
        assert fail(account, found(), reply(403, b"")).age is None


def test_rule_9_logins_that_fail_for_ever_are_paced_for_ever() -> None:
    account = new_account()
    for number in range(1200):
        assert fail(account, found(), reply(403, b"")).age is None
        if number >= 2:
            assert fail(account).retry_after <= 60
        clock_of(account).advance(61)


@pytest.mark.users_only
def test_rule_9_a_refusal_that_becomes_final_later_is_told_from_memory() -> None:
    account = logged_in()
    clock_of(account).advance(7200)
    fail(account, refused(), reply(404, b""))  # the look-up that would make it final fails
    clock_of(account).advance(10)
    assert fail(account, found()).age == pytest.approx(10, abs=0.1)
    clock_of(account).advance(10)
    assert fail(account).age == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize(
    "said", ["the user ACME\\Robert is locked", "&#" + "9" * 5000 + ";", "\\" * 1000], ids=range(3)
)
def test_rule_9_a_refusal_is_remembered_whatever_the_platform_says(said: str) -> None:
    account = new_account()
    for results in ((found(), refused("access_denied" if not is_clients() else "invalid_client", said, 400)), ()):
        assert isinstance(begin(account).go_on(*results).error, CredentialsRefused)
