"""Rules a to e on the bare core: one login for many processes, by a store on the test's clock."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any

import pytest
import redis

from notary_auth import CredentialsRefused, LoginError, LogoutError
from notary_auth.stores import MemoryStore
from tests.core import (
    CLOUD,
    HOME,
    LEADER_TIMEOUT,
    MAX_SEALS,
    PASSWORD,
    STORE_LOCK_TIMEOUT,
    Call,
    Document,
    Forward,
    RecordError,
    Seal,
    Secret,
    SendControl,
    Sleep,
    WaitForLogin,
    answered,
    begin,
    cached_signature,
    complete,
    fail_seals,
    forbid_locks_without_store,
    found,
    granted,
    interrupt_sealing,
    log_out,
    lookup_is_due,
    new_account,
    note_seals,
    now,
    record_in_store,
    refused,
    reply,
    scrypt_parameters,
    set_clock,
    set_store_timeout,
    token_of,
)
from tests.paths import FILES
from tests.shared_store import OFFLINE, Processes, form_of
from tests.waiting import until

pytestmark = pytest.mark.both_grants


@pytest.mark.users_only
def test_rule_a_a_record_says_nothing_without_the_password(processes: Processes) -> None:
    complete(processes.account(**OFFLINE), found(), granted("geheim-token", refresh_token="geheim-refresh"))
    ((name, (record, _)),) = processes.store.records.items()
    for secret in ("geheim", "JohnSmith", PASSWORD, "acronis", "bearer"):
        assert secret.encode() not in record
        assert secret not in name


def test_rule_a_another_password_finds_nothing(processes: Processes) -> None:
    complete(processes.account(), found(), granted())
    with pytest.raises(CredentialsRefused):
        complete(processes.account(password="wrong"), found(), refused())
    complete(processes.account(username="JaneDoe"), found(), granted("jane"))
    complete(
        processes.account(cloud_url="https://other.example"),
        found(),
        granted("other"),
        url="https://other.example/x",
    )
    assert complete(processes.account()).authorizations == ["Bearer token-1"]
    assert len(processes.store.records) == 4


def test_rule_a_a_changed_password_logs_in(processes: Processes) -> None:
    passwords = ["old", "new"]
    account = processes.account(password=lambda: passwords[0])
    complete(account, found(), granted())
    del passwords[0]
    account.forget()
    assert complete(account, found(), granted("token-2")).authorizations == ["Bearer token-2"]


@pytest.mark.parametrize("position", [0, 1, 13, -1])
def test_rule_a_a_record_that_was_changed_is_not_believed(
    processes: Processes, position: int, caplog: pytest.LogCaptureFixture
) -> None:
    complete(processes.account(), found(), granted())
    ((name, (record, end)),) = processes.store.records.items()
    changed = bytearray(record)
    changed[position] ^= 1
    processes.store.records[name] = bytes(changed), end
    assert complete(processes.account(), found(), granted("token-2")).authorizations == ["Bearer token-2"]
    assert caplog.text.count("torn, or was changed") == (position != 0), "another version is no news"
    assert complete(processes.account()).authorizations == ["Bearer token-2"], "it was replaced"


def test_rule_a_a_logout_removes_a_record_that_was_changed(processes: Processes) -> None:
    complete(processes.account(), found(), granted())
    ((name, (record, end)),) = processes.store.records.items()
    processes.store.records[name] = record[:50], end
    error = log_out(processes.account()).error
    assert isinstance(error, LogoutError)
    assert "could not be read, and was removed without being revoked" in str(error)
    assert processes.settle().records == {}
    assert log_out(processes.account()).error is None


def test_rule_a_a_record_of_another_account_is_not_believed(processes: Processes) -> None:
    complete(processes.account(), found(), granted())
    complete(processes.account(username="JaneDoe"), found(), granted("jane"))
    (one, its), (other, others) = processes.store.records.items()
    processes.store.records.update({one: others, other: its})
    assert complete(processes.account(), found(), granted("token-2")).authorizations == ["Bearer token-2"]


def test_rule_a_records_of_a_later_version_count_as_absent() -> None:
    seal = Seal("JohnSmith", Secret(PASSWORD), CLOUD)
    record = seal.close(Document(ttl=1))
    opened = seal.open(record)
    assert opened is not None
    assert opened.fields == {"ttl": 1}
    assert seal.open(b"\x04" + record[1:]) is None
    with pytest.raises(RecordError):
        seal.open(record[:20])


def test_rule_a_scrypt_runs_once_an_account_and_in_a_call(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    note_seals(monkeypatch, made)
    account = processes.account()
    conversation = begin(account)
    assert made == []
    assert isinstance(conversation.step, Call)
    conversation.go_on(found(), granted(lifetime=100))
    processes.clock.advance(200)
    complete(account, found(), granted("token-2")) if lookup_is_due(account) else complete(
        account, granted("token-2")
    )
    assert made == ["JohnSmith"]


def test_rule_a_scrypt_runs_once_for_all_objects_of_an_account_in_a_process(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pool of workers unpickles one for each task."""
    made: list[str] = []
    note_seals(monkeypatch, made)
    for username in ("JohnSmith", "JohnSmith", "Jane", "JohnSmith", "Jane"):
        begin(processes.account(username=username)).go_on(found(), granted()) if made.count(username) == 0 else (
            complete(processes.account(username=username))
        )
    assert made == ["JohnSmith", "Jane"]
    with pytest.raises(CredentialsRefused):
        complete(processes.account(password="another"), found(), refused())
    begin(processes.account(cloud_url="https://cloud.example"), "https://cloud.example/x").go_on(
        found(), refused()
    )
    assert len(made) == 4
    for number in range(MAX_SEALS):
        begin(processes.account(username=f"user-{number}")).go_on(found(), granted())
    complete(processes.account())
    assert made.count("JohnSmith") == 4, "the latest are kept"


