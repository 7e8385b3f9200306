"""Rules 18 and 22 to 24 on the bare core: reprs, errors, log records, and the warm path."""

from __future__ import annotations

import logging
import pickle
import threading

import pytest

from notary_auth import (
    CredentialsRefused,
    InsecureUrl,
    LoginError,
    TotpRequired,
)
from tests.core import (
    CLOUD,
    FILES,
    HOME,
    NEW_HOME,
    PASSWORD,
    Call,
    Forward,
    Received,
    Signature,
    begin,
    cached_signature,
    complete,
    forbid_lock,
    found,
    granted,
    lock_of,
    logged_in,
    new_account,
    refused,
    token_of,
)

pytestmark = pytest.mark.both_grants


@pytest.mark.users_only
def test_rule_18_nothing_of_a_login_shows_a_secret() -> None:
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
    shown += [repr(account), str(account), repr(token_of(account)), repr(granted("tok-geheim"))]
    shown.append(repr(Received(200, HOME, "Bearer tok-geheim", True)))
    for text in shown:
        for secret in (PASSWORD, "424242", "tok-geheim"):
            assert secret not in text


@pytest.mark.users_only
def test_a_log_handler_may_come_back_to_the_account() -> None:
    account = new_account()
    calls: list[str] = []

    def take_the_lock(message: str) -> None:
        with lock_of(account):
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
        complete(account, found(), granted(), 401, found(NEW_HOME), granted("token-2"))
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert len(calls) >= 8


@pytest.mark.users_only
def test_a_totp_code_that_the_platform_repeats_is_not_shown() -> None:
    account = new_account(totp=lambda: "424242")
    error = begin(account).go_on(found(), refused("invalid_totp", "424242 is wrong")).error
    assert isinstance(error, TotpRequired)
    assert "424242" not in str(error)
    assert error.error_description == "*** is wrong"


def test_rule_22_errors_pickle() -> None:
    error = begin(new_account()).go_on(found(), refused()).error
    assert isinstance(error, CredentialsRefused)
    restored = pickle.loads(pickle.dumps(error))
    assert type(restored) is CredentialsRefused
    assert (str(restored), vars(restored)) == (str(error), vars(error))
    assert issubclass(InsecureUrl, ValueError)
    assert issubclass(TotpRequired, LoginError)


@pytest.mark.users_only
def test_rule_23_what_is_logged_and_how_loudly(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "notary_auth")
    account = new_account()
    complete(account, found(), granted())
    complete(account, url="https://evil.example/")
    complete(account, 401, found(), granted("token-2"))
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
    assert "asking <ControlRequest POST https://eu2-cloud.acronis.com/api/2/idp/token>" in by_level["DEBUG"]
    assert logging.getLogger("notary_auth").handlers == [], "a handler would hide warnings from a script"


def test_rule_24_the_warm_path_takes_no_lock() -> None:
    account = logged_in()
    forbid_lock(account)
    assert cached_signature(account, HOME + FILES) is token_of(account).signature
    assert cached_signature(account, CLOUD + FILES) == Signature("Bearer token-1", HOME + FILES)
    assert complete(account).authorizations == ["Bearer token-1"]
