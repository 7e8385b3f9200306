"""Rules 10 to 12 on the bare core: retries, headers, and replies read with suspicion."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from notary_auth import (
    CredentialsRefused,
    DiscoveryError,
    LoginError,
)
from tests.core import (
    CLOUD,
    HOME,
    NEW_HOME,
    PASSWORD,
    Sleep,
    begin,
    clock_of,
    complete,
    found,
    granted,
    logged_in,
    new_account,
    pause_before,
    refused,
    reply,
)
from tests.grants import asked
from tests.paths import LOGIN, LOOKUP

pytestmark = pytest.mark.both_grants


@pytest.mark.users_only
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_rule_5_a_redirected_control_call_is_an_error(status: int) -> None:
    redirect = reply(status, b"", {"location": "https://evil.example/"})
    with pytest.raises(DiscoveryError, match="redirect") as discovery:
        complete(new_account(), redirect)
    assert discovery.value.status == status
    with pytest.raises(LoginError, match="redirect") as login:
        complete(new_account(), found(), redirect)
    assert login.value.status == status
    assert not isinstance(login.value, CredentialsRefused)


@pytest.mark.users_only
@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_rule_10_a_busy_platform_is_asked_three_times(status: int) -> None:
    account = new_account()
    busy = reply(status, b"")
    conversation = complete(account, busy, busy, found(), busy, granted())
    assert conversation.paths == asked(LOOKUP, LOOKUP, LOOKUP, LOGIN, LOGIN)
    assert all(0.5 <= pause <= 2 for pause in conversation.pauses)
    assert conversation.pauses[0] <= 1 <= conversation.pauses[1]
    for answers, error in (((), DiscoveryError), ((found(),), LoginError)):
        failed = begin(new_account()).go_on(*answers, busy, busy, busy)
        assert isinstance(failed.error, error)
        assert failed.error.status == status


@pytest.mark.users_only
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


@pytest.mark.users_only
def test_rule_10_a_retry_is_seen(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "notary_auth")
    busy = reply(503, b"", {"retry-after": "7"})
    failed = begin(new_account()).go_on(busy, busy, busy)
    assert [record.getMessage() for record in caplog.records] == [
        f"{CLOUD}{LOOKUP} answered 503, try {number} of 3 in {pause:.1f} s"
        for number, pause in zip((2, 3), failed.pauses, strict=True)
    ]
    assert str(failed.error).endswith("answered 503, after 3 tries: it is busy, try again later")
    error = begin(new_account()).go_on(found(), *[refused("slow_down", "Later", 429)] * 3).error
    assert str(error).endswith("the platform answered slow_down (Later), after 3 tries")


@pytest.mark.parametrize(
    ("attempt", "jitter", "pause"), [(2, 0.0, 0.5), (2, 1.0, 1.0), (3, 0.0, 1.0), (3, 1.0, 2.0)]
)
def test_rule_10_the_pause_grows_and_is_jittered(attempt: int, jitter: float, pause: float) -> None:
    assert pause_before(attempt, jitter) == pause


@pytest.mark.parametrize(("jitter", "pause"), [(0.0, 60), (1.0, 75)])
def test_rule_10_the_platforms_pause_is_jittered_and_never_shortened(jitter: float, pause: float) -> None:
    """Else a fleet that was told to come back in a minute comes back at one moment."""
    assert pause_before(2, jitter, 60) == pause


def test_rule_10_two_processes_do_not_come_back_at_one_moment() -> None:
    busy = reply(503, b"", {"retry-after": "60"})
    pauses = {complete(new_account(), busy, found(), granted()).pauses[0] for _ in range(5)}
    assert len(pauses) == 5


@pytest.mark.users_only
@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_rule_10_nothing_else_is_asked_again(status: int) -> None:
    assert begin(new_account()).go_on(reply(status, b"")).paths == [LOOKUP]
    assert begin(new_account()).go_on(found(), reply(status, b"")).paths == asked(LOOKUP, LOGIN)


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
    conversation = complete(new_account(), reply(503, b"", headers), found(), granted())
    (found_pause,) = conversation.pauses
    shortest, longest = (0.5, 1) if pause is None else (pause, 1.25 * pause)
    assert shortest <= found_pause <= longest


@pytest.mark.users_only
def test_rule_11_control_calls_carry_only_their_own_headers() -> None:
    lookup, login = complete(new_account(), found(), granted()).sent
    assert set(lookup.headers) == {"Accept", "Accept-Encoding", "Cache-Control", "User-Agent"}
    assert set(login.headers) == {*lookup.headers, "Content-Type"}
    assert lookup.headers["Accept-Encoding"] == "identity"
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


@pytest.mark.users_only
@pytest.mark.parametrize("answer", BAD_LOOKUPS, ids=range(len(BAD_LOOKUPS)))
def test_rule_12_a_lookup_reply_that_does_not_fit_is_a_discovery_error(answer: Any) -> None:
    account = new_account()
    with pytest.raises(DiscoveryError) as caught:
        complete(account, answer)
    assert caught.value.url == f"{CLOUD}{LOOKUP}"
    assert caught.value.__context__ is None
    assert account.server_url is None
    complete(account, found(), granted())


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
        complete(account, found(), answer)
    assert caught.value.url == f"{HOME}{LOGIN}"
    assert caught.value.__context__ is None
    assert "token-1" not in str(caught.value)
    assert PASSWORD not in str(caught.value)
    complete(account, found(), granted())


@pytest.mark.parametrize("token_type", ["bearer", "Bearer", "BEARER"])
def test_rule_12_bearer_is_written_in_any_case(token_type: str) -> None:
    complete(new_account(), found(), granted(token_type=token_type))


@pytest.mark.users_only
@pytest.mark.parametrize("server_url", ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:1"])
def test_rule_12_a_data_center_on_this_machine_needs_no_tls(server_url: str) -> None:
    account = new_account(cloud_url="http://127.0.0.1")
    complete(account, found(server_url), granted())
    assert account.server_url == server_url


def test_rule_12_what_the_platform_says_is_shown_safely() -> None:
    password = "p&ss wörd"
    description = f"no: {password}, {password}\x1b[31m\r\n" + "x" * 1000
    account = new_account(password=password)
    error = begin(account).go_on(found(), refused(f"denied {password}", description)).error
    assert isinstance(error, CredentialsRefused)
    assert error.error == "denied ***"
    assert error.error_description is not None
    assert error.error_description.startswith("no: ***, ***\\x1b[31m\\r\\nxxx")
    assert len(error.error_description) < 250
    assert error.error_description in str(error)


def test_pauses_are_steps_and_not_sleeps() -> None:
    conversation = begin(new_account())
    assert isinstance(conversation.send(reply(503, b"", {"retry-after": "30"})), Sleep)