@pytest.mark.real_scrypt
def test_rule_a_a_guess_costs_more_than_a_moment() -> None:
    assert scrypt_parameters() == (2**15, 8, 3)
    started = time.process_time()
    Seal("JohnSmith", Secret(PASSWORD), CLOUD)
    assert time.process_time() - started > 0.03


def test_rule_b_the_second_process_does_not_log_in(processes: Processes) -> None:
    complete(processes.account(), found(), granted())
    second = processes.account()
    conversation = complete(second)
    assert conversation.authorizations == ["Bearer token-1"]
    assert second.server_url == HOME, "no look-up either"
    assert not processes.settle().is_locked


def test_rule_b_the_warm_path_does_not_ask_the_store(processes: Processes) -> None:
    account = processes.account()
    complete(account, found(), granted())
    del processes.store.asked[:]
    complete(account)
    assert cached_signature(account, HOME + FILES) is not None
    assert processes.store.asked == []


def test_rule_b_one_process_logs_in_and_the_others_look_again(processes: Processes) -> None:
    first, second = begin(processes.account()), begin(processes.account())
    assert isinstance(first.perform_calls(), SendControl)
    assert isinstance(second.perform_calls(), Sleep), "it does not log in"
    assert 0 < second.step.seconds <= 0.05  # type: ignore[union-attr]
    second.send(None)
    assert isinstance(second.perform_calls(), Sleep)
    first.go_on(found(), granted())
    second.go_on()
    assert second.authorizations == ["Bearer token-1"]
    assert second.sent == []
    assert processes.store.asked.count("save") == 1


def test_rule_b_it_looks_again_with_the_lock_in_hand(processes: Processes) -> None:
    second = begin(processes.account())
    while processes.store.asked != ["load"]:
        second.send(second.step.function())  # type: ignore[union-attr]
    complete(processes.account(), found(), granted())  # another one is done between the first look and the lock
    second.go_on()
    assert second.sent == []


def test_rule_b_pauses_grow_and_end(processes: Processes, caplog: pytest.LogCaptureFixture) -> None:
    leader = begin(processes.account())
    leader.perform_calls()
    second = begin(processes.account())
    started = processes.clock()
    while isinstance(second.perform_calls(), Sleep):
        processes.clock.advance(second.pauses[-1])
        second.send(None)
    assert isinstance(second.step, SendControl), "the holder has had its time: log in all the same"
    assert STORE_LOCK_TIMEOUT <= processes.clock() - started < STORE_LOCK_TIMEOUT + 1 < LEADER_TIMEOUT
    assert second.pauses[0] <= 0.05
    assert 0.25 <= second.pauses[-1] <= 0.5
    assert len(second.pauses) < 200
    assert "logs in after 40 s of waiting for a process that holds the store's lock" in caplog.text


def test_rule_b_a_refusal_is_shared_with_all_processes(processes: Processes) -> None:
    with pytest.raises(CredentialsRefused) as first:
        complete(processes.account(password="wrong"), found(), refused())
    with pytest.raises(CredentialsRefused) as second:
        complete(processes.account(password="wrong"))
    assert str(second.value).startswith(str(first.value))
    assert second.value.age is not None
    assert second.value.status == 401
    assert second.value.error == "access_denied"
    processes.clock.advance(299)
    with pytest.raises(CredentialsRefused):
        complete(processes.account(password="wrong"))
    processes.clock.advance(2)
    with pytest.raises(CredentialsRefused):
        complete(processes.account(password="wrong"), found(), refused())
    assert not processes.settle().is_locked


