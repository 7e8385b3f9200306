"""Refresh tokens on the bare core: asked for, spent, rotated, shared."""

from __future__ import annotations

from typing import Any

import pytest

from notary_auth import LoginError
from tests.core import (
    CLOUD,
    NEW_HOME,
    PASSWORD,
    Call,
    SendControl,
    answered,
    begin,
    clock_of,
    complete,
    found,
    granted,
    log_out,
    new_account,
    refused,
    remembered_refusals,
    reply,
)
from tests.shared_store import OFFLINE, Processes, form_of


def test_a_refresh_token_is_asked_for_and_used() -> None:
    account = new_account(**OFFLINE)
    first = complete(account, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    assert form_of(first.sent[1])["scope"] == "offline_access"
    clock_of(account).advance(1001)
    second = complete(account, granted("token-2", lifetime=1000, refresh_token="refresh-2"))
    assert form_of(second.sent[0]) == {"grant_type": "refresh_token", "refresh_token": "refresh-1"}
    clock_of(account).advance(1001)
    third = complete(account, granted("token-3"))
    assert form_of(third.sent[0])["refresh_token"] == "refresh-2", "they rotate"


def test_a_refresh_token_that_is_not_replaced_is_used_again() -> None:
    account = new_account(**OFFLINE)
    complete(account, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    for number in range(3):
        clock_of(account).advance(1001)
        conversation = complete(account, granted(f"again-{number}", lifetime=1000))
        assert form_of(conversation.sent[0])["refresh_token"] == "refresh-1"


def test_without_offline_access_no_refresh_token_is_asked_for_or_kept() -> None:
    account = new_account()
    conversation = complete(account, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    assert "scope" not in form_of(conversation.sent[1])
    clock_of(account).advance(1001)
    conversation = complete(account, granted("token-2"))
    assert form_of(conversation.sent[0])["grant_type"] == "password"


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refused_refresh_token_falls_back_to_the_password_once(status: int) -> None:
    account = new_account(**OFFLINE)
    complete(account, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    clock_of(account).advance(1001)
    conversation = complete(account, refused("invalid_grant", status=status), granted("token-2", lifetime=1000))
    assert [form_of(request)["grant_type"] for request in conversation.sent] == ["refresh_token", "password"]
    clock_of(account).advance(1001)
    conversation = complete(account, granted("token-3"))
    assert form_of(conversation.sent[0])["grant_type"] == "password", "it is forgotten"


def test_a_refused_refresh_token_is_no_refused_password() -> None:
    account = new_account(**OFFLINE)
    complete(account, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    clock_of(account).advance(1001)
    with pytest.raises(LoginError):
        complete(account, refused("access_denied"), reply(500))
    assert remembered_refusals(account) == []


def test_a_code_is_asked_for_once_and_the_password_too() -> None:
    asked: list[str] = []

    def password() -> str:
        asked.append("password")
        return PASSWORD

    def totp() -> str:
        asked.append("code")
        return "424242"

    account = new_account(password=password, totp=totp, **OFFLINE)
    complete(account, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    for number in range(5):
        clock_of(account).advance(950)
        complete(account, granted(f"next-{number}", lifetime=1000, refresh_token=f"refresh-{number}"))
    assert asked == ["password", "code"]


def test_after_a_401_the_data_center_is_looked_up_and_the_refresh_token_spent_there() -> None:
    account = new_account(**OFFLINE)
    complete(account, found(), granted(refresh_token="refresh-1"))
    conversation = complete(
        account, 401, found(NEW_HOME), refused("invalid_grant", status=400), granted("token-2", refresh_token="r")
    )
    assert [request.url.split("/api")[0] for request in conversation.sent] == [CLOUD, NEW_HOME, NEW_HOME]


@pytest.mark.parametrize("value", [5, "", "a\nb", "\u00e4", ["x"], True])
def test_rule_12_a_refresh_token_that_does_not_fit_is_a_login_error(value: Any) -> None:
    with pytest.raises(LoginError, match="refresh_token that RFC 6749 does not allow"):
        complete(new_account(**OFFLINE), found(), granted(refresh_token=value))
    complete(new_account(), found(), granted(refresh_token=value))


def test_a_refresh_token_rotates_for_all_processes(processes: Processes) -> None:
    first, second = processes.account(**OFFLINE), processes.account(**OFFLINE)
    complete(first, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    complete(second)
    processes.clock.advance(1001)
    complete(first, granted("token-2", lifetime=1000, refresh_token="refresh-2"))
    processes.clock.advance(1001)
    conversation = complete(second, granted("token-3", refresh_token="refresh-3"))
    assert form_of(conversation.sent[0])["refresh_token"] == "refresh-2", "the store's, and not its own, spent one"


def test_a_process_that_starts_a_day_later_needs_no_code(processes: Processes) -> None:
    complete(processes.account(totp=lambda: "424242", **OFFLINE), found(), granted(refresh_token="refresh-1"))
    processes.clock.advance(24 * 3600)

    def nobody_there() -> str:
        raise AssertionError("asks for a code")

    complete(
        processes.account(totp=nobody_there, **OFFLINE), found(), granted("token-2", refresh_token="refresh-2")
    )


def test_rule_18_the_platforms_echo_of_a_refresh_token_is_not_shown() -> None:
    account = new_account(**OFFLINE)
    complete(account, found(), granted(lifetime=1000, refresh_token="geheim-1"))
    clock_of(account).advance(1001)
    busy = {"error": "server_error", "error_description": "cannot use geheim-1"}
    echo = reply(503, busy, {"Retry-After": "0"})
    with pytest.raises(LoginError) as caught:
        complete(account, echo, echo, echo)
    assert "geheim" not in str(caught.value)
    assert caught.value.error_description == "cannot use ***"


def test_a_spent_refresh_token_does_not_come_back_from_the_store(processes: Processes) -> None:
    """What replaced it could not be saved, and is in this process's memory."""
    account = processes.account(**OFFLINE)
    complete(account, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    ((name, record),) = processes.store.records.items()
    processes.clock.advance(1001)
    complete(account, granted("token-2", lifetime=1000, refresh_token="refresh-2"))
    processes.store.records[name] = record
    processes.clock.advance(1001)
    conversation = complete(account, granted("token-3", refresh_token="refresh-3"))
    assert form_of(conversation.sent[0])["refresh_token"] == "refresh-2"


def test_a_refresh_token_is_saved_though_the_store_has_failed_before(processes: Processes) -> None:
    complete(processes.account(**OFFLINE), found(), granted(lifetime=1000, refresh_token="refresh-1"))
    processes.clock.advance(1001)
    lock = processes.store.lock

    def fail(*_: object) -> Any:
        raise ConnectionError

    processes.store.lock = fail  # type: ignore[method-assign]
    second = processes.account(**OFFLINE)
    assert form_of(complete(second, found(), granted("token-2", refresh_token="refresh-2")).sent[1])[
        "refresh_token"
    ]
    processes.store.lock = lock  # type: ignore[method-assign]
    assert complete(processes.account(**OFFLINE)).authorizations == ["Bearer token-2"]


def test_an_interrupted_save_is_made_up_for(processes: Processes) -> None:
    account = processes.account(**OFFLINE)
    conversation = begin(account)
    conversation.perform_calls()
    conversation.send(found())
    conversation.send(granted(refresh_token="refresh-1"))
    step = conversation.step
    assert isinstance(step, Call)
    save = processes.store.save

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    processes.store.save = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        step.function()
    processes.store.save = save  # type: ignore[method-assign]
    conversation.close()
    assert not processes.settle().is_locked
    assert complete(processes.account(**OFFLINE)).authorizations == ["Bearer token-1"]


def test_the_record_of_a_rejected_token_is_deleted_together_with_its_refresh_token(processes: Processes) -> None:
    complete(processes.account(**OFFLINE), found(), granted(refresh_token="refresh-1"))
    second = begin(processes.account(**OFFLINE))
    second.perform_calls()
    second.send(answered(401, "token-1", can_replay=False))
    second.go_on()
    assert processes.settle().records == {}


def test_one_who_asks_for_no_refresh_token_leaves_that_of_others(processes: Processes) -> None:
    first, other = processes.account(**OFFLINE), processes.account()
    complete(first, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    processes.clock.advance(1001)
    complete(other, found(), granted("token-2", lifetime=1000))
    complete(first)
    processes.clock.advance(1001)
    for account in (processes.account(**OFFLINE), first):
        conversation = begin(account)
        while not (isinstance(conversation.step, SendControl) and conversation.step.request.body):
            step = conversation.step
            conversation.send(step.function() if isinstance(step, Call) else found())
        assert form_of(conversation.step.request)["refresh_token"] == "refresh-1"
        conversation.close()
        processes.settle()


def test_a_refresh_token_in_memory_outlives_a_record_without_one(processes: Processes) -> None:
    first = processes.account(**OFFLINE)
    complete(first, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    processes.store.records.clear()
    complete(processes.account(), found(), granted("token-2", lifetime=3000))
    processes.clock.advance(1001)
    assert complete(first).authorizations == ["Bearer token-2"]
    processes.clock.advance(2000)
    conversation = complete(first, granted("token-3"))
    assert form_of(conversation.sent[0])["refresh_token"] == "refresh-1"


def test_a_refused_refresh_token_is_deleted_from_the_store(processes: Processes) -> None:
    complete(processes.account(**OFFLINE), found(), granted(lifetime=1000, refresh_token="refresh-1"))
    processes.clock.advance(1001)
    with pytest.raises(LoginError):
        complete(
            processes.account(**OFFLINE), found(), refused("invalid_grant", status=400), refused("totp_required")
        )
    assert processes.settle().records == {}


@pytest.mark.parametrize("status", [200, 302, 400, 403, 404, 500])
def test_a_refresh_token_that_gets_any_other_answer_is_dropped_and_the_password_is_used(status: int) -> None:
    account = new_account(**OFFLINE)
    complete(account, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    clock_of(account).advance(950)
    conversation = complete(account, reply(status, b"<html>"), granted("token-2", lifetime=1000))
    assert [form_of(sent)["grant_type"] for sent in conversation.sent] == ["refresh_token", "password"]
    assert conversation.authorizations == ["Bearer token-2"]
    clock_of(account).advance(1001)
    (login,) = complete(account, granted("token-3")).sent
    assert form_of(login)["grant_type"] == "password"


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_platform_costs_no_refresh_token(status: int) -> None:
    account = new_account(**OFFLINE)
    complete(account, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    clock_of(account).advance(1001)
    busy = reply(status, b"", {"Retry-After": "0"})
    with pytest.raises(LoginError):
        complete(account, busy, busy, busy)
    conversation = complete(account, found(), granted("token-2"))
    assert form_of(conversation.sent[1])["refresh_token"] == "refresh-1"


def test_a_stored_refresh_token_that_is_not_accepted_does_not_lock_other_processes_out(
    processes: Processes,
) -> None:
    complete(processes.account(**OFFLINE), found(), granted(lifetime=1000, refresh_token="refresh-1"))
    processes.settle()
    processes.clock.advance(1001)
    complete(processes.account(**OFFLINE), found(), reply(400, b""), granted("token-2", refresh_token="refresh-2"))
    processes.settle()
    assert complete(processes.account(**OFFLINE)).authorizations == ["Bearer token-2"]


def test_a_process_that_only_logs_out_revokes_what_is_in_the_store(processes: Processes) -> None:
    complete(processes.account(), found(), granted())
    conversation = log_out(processes.account(), reply(200, {}))
    assert form_of(conversation.sent[0])["token"] == "token-1"
    assert processes.store.records == {}
    assert not processes.settle().is_locked
