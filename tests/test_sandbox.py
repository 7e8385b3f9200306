"""The sandbox refuses and answers as docs/platform.rst says the platform does."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from notary_auth.requests import NotaryAuth
from notary_auth.sandbox import Sandbox

from .core import limit_stop, limit_uploads
from .paths import FILES, LOGIN, LOOKUP
from .waiting import until


def log_in(notary: Sandbox, center: int = 0, **form: str) -> requests.Response:
    form = {"grant_type": "password", "username": notary.username, "password": notary.password, **form}
    return requests.post(notary.data_center_urls[center] + LOGIN, data=form)


def token(notary: Sandbox, center: int = 0, **form: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {log_in(notary, center, **form).json()['access_token']}"}


def home(notary: Sandbox) -> str:
    return notary.data_center_urls[0] + FILES


def test_the_cloud_says_where_an_account_lives(notary: Sandbox) -> None:
    answer = requests.get(f"{notary.url}{LOOKUP}?login=JohnSmith").json()
    assert answer == {"login": "JohnSmith", "id": 0, "server_url": notary.data_center_urls[0]}
    notary.move()
    answer = requests.get(f"{notary.url}{LOOKUP}?login=JohnSmith").json()
    assert answer["server_url"] == notary.data_center_urls[1]


def test_a_login_hands_out_a_token_for_two_hours(notary: Sandbox) -> None:
    answer = log_in(notary)
    document = answer.json()
    assert set(document) == {"access_token", "id_token", "token_type", "expires_on"}
    date = parsedate_to_datetime(answer.headers["date"]).timestamp()
    assert abs(document["expires_on"] - date - 7200) <= 1


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"password": "wrong"}, 401, "access_denied"),
        ({"username": "nobody"}, 401, "access_denied"),
        ({"grant_type": "authorization_code"}, 400, "invalid_request"),
        ({"grant_type": "client_credentials"}, 401, "invalid_client"),
        ({"password": ""}, 400, "invalid_request"),
    ],
)
def test_a_login_is_refused(notary: Sandbox, form: dict[str, str], status: int, error: str) -> None:
    answer = log_in(notary, **form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["error_description"]


def test_another_data_center_does_not_know_the_account(notary: Sandbox) -> None:
    assert log_in(notary, center=1).status_code == 401


def test_ten_wrong_passwords_lock_the_account_for_five_minutes(notary: Sandbox) -> None:
    for _ in range(9):
        log_in(notary, password="wrong")
    assert log_in(notary).status_code == 200, "a good login starts the count anew"
    for _ in range(10):
        assert not notary.account().is_locked
        assert log_in(notary, password="wrong").status_code == 401
    assert notary.account().is_locked
    answer = log_in(notary)
    assert (answer.status_code, answer.json()["error"]) == (401, "access_denied")
    assert "locked" in answer.json()["error_description"]
    notary.faults.clock_offset = 301
    assert not notary.account().is_locked
    assert log_in(notary).status_code == 200


def test_the_count_of_wrong_passwords_begins_anew_after_fifteen_minutes(notary: Sandbox) -> None:
    for minute in (0, 16):
        notary.faults.clock_offset = 60 * minute
        for _ in range(9):
            log_in(notary, password="wrong")
    assert not notary.account().is_locked


def test_how_an_account_locks_is_a_setting(notary: Sandbox) -> None:
    notary.faults.failures_before_lock, notary.faults.lock_time = 2, 60
    for _ in range(2):
        log_in(notary, password="wrong")
    assert notary.account().is_locked
    notary.faults.clock_offset = 61
    assert not notary.account().is_locked
    log_in(notary, password="wrong")
    assert notary.account().is_locked, "the count goes on until there was no failure for a while"


def test_two_factors_need_a_code(notary: Sandbox) -> None:
    notary.add_user("Jane", "pass", totp=lambda: "123456")
    form = {"username": "Jane", "password": "pass"}
    assert log_in(notary, **form).json()["error"] == "totp_required"
    assert log_in(notary, **form, totp_code="000000").json()["error"] == "invalid_totp"
    assert log_in(notary, **form, totp_code="123456").status_code == 200
    assert not notary.account("Jane").is_locked


def test_calls_without_a_good_token_get_401(notary: Sandbox) -> None:
    good = token(notary)

    def status(url: str, headers: dict[str, str]) -> int:
        answer = requests.get(url, headers=headers)
        if answer.status_code == 401:
            assert (answer.content, answer.headers["www-authenticate"]) == (b"", "Bearer")
        return answer.status_code

    assert status(home(notary), good) == 200
    assert status(home(notary), {}) == 401
    assert status(home(notary), {"Authorization": "Bearer x"}) == 401
    assert status(home(notary), {"Authorization": good["Authorization"].replace("Bearer", "Basic")}) == 401
    assert status(notary.data_center_urls[1] + FILES, good) == 401
    assert status(home(notary) + "/x", {}) == 401
    assert status(home(notary) + "/x/download", {}) == 401
    assert requests.post(home(notary), files={"file": b"x"}).status_code == 401
    notary.faults.clock_offset = 7300
    assert status(home(notary), good) == 401
    notary.faults.clock_offset = 0
    notary.move()
    assert status(home(notary), good) == 401
    notary.move()
    notary.revoke_tokens()
    assert status(home(notary), good) == 401


def test_a_401_explains_itself_where_it_is_told_to(notary: Sandbox) -> None:
    notary.faults.explains_401 = True
    document = requests.get(home(notary)).json()
    assert (document["domain"], document["code"]) == ("Notary", "Unauthorized")
    assert document["debug"]["message"]


def test_files_are_stored_described_paged_and_handed_back(notary: Sandbox) -> None:
    headers = token(notary)
    contents = [b"%d" % number * 1000 for number in range(25)]
    ids = [
        requests.post(home(notary), files={"file": (f"{i}.txt", content)}, headers=headers).json()["file_id"]
        for i, content in enumerate(contents)
    ]
    first = requests.get(home(notary), headers=headers).json()
    assert [file["id"] for file in first["files"]] == ids[:20]
    cursor = first["paging"]["cursors"]["after"]
    second = requests.get(home(notary), headers=headers, params={"cursor": cursor}).json()
    assert [file["id"] for file in second["files"]] == ids[20:]
    assert "after" not in second["paging"]["cursors"]
    assert len(requests.get(home(notary), headers=headers, params={"limit": 3}).json()["files"]) == 3
    assert requests.get(home(notary), headers=headers, params={"limit": "x"}).status_code == 400
    file = requests.get(f"{home(notary)}/{ids[7]}", headers=headers).json()["file"]
    assert (file["name"], file["size"]) == ("7.txt", len(contents[7]))
    assert file["hash"] == hashlib.sha256(contents[7]).hexdigest()
    assert set(file) == {"id", "name", "size", "hash", "created_at", "certificate"}
    assert requests.get(f"{home(notary)}/{ids[7]}/download", headers=headers).content == contents[7]
    assert requests.get(f"{home(notary)}/nothing", headers=headers).status_code == 404
    assert requests.get(f"{home(notary)}/nothing/download", headers=headers).status_code == 404
    assert requests.post(home(notary), data={"other": "x"}, headers=headers).status_code == 400


def test_files_are_the_users_own(notary: Sandbox) -> None:
    notary.add_user("Jane", "pass")
    file_id = requests.post(home(notary), files={"file": b"x"}, headers=token(notary)).json()["file_id"]
    janes = token(notary, username="Jane", password="pass")
    assert requests.get(home(notary), headers=janes).json()["files"] == []
    assert requests.get(f"{home(notary)}/{file_id}", headers=janes).status_code == 404


def test_a_file_that_is_too_large_is_refused(notary: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_uploads(monkeypatch, 10)
    headers = token(notary)
    assert requests.post(home(notary), files={"file": b"x" * 10}, headers=headers).status_code == 201
    assert requests.post(home(notary), files={"file": b"x" * 11}, headers=headers).status_code == 413


def test_hosts_have_only_their_own_calls(notary: Sandbox) -> None:
    assert requests.get(notary.url + FILES).status_code == 404
    assert requests.get(notary.data_center_urls[0] + LOOKUP).status_code == 404
    assert requests.post(notary.url + LOGIN).status_code == 404
    assert requests.delete(notary.foreign_url + "/anything").json()["path"] == "/anything"


def test_faults_are_settings(notary: Sandbox) -> None:
    faults = notary.faults
    faults.answer_next("/x", 503, {"Retry-After": "1"}, "busy", times=2, host="foreign host")
    assert requests.get(f"{notary.url}/x").status_code == 404
    for expected in (503, 503, 200):
        assert requests.get(f"{notary.foreign_url}/x").status_code == expected
    faults.latency = 0.05
    faults.latency_of["/x"] = 0.1
    started = time.monotonic()
    requests.get(f"{notary.foreign_url}/x")
    assert time.monotonic() - started >= 0.15
    faults.send_date = False
    assert "date" not in requests.get(f"{notary.foreign_url}/x").headers
    faults.token_fields = frozenset({"expires_in"})
    faults.token_lifetime = 60
    faults.token_overrides = {"token_type": "mac", "id_token": None}
    document = log_in(notary).json()
    assert (document["expires_in"], document["token_type"]) == (60, "mac")
    assert "expires_on" not in document
    assert "id_token" not in document


def test_what_arrived_is_recorded(notary: Sandbox) -> None:
    headers = token(notary)
    requests.get(home(notary) + "?limit=1", headers=headers)
    requests.post(notary.foreign_url + "/x", data=b"12345")
    login, listing, elsewhere = notary.calls
    assert (login.kind, login.host, login.method, login.status) == ("login", "data center 1", "POST", 200)
    assert (listing.query, listing.is_signed, listing.kind) == ("limit=1", True, "request")
    assert (elsewhere.host, elsewhere.body_size) == ("foreign host", 5)
    assert "Bearer" not in repr(listing)
    notary.clear()
    assert notary.count("login") == 0


def four_free_ports() -> int:
    """The first of four ports in a row that nobody listens on, below those the system hands out by itself."""
    for port in range(21000, 32000, 4):
        try:
            with ExitStack() as probes:
                for offset in range(4):
                    probes.enter_context(socket.create_server(("127.0.0.1", port + offset)))
        except OSError:
            continue
        return port
    raise AssertionError("no four free ports in a row")


def test_ports_can_be_chosen_and_are_given_back() -> None:
    port = four_free_ports()
    for _ in range(2):
        with Sandbox(port=port) as notary:
            assert notary.url == f"http://127.0.0.1:{port}"
            assert notary.foreign_url == f"http://127.0.0.1:{port + 3}"
            with pytest.raises(OSError, match="in use"):
                Sandbox(port=port).start()


@pytest.mark.timing
def test_a_kept_connection_answers_as_fast_as_a_new_one(notary: Sandbox) -> None:
    def median_of(get: Callable[[str], requests.Response]) -> float:
        seconds = []
        for _ in range(11):
            started = time.monotonic()
            get(f"{notary.foreign_url}/x")
            seconds.append(time.monotonic() - started)
        return sorted(seconds)[5]

    with requests.Session() as session:
        assert median_of(session.get) < 5 * median_of(requests.get), "small packets wait for one another (Nagle)"


def test_what_is_held_is_pending_until_it_is_let_go(notary: Sandbox) -> None:
    notary.faults.held.add("/x")
    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(requests.get, f"{notary.foreign_url}/x", timeout=30) for _ in range(2)]
        until(lambda: notary.pending.count("/x") == 2)
        assert requests.get(f"{notary.foreign_url}/y").status_code == 200, "others are answered"
        assert (notary.pending, len(notary.calls)) == (["/x", "/x"], 1)
        notary.faults.held.clear()
        assert [each.result().status_code for each in asking] == [200, 200]
    assert notary.pending == []


@pytest.mark.parametrize("held", [True, False])
def test_a_call_of_before_a_reset_changes_nothing_after_it(notary: Sandbox, held: bool) -> None:
    with ThreadPoolExecutor(1) as pool:
        if held:
            notary.faults.held.add(LOGIN)
        else:
            notary.faults.latency_of[LOGIN] = 0.5
        late = pool.submit(log_in, notary, password="wrong")
        until(lambda: LOGIN in notary.pending)
        notary.reset()
        assert notary.pending == []
        assert late.result().status_code == 503
    assert notary.calls == []
    assert notary.account().failures == 0


@pytest.mark.parametrize("path", [LOGIN, FILES])
def test_a_call_whose_body_comes_after_a_reset_changes_nothing(notary: Sandbox, path: str) -> None:
    """Its head has come before."""
    headers = {**token(notary), "Content-Type": "multipart/form-data; boundary=x"}
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\ncontent\r\n--x--\r\n'
    if path == LOGIN:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body = b"grant_type=password&username=JohnSmith&password=wrong"
    head = {"Host": "x", "Content-Length": str(len(body)), **headers}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
    with socket.create_connection(("127.0.0.1", int(notary.data_center_urls[0].rpartition(":")[2]))) as connection:
        connection.sendall("\r\n".join(lines).encode() + body[:5])
        notary.reset()
        good = token(notary)
        connection.sendall(body[5:])
        connection.settimeout(30)
        assert connection.recv(100).startswith(b"HTTP/1.1 503")
    assert notary.account().failures == 0
    assert requests.get(home(notary), headers=good).json()["files"] == []


def test_a_call_that_was_sent_before_a_reset_is_no_part_of_what_comes_after(notary: Sandbox) -> None:
    """Also where the server has not come to read it yet."""
    address = ("127.0.0.1", int(notary.data_center_urls[0].rpartition(":")[2]))
    form = b"grant_type=password&username=JohnSmith&password=wrong"
    head = f"POST {LOGIN} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    for _ in range(50):
        with socket.create_connection(address) as connection:
            connection.sendall(f"{head}Content-Length: {len(form)}\r\n\r\n".encode() + form)
            notary.reset()
            connection.settimeout(30)
            connection.recv(1000)  # of before the reset or after it, it is answered
        assert (notary.calls, notary.account().failures) == ([], 0)


def test_a_sandbox_that_stops_gives_the_answers_under_way() -> None:
    sizes: list[int] = []
    with Sandbox() as notary:
        url = f"{notary.foreign_url}/x"
        notary.faults.latency_of["/x"] = 0.3
        notary.faults.answer_next("/x", 200, body=bytes(5_000_000))  # more than what fits in a buffer on the way
        asking = threading.Thread(target=lambda: sizes.append(len(requests.get(url).content)))
        asking.start()
        until(lambda: "/x" in notary.pending)
    asking.join()
    assert sizes == [5_000_000]


def test_a_sandbox_that_stops_waits_for_no_slow_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    limit_stop(monkeypatch, 0.05)
    outcomes: list[object] = []

    def get(url: str) -> None:
        try:
            outcomes.append(requests.get(url).status_code)
        except requests.RequestException as error:
            outcomes.append(error)

    with Sandbox() as notary:
        notary.faults.held.add("/x")
        asking = threading.Thread(target=get, args=(f"{notary.foreign_url}/x",))
        asking.start()
        until(lambda: "/x" in notary.pending)
        started = time.monotonic()
    asking.join()
    assert time.monotonic() - started < 30
    assert len(outcomes) == 1
    assert outcomes != [200]


@pytest.mark.parametrize("closed_first", [False, True])
def test_a_sandbox_that_stops_closes_what_it_has_just_accepted(
    monkeypatch: pytest.MonkeyPatch, closed_first: bool
) -> None:
    leftover: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: leftover.append(unraisable.exc_value))
    for _ in range(20):
        with ExitStack() as opened, Sandbox() as notary:
            address = ("127.0.0.1", int(notary.url.rpartition(":")[2]))
            for _ in range(3):
                connection = opened.enter_context(socket.create_connection(address))
                if closed_first:
                    connection.close()
    gc.collect()
    assert leftover == []


def test_a_sandbox_that_stops_closes_a_tls_connection_that_a_client_keeps() -> None:
    with requests.Session() as session:
        with Sandbox(tls=True) as notary:
            session.verify = notary.ca_file or ""
            settings = {"verify": notary.ca_file, "timeout": 9}
            assert session.get(f"{notary.url}/x", **settings).status_code == 404  # type: ignore[arg-type]
        gc.collect()  # what is still open would be warned of


def test_a_sandbox_stops_on_an_event_loop_without_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Windows' is."""

    def refuse(*_: object) -> None:
        raise NotImplementedError

    died: list[object] = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    with Sandbox() as notary:
        monkeypatch.setattr(asyncio.SelectorEventLoop, "remove_reader", refuse)
        assert requests.get(f"{notary.url}{LOOKUP}?login=JohnSmith").status_code == 200
    assert died == []