def test_rule_b_a_refusal_from_the_store_lasts_no_longer_than_the_first_one(processes: Processes) -> None:
    with pytest.raises(CredentialsRefused):
        complete(processes.account(password="wrong"), found(), refused())
    processes.clock.advance(200)
    second = processes.account(password="wrong")
    with pytest.raises(CredentialsRefused):
        complete(second)
    processes.clock.advance(101)
    complete(second, found(), granted())


def test_rule_b_forget_tries_again_whatever_others_have_seen(processes: Processes) -> None:
    with pytest.raises(CredentialsRefused):
        complete(processes.account(password="wrong"), found(), refused())
    account = processes.account(password="wrong")
    with pytest.raises(CredentialsRefused):
        complete(account)
    account.forget()
    with pytest.raises(CredentialsRefused):
        complete(account, found(), refused())
    with pytest.raises(CredentialsRefused):
        complete(account)


def test_rule_b_what_is_no_refusal_of_the_password_is_not_stored(processes: Processes) -> None:
    for answer in (refused("totp_required"), reply(500)):
        with pytest.raises(LoginError):
            complete(processes.account(), found(), answer)
    assert processes.store.records == {}
    assert not processes.settle().is_locked


def test_rule_15_a_newer_token_in_the_store_is_used_before_a_login(processes: Processes) -> None:
    first, second = processes.account(), processes.account()
    complete(first, found(), granted())
    complete(second)
    complete(first, 401, found(), granted("token-2"))
    conversation = complete(second, 401)
    assert conversation.authorizations == ["Bearer token-1", "Bearer token-2"]
    assert conversation.sent == []


def test_rule_15_a_rejected_token_in_the_store_is_replaced(processes: Processes) -> None:
    account = processes.account()
    complete(account, found(), granted())
    conversation = complete(account, 401, found(), granted("token-2"))
    assert conversation.authorizations == ["Bearer token-1", "Bearer token-2"]
    assert complete(processes.account()).authorizations == ["Bearer token-2"]


def test_rule_15_a_stored_token_that_is_refused_too_leads_to_a_login(processes: Processes) -> None:
    first, second = processes.account(), processes.account()
    complete(first, found(), granted(lifetime=1000))
    complete(second)
    conversation = begin(second)
    processes.clock.advance(950)
    complete(first, granted("token-2"))  # refreshed in time
    conversation.go_on(401, 401, found(), granted("token-3"))
    assert conversation.authorizations == ["Bearer token-1", "Bearer token-2", "Bearer token-3"]


def test_rule_15_processes_that_get_a_401_whatever_they_carry_log_in_once_each(
    processes: Processes,
) -> None:
    accounts = [processes.account() for _ in range(10)]
    complete(accounts[0], found(), granted())
    for account in accounts[1:]:
        complete(account)
    logins = 0
    for account in accounts:
        conversation = begin(account)
        while (step := conversation.perform_calls()) is not None:
            match step:
                case SendControl(request):
                    is_login = request.method == "POST"
                    logins += is_login
                    conversation.send(granted(f"fresh-{logins}") if is_login else found())
                case Forward(signature):
                    conversation.send(conversation.answer_to(signature, 401))
                case _:
                    raise AssertionError(step)
        assert conversation.error is None
    assert logins == len(accounts)


def test_rule_16_a_rejected_token_is_deleted_where_the_request_cannot_be_sent_again(processes: Processes) -> None:
    """Each process is a new one, and sends a stream: nobody would ever log in."""
    complete(processes.account(), found(), granted())
    second = begin(processes.account())
    step = second.perform_calls()
    assert isinstance(step, Forward)
    second.send(answered(401, "token-1", can_replay=False))
    second.go_on()
    assert processes.store.records == {}
    assert not processes.settle().is_locked
    complete(processes.account(), found(), granted("token-2"))


def test_rule_16_a_token_that_has_replaced_the_refused_one_stays_in_the_store(processes: Processes) -> None:
    first, second = processes.account(), processes.account()
    complete(first, found(), granted())
    conversation = begin(second)
    conversation.perform_calls()
    complete(first, 401, found(), granted("token-2"))
    conversation.send(answered(401, "token-1", can_replay=False))
    conversation.go_on()
    assert complete(processes.account()).authorizations == ["Bearer token-2"]


