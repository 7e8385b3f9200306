"""Rules a to e on the bare core: one login for many processes, by a store on the test's clock."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest

from notary_auth import CredentialsRefused, LoginError, LogoutError, _account, _fleet, _sealed
from notary_auth._sealed import RecordError, Seal
from notary_auth._secret import Secret
from notary_auth._steps import Call, Forward, Send, Sleep
from notary_auth.stores import MemoryStore
from tests.core import (
    CLOUD,
    FILES,
    HOME,
    PASSWORD,
    answered,
    begin,
    found,
    granted,
    hold,
    new_account,
    refused,
    reply,
)
from tests.shared_store import OFFLINE, Members, farewell, perform_calls, settled


def test_rule_a_a_record_says_nothing_without_the_password(fleet: Members) -> None:
    hold(fleet.account(**OFFLINE), found(), granted("geheim-token", refresh_token="geheim-refresh"))
    ((name, (record, _)),) = fleet.store.records.items()
    for secret in ("geheim", "JohnSmith", PASSWORD, "acronis", "bearer"):
        assert secret.encode() not in record
        assert secret not in name


def test_rule_a_another_password_finds_nothing(fleet: Members) -> None:
    hold(fleet.account(), found(), granted())
    with pytest.raises(CredentialsRefused):
        hold(fleet.account(password="wrong"), found(), refused())
    hold(fleet.account(username="JaneDoe"), found(), granted("jane"))
    hold(
        fleet.account(cloud_url="https://other.example"), found(), granted("other"), url="https://other.example/x"
    )
    assert hold(fleet.account()).authorizations == ["Bearer token-1"]
    assert len(fleet.store.records) == 4


def test_rule_a_a_changed_password_logs_in(fleet: Members) -> None:
    passwords = ["old", "new"]
    account = fleet.account(password=lambda: passwords[0])
    hold(account, found(), granted())
    del passwords[0]
    account.forget()
    assert hold(account, found(), granted("token-2")).authorizations == ["Bearer token-2"]


@pytest.mark.parametrize("position", [0, 1, 13, -1])
def test_rule_a_a_record_that_was_changed_is_not_believed(
    fleet: Members, position: int, caplog: pytest.LogCaptureFixture
) -> None:
    hold(fleet.account(), found(), granted())
    ((name, (record, end)),) = fleet.store.records.items()
    changed = bytearray(record)
    changed[position] ^= 1
    fleet.store.records[name] = bytes(changed), end
    assert hold(fleet.account(), found(), granted("token-2")).authorizations == ["Bearer token-2"]
    assert caplog.text.count("torn, or was changed") == (position != 0), "another version is no news"
    assert hold(fleet.account()).authorizations == ["Bearer token-2"], "it was replaced"


def test_rule_a_a_logout_removes_a_record_that_was_changed(fleet: Members) -> None:
    hold(fleet.account(), found(), granted())
    ((name, (record, end)),) = fleet.store.records.items()
    fleet.store.records[name] = record[:50], end
    error = farewell(fleet.account()).error
    assert isinstance(error, LogoutError)
    assert "could not be read, and was removed without being revoked" in str(error)
    assert settled(fleet).records == {}
    assert farewell(fleet.account()).error is None


def test_rule_a_a_record_of_another_account_is_not_believed(fleet: Members) -> None:
    hold(fleet.account(), found(), granted())
    hold(fleet.account(username="JaneDoe"), found(), granted("jane"))
    (one, its), (other, others) = fleet.store.records.items()
    fleet.store.records.update({one: others, other: its})
    assert hold(fleet.account(), found(), granted("token-2")).authorizations == ["Bearer token-2"]


def test_rule_a_records_of_a_later_version_count_as_absent() -> None:
    seal = Seal("JohnSmith", Secret(PASSWORD), CLOUD)
    record = seal.close({"kept": 1})
    assert seal.open(record) == {"kept": 1}
    assert seal.open(b"\x02" + record[1:]) is None
    with pytest.raises(RecordError):
        seal.open(record[:20])


def test_rule_a_scrypt_runs_once_an_account_and_in_a_call(fleet: Members, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    class Counted(Seal):
        def __init__(self, *arguments: Any) -> None:
            made.append(arguments[0])
            super().__init__(*arguments)

    monkeypatch.setattr(_sealed, "Seal", Counted)
    account = fleet.account()
    conversation = begin(account)
    assert made == []
    assert isinstance(conversation.step, Call)
    conversation.go_on(found(), granted(lifetime=100))
    fleet.clock.advance(200)
    hold(account, found(), granted("token-2")) if account._lookup_due else hold(account, granted("token-2"))
    assert made == ["JohnSmith"]


@pytest.mark.real_scrypt
def test_rule_a_a_guess_costs_more_than_a_moment() -> None:
    assert (_sealed.SCRYPT_COST, _sealed.SCRYPT_BLOCK, _sealed.SCRYPT_PASSES) == (2**15, 8, 3)
    started = time.process_time()
    Seal("JohnSmith", Secret(PASSWORD), CLOUD)
    assert time.process_time() - started > 0.03


def test_rule_b_the_second_process_does_not_log_in(fleet: Members) -> None:
    hold(fleet.account(), found(), granted())
    second = fleet.account()
    conversation = hold(second)
    assert conversation.authorizations == ["Bearer token-1"]
    assert second.server_url == HOME, "no look-up either"
    assert not settled(fleet).is_locked


def test_rule_b_the_warm_path_does_not_ask_the_store(fleet: Members) -> None:
    account = fleet.account()
    hold(account, found(), granted())
    del fleet.store.asked[:]
    hold(account)
    assert account.signature(HOME + FILES) is not None
    assert fleet.store.asked == []


def test_rule_b_one_process_logs_in_and_the_others_look_again(fleet: Members) -> None:
    first, second = begin(fleet.account()), begin(fleet.account())
    assert isinstance(perform_calls(first), Send)
    assert isinstance(perform_calls(second), Sleep), "it does not log in"
    assert 0 < second.step.seconds <= 0.05  # type: ignore[union-attr]
    second.send(None)
    assert isinstance(perform_calls(second), Sleep)
    first.go_on(found(), granted())
    second.go_on()
    assert second.authorizations == ["Bearer token-1"]
    assert second.sent == []
    assert fleet.store.asked.count("save") == 1


def test_rule_b_it_looks_again_with_the_lock_in_hand(fleet: Members) -> None:
    second = begin(fleet.account())
    while fleet.store.asked != ["load"]:
        second.send(second.step.function())  # type: ignore[union-attr]
    hold(fleet.account(), found(), granted())  # another one is done between the first look and the lock
    second.go_on()
    assert second.sent == []


def test_rule_b_pauses_grow_and_end(fleet: Members, caplog: pytest.LogCaptureFixture) -> None:
    leader = begin(fleet.account())
    perform_calls(leader)
    second = begin(fleet.account())
    started = fleet.clock()
    fleet.store._leases = {
        name: (holder, time.monotonic() + 1e9) for name, (holder, _) in fleet.store._leases.items()
    }
    while isinstance(perform_calls(second), Sleep):
        fleet.clock.advance(second.pauses[-1])
        second.send(None)
    assert isinstance(second.step, Send), "the holder has had its time: log in all the same"
    assert _account.FLEET_PATIENCE <= fleet.clock() - started < _account.FLEET_PATIENCE + 1 < _account.PATIENCE
    assert second.pauses[0] <= 0.05
    assert 0.25 <= second.pauses[-1] <= 0.5
    assert len(second.pauses) < 200
    assert "logs in without waiting for another process any longer" in caplog.text


def test_rule_b_a_refusal_is_for_the_whole_fleet(fleet: Members) -> None:
    with pytest.raises(CredentialsRefused) as first:
        hold(fleet.account(password="wrong"), found(), refused())
    with pytest.raises(CredentialsRefused) as second:
        hold(fleet.account(password="wrong"))
    assert str(first.value) == str(second.value)
    assert second.value.status == 401
    assert second.value.error == "access_denied"
    fleet.clock.advance(299)
    with pytest.raises(CredentialsRefused):
        hold(fleet.account(password="wrong"))
    fleet.clock.advance(2)
    with pytest.raises(CredentialsRefused):
        hold(fleet.account(password="wrong"), found(), refused())
    assert not settled(fleet).is_locked


def test_rule_b_a_refusal_from_the_store_lasts_no_longer_than_the_first_one(fleet: Members) -> None:
    with pytest.raises(CredentialsRefused):
        hold(fleet.account(password="wrong"), found(), refused())
    fleet.clock.advance(200)
    second = fleet.account(password="wrong")
    with pytest.raises(CredentialsRefused):
        hold(second)
    fleet.clock.advance(101)
    hold(second, found(), granted())


def test_rule_b_forget_tries_again_whatever_others_have_seen(fleet: Members) -> None:
    with pytest.raises(CredentialsRefused):
        hold(fleet.account(password="wrong"), found(), refused())
    account = fleet.account(password="wrong")
    with pytest.raises(CredentialsRefused):
        hold(account)
    account.forget()
    with pytest.raises(CredentialsRefused):
        hold(account, found(), refused())
    with pytest.raises(CredentialsRefused):
        hold(account)


def test_rule_b_what_is_no_refusal_of_the_password_is_not_stored(fleet: Members) -> None:
    for answer in (refused("totp_required"), reply(500)):
        with pytest.raises(LoginError):
            hold(fleet.account(), found(), answer)
    assert fleet.store.records == {}
    assert not settled(fleet).is_locked


def test_rule_15_a_newer_token_in_the_store_is_used_before_a_login(fleet: Members) -> None:
    first, second = fleet.account(), fleet.account()
    hold(first, found(), granted())
    hold(second)
    hold(first, 401, found(), granted("token-2"))
    conversation = hold(second, 401)
    assert conversation.authorizations == ["Bearer token-1", "Bearer token-2"]
    assert conversation.sent == []


def test_rule_15_a_refused_token_in_the_store_is_replaced(fleet: Members) -> None:
    account = fleet.account()
    hold(account, found(), granted())
    conversation = hold(account, 401, found(), granted("token-2"))
    assert conversation.authorizations == ["Bearer token-1", "Bearer token-2"]
    assert hold(fleet.account()).authorizations == ["Bearer token-2"]


def test_rule_15_a_stored_token_that_is_refused_too_leads_to_a_login(fleet: Members) -> None:
    first, second = fleet.account(), fleet.account()
    hold(first, found(), granted(lifetime=1000))
    hold(second)
    conversation = begin(second)
    fleet.clock.advance(950)
    hold(first, granted("token-2"))  # renewed in time
    conversation.go_on(401, 401, found(), granted("token-3"))
    assert conversation.authorizations == ["Bearer token-1", "Bearer token-2", "Bearer token-3"]


def test_rule_15_a_crowd_of_processes_that_is_refused_whatever_it_carries_logs_in_once_a_minute(
    fleet: Members,
) -> None:
    accounts = [fleet.account() for _ in range(10)]
    hold(accounts[0], found(), granted())
    for account in accounts[1:]:
        hold(account)
    logins = 0
    for account in accounts:
        conversation = begin(account)
        while (step := perform_calls(conversation)) is not None:
            match step:
                case Send(request):
                    is_login = request.method == "POST"
                    logins += is_login
                    conversation.send(granted(f"fresh-{logins}") if is_login else found())
                case Forward(signature):
                    conversation.send(conversation._answer(signature, 401))
                case _:
                    raise AssertionError(step)
        assert conversation.error is None
    assert logins == 1


def test_rule_16_a_refused_token_is_withdrawn_where_the_request_cannot_be_sent_again(fleet: Members) -> None:
    """Each process is a new one, and sends a stream: nobody would ever log in."""
    hold(fleet.account(), found(), granted())
    second = begin(fleet.account())
    step = perform_calls(second)
    assert isinstance(step, Forward)
    second.send(answered(401, "token-1", replayable=False))
    second.go_on()
    assert fleet.store.records == {}
    assert not settled(fleet).is_locked
    hold(fleet.account(), found(), granted("token-2"))


def test_rule_16_a_token_that_has_replaced_the_refused_one_stays_in_the_store(fleet: Members) -> None:
    first, second = fleet.account(), fleet.account()
    hold(first, found(), granted())
    conversation = begin(second)
    perform_calls(conversation)
    hold(first, 401, found(), granted("token-2"))
    conversation.send(answered(401, "token-1", replayable=False))
    conversation.go_on()
    assert hold(fleet.account()).authorizations == ["Bearer token-2"]


def test_rule_14_a_renewal_is_left_to_the_process_that_is_at_it(fleet: Members) -> None:
    first, second = fleet.account(), fleet.account()
    hold(first, found(), granted(lifetime=1000))
    hold(second)
    fleet.clock.advance(950)
    renewing = begin(first)
    assert isinstance(perform_calls(renewing), Send)
    conversation = hold(second)
    assert conversation.authorizations == ["Bearer token-1"], "the old one serves on, at once"
    assert conversation.pauses == []
    renewing.go_on(granted("token-2", lifetime=1000))
    fleet.clock.advance(35)
    assert hold(second).authorizations == ["Bearer token-2"]


def test_rule_14_a_token_in_the_store_that_is_due_itself_is_renewed(fleet: Members) -> None:
    first, second = fleet.account(), fleet.account()
    hold(first, found(), granted(lifetime=10_000))
    hold(second)
    fleet.clock.advance(9690)
    hold(first, 401, found(), granted("token-2", lifetime=100))
    fleet.clock.advance(98)
    assert hold(second, granted("token-3")).authorizations == ["Bearer token-3"]


def test_rule_8_one_that_cannot_wait_waits_for_no_process_either(fleet: Members) -> None:
    account = fleet.account()
    leader = begin(account)
    assert isinstance(perform_calls(leader), Send)
    blocked = begin(account)
    blocked.send(False)  # it cannot wait: the leader needs this very thread
    assert isinstance(perform_calls(blocked), Send), "no pause: nobody would go on meanwhile"
    blocked.go_on(found(), granted("token-2"))
    assert blocked.pauses == []
    leader.go_on(found(), granted("token-1"))


def test_rule_b_a_cancelled_login_gives_the_lock_back(fleet: Members) -> None:
    conversation = begin(fleet.account())
    assert isinstance(perform_calls(conversation), Send)
    assert fleet.store.is_locked
    conversation.close()
    assert not settled(fleet).is_locked


def test_rule_b_a_lock_that_comes_after_the_cancellation_is_given_back(fleet: Members) -> None:
    """Under an event loop the store is asked in a thread, which goes on when its task is cancelled."""
    conversation = begin(fleet.account())
    while fleet.store.asked != ["load"]:
        conversation.send(conversation.step.function())  # type: ignore[union-attr]
    assert isinstance(conversation.step, Call)
    acquire = conversation.step.function
    conversation.close()
    acquire()
    assert not settled(fleet).is_locked


def test_rule_b_what_was_granted_is_saved_even_if_the_task_is_cancelled_then(fleet: Members) -> None:
    """A refresh token that is spent is worth nothing to the others: they need the new one."""
    conversation = begin(fleet.account(**OFFLINE))
    perform_calls(conversation)
    conversation.send(found())
    conversation.send(granted(refresh_token="refresh-1"))
    assert isinstance(conversation.step, Call), "is about to save"
    conversation.close()
    settled(fleet)
    assert hold(fleet.account()).authorizations == ["Bearer token-1"]
    assert not fleet.store.is_locked


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


@pytest.mark.parametrize("fails", ["load", "save", "lock", "acquire", "release"])
def test_rule_c_a_store_that_fails_costs_a_warning_and_a_login(
    fails: str, caplog: pytest.LogCaptureFixture
) -> None:
    account = new_account(store=Failing(fails))
    assert hold(account, found(), granted()).authorizations == ["Bearer token-1"]
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage() for record in warnings] == [
        "the store of 'JohnSmith' failed, going on without it: ConnectionError"
    ]
    assert "geheim" not in caplog.text


def test_rule_c_a_store_that_fails_with_the_lock_in_hand_gets_it_back(fleet: Members) -> None:
    """Where the lock is the system's, it would stay taken for as long as this process lives."""
    account = fleet.account()
    conversation = begin(account)
    while not fleet.store.is_locked:
        conversation.send(conversation.step.function())  # type: ignore[union-attr]

    def fail(name: str) -> Any:
        raise ConnectionError

    fleet.store.load = fail  # type: ignore[method-assign]
    conversation.go_on(found(), granted())
    assert conversation.error is None
    assert not settled(fleet).is_locked
    assert fleet.store.records == {}, "nothing is saved where nothing could be read"


