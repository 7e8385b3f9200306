"""Rules 1, 20 and 21 on the bare core: what an Account is built from, copied with and asks its callables for."""

from __future__ import annotations

import gc
import pickle
import socket
import weakref
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest

from notary_auth import (
    Account,
    InsecureUrl,
    LoginError,
)
from notary_auth.stores import MemoryStore
from tests.core import (
    PASSWORD,
    arguments_of,
    begin,
    clock_of,
    complete,
    found,
    granted,
    hide_modules,
    inside_of,
    logged_in,
    new_account,
    refused,
    remembered_refusals,
    reply,
)
from tests.shared_store import OFFLINE, Processes


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
        ({"password": 5}, TypeError, "password must be a string, or a function that returns one, not int"),
        ({"password": None}, TypeError, "not NoneType"),
        ({"password": "a\0b"}, ValueError, "password contains a NUL"),
        ({"password": "a\udcffb"}, ValueError, "password contains a lone surrogate"),
        ({"totp": "123456"}, TypeError, "totp must be a function"),
        ({"cloud_url": None}, TypeError, "cloud_url must be a string"),
        ({"cloud_url": ""}, ValueError, "cloud_url must be an https URL"),
        ({"cloud_url": "cloud.acronis.com"}, ValueError, "cloud_url must be an https URL"),
        ({"cloud_url": "ftp://cloud.acronis.com"}, ValueError, "cloud_url must be an https URL"),
        ({"cloud_url": "https://u:geheim@cloud.acronis.com"}, ValueError, "user name or password"),
        ({"cloud_url": "https://cloud.acronis.com/api"}, ValueError, "path, query or fragment"),
        ({"cloud_url": "https://cloud.acronis.com?a=b"}, ValueError, "path, query or fragment"),
        ({"cloud_url": "https://cloud.acronis.com/#a"}, ValueError, "path, query or fragment"),
        ({"cloud_url": "https://cloud.acronis.com:99999"}, ValueError, "impossible host or port"),
        ({"cloud_url": "https://cloud.acronis.com:0"}, ValueError, "impossible host or port"),
        ({"cloud_url": "https://[::1"}, ValueError, "cloud_url must be an https URL"),
        ({"cloud_url": "https://[::g]"}, ValueError, "cloud_url must be an https URL"),
        ({"cloud_url": "https://[1::2::3]"}, ValueError, "impossible host or port"),
        ({"cloud_url": "https://\N{ZERO WIDTH JOINER}"}, ValueError, "cloud_url must be an https URL"),
        ({"cloud_url": " https://cloud.acronis.com"}, ValueError, "cloud_url must be an https URL"),
        ({"cloud_url": "https://cloud.acronis.com\\@evil.example"}, ValueError, "cloud_url must be an https URL"),
        ({"cloud_url": "http://cloud.acronis.com"}, InsecureUrl, "must be https"),
        ({"cloud_url": "http://notary.localhost"}, InsecureUrl, "must be https"),
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
        "https://bücher.example",
    ],
)
def test_rule_1_these_cloud_urls_are_fine(url: str) -> None:
    Account("JohnSmith", PASSWORD, cloud_url=url)


def test_rule_20_a_callable_password_is_asked_at_each_login_and_not_kept() -> None:
    asked: list[str] = []

    def ask() -> str:
        asked.append("geheim")
        return "geheim"

    account = new_account(password=ask)
    complete(account, found(), granted())
    complete(account)
    assert len(asked) == 1
    clock_of(account).advance(7201)
    complete(account, granted("token-2"))
    assert len(asked) == 2
    assert "geheim" not in inside_of(account)
    clock_of(account).advance(7201)
    begin(account).go_on(refused(), found())
    (refusal,) = remembered_refusals(account)
    assert "geheim" not in repr([refusal, vars(refusal.error)])


def _raise() -> str:
    raise LookupError("no such entry")


@pytest.mark.parametrize(
    ("password", "text"),
    [
        (_raise, "the function that was given as password= raised LookupError"),
        (lambda: None, "the result of the function that was given as password= must be a string, not NoneType"),
        (lambda: b"bytes", "must be a string, not bytes"),
        (lambda: "", "given as password= is empty"),
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


def test_totp_codes_are_asked_for_at_each_attempt() -> None:
    codes = iter(["111111", "222222", "333333"])
    account = new_account(totp=lambda: next(codes))
    conversation = complete(account, found(), reply(503, b""), granted())
    bodies = [request.body for request in conversation.sent if request.body]
    assert [parse_qs(body.decode())["totp_code"] for body in bodies] == [["111111"], ["222222"]]


def test_rule_21_a_pickled_account_has_its_credentials_and_nothing_learned() -> None:
    account = logged_in(cloud_url="https://cloud.example")
    restored = pickle.loads(pickle.dumps(account))
    assert arguments_of(restored) == arguments_of(account)
    assert restored.server_url is None


def test_a_store_has_to_be_one() -> None:
    with pytest.raises(TypeError, match="not the class MemoryStore"):
        new_account(store=MemoryStore)
    with pytest.raises(TypeError, match="offline_access must be True or False, not str"):
        new_account(offline_access="yes")
    for wrong in (5, "redis://localhost", object(), {}):
        with pytest.raises(TypeError, match=r"store must be a notary_auth\.stores\.TokenStore"):
            new_account(store=wrong)


def test_a_store_without_its_extra_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_modules(monkeypatch)
    with pytest.raises(ModuleNotFoundError, match=r"notary-auth\[stores\]"):
        new_account(store=MemoryStore())


def test_rule_21_a_copy_has_the_store_and_the_wish_for_a_refresh_token(processes: Processes) -> None:
    arguments = arguments_of(processes.account(**OFFLINE))
    assert arguments["store"] is processes.store
    assert arguments["offline_access"] is True


def test_rule_18_an_account_that_nobody_holds_is_gone_with_its_password() -> None:
    """At once, and not when the garbage collector comes by."""
    gc.collect()
    gc.disable()
    try:
        account = Account("JohnSmith", PASSWORD)
        gone = weakref.ref(account)
        del account
        assert gone() is None
    finally:
        gc.enable()