def test_rule_14_a_refresh_is_left_to_the_process_that_has_the_lock(processes: Processes) -> None:
    first, second = processes.account(), processes.account()
    complete(first, found(), granted(lifetime=1000))
    complete(second)
    processes.clock.advance(950)
    refreshing = begin(first)
    assert isinstance(refreshing.perform_calls(), SendControl)
    conversation = complete(second)
    assert conversation.authorizations == ["Bearer token-1"], "the old one serves on, at once"
    assert conversation.pauses == []
    refreshing.go_on(granted("token-2", lifetime=1000))
    processes.clock.advance(35)
    assert complete(second).authorizations == ["Bearer token-2"]


def test_rule_14_a_stored_token_that_is_due_itself_is_refreshed(processes: Processes) -> None:
    first, second = processes.account(), processes.account()
    complete(first, found(), granted(lifetime=10_000))
    complete(second)
    processes.clock.advance(9690)
    complete(first, 401, found(), granted("token-2", lifetime=100))
    processes.clock.advance(98)
    assert complete(second, granted("token-3")).authorizations == ["Bearer token-3"]


def test_rule_8_one_that_cannot_wait_waits_for_no_process_either(processes: Processes) -> None:
    account = processes.account()
    leader = begin(account)
    assert isinstance(leader.perform_calls(), SendControl)
    blocked = begin(account)
    blocked.send(False)  # it cannot wait: the leader needs this very thread
    assert isinstance(blocked.perform_calls(), SendControl), "no pause: nobody would go on meanwhile"
    blocked.go_on(found(), granted("token-2"))
    assert blocked.pauses == []
    leader.go_on(found(), granted("token-1"))


def test_rule_b_a_cancelled_login_gives_the_lock_back(processes: Processes) -> None:
    conversation = begin(processes.account())
    assert isinstance(conversation.perform_calls(), SendControl)
    assert processes.store.is_locked
    conversation.close()
    assert not processes.settle().is_locked


def test_rule_b_a_lock_that_comes_after_the_cancellation_is_given_back(processes: Processes) -> None:
    """Under an event loop the store is asked in a thread, which goes on when its task is cancelled."""
    conversation = begin(processes.account())
    while processes.store.asked != ["load"]:
        conversation.send(conversation.step.function())  # type: ignore[union-attr]
    assert isinstance(conversation.step, Call)
    acquire = conversation.step.function
    conversation.close()
    acquire()
    assert not processes.settle().is_locked


@pytest.mark.users_only
def test_rule_b_what_was_granted_is_saved_even_if_the_task_is_cancelled_then(processes: Processes) -> None:
    """A refresh token that is spent is worth nothing to the others: they need the new one."""
    conversation = begin(processes.account(**OFFLINE))
    conversation.perform_calls()
    conversation.send(found())
    conversation.send(granted(refresh_token="refresh-1"))
    assert isinstance(conversation.step, Call), "is about to save"
    conversation.close()
    processes.settle()
    assert complete(processes.account()).authorizations == ["Bearer token-1"]
    assert not processes.store.is_locked


class Failing(MemoryStore):
    """A store whose method `fails` raises."""

    def __init__(self, fails: str) -> None:
        super().__init__()

        def fail(*_: object) -> Any:
            raise ConnectionError("redis://user:geheim@host is away")

        if fails in ("acquire", "release"):
            lock = type("Lock", (), {"acquire": lambda self: True, "release": lambda self: None, fails: fail})
            self.lock = lambda name, seconds: lock()  # type: ignore[method-assign]
        else:
            setattr(self, fails, fail)