def test_an_interrupt_at_any_line_leaves_no_lock_that_other_accounts_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts without a store have the same turn, which is none: nothing of it may be locked."""
    monkeypatch.setattr(_fleet.NO_TURN, "_ending", None)
    hold(new_account(), found(), granted())


def test_rule_c_a_save_that_failed_is_not_tried_again(fleet: Members) -> None:
    tried: list[str] = []

    def fail(name: str, record: bytes, seconds: float) -> None:
        tried.append(name)
        raise OSError(28, "No space left on device")

    fleet.store.save = fail  # type: ignore[method-assign]
    hold(fleet.account(), found(), granted())
    assert not settled(fleet).is_locked
    assert len(tried) == 1


def test_rule_c_a_key_that_cannot_be_made_costs_the_same(
    fleet: Members, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(_sealed, "Seal", fail)
    hold(fleet.account(), found(), granted())
    assert "MemoryError" in caplog.text


def test_rule_c_the_reason_is_told_where_it_is_safe(caplog: pytest.LogCaptureFixture) -> None:
    store = Failing("load")

    def fail(name: str) -> Any:
        raise PermissionError(1, "not ours alone", "/tmp/x")

    store.load = fail  # type: ignore[method-assign]
    hold(new_account(store=store), found(), granted())
    assert "PermissionError, not ours alone: /tmp/x" in caplog.text


def test_rule_d_a_tokens_age_goes_on_in_the_store(fleet: Members) -> None:
    hold(fleet.account(), found(), granted(lifetime=1000))
    fleet.clock.advance(400)
    second = fleet.account()
    hold(second)
    assert second.token.expires_at == pytest.approx(fleet.clock() + 600)
    fleet.clock.advance(590)
    third = fleet.account()
    hold(third)
    assert third.token.refresh_at < fleet.clock() < third.token.expires_at, "it is due, and good"
    fleet.clock.advance(20)
    hold(fleet.account(), found(), granted("token-2"))


def test_rule_d_the_time_that_a_login_took_counts_for_all(fleet: Members) -> None:
    first, second = fleet.account(), fleet.account()
    login = begin(first)
    perform_calls(login)
    login.send(found())
    fleet.clock.advance(20)
    login.go_on(granted(lifetime=1000))
    hold(second)
    assert second.token.expires_at == pytest.approx(first.token.expires_at)


def test_rule_d_clocks_of_two_machines_need_not_agree(fleet: Members) -> None:
    hold(fleet.account(), found(), granted(lifetime=1000))
    fleet.clock.advance(400)
    elsewhere = fleet.account()
    elsewhere.now = lambda: fleet.clock() - 1e6  # another machine, which was started at another time
    hold(elsewhere)
    assert elsewhere.token.expires_at == pytest.approx(elsewhere.now() + 600)


def test_rule_d_a_store_whose_clock_was_set_back_has_nothing(fleet: Members) -> None:
    hold(fleet.account(), found(), granted(lifetime=1000))
    fleet.store.clock = lambda: fleet.clock() - 60
    assert hold(fleet.account(), found(), granted("token-2")).authorizations == ["Bearer token-2"]


def test_rule_d_a_token_of_unknown_lifetime_is_kept_for_a_day(fleet: Members) -> None:
    hold(fleet.account(), found(), granted(lifetime=None))
    ((_, (_, end)),) = fleet.store.records.items()
    assert end == fleet.clock() + 24 * 3600
    second = fleet.account()
    hold(second)
    assert second.token.expires_at == float("inf")


def test_rule_e_stores_are_asked_in_calls_only(fleet: Members) -> None:
    conversation = begin(fleet.account())
    results: list[Any] = [found(), granted()]
    while conversation.step is not None:
        before = list(fleet.store.asked)
        step = conversation.step
        if isinstance(step, Call):
            conversation.send(step.function())
        elif isinstance(step, Send):
            conversation.send(results.pop(0))
            assert fleet.store.asked == before
        else:
            conversation.send(conversation._answer(step.signature, 200))  # type: ignore[union-attr]
            assert fleet.store.asked == before
    assert fleet.store.asked == ["load", "load", "save"]


def test_rule_b_a_refusal_is_left_by_one_that_has_no_use_for_a_refresh_token(fleet: Members) -> None:
    hold(fleet.account(**OFFLINE), found(), granted(lifetime=1000, refresh_token="refresh-1"))
    settled(fleet)
    fleet.clock.advance(1001)
    with pytest.raises(CredentialsRefused):
        hold(fleet.account(), found(), refused())
    settled(fleet)
    with pytest.raises(CredentialsRefused):
        hold(fleet.account())  # asks nobody


def test_rule_b_a_replayed_refusal_is_believed_for_a_while_only(
    fleet: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can write to the store chooses how long a record lives."""
    with pytest.raises(CredentialsRefused):
        hold(fleet.account(), found(), refused())
    ((name, (record, _)),) = fleet.store.records.items()
    for hours, is_believed in ((0.5, True), (2, False), (-2, False)):
        now = time.time()
        with monkeypatch.context() as patched:
            patched.setattr(time, "time", lambda now=now, hours=hours: now + hours * 3600)
            fleet.store.records[name] = record, fleet.clock() + 300
            if is_believed:
                with pytest.raises(CredentialsRefused):
                    hold(fleet.account())
            else:
                hold(fleet.account(), found(), granted())


