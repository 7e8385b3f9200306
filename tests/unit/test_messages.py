"""What users read: every log record and every error, to the letter."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import requests

from notary_auth import Account, InsecureUrl, LoginError, NotaryAuthError
from notary_auth.stores import MemoryStore
from tests.core import (
    CLOUD,
    HOME,
    Bearer,
    ControlBody,
    ControlRequest,
    ControlResponse,
    Forward,
    Received,
    Secret,
    SendControl,
    Signature,
    WaitForLogin,
    answered,
    begin,
    clock_of,
    complete,
    flaw_of_text,
    found,
    granted,
    logged_in,
    new_account,
    refused,
    reply,
    token_of,
    warn_of_origins,
)
from tests.paths import FILES

LOOKUP_URL, LOGIN_URL = f"{CLOUD}/api/1/accounts", f"{HOME}/api/2/idp/token"
NOBODY_FINDS = f"cannot find the data center of 'JohnSmith': {LOOKUP_URL} answered "
LOGIN_FAILED = f"the login of 'JohnSmith' failed: {LOGIN_URL} answered with a reply that "
WRONG_PLACE = "is cloud_url right? Does a proxy answer in its place?"
AT_HOME = f"the login of 'JohnSmith' at {HOME}"


def failed_lookup(answer: ControlResponse) -> NotaryAuthError:
    error = begin(new_account()).go_on(answer).error
    assert error is not None
    return error


def failed_login(answer: ControlResponse, **arguments: Any) -> NotaryAuthError:
    error = begin(new_account(**arguments)).go_on(found(), answer).error
    assert error is not None
    return error


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (reply(299, None), "299 without an explanation"),
        (reply(301, None), f"301, a redirect, which is not followed with credentials: {WRONG_PLACE}"),
        (reply(308, None), f"308, a redirect, which is not followed with credentials: {WRONG_PLACE}"),
        *((reply(status, None), f"{status} without an explanation") for status in (300, 304, 305, 399)),
        (reply(400, None), "400 without an explanation"),
        (reply(200, b"<html>"), f"with a reply that is not JSON: {WRONG_PLACE}"),
        (reply(200, []), f"with a reply that is not a JSON object: {WRONG_PLACE}"),
        (reply(200, b"{}" + b" " * (1024 * 1024)), "with a reply that is larger than 1 MiB"),
        (reply(200, {})._replace(is_late=True), "with a reply that takes too long"),
        (reply(200, {}), f"with a reply that has no server_url that is a string: {WRONG_PLACE}"),
        (found(5), f"with a reply that has no server_url that is a string: {WRONG_PLACE}"),
        (
            found("ftp://x"),
            "with a reply that has a server_url that must be an https URL of a host, such as https://cloud.acronis.com",
        ),
        (
            found("https://u@x"),
            "with a reply that has a server_url that must not have a user name or password in it",
        ),
        (found("https://x/y"), "with a reply that has a server_url that must not have a path, query or fragment"),
        (found("https://x:0"), "with a reply that has a server_url that has an impossible host or port"),
        (found("http://x"), "with a reply that has a server_url without TLS"),
    ],
)
def test_a_look_up_that_fails(answer: ControlResponse, text: str) -> None:
    error = failed_lookup(answer)
    assert str(error) == NOBODY_FINDS + text
    assert (error.status, error.error, error.error_description, error.url) == (
        answer.status,
        None,
        None,
        LOOKUP_URL,
    )


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (reply(200, b"<html>"), f"is not JSON: {WRONG_PLACE}"),
        (reply(200, {}), "has no access_token that is a string"),
        (granted("a b"), "has an access_token with characters that RFC 6750 does not allow"),
        (granted(token_type="mac"), "has a token_type other than bearer"),
        (granted(expires_on="1"), "has an expires_on that is not a number"),
        (granted(expires_in=True), "has an expires_in that is not a number"),
    ],
)
def test_a_login_that_is_answered_strangely(answer: ControlResponse, text: str) -> None:
    error = failed_login(answer)
    assert str(error) == LOGIN_FAILED + text
    assert (error.status, error.error, error.error_description, error.url) == (200, None, None, LOGIN_URL)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (reply(500, b"<html>"), " failed: the platform answered 500 without an explanation: try again later"),
        (
            reply(302, b""),
            " failed: the platform answered 302, a redirect, which is not followed with credentials: "
            f"{WRONG_PLACE}",
        ),
        (refused("server_error", "Oops", 500), " failed: the platform answered server_error (Oops)"),
        (
            reply(500, {"error_description": "Oops"}),
            " failed: the platform answered 500 without an explanation: try again later",
        ),
        (
            reply(400, {"error": "invalid_request"}),
            " failed: the platform answered invalid_request, which is about the request and not about the "
            "password",
        ),
        (
            refused("access_denied", "Requested scope", 403),
            " failed: the platform answered access_denied (Requested scope)",
        ),
        (
            refused("totp_setup_required", "MFA"),
            " needs two-factor authentication, and the account has not set it up: totp_setup_required (MFA). No "
            "code can help: enrol the account in the console, or have an administrator turn it into a service "
            "account.",
        ),
        (
            reply(403, {"error": ["access_denied"]}),
            " failed: the platform answered 403 without an explanation",
        ),
        (
            reply(403, {"error": 5, "error_description": ["x"]}),
            " failed: the platform answered 403 without an explanation",
        ),
        (
            refused("totp_required", "A code"),
            " needs a TOTP code: totp_required (A code). Pass totp=, a function that returns the current code, "
            "or use a service account."
            " This auth object will not send the password again for 5 minutes, unless it changes.",
        ),
        (
            refused("invalid_totp", "No"),
            " failed: invalid_totp (No). Check the secret and the clock behind totp=.",
        ),
    ],
)
def test_a_login_that_fails(answer: ControlResponse, text: str) -> None:
    assert str(failed_login(answer)) == AT_HOME + text


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 200 + "…"),
        ("naïve \N{SNOWMAN}", "naïve \N{SNOWMAN}"),
        ("\x1b[31m\u202e", "\\x1b[31m\\u202e"),
        ("a/b c", "***"),
        ("no a/b c, a/b c!", "no ***, ***!"),
        ("no a%2Fb%20c", "***"),
        ("no a%2Fb+c", "***"),
        ("no a%2Fb+d, 5%2", "no a%2Fb+d, 5%2"),
        ("ACME\\Robert, \\N\\u12\\U0041\\", "ACME\\Robert, \\N\\u12\\U0041\\"),
        ("a number: &#" + "9" * 5000 + ";", "***"),
        ("x" * 40_000, "x" * 200 + "…"),
        ("a/b c " + "x" * 40_000, "***"),
        ("", None),
        (7, None),
    ],
)
def test_what_the_platform_says_is_shown(said: object, shown: str | None) -> None:
    error = failed_login(reply(401, {"error": "access_denied", "error_description": said}), password="a/b c")
    assert error.error_description == shown


@pytest.mark.parametrize(
    ("lost", "reason"),
    [
        (True, "2 attempts of other callers ended without an answer"),
        (False, "another caller's attempt has not ended in 60 seconds"),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_giving_up(lost: bool, reason: str, known: bool) -> None:
    account = new_account()
    if known:
        account = logged_in()
        clock_of(account).advance(7200)
    leaders = [begin(account)]
    waiting = begin(account)
    if lost:
        for _ in range(2):
            leaders[-1].close()
            leaders.append(begin(account))
            waiting.send(True)
    else:
        clock_of(account).advance(60)
        waiting.send(True)
    assert waiting.error is not None
    what, url = (
        (AT_HOME, LOGIN_URL) if known else (f"cannot find the data center of 'JohnSmith' at {CLOUD}", LOOKUP_URL)
    )
    failed = " failed: " if known else ": "
    assert str(waiting.error) == what + failed + reason
    assert waiting.error.url == url


WRONG: list[tuple[Callable[[Any], object], type[Exception], str]] = [
    (lambda wrong: Account(wrong, "p"), TypeError, "username must be a string, not int"),
    (lambda wrong: Account("", "p"), ValueError, "username is empty"),
    (
        lambda wrong: Account("u", wrong),
        TypeError,
        "password must be a string, or a function that returns one, not int",
    ),
    (lambda wrong: Account("u", "\0"), ValueError, "password contains a NUL character"),
    (
        lambda wrong: Account("u", "\udfff"),
        ValueError,
        "password contains a lone surrogate, which UTF-8 cannot encode",
    ),
    (
        lambda wrong: Account("u", "p", totp=wrong),
        TypeError,
        "totp must be a function that returns a code, not int",
    ),
    (lambda wrong: Account("u", "p", cloud_url=wrong), TypeError, "cloud_url must be a string, not int"),
    (
        lambda wrong: Account("u", "p", cloud_url="x"),
        ValueError,
        "cloud_url must be an https URL of a host, such as https://cloud.acronis.com",
    ),
    (
        lambda wrong: Account("u", "p", cloud_url="http://x"),
        InsecureUrl,
        "cloud_url must be https: http://x would get the password in clear",
    ),
]


@pytest.mark.parametrize(("build", "kind", "text"), WRONG, ids=[each[2] for each in WRONG])
def test_wrong_arguments(build: Callable[[Any], object], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        build(5)
    assert str(caught.value) == text
    if isinstance(caught.value, InsecureUrl):
        assert caught.value.url == "http://x"


def test_texts_with_flaws() -> None:
    assert [flaw_of_text(text) for text in ("ok", "\ud7ff", "\ue000")] == [None] * 3
    assert flaw_of_text("\ud800") == flaw_of_text("x\udfff")
    assert flaw_of_text(5) == "must be a string, not int"


@pytest.mark.parametrize(
    ("password", "text"),
    [
        (lambda: 5, "the result of the function that was given as password= must be a string, not int"),
        (lambda: 1 / 0, "the function that was given as password= raised ZeroDivisionError"),
    ],
)
def test_callables_that_fail(password: Callable[[], Any], text: str) -> None:
    error = begin(new_account(password=password)).go_on().error
    assert isinstance(error, LoginError)
    assert str(error) == text


def test_another_accounts_error_is_not_taken_for_this_accounts() -> None:
    """A password function may log in elsewhere, with notary-auth even."""
    refusal = begin(new_account()).go_on(found(), refused()).error
    assert refusal is not None
    error = begin(new_account(password=_raises(refusal))).go_on().error
    assert type(error) is LoginError
    assert str(error) == "the function that was given as password= raised CredentialsRefused"
    assert error.__cause__ is refusal
    assert error.status is None


def _raises(error: Exception) -> Callable[[], str]:
    def ask() -> str:
        raise error

    return ask


def records(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [f"{record.levelname} {record.getMessage()}" for record in caplog.records]
    caplog.clear()
    return lines


def test_log_records(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(logging.DEBUG, "notary_auth")
    account = new_account()
    complete(account, found(), granted())
    assert records(caplog) == [
        f"DEBUG asking <ControlRequest GET {LOOKUP_URL}>",
        f"INFO the data center of 'JohnSmith' is {HOME}",
        f"DEBUG asking <ControlRequest POST {LOGIN_URL}>",
        f"INFO logged in 'JohnSmith' at {HOME}, token good for 7200 s",
    ]
    complete(account, 401, found(), granted("token-2", None), 401)
    assert records(caplog) == [
        "DEBUG a token of 'JohnSmith' was rejected",
        f"DEBUG asking <ControlRequest GET {LOOKUP_URL}>",
        f"DEBUG asking <ControlRequest POST {LOGIN_URL}>",
        f"INFO logged in 'JohnSmith' at {HOME}, token good for an unknown time",
        "WARNING a new token of 'JohnSmith' got a 401 too, which is returned: may the account send that request?",
    ]
    clock_of(account).advance(60)
    complete(account, answered(401, "token-2", can_replay=False))
    assert records(caplog) == [
        "DEBUG a token of 'JohnSmith' was rejected",
        "WARNING a 401 is returned, because the body cannot be sent again; "
        "the next request of 'JohnSmith' has a new token",
    ]
    warn_of_origins(monkeypatch, 2)
    for url in ("https://a.example/", "/relative", "https://b.example/"):
        complete(account, url=url)
    assert records(caplog) == [
        f"WARNING requests to {what} are sent unsigned: that is neither {CLOUD} nor the data center "
        "of 'JohnSmith' (is cloud_url= right?)"
        for what in ("https://a.example", "URLs of an unusual form")
    ]


def test_log_records_of_a_refresh_and_of_a_second_login(caplog: pytest.LogCaptureFixture) -> None:
    account = logged_in()
    clock_of(account).advance(7200 - 100)
    caplog.set_level(logging.DEBUG, "notary_auth")
    complete(account, reply(500, b""))
    assert records(caplog)[1:] == [
        "WARNING a token of 'JohnSmith' was not refreshed and is used until it expires: "
        f"{AT_HOME} failed: the platform answered 500 without an explanation: try again later"
    ]
    clock_of(account).advance(50)
    refreshing = begin(account)
    assert isinstance(refreshing.throw(KeyError("secret")), Forward)
    assert records(caplog)[1:] == [
        "WARNING a token of 'JohnSmith' was not refreshed and is used until it expires: KeyError"
    ]
    account = new_account()
    first, second = begin(account), begin(account)
    assert isinstance(first.step, SendControl)
    assert isinstance(second.step, WaitForLogin)
    second.send(False)
    assert isinstance(second.step, SendControl)
    assert records(caplog)[1] == "DEBUG one more login: this caller cannot wait for the one under way"


def test_reprs() -> None:
    token = token_of(logged_in())
    body = ControlBody(200, {})
    body.take(b"secret")
    assert [
        repr(ControlRequest("GET", f"{LOOKUP_URL}?login=JohnSmith", {}, b"secret")),
        repr(Received(401, f"{HOME}{FILES}?secret=1?2", "secret", True)),
        repr(reply(200, {"secret": 1})),
        repr(Secret("secret")),
        repr(token),
        repr(token.signature),
        repr(Signature("secret", f"{HOME}{FILES}?secret=1")),
        repr(Signature(None, None)),
        repr(Bearer("secret")),
        repr(Bearer("secret").encode()),
        repr(new_account()),
    ] == [
        f"<ControlRequest GET {LOOKUP_URL}>",
        f"<Received 401 from {HOME}{FILES}>",
        "<ControlResponse 200, 13 bytes>",
        "<Secret>",
        f"<Token for {HOME}>",
        "<Signature with a token>",
        f"<Signature with a token, URL {HOME}{FILES}>",
        "<Signature without a token>",
        "'Bearer ***'",
        "b'Bearer ***'",
        f"Account('JohnSmith', cloud_url='{CLOUD}')",
    ]
    assert "secret" not in repr(body)


def test_a_refusal_that_is_told_again_says_so_how_old_it_is_and_how_to_try_at_once() -> None:
    account = new_account()
    text = (
        f"the platform refused {AT_HOME}: access_denied (Wrong login or password). "
        "This auth object will not send the password again for 5 minutes, unless it changes."
    )
    first = begin(account).go_on(found(), refused()).error
    assert str(first) == text
    assert (first.age, first.retry_after) == (None, None)  # type: ignore[union-attr]
    for _ in range(2):
        clock_of(account).advance(40)
        again: Any = begin(account).go_on().error
        assert str(again) == (
            f"{text} (This is the answer of {again.age:.0f} s ago, and nothing was sent now. "
            "After forget() of the account, the next request tries at once.)"
        )
        assert again.age + again.retry_after == pytest.approx(300)
    assert complete(new_account(), found(), granted()).authorizations == ["Bearer token-1"]


@pytest.mark.parametrize("status", [200, 403, 500])
def test_a_page_is_told_as_one(status: int) -> None:
    answer = reply(status, b"<html>Log in to the guests' network", {"content-type": "text/html; charset=utf-8"})
    for error in (failed_lookup(answer), failed_login(answer)):
        assert "a page (text/html)" in str(error)
        assert str(error).endswith("is cloud_url right? Does a proxy answer in its place?")
        assert str(status) in str(error) or status == 200


def test_a_proxy_that_wants_credentials_is_told_as_one() -> None:
    assert str(failed_lookup(reply(407, b""))).endswith(
        "407: a proxy wants credentials of its own; put them into HTTPS_PROXY, or into your client's proxies"
    )


def test_who_sends_a_refused_password_not_again() -> None:
    alone, shared = (
        begin(new_account(store=store)).go_on(found(), refused()).error for store in (None, MemoryStore())
    )
    assert str(alone).endswith(
        "This auth object will not send the password again for 5 minutes, unless it changes."
    )
    assert "No process that shares the store will send the password again for 5 minutes" in str(shared)


def test_the_first_guesses_are_told_the_right_way() -> None:
    with pytest.raises(ImportError, match=r"from notary_auth\.requests import NotaryAuth, likewise \.httpx"):
        from notary_auth import NotaryAuth  # noqa: F401
    with pytest.raises(TypeError, match=r"pass auth=NotaryAuth\.from_account"):
        requests.get("https://cloud.acronis.com/x", auth=new_account())
    with pytest.raises(TypeError, match=r"pass auth=NotaryAuth\.from_account"):
        httpx.get("https://cloud.acronis.com/x", auth=new_account())
    with pytest.raises(ValueError, match=r"such as https://cloud\.acronis\.com"):
        new_account(cloud_url="cloud.acronis.com")


class AsyncSource:
    async def __call__(self) -> str:
        return "x"


async def ask() -> str:
    return "x"


@pytest.mark.parametrize("name", ["password", "totp"])
@pytest.mark.parametrize("source", [ask, AsyncSource()], ids=["a function", "an object"])
def test_an_async_callable_is_refused_at_once(name: str, source: Any) -> None:
    with pytest.raises(TypeError, match=f"{name} must be an ordinary function"):
        new_account(**{name: source})