class Raising:
    """A store that fails with the same error each time."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def load(self, name: str) -> Any:
        raise self._error

    save = delete = lock = load


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            redis.exceptions.NoPermissionError("User app has no permissions to run the 'pttl' command"),
            "NoPermissionError, User app has no permissions to run the 'pttl' command",
        ),
        (redis.exceptions.ResponseError("DB index is out of range"), "ResponseError, DB index is out of range"),
        (
            caused(
                redis.exceptions.ConnectionError("Error 111 connecting to cache:6379."), OSError(111, "refused")
            ),
            "ConnectionError, Error 111 connecting to cache:6379. (ConnectionRefusedError)",
        ),
        (redis.exceptions.ConnectionError("cannot read redis://app:geheim@cache"), "ConnectionError"),
        (redis.exceptions.ConnectionError("app:geheim@cache"), "ConnectionError"),
        (ValueError("geheim"), "ValueError"),
        (caused(ValueError("geheim"), KeyError("geheim")), "ValueError (KeyError)"),
        (OSError(28, "No space left on device", "/x"), "OSError, No space left on device: /x"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_rule_c_the_warning_says_why_and_no_secret(
    error: Exception, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    complete(new_account(store=Raising(error)), found(), granted())
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning == f"the store of 'JohnSmith' failed, going on without it: {reason}"


@pytest.mark.parametrize("fails", ["load", "save", "lock", "acquire", "release"])
def test_rule_c_a_store_that_fails_costs_a_warning_and_a_login(
    fails: str, caplog: pytest.LogCaptureFixture
) -> None:
    account = new_account(store=Failing(fails))
    assert complete(account, found(), granted()).authorizations == ["Bearer token-1"]
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage() for record in warnings] == [
        "the store of 'JohnSmith' failed, going on without it: ConnectionError"
    ]
    assert "geheim" not in caplog.text


def test_rule_c_a_store_that_fails_with_the_lock_in_hand_gets_it_back(processes: Processes) -> None:
    """Where the lock is the system's, it would stay taken for as long as this process lives."""
    account = processes.account()
    conversation = begin(account)
    while not processes.store.is_locked:
        conversation.send(conversation.step.function())  # type: ignore[union-attr]

    def fail(name: str) -> Any:
        raise ConnectionError

    processes.store.load = fail  # type: ignore[method-assign]
    conversation.go_on(found(), granted())
    assert conversation.error is None
    assert not processes.settle().is_locked
    assert processes.store.records == {}, "nothing is saved where nothing could be read"