def test_rule_b_a_holder_whose_lease_has_ended_does_not_overwrite_what_came_after(fleet: Members) -> None:
    slow = begin(fleet.account())
    assert isinstance(perform_calls(slow), Send)
    fleet.store._leases.clear()
    hold(fleet.account(), found(), granted("token-2"))
    with pytest.MonkeyPatch.context() as patched:
        real = _fleet.clock
        patched.setattr(_fleet, "clock", lambda: real() + 31)
        slow.go_on(found(), granted("token-1"))
    assert hold(fleet.account()).authorizations == ["Bearer token-2"]


def test_rule_18_sealing_shows_nothing_in_tracebacks(fleet: Members, monkeypatch: pytest.MonkeyPatch) -> None:
    import traceback

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    conversation = begin(fleet.account(**OFFLINE))
    perform_calls(conversation)
    conversation.send(found())
    monkeypatch.setattr(_sealed.os, "urandom", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        conversation.send(granted("geheim-1", refresh_token="geheim-2"))
    monkeypatch.undo()
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    assert "geheim" not in repr([frame.locals for frame in shown if "notary_auth" in frame.filename])


def test_rule_18_nothing_of_the_store_shows_a_secret(fleet: Members) -> None:
    account = fleet.account(**OFFLINE)
    hold(account, found(), granted("geheim-1", refresh_token="geheim-2"))
    turn = account._fleet.last_turn()
    conversation = turn.load()
    call = next(conversation)
    assert isinstance(call, Call)
    with pytest.raises(StopIteration):
        conversation.send(call.function())
    assert turn.shared is not None
    for shown in (repr(turn.shared), repr(turn.__dict__), repr(turn.seal)):
        assert "geheim" not in shown
        assert PASSWORD not in shown


def test_a_turn_that_is_abandoned_under_a_loop_ends_in_a_thread(fleet: Members) -> None:
    import asyncio

    threads: list[str] = []

    class Lock:
        def acquire(self) -> bool:
            return True

        def release(self) -> None:
            threads.append(threading.current_thread().name)

    fleet.store.lock = lambda name, seconds: Lock()  # type: ignore[method-assign,assignment]

    async def main() -> None:
        conversation = begin(fleet.account())
        assert isinstance(perform_calls(conversation), Send)
        conversation.close()

    asyncio.run(main())
    deadline = time.monotonic() + 10
    while not threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threads == ["notary-auth"]