def test_tls_is_served_with_a_ca_of_its_own() -> None:
    with Sandbox(tls=True) as notary:
        assert notary.ca_file is not None
        settings: Any = {"verify": notary.ca_file}
        assert requests.get(f"{notary.url}{LOOKUP}?login=JohnSmith", **settings).status_code == 200
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(f"{notary.url}{LOOKUP}?login=JohnSmith", verify=True)


def test_an_account_shows_no_password(notary: Sandbox) -> None:
    assert notary.password not in repr(notary.account())


def test_starting_one_that_runs_changes_nothing() -> None:
    before = threading.active_count()
    with Sandbox().start() as sandbox:
        url = sandbox.url
        assert sandbox.start().url == url
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_a_stopped_one_starts_without_the_files_of_before() -> None:
    sandbox = Sandbox()
    for _ in range(2):
        with sandbox:
            auth = NotaryAuth(sandbox.username, sandbox.password, cloud_url=sandbox.url)
            files = f"{sandbox.api_url}/stored-files"
            assert requests.get(files, auth=auth).json()["files"] == []
            assert requests.post(files, auth=auth, files={"file": ("a.txt", b"abc")}).status_code == 201


def test_what_can_only_be_a_slip_is_told(notary: Sandbox) -> None:
    with pytest.raises(ValueError, match="'logins' is none of lookup, login, refresh, revoke, request"):
        notary.count("logins")
    with pytest.raises(ValueError, match="'accounts' is no path: begin it with a slash"):
        notary.faults.answer_next("accounts", 503)
    with pytest.raises(RuntimeError, match="start it first"):
        _ = Sandbox().url