def test_an_interrupt_at_any_line_leaves_no_lock_that_other_accounts_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts without a store have the same turn, which is none: nothing of it may be locked."""
    forbid_locks_without_store(monkeypatch)
    complete(new_account(), found(), granted())


def test_rule_c_a_save_that_failed_is_not_tried_again(processes: Processes) -> None:
    tried: list[str] = []

    def fail(name: str, record: bytes, seconds: float) -> None:
        tried.append(name)
        raise OSError(28, "No space left on device")

    processes.store.save = fail  # type: ignore[method-assign]
    complete(processes.account(), found(), granted())
    assert not processes.settle().is_locked
    assert len(tried) == 1


def test_rule_c_a_key_that_cannot_be_made_costs_the_same(
    processes: Processes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fail_seals(monkeypatch, MemoryError)
    complete(processes.account(), found(), granted())
    assert "MemoryError" in caplog.text


def test_rule_c_the_reason_is_told_where_it_is_safe(caplog: pytest.LogCaptureFixture) -> None:
    store = Failing("load")

    def fail(name: str) -> Any:
        raise PermissionError(1, "not ours alone", "/tmp/x")

    store.load = fail  # type: ignore[method-assign]
    complete(new_account(store=store), found(), granted())
    assert "PermissionError, not ours alone: /tmp/x" in caplog.text


def test_rule_d_a_token_ages_in_the_store(processes: Processes) -> None:
    complete(processes.account(), found(), granted(lifetime=1000))
    processes.clock.advance(400)
    second = processes.account()
    complete(second)
    assert token_of(second).expires_at == pytest.approx(processes.clock() + 600)
    processes.clock.advance(590)
    third = processes.account()
    complete(third)
    assert token_of(third).refresh_at < processes.clock() < token_of(third).expires_at, "it is due, and good"
    processes.clock.advance(20)
    complete(processes.account(), found(), granted("token-2"))


def test_rule_d_the_time_that_a_login_took_counts_for_all(processes: Processes) -> None:
    first, second = processes.account(), processes.account()
    login = begin(first)
    login.perform_calls()
    login.send(found())
    processes.clock.advance(20)
    login.go_on(granted(lifetime=1000))
    complete(second)
    assert token_of(second).expires_at == pytest.approx(token_of(first).expires_at)


def test_rule_d_clocks_of_two_machines_need_not_agree(processes: Processes) -> None:
    complete(processes.account(), found(), granted(lifetime=1000))
    processes.clock.advance(400)
    elsewhere = processes.account()
    set_clock(elsewhere, lambda: processes.clock() - 1e6)  # another machine, which was started at another time
    complete(elsewhere)
    assert token_of(elsewhere).expires_at == pytest.approx(now(elsewhere) + 600)


def test_rule_d_a_store_whose_clock_was_set_back_has_nothing(processes: Processes) -> None:
    complete(processes.account(), found(), granted(lifetime=1000))
    processes.store.clock = lambda: processes.clock() - 60
    assert complete(processes.account(), found(), granted("token-2")).authorizations == ["Bearer token-2"]


def test_rule_d_a_token_of_unknown_lifetime_is_kept_for_a_day(processes: Processes) -> None:
    complete(processes.account(), found(), granted(lifetime=None))
    ((_, (_, end)),) = processes.store.records.items()
    assert end == processes.clock() + 24 * 3600
    second = processes.account()
    complete(second)
    assert token_of(second).expires_at == float("inf")


def test_rule_e_stores_are_asked_in_calls_only(processes: Processes) -> None:
    conversation = begin(processes.account())
    results: list[Any] = [found(), granted()]
    while conversation.step is not None:
        before = list(processes.store.asked)
        step = conversation.step
        if isinstance(step, Call):
            conversation.send(step.function())
        elif isinstance(step, SendControl):
            conversation.send(results.pop(0))
            assert processes.store.asked == before
        else:
            conversation.send(conversation.answer_to(step.signature, 200))  # type: ignore[union-attr]
            assert processes.store.asked == before
    assert processes.store.asked == ["load", "load", "save"]


@pytest.mark.users_only
def test_rule_b_a_refusal_is_left_by_one_that_has_no_use_for_a_refresh_token(processes: Processes) -> None:
    complete(processes.account(**OFFLINE), found(), granted(lifetime=1000, refresh_token="refresh-1"))
    processes.settle()
    processes.clock.advance(1001)
    with pytest.raises(CredentialsRefused):
        complete(processes.account(), found(), refused())
    processes.settle()
    with pytest.raises(CredentialsRefused):
        complete(processes.account())  # asks nobody


@pytest.mark.users_only
def test_rule_b_a_refusal_leaves_the_refresh_token_to_those_who_use_it(processes: Processes) -> None:
    complete(processes.account(**OFFLINE), found(), granted(lifetime=1000, refresh_token="refresh-1"))
    processes.clock.advance(1001)
    with pytest.raises(CredentialsRefused):
        complete(processes.account(), found(), refused())
    with pytest.raises(CredentialsRefused):
        complete(processes.account())
    (_, refresh) = complete(
        processes.account(**OFFLINE), found(), granted("token-2", refresh_token="refresh-2")
    ).sent
    assert form_of(refresh)["refresh_token"] == "refresh-1"
    assert complete(processes.account()).authorizations == ["Bearer token-2"], "a success ends the refusal"


@pytest.mark.users_only
@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_rule_b_a_fleet_whose_refresh_token_is_not_good_any_more_logs_in_once(
    processes: Processes, status: int
) -> None:
    complete(processes.account(**OFFLINE), found(), granted(lifetime=1000, refresh_token="refresh-1"))
    processes.clock.advance(1001)
    with pytest.raises(CredentialsRefused):
        complete(processes.account(**OFFLINE), found(), reply(status, b""), refused(), found())
    for _ in range(50):
        with pytest.raises(CredentialsRefused):
            complete(processes.account(**OFFLINE))
    processes.clock.advance(301)
    with pytest.raises(CredentialsRefused):
        complete(processes.account(**OFFLINE), found(), refused())


@pytest.mark.users_only
def test_rule_b_a_fleet_does_not_send_a_refused_password_where_the_refresh_token_does_not_help(
    processes: Processes,
) -> None:
    complete(processes.account(**OFFLINE), found(), granted(lifetime=1000, refresh_token="refresh-1"))
    processes.clock.advance(1001)
    with pytest.raises(CredentialsRefused):
        complete(processes.account(), found(), refused())
    (_, refresh, _) = begin(processes.account(**OFFLINE)).go_on(found(), refused("invalid_grant"), found()).sent
    assert form_of(refresh)["grant_type"] == "refresh_token"
    with pytest.raises(CredentialsRefused):
        complete(processes.account(**OFFLINE))


@pytest.mark.users_only
def test_rule_b_a_refresh_token_is_tried_again_after_a_busy_platform_in_spite_of_a_refusal(
    processes: Processes,
) -> None:
    complete(processes.account(**OFFLINE), found(), granted(lifetime=1000, refresh_token="refresh-1"))
    processes.clock.advance(1001)
    with pytest.raises(CredentialsRefused):
        complete(processes.account(), found(), refused())
    account = processes.account(**OFFLINE)
    with pytest.raises(LoginError):
        complete(account, found(), *[reply(503, b"")] * 3)
    assert complete(account, found(), granted("token-2")).authorizations == ["Bearer token-2"]


@pytest.mark.users_only
def test_rule_b_a_refusal_that_is_saved_again_beside_a_refresh_token_is_no_younger(processes: Processes) -> None:
    complete(processes.account(**OFFLINE), found(), granted(lifetime=1000, refresh_token="refresh-1"))
    processes.clock.advance(1001)
    with pytest.raises(CredentialsRefused):
        complete(processes.account(), found(), refused())
    processes.clock.advance(200)
    with pytest.raises(CredentialsRefused):
        complete(processes.account(**OFFLINE), found(), refused("invalid_grant"), found())
    processes.clock.advance(99)
    with pytest.raises(CredentialsRefused):
        complete(processes.account())
    processes.clock.advance(2)
    complete(processes.account(), found(), granted())


@pytest.mark.users_only
def test_rule_b_a_required_code_is_no_refusal_for_those_who_share_the_store(processes: Processes) -> None:
    error = begin(processes.account()).go_on(found(), refused("totp_required")).error
    assert "This auth object will not send the password again" in str(error)
    complete(processes.account(totp=lambda: "424242"), found(), granted())


@pytest.mark.users_only
def test_rule_b_a_refresh_token_in_memory_is_used_in_spite_of_a_stored_refusal(processes: Processes) -> None:
    account = processes.account(**OFFLINE)
    complete(account, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    processes.settle().records.clear()
    processes.clock.advance(1001)
    with pytest.raises(CredentialsRefused):
        complete(processes.account(), found(), refused())
    assert complete(account, granted("token-2")).authorizations == ["Bearer token-2"]


def test_rule_9_a_pause_hides_no_token_that_another_process_has_got(processes: Processes) -> None:
    account = processes.account()
    for _ in range(3):
        assert begin(account).go_on(found(), reply(403, b"")).error is not None
    paused = begin(account).go_on().error
    assert paused is not None
    assert paused.age is not None
    complete(processes.account(), found(), granted())
    assert complete(account).authorizations == ["Bearer token-1"]


def test_rule_d_a_replayed_token_is_as_old_as_the_time_of_its_sealing_says(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can write to the store chooses how long a record seems to have to live."""
    complete(processes.account(), found(), granted(lifetime=7200))
    ((name, (record, _)),) = processes.store.records.items()
    for hours, left in ((0, 7200), (0.08, 7200), (1, 3900), (2, 300), (2.1, None), (100, None), (-0.1, None)):
        wall = time.time()
        account = processes.account()
        with monkeypatch.context() as patched:
            patched.setattr(time, "time", lambda wall=wall, hours=hours: wall + hours * 3600)
            processes.store.records[name] = record, processes.clock() + 7200
            if left is None:
                complete(account, found(), granted())
            else:
                complete(account)
                assert token_of(account).expires_at - now(account) == pytest.approx(left, abs=5)


