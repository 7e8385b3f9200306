"""Stores, refresh tokens and logout on the bare core: no sockets, a clock that the test moves."""

from __future__ import annotations

import logging
import pickle
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from notary_auth import Account, CredentialsRefused, LoginError, LogoutError, _account, _fleet, _sealed
from notary_auth._sealed import RecordError, Seal
from notary_auth._secret import Secret
from notary_auth._steps import Call, Forward, Send, Sleep
from notary_auth.stores import MemoryStore

from .core import (
    CLOUD,
    FILES,
    HOME,
    NEW_HOME,
    PASSWORD,
    Conversation,
    answered,
    begin,
    clock_of,
    found,
    granted,
    hold,
    new_account,
    refused,
    reply,
)

OFFLINE = {"offline_access": True}


@pytest.fixture(autouse=True)
def cheap_scrypt(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "real_scrypt" not in request.keywords:
        monkeypatch.setattr(_sealed, "SCRYPT_COST", 2**10)


class Store(MemoryStore):
    """A store on the accounts' own clock, with a record of what was asked of it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self.clock = clock
        self.asked: list[str] = []

    def load(self, name: str) -> tuple[bytes, float] | None:
        self.asked.append("load")
        record, end = self._records.get(name, (b"", 0.0))
        return (record, end - self.clock()) if end > self.clock() else None

    def save(self, name: str, record: bytes, seconds: float) -> None:
        self.asked.append("save")
        self._records[name] = record, self.clock() + seconds

    def delete(self, name: str) -> None:
        self.asked.append("delete")
        super().delete(name)

    @property
    def records(self) -> dict[str, tuple[bytes, float]]:
        return self._records

    @property
    def is_locked(self) -> bool:
        return bool(self._leases)


class Members:
    """Accounts in as many processes, which have a store and a clock in common."""

    def __init__(self) -> None:
        first = new_account()
        self.clock = clock_of(first)
        self.store = Store(self.clock)

    def account(self, **arguments: Any) -> Account:
        account = new_account(**{"store": self.store, **arguments})
        account.now = self.clock
        return account


@pytest.fixture
def fleet() -> Members:
    return Members()


def farewell(account: Account, *results: Any) -> Conversation:
    conversation = Conversation(account.farewell())
    conversation.start()
    conversation.go_on(*results)
    assert not conversation.signatures
    return conversation


def fields(request: Any) -> dict[str, str]:
    from urllib.parse import parse_qsl

    return dict(parse_qsl(request.body.decode()))


# a. Sealed


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


# b. One login for all


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


def settled(fleet: Members) -> Store:
    """The store when nobody is busy with it any more: what was abandoned ends in a thread of its own."""
    for thread in threading.enumerate():
        if thread.name == "notary-auth":
            thread.join(10)
    return fleet.store


def perform_calls(conversation: Conversation) -> Any:
    """Perform what may block, up to another step. Returns that."""
    while isinstance(conversation.step, Call):
        conversation.send(conversation.step.function())
    return conversation.step


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


# c. A store that fails


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


# d. Remaining lifetimes


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


# Refresh tokens


def test_a_refresh_token_is_asked_for_and_used() -> None:
    account = new_account(**OFFLINE)
    first = hold(account, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    assert fields(first.sent[1])["scope"] == "offline_access"
    clock_of(account).advance(1001)
    second = hold(account, granted("token-2", lifetime=1000, refresh_token="refresh-2"))
    assert fields(second.sent[0]) == {"grant_type": "refresh_token", "refresh_token": "refresh-1"}
    clock_of(account).advance(1001)
    third = hold(account, granted("token-3"))
    assert fields(third.sent[0])["refresh_token"] == "refresh-2", "they rotate"


def test_a_refresh_token_that_is_not_replaced_is_used_again() -> None:
    account = new_account(**OFFLINE)
    hold(account, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    for number in range(3):
        clock_of(account).advance(1001)
        conversation = hold(account, granted(f"again-{number}", lifetime=1000))
        assert fields(conversation.sent[0])["refresh_token"] == "refresh-1"


def test_without_offline_access_no_refresh_token_is_asked_for_or_kept() -> None:
    account = new_account()
    conversation = hold(account, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    assert "scope" not in fields(conversation.sent[1])
    clock_of(account).advance(1001)
    conversation = hold(account, granted("token-2"))
    assert fields(conversation.sent[0])["grant_type"] == "password"


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refused_refresh_token_falls_back_to_the_password_once(status: int) -> None:
    account = new_account(**OFFLINE)
    hold(account, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    clock_of(account).advance(1001)
    conversation = hold(account, refused("invalid_grant", status=status), granted("token-2", lifetime=1000))
    assert [fields(request)["grant_type"] for request in conversation.sent] == ["refresh_token", "password"]
    clock_of(account).advance(1001)
    conversation = hold(account, granted("token-3"))
    assert fields(conversation.sent[0])["grant_type"] == "password", "it is forgotten"


def test_a_refused_refresh_token_is_no_refused_password() -> None:
    account = new_account(**OFFLINE)
    hold(account, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    clock_of(account).advance(1001)
    with pytest.raises(LoginError):
        hold(account, refused("access_denied"), reply(500))
    assert account._refusals == []


def test_a_refresh_that_meets_no_platform_is_an_error_and_keeps_the_refresh_token() -> None:
    account = new_account(**OFFLINE)
    hold(account, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    clock_of(account).advance(1001)
    with pytest.raises(LoginError):
        hold(account, reply(500, b"<html>"))
    conversation = hold(account, found(), granted("token-2"))
    assert fields(conversation.sent[1])["grant_type"] == "refresh_token"


def test_a_code_is_asked_for_once_and_the_password_too() -> None:
    asked: list[str] = []

    def password() -> str:
        asked.append("password")
        return PASSWORD

    def totp() -> str:
        asked.append("code")
        return "424242"

    account = new_account(password=password, totp=totp, **OFFLINE)
    hold(account, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    for number in range(5):
        clock_of(account).advance(950)
        hold(account, granted(f"next-{number}", lifetime=1000, refresh_token=f"refresh-{number}"))
    assert asked == ["password", "code"]


def test_after_a_401_the_data_center_is_looked_up_and_the_refresh_token_spent_there() -> None:
    account = new_account(**OFFLINE)
    hold(account, found(), granted(refresh_token="refresh-1"))
    conversation = hold(
        account, 401, found(NEW_HOME), refused("invalid_grant", status=400), granted("token-2", refresh_token="r")
    )
    assert [request.url.split("/api")[0] for request in conversation.sent] == [CLOUD, NEW_HOME, NEW_HOME]


@pytest.mark.parametrize("value", [5, "", "a\nb", "\u00e4", ["x"], True])
def test_rule_12_a_refresh_token_that_does_not_fit_is_a_login_error(value: Any) -> None:
    with pytest.raises(LoginError, match="refresh_token that RFC 6749 does not allow"):
        hold(new_account(**OFFLINE), found(), granted(refresh_token=value))
    hold(new_account(), found(), granted(refresh_token=value))


def test_a_refresh_token_rotates_for_the_whole_fleet(fleet: Members) -> None:
    first, second = fleet.account(**OFFLINE), fleet.account(**OFFLINE)
    hold(first, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    hold(second)
    fleet.clock.advance(1001)
    hold(first, granted("token-2", lifetime=1000, refresh_token="refresh-2"))
    fleet.clock.advance(1001)
    conversation = hold(second, granted("token-3", refresh_token="refresh-3"))
    assert fields(conversation.sent[0])["refresh_token"] == "refresh-2", "the store's, and not its own, spent one"


def test_a_process_that_starts_a_day_later_needs_no_code(fleet: Members) -> None:
    hold(fleet.account(totp=lambda: "424242", **OFFLINE), found(), granted(refresh_token="refresh-1"))
    fleet.clock.advance(24 * 3600)

    def nobody_there() -> str:
        raise AssertionError("asks for a code")

    hold(fleet.account(totp=nobody_there, **OFFLINE), found(), granted("token-2", refresh_token="refresh-2"))


def test_rule_18_the_platforms_echo_of_a_refresh_token_is_not_shown() -> None:
    account = new_account(**OFFLINE)
    hold(account, found(), granted(lifetime=1000, refresh_token="geheim-1"))
    clock_of(account).advance(1001)
    echo = reply(500, {"error": "server_error", "error_description": "cannot use geheim-1"})
    with pytest.raises(LoginError) as caught:
        hold(account, echo)
    assert "geheim" not in str(caught.value)
    assert caught.value.error_description == "cannot use ***"


def test_a_spent_refresh_token_is_not_taken_out_of_the_store_again(fleet: Members) -> None:
    """What replaced it could not be saved, and is in this process's memory."""
    account = fleet.account(**OFFLINE)
    hold(account, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    ((name, record),) = fleet.store.records.items()
    fleet.clock.advance(1001)
    hold(account, granted("token-2", lifetime=1000, refresh_token="refresh-2"))
    fleet.store.records[name] = record
    fleet.clock.advance(1001)
    conversation = hold(account, granted("token-3", refresh_token="refresh-3"))
    assert fields(conversation.sent[0])["refresh_token"] == "refresh-2"


def test_a_refresh_token_is_saved_though_the_store_has_failed_before(fleet: Members) -> None:
    hold(fleet.account(**OFFLINE), found(), granted(lifetime=1000, refresh_token="refresh-1"))
    fleet.clock.advance(1001)
    lock = fleet.store.lock

    def fail(*_: object) -> Any:
        raise ConnectionError

    fleet.store.lock = fail  # type: ignore[method-assign]
    second = fleet.account(**OFFLINE)
    assert fields(hold(second, found(), granted("token-2", refresh_token="refresh-2")).sent[1])["refresh_token"]
    fleet.store.lock = lock  # type: ignore[method-assign]
    assert hold(fleet.account(**OFFLINE)).authorizations == ["Bearer token-2"]


def test_an_interrupted_save_is_made_up_for(fleet: Members) -> None:
    account = fleet.account(**OFFLINE)
    conversation = begin(account)
    perform_calls(conversation)
    conversation.send(found())
    conversation.send(granted(refresh_token="refresh-1"))
    step = conversation.step
    assert isinstance(step, Call)
    save = fleet.store.save

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    fleet.store.save = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        step.function()
    fleet.store.save = save  # type: ignore[method-assign]
    conversation.close()
    assert not settled(fleet).is_locked
    assert hold(fleet.account(**OFFLINE)).authorizations == ["Bearer token-1"]


def test_a_refused_token_is_withdrawn_without_its_refresh_token(fleet: Members) -> None:
    hold(fleet.account(**OFFLINE), found(), granted(refresh_token="refresh-1"))
    second = begin(fleet.account(**OFFLINE))
    perform_calls(second)
    second.send(answered(401, "token-1", replayable=False))
    second.go_on()
    conversation = hold(fleet.account(**OFFLINE), found(), granted("token-2"))
    assert fields(conversation.sent[1])["refresh_token"] == "refresh-1"


def test_one_who_asks_for_no_refresh_token_leaves_that_of_others(fleet: Members) -> None:
    first, other = fleet.account(**OFFLINE), fleet.account()
    hold(first, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    fleet.clock.advance(1001)
    hold(other, found(), granted("token-2", lifetime=1000))
    hold(first)
    fleet.clock.advance(1001)
    for account in (fleet.account(**OFFLINE), first):
        conversation = begin(account)
        while not (isinstance(conversation.step, Send) and conversation.step.request.body):
            step = conversation.step
            conversation.send(step.function() if isinstance(step, Call) else found())
        assert fields(conversation.step.request)["refresh_token"] == "refresh-1"
        conversation.close()
        settled(fleet)


def test_a_refresh_token_in_memory_outlives_a_record_without_one(fleet: Members) -> None:
    first = fleet.account(**OFFLINE)
    hold(first, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    fleet.store.records.clear()
    hold(fleet.account(), found(), granted("token-2", lifetime=3000))
    fleet.clock.advance(1001)
    assert hold(first).authorizations == ["Bearer token-2"]
    fleet.clock.advance(2000)
    conversation = hold(first, granted("token-3"))
    assert fields(conversation.sent[0])["refresh_token"] == "refresh-1"


def test_a_refused_refresh_token_is_taken_out_of_the_store(fleet: Members) -> None:
    hold(fleet.account(**OFFLINE), found(), granted(lifetime=1000, refresh_token="refresh-1"))
    fleet.clock.advance(1001)
    with pytest.raises(LoginError):
        hold(fleet.account(**OFFLINE), found(), refused("invalid_grant", status=400), refused("totp_required"))
    assert settled(fleet).records == {}


def test_a_gateways_403_says_nothing_about_a_refresh_token() -> None:
    account = new_account(**OFFLINE)
    hold(account, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    clock_of(account).advance(1001)
    with pytest.raises(LoginError, match="403 without an explanation"):
        hold(account, reply(403, b"<html>"), reply(403, b"<html>"))
    conversation = hold(account, found(), granted("token-2"))
    assert fields(conversation.sent[1])["refresh_token"] == "refresh-1"


@pytest.mark.parametrize("status", [302, 400, 403, 404])
def test_a_refresh_token_that_is_answered_without_a_word_does_not_lock_the_account_out(status: int) -> None:
    account = new_account(**OFFLINE)
    hold(account, found(), granted(lifetime=1000, refresh_token="refresh-1"))
    clock_of(account).advance(950)
    due = hold(account, reply(status, b"<html>"))
    assert due.authorizations == ["Bearer token-1"], "no password, and no code, for one that is still good"
    clock_of(account).advance(51)
    conversation = hold(account, found(), reply(status, b""), granted("token-2"))
    assert [fields(sent)["grant_type"] for sent in conversation.sent[1:]] == ["refresh_token", "password"]
    assert conversation.authorizations == ["Bearer token-2"]


def test_a_stored_refresh_token_that_is_not_taken_does_not_lock_the_fleet_out(fleet: Members) -> None:
    hold(fleet.account(**OFFLINE), found(), granted(lifetime=1000, refresh_token="refresh-1"))
    settled(fleet)
    fleet.clock.advance(1001)
    hold(fleet.account(**OFFLINE), found(), reply(400, b""), granted("token-2", refresh_token="refresh-2"))
    settled(fleet)
    assert hold(fleet.account(**OFFLINE)).authorizations == ["Bearer token-2"]


def test_a_refused_password_costs_no_refresh_token_that_may_be_good(fleet: Members) -> None:
    hold(fleet.account(**OFFLINE), found(), granted(lifetime=1000, refresh_token="refresh-1"))
    settled(fleet)
    fleet.clock.advance(1001)
    with pytest.raises(CredentialsRefused):
        hold(fleet.account(**OFFLINE), found(), reply(403, b""), refused(), found())
    settled(fleet)
    conversation = hold(fleet.account(**OFFLINE), found(), granted("token-2"))
    assert fields(conversation.sent[1])["refresh_token"] == "refresh-1"


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


# Logout


def test_a_logout_that_cannot_reach_the_store_is_not_complete(fleet: Members) -> None:
    hold(fleet.account(), found(), granted())

    def fail(*_: object) -> Any:
        raise ConnectionError

    fleet.store.delete = fail  # type: ignore[method-assign]
    conversation = farewell(fleet.account(), reply(200, {}))
    assert isinstance(conversation.error, LogoutError)
    assert "the store failed, and may still have the tokens" in str(conversation.error)
    assert fields(conversation.sent[0])["token"] == "token-1", "revoked all the same"
    fleet.store.load = fail  # type: ignore[method-assign]
    assert isinstance(farewell(fleet.account()).error, LogoutError)


def test_a_password_that_is_not_to_be_had_is_a_logout_error(fleet: Members) -> None:
    error = farewell(fleet.account(password=lambda: 1 / 0)).error
    assert isinstance(error, LogoutError)
    assert "the password callable raised ZeroDivisionError" in str(error)


def test_a_logout_revokes_the_refresh_token_and_the_access_token() -> None:
    account = new_account(**OFFLINE)
    hold(account, found(), granted(refresh_token="refresh-1"))
    assert account.is_logged_in
    conversation = farewell(account, reply(200, {}), reply(200, {}))
    assert conversation.error is None
    assert [(request.url, fields(request)) for request in conversation.sent] == [
        (f"{HOME}/api/2/idp/revoke_token", {"token": "refresh-1", "token_type_hint": "refresh_token"}),
        (f"{HOME}/api/2/idp/revoke_token", {"token": "token-1", "token_type_hint": "access_token"}),
    ]
    assert not account.is_logged_in
    hold(account, granted("token-2"))


def test_a_logout_of_nobody_asks_nothing() -> None:
    assert farewell(new_account()).sent == []


def test_a_logout_keeps_what_was_refused() -> None:
    account = new_account(password="wrong")
    with pytest.raises(CredentialsRefused):
        hold(account, found(), refused())
    farewell(account)
    with pytest.raises(CredentialsRefused):
        hold(account)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (refused("invalid_client", "register first"), "the platform answered invalid_client (register first)"),
        (reply(400, b""), "the platform answered 400 without an explanation that could be read"),
        (reply(302, b""), "the platform answered 302, a redirect, which is not followed with credentials"),
        (reply(500, b""), "the platform answered 500 without an explanation that could be read"),
    ],
)
def test_a_logout_that_the_platform_does_not_take_is_an_error_and_forgets(answer: Any, text: str) -> None:
    account = new_account()
    hold(account, found(), granted())
    error = farewell(account, answer).error
    assert isinstance(error, LogoutError)
    assert str(error) == (
        f"the logout of 'JohnSmith' at {HOME} failed: {text}. The tokens are forgotten here all the same."
    )
    assert error.url == f"{HOME}/api/2/idp/revoke_token"
    assert error.status == answer.status
    assert not account.is_logged_in
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_token_that_is_gone_already_is_a_success() -> None:
    account = new_account()
    hold(account, found(), granted())
    assert farewell(account, refused("invalid_token", status=400)).error is None


def test_both_tokens_are_tried_if_the_first_is_not_taken() -> None:
    account = new_account(**OFFLINE)
    hold(account, found(), granted(refresh_token="refresh-1"))
    conversation = farewell(account, reply(500), reply(200, {}))
    assert isinstance(conversation.error, LogoutError)
    assert len(conversation.sent) == 2


def test_a_busy_platform_is_asked_again_for_a_logout() -> None:
    account = new_account()
    hold(account, found(), granted())
    conversation = farewell(account, reply(503, headers={"retry-after": "1"}), reply(200, {}))
    assert conversation.error is None
    assert conversation.pauses == [1.0]


def test_a_network_error_is_a_logout_error_and_its_cause() -> None:
    account = new_account()
    hold(account, found(), granted())
    steps = account.farewell()
    assert isinstance(next(steps), Send)
    with pytest.raises(LogoutError, match="failed: TimeoutError") as caught:
        steps.throw(TimeoutError("geheim"))
    assert isinstance(caught.value.__cause__, TimeoutError)
    assert not account.is_logged_in


def test_a_logout_waits_for_a_login_under_way() -> None:
    account = new_account()
    login = begin(account)
    logout = Conversation(account.farewell())
    logout.start()
    login.go_on(found(), granted())
    logout.send(True)
    logout.go_on(reply(200, {}))
    assert fields(logout.sent[0])["token"] == "token-1"
    assert not account.is_logged_in


def test_a_logout_is_of_the_whole_fleet(fleet: Members) -> None:
    first, second = fleet.account(**OFFLINE), fleet.account(**OFFLINE)
    hold(first, found(), granted(refresh_token="refresh-1"))
    hold(second)
    conversation = farewell(first, reply(200, {}), reply(200, {}))
    assert [fields(request)["token"] for request in conversation.sent] == ["refresh-1", "token-1"]
    assert fleet.store.records == {}
    hold(second, 401, found(), refused("invalid_grant", status=400), granted("token-2"))


def test_a_process_that_only_logs_out_revokes_what_is_in_the_store(fleet: Members) -> None:
    hold(fleet.account(), found(), granted())
    conversation = farewell(fleet.account(), reply(200, {}))
    assert fields(conversation.sent[0])["token"] == "token-1"
    assert fleet.store.records == {}
    assert not settled(fleet).is_locked


def test_a_logout_leaves_a_refusal_in_the_store(fleet: Members) -> None:
    with pytest.raises(CredentialsRefused):
        hold(fleet.account(password="wrong"), found(), refused())
    assert farewell(fleet.account(password="wrong")).sent == []
    assert len(fleet.store.records) == 1


# Arguments


def test_a_store_has_to_be_one() -> None:
    with pytest.raises(TypeError, match="not the class MemoryStore"):
        new_account(store=MemoryStore)
    with pytest.raises(TypeError, match="offline_access must be True or False, not str"):
        new_account(offline_access="yes")
    for wrong in (5, "redis://localhost", object(), {}):
        with pytest.raises(TypeError, match=r"store must be a notary_auth\.stores\.TokenStore"):
            new_account(store=wrong)


def test_a_store_without_its_extra_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notary_auth._extras.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"notary-auth\[stores\]"):
        new_account(store=MemoryStore())


def test_rule_21_a_copy_has_the_store_and_the_wish_for_a_refresh_token(fleet: Members) -> None:
    arguments = fleet.account(**OFFLINE).arguments()
    assert arguments["store"] is fleet.store
    assert arguments["offline_access"] is True


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
