"""Rules 2 to 5 on the bare core: which requests are re-addressed, signed or left alone."""

from __future__ import annotations

import logging
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.core import (
    CLOUD,
    FILES,
    HOME,
    UNSIGNED,
    Signature,
    answered,
    begin,
    cached_signature,
    complete,
    found,
    granted,
    logged_in,
    make_token_due,
    new_account,
    refused,
)
from tests.grants import asked
from tests.paths import LOGIN, LOOKUP

pytestmark = pytest.mark.both_grants


def test_rule_2_a_cold_start_takes_two_control_calls_and_a_warm_request_none() -> None:
    account = new_account()
    first = complete(account, found(), granted())
    assert first.paths == asked(LOOKUP, LOGIN)
    assert first.authorizations == ["Bearer token-1"]
    second = complete(account)
    assert second.paths == []
    assert second.authorizations == ["Bearer token-1"]
    assert cached_signature(account, CLOUD + FILES) == second.signatures[0]


@pytest.mark.users_only
def test_rule_2_the_control_calls_are_those_of_the_platform() -> None:
    account = new_account(username="Jörg & Söhne", password="a b&c=ü")
    lookup, login = complete(account, found(), granted()).sent
    assert lookup.method == "GET"
    assert lookup.url.startswith(f"{CLOUD}{LOOKUP}?")
    assert parse_qs(urlsplit(lookup.url).query) == {"login": ["Jörg & Söhne"]}
    assert lookup.body is None
    assert (login.method, login.url) == ("POST", f"{HOME}{LOGIN}")
    assert login.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert login.body is not None
    assert parse_qs(login.body.decode("ascii")) == {
        "grant_type": ["password"],
        "username": ["Jörg & Söhne"],
        "password": ["a b&c=ü"],
    }


def test_rule_3_a_request_to_the_cloud_goes_to_the_data_center() -> None:
    account = logged_in()
    assert complete(account).signatures[0].url == HOME + FILES
    assert complete(account, url=f"{CLOUD}:443{FILES}").signatures[0].url == HOME + FILES
    assert (account.server_url, account.base_url) == (HOME, f"{HOME}/api/notary/v2")


def test_rule_3_a_request_to_the_data_center_is_signed_where_it_is() -> None:
    account = logged_in()
    for url in (HOME + FILES, f"{HOME}:443{FILES}", "HTTPS://EU2-cloud.acronis.com./x"):
        (signature,) = complete(account, url=url).signatures
        assert signature == Signature("Bearer token-1", None)


@pytest.mark.parametrize("url", [f"{CLOUD}{LOOKUP}?login=x", f"{CLOUD}:443{LOOKUP}", f"{CLOUD}{LOOKUP}#x"])
def test_rule_3_the_lookup_endpoint_is_left_alone(url: str, caplog: pytest.LogCaptureFixture) -> None:
    account = new_account()
    assert complete(account, url=url).signatures == [UNSIGNED]
    account = logged_in()
    assert cached_signature(account, url) is None
    assert complete(account, answered(401, None, url), url=url).signatures == [UNSIGNED]
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
    assert cached_signature(account, url) is None
    assert complete(account, url=url).signatures == [UNSIGNED]
    # Nor does its 401 get anything out of us.
    elsewhere = answered(401, None, url)
    assert complete(account, elsewhere, url=url).signatures == [UNSIGNED]
    assert complete(account, answer=elsewhere).signatures == []


@pytest.mark.parametrize("user", ["", "user@", "user:word@"])
@pytest.mark.parametrize("host", ["eu2-cloud.acronis.com", "EU2-Cloud.Acronis.com", "eu2-cloud.acronis.com."])
@pytest.mark.parametrize("port", ["", ":", ":443", ":0443"])
def test_rule_4_the_same_origin_spelled_otherwise_is_the_same(user: str, host: str, port: str) -> None:
    assert complete(logged_in(), url=f"https://{user}{host}{port}/x?y").authorizations == ["Bearer token-1"]


@pytest.mark.users_only
def test_rule_4_idna_names_are_compared_as_they_are_sent() -> None:
    account = new_account(cloud_url="https://Bücher.example/")
    assert account.cloud_url == "https://xn--bcher-kva.example"
    complete(account, found("https://zürich.bücher.example"), granted(), url="https://xn--bcher-kva.example/")
    assert complete(account, url="https://xn--zrich-kva.xn--bcher-kva.example/").authorizations == [
        "Bearer token-1"
    ]


@pytest.mark.users_only
def test_rule_4_letters_that_only_look_like_ascii_are_not() -> None:
    account = new_account()
    complete(account, found("https://kiel.example"), granted())
    assert complete(account, url="https://kiel.example/").authorizations == ["Bearer token-1"]
    assert complete(account, url="https://\u212aiel.example/").authorizations == [None]


def test_rule_4_an_unsigned_origin_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    account = logged_in()
    for url in (
        "https://evil.example/1",
        "https://evil.example/2",
        "https://other.example/",
        "https://evil.example",
    ):
        complete(account, url=url)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [text.split()[2] for text in warnings] == ["https://evil.example", "https://other.example"]


def test_rule_4_a_request_to_another_host_is_no_reason_to_log_in() -> None:
    account = new_account()
    assert complete(account, found(), url="https://evil.example/").paths == asked(LOOKUP)
    assert complete(account, url="https://evil.example/").paths == []
    # What was looked up for the other host is not looked up again.
    assert complete(account, granted()).paths == [LOGIN]


@pytest.mark.users_only
def test_rule_4_a_request_to_another_host_is_sent_after_a_refused_login() -> None:
    account = new_account()
    leader = begin(account)
    elsewhere = begin(account, url="https://evil.example/")
    leader.go_on(found(), refused())
    elsewhere.send(True)
    assert elsewhere.go_on().signatures == [UNSIGNED]


def test_rule_4_before_the_data_center_is_known_a_lookup_decides() -> None:
    account = new_account()
    conversation = complete(account, found(), granted(), url=HOME + FILES)
    assert conversation.paths == asked(LOOKUP, LOGIN)
    assert conversation.authorizations == ["Bearer token-1"]


@pytest.mark.users_only
def test_rule_3_where_the_cloud_is_the_data_center_its_look_up_is_signed_each_time() -> None:
    account = new_account()
    complete(account, found(CLOUD), granted())
    lookup = CLOUD + LOOKUP
    expected = cached_signature(account, lookup)
    assert expected is not None
    make_token_due(account)
    assert complete(account, granted("token-2"), url=lookup).signatures[0].authorization is not None