def test_rule_b_a_replayed_refusal_is_believed_for_a_while_only(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can write to the store chooses how long a record lives."""
    with pytest.raises(CredentialsRefused):
        complete(processes.account(), found(), refused())
    ((name, (record, _)),) = processes.store.records.items()
    for hours, is_believed in ((0.05, True), (0.17, False), (2, False), (-2, False)):
        now = time.time()
        with monkeypatch.context() as patched:
            patched.setattr(time, "time", lambda now=now, hours=hours: now + hours * 3600)
            processes.store.records[name] = record, processes.clock() + 300
            if is_believed:
                with pytest.raises(CredentialsRefused):
                    complete(processes.account())
            else:
                complete(processes.account(), found(), granted())


def test_rule_b_a_holder_whose_lease_has_ended_may_overwrite_what_came_after(processes: Processes) -> None:
    """Both tokens are good."""
    slow = begin(processes.account())
    assert isinstance(slow.perform_calls(), SendControl)
    processes.store.expire_leases()
    complete(processes.account(), found(), granted("token-2"))
    slow.go_on(found(), granted("token-1"))
    assert complete(processes.account()).authorizations == ["Bearer token-1"]


@pytest.mark.users_only
def test_rule_18_sealing_shows_nothing_in_tracebacks(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    import traceback

    conversation = begin(processes.account(**OFFLINE))
    conversation.perform_calls()
    conversation.send(found())
    interrupt_sealing(monkeypatch)
    with pytest.raises(KeyboardInterrupt) as caught:
        conversation.send(granted("geheim-1", refresh_token="geheim-2"))
    monkeypatch.undo()
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    assert "geheim" not in repr([frame.locals for frame in shown if "notary_auth" in frame.filename])


@pytest.mark.users_only
def test_rule_18_nothing_of_the_store_shows_a_secret(processes: Processes) -> None:
    account = processes.account(**OFFLINE)
    complete(account, found(), granted("geheim-1", refresh_token="geheim-2"))
    shown = record_in_store(account)
    assert "geheim" not in shown
    assert PASSWORD not in shown


def test_rule_c_what_was_read_before_the_store_failed_is_not_used(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = processes.account()
    complete(account, found(), granted())
    processes.clock.advance(7200 - 100)  # a refresh is due
    conversation = begin(account)
    while not processes.store.is_locked:  # after that, the record is read again
        assert isinstance(conversation.step, Call)
        conversation.send(conversation.step.function())
    account.forget()

    def fail(name: str) -> None:
        raise OSError

    monkeypatch.setattr(processes.store, "load", fail)
    conversation.go_on(found(), granted("token-2"))
    assert conversation.authorizations == ["Bearer token-2"]


def test_a_turn_that_is_abandoned_under_a_loop_ends_in_a_thread(processes: Processes) -> None:
    import asyncio

    threads: list[str] = []

    class Lock:
        def acquire(self) -> bool:
            return True

        def release(self) -> None:
            threads.append(threading.current_thread().name)

    processes.store.lock = lambda name, seconds: Lock()  # type: ignore[method-assign,assignment]

    async def main() -> None:
        conversation = begin(processes.account())
        assert isinstance(conversation.perform_calls(), SendControl)
        conversation.close()

    asyncio.run(main())
    until(lambda: threads, 10)
    assert threads == ["notary-auth store"]


@pytest.mark.parametrize("call", ["load", "lock", "save"])
def test_rule_c_a_store_that_does_not_answer_delays_a_login_and_no_more(
    processes: Processes, call: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever time-outs and retries its client has. A lock that it grants after all is given back at once."""
    set_store_timeout(monkeypatch, 0.05)
    may_answer, original = threading.Event(), getattr(processes.store, call)

    def answer_late(*arguments: Any) -> Any:
        if call == "lock":
            lock = original(*arguments)
            acquire = lock.acquire
            lock.acquire = lambda: may_answer.wait(30) and acquire()
            return lock
        may_answer.wait(30)
        return original(*arguments)

    setattr(processes.store, call, answer_late)
    account = processes.account()
    assert complete(account, found(), granted()).authorizations == ["Bearer token-1"]
    assert "the store of 'JohnSmith' failed, going on without it: TimeoutError, no answer in 0.05 s" in caplog.text
    may_answer.set()
    until(lambda: "notary-auth store" not in [thread.name for thread in threading.enumerate()], 10)
    assert not processes.store.is_locked


def test_rule_c_a_record_that_is_not_saved_in_the_background_is_told(caplog: pytest.LogCaptureFixture) -> None:
    class Full(MemoryStore):
        def save(self, name: str, record: bytes, seconds: float) -> None:
            raise OSError(28, "No space left on device")

    conversation = begin(new_account(store=Full()))
    conversation.perform_calls()
    conversation.send(found())
    conversation.send(granted())  # the token is published, and the task cancelled before it is saved
    conversation.close()
    until(lambda: "No space left" in caplog.text)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_rule_21_a_forked_child_does_not_release_its_parents_lock(processes: Processes) -> None:
    conversation = begin(processes.account())
    conversation.perform_calls()
    assert processes.store.is_locked
    released: list[str] = []
    for lease in processes.store.leases.values():
        lease.release = lambda: released.append("by the child")  # type: ignore[method-assign]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.getpid", lambda: -1)  # as in a child
        conversation.close()
    time.sleep(0.05)
    assert released == []


def test_rule_7_an_error_thrown_into_a_login_is_shared_also_with_a_store(processes: Processes) -> None:
    """As httpx's adapter does it where a client repeats the login: the steps must be over at once."""
    account = processes.account()
    leader = begin(account)
    leader.perform_calls()
    leader.send(found())
    waiting = begin(account)
    assert isinstance(waiting.step, WaitForLogin)
    with pytest.raises(LoginError):
        leader.throw(LoginError("repeated"))
    assert waiting.step.login.is_over
    assert not waiting.step.login.is_lost


def test_rule_b_a_refusal_is_in_the_store_before_anybody_is_told_of_it(processes: Processes) -> None:
    conversation = begin(processes.account(password="wrong"))
    conversation.perform_calls()
    conversation.send(found())
    conversation.send(refused())
    assert isinstance(conversation.step, Call)
    assert processes.store.records == {}
    conversation.perform_calls()
    assert isinstance(conversation.error, CredentialsRefused)
    assert len(processes.store.records) == 1


def test_rule_9_a_refusal_from_the_store_is_remembered_and_not_read_again(processes: Processes) -> None:
    with pytest.raises(CredentialsRefused):
        complete(processes.account(password="wrong"), found(), refused())
    account = processes.account(password="wrong")
    with pytest.raises(CredentialsRefused):
        complete(account)
    del processes.store.asked[:]
    with pytest.raises(CredentialsRefused):
        complete(account)
    assert processes.store.asked == []
