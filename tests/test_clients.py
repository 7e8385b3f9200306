"""What every client does with a NotaryAuth, over real sockets: one body of tests for all of them."""

from __future__ import annotations

import copy
import gzip
import io
import json
import logging
import os
import pickle
import signal
import socket
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import brotli
import pytest

from notary_auth import (
    Account,
    CredentialsRefused,
    DiscoveryError,
    InsecureUrl,
    LoginError,
    NotaryAuthError,
    TotpRequired,
)
from notary_auth.sandbox import Sandbox

from .badserver import BadServer, reply, send
from .clients import CLIENTS, DEFAULT, HTTPX, Client, HttpxAsync, each, in_threads
from .core import advance, callers_that_wait, lock_of, somebody_waits, token_of
from .grants import asked, is_clients
from .paths import FILES, LOGIN, LOOKUP
from .waiting import until

pytestmark = pytest.mark.both_grants


def wire(notary: Sandbox) -> list[tuple[str, str, int]]:
    """The calls so far, as host, kind and status; and forget them."""
    calls = [(call.host, call.kind, call.status) for call in notary.calls]
    notary.clear()
    return calls


COLD = [("cloud", "lookup", 200), ("data center 1", "login", 200), ("data center 1", "request", 200)]
WARM = COLD[2:]


@pytest.mark.parametrize("client", CLIENTS, ids=str)
def test_every_client_in_short(client: Client, notary: Sandbox, files: str) -> None:
    """What the default run has of the clients whose other tests are the matrix's."""
    auth = client.auth(notary)
    assert [client.get(files, auth).status_code for _ in range(2)] == [200, 200]
    assert wire(notary) == asked(*COLD, *WARM)
    notary.revoke_tokens()
    assert client.get(files, auth).status_code == 200
    assert wire(notary) == asked(("data center 1", "request", 401), *COLD)
    assert client.get(f"{notary.foreign_url}/x", auth).status_code == 200
    assert [call.is_signed for call in notary.calls] == [False]
    assert [answer.status_code for answer in client.at_once([files] * 10, client.auth(notary))] == [200] * 10
    assert notary.count("login") == 1
    with pytest.raises(CredentialsRefused) as caught:
        client.get(files, client.auth(notary, password="wrong"))
    assert isinstance(caught.value, client.error)


@pytest.mark.users_only
def test_rule_1_building_opens_no_connection(client: Client, notary: Sandbox) -> None:
    auth = client.auth(notary)
    assert notary.calls == []
    assert auth.account.server_url is None


def test_rule_2_three_calls_the_first_time_and_one_from_then_on(
    client: Client, notary: Sandbox, files: str
) -> None:
    auth = client.auth(notary)
    assert client.get(files, auth).status_code == 200
    assert wire(notary) == asked(*COLD)
    for _ in range(2):
        assert client.get(files, auth).status_code == 200
        assert wire(notary) == WARM


def test_rule_3_the_request_arrives_as_it_was_addressed_but_at_the_data_center(
    client: Client, notary: Sandbox, files: str
) -> None:
    auth = client.auth(notary)
    home = notary.data_center_urls[0]
    for _ in range(2):
        response = client.get(f"{files}?limit=5&q=a%2Fb+c", auth, headers={"X-Mine": "yes"})
        call = notary.calls[-1]
        query = "limit=5&q=a/b+c" if client.name == "aiohttp" else "limit=5&q=a%2Fb+c"  # which yarl makes of it
        assert (call.path, call.query) == (FILES, query)
        assert call.headers["host"] == home.partition("://")[2]
        assert call.headers["x-mine"] == "yes"
        assert str(response.url).startswith(home + FILES)
    client.get(home + FILES, auth)
    assert notary.calls[-1].is_signed
    assert auth.account.base_url == f"{home}/api/notary/v2"


def test_rule_3_the_lookup_endpoint_is_left_alone(client: Client, notary: Sandbox) -> None:
    response = client.get(f"{notary.url}{LOOKUP}?login=JohnSmith", client.auth(notary))
    assert response.json()["server_url"] == notary.data_center_urls[0]
    (call,) = notary.calls
    assert not call.is_signed


def test_rule_4_another_host_gets_no_token(
    client: Client, notary: Sandbox, files: str, caplog: pytest.LogCaptureFixture
) -> None:
    auth = client.auth(notary)
    for _ in range(2):
        assert client.get(f"{notary.foreign_url}/x", auth).status_code == 200
    assert [kind for _, kind, _ in wire(notary)] == asked("lookup", "request", "request")
    client.get(files, auth)
    client.get(f"{notary.foreign_url}/x", auth)
    assert not notary.calls[-1].is_signed
    assert caplog.text.count("are sent unsigned") == 1


def test_rule_4_no_spelling_of_another_host_gets_the_token(client: Client, notary: Sandbox, files: str) -> None:
    auth = client.auth(notary)
    client.get(files, auth)
    home = notary.data_center_urls[0].partition("://")[2]
    foreign = notary.foreign_url.partition("://")[2]
    invalid = (client.error, ValueError, OSError, *([client.library.InvalidURL] if client in HTTPX else []))
    for url in (
        f"http://{home}@{foreign}/",
        f"http://{foreign}/http://{home}/",
        f"http://{foreign}#@{home}/",
        f"http://{foreign}?@{home}/",
        f"http://{foreign}/..//{home}/",
        f"http://{home}\\@{foreign}/",
        f"http://{foreign}\\@{home}/",
        f"http://{home}%2f@{foreign}/",
        f"http://{home}%00.{foreign}/",
        f"http://{home}.{foreign}/",
        f"http://localhost:{foreign.partition(':')[2]}/",
    ):
        try:
            client.get(url, auth)
        except invalid:
            pass
    foreign_calls = [call for call in notary.calls if call.host == "foreign host"]
    assert foreign_calls
    # aiohttp makes Basic credentials of what stands before the host.
    assert not any(call.headers.get("authorization", "").startswith("Bearer") for call in foreign_calls)


def test_rule_5_a_redirect_to_another_host_drops_the_token(client: Client, notary: Sandbox, files: str) -> None:
    auth = client.auth(notary)
    client.get(files, auth)
    notary.clear()
    notary.faults.answer_next(FILES, 302, {"Location": f"{notary.foreign_url}/x"})
    assert client.get(files, auth, follow=True).status_code == 200
    assert [(call.host, call.is_signed) for call in notary.calls] == [
        ("data center 1", True),
        ("foreign host", False),
    ]


def test_rule_5_a_401_of_another_host_gets_no_token_and_no_login(
    client: Client, notary: Sandbox, files: str
) -> None:
    auth = client.auth(notary)
    client.get(files, auth)
    notary.clear()
    notary.faults.answer_next(FILES, 302, {"Location": f"{notary.foreign_url}/x"})
    notary.faults.answer_next("/x", 401)
    assert client.get(files, auth, follow=True).status_code == 401
    assert [(call.host, call.is_signed) for call in notary.calls] == [
        ("data center 1", True),
        ("foreign host", False),
    ]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_rule_5_a_redirect_from_the_cloud_to_the_own_data_center_is_signed(
    client: Client, notary: Sandbox, files: str, status: int
) -> None:
    auth = client.auth(notary)
    client.get(files, auth)
    notary.faults.answer_next(LOOKUP, status, {"Location": notary.data_center_urls[0] + FILES})
    response = client.get(f"{notary.url}{LOOKUP}", auth, follow=True)
    assert response.status_code == 200
    assert "files" in response.json()
    assert notary.count("login") == 1


@pytest.mark.parametrize("body", [None, b"a file"], ids=["without a body", "with a body"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("hops", [1, 2], ids=["one hop", "two hops"])
def test_rule_5_another_host_chooses_no_path_that_is_signed(
    client: Client, notary: Sandbox, files: str, status: int, body: bytes | None, hops: int
) -> None:
    auth = client.auth(notary)
    client.get(files, auth)
    home = notary.data_center_urls[0]
    for number in range(1, hops):
        notary.faults.answer_next(f"/{number}", status, {"Location": f"/{number + 1}"})
    notary.faults.answer_next(f"/{hops}", status, {"Location": home + FILES})
    notary.faults.answer_next("/start", status, {"Location": f"{notary.foreign_url}/1"})
    for first in (f"{notary.foreign_url}/1", f"{home}/start"):
        notary.clear()
        response = client.send("POST", first, auth=auth, follow=True, content=body)
        assert response.status_code == 401
        assert not any(call.is_signed for call in notary.calls if call.path != "/start")
        for number in range(1, hops):
            notary.faults.answer_next(f"/{number}", status, {"Location": f"/{number + 1}"})
        notary.faults.answer_next(f"/{hops}", status, {"Location": home + FILES})
    assert client.get(files, auth).status_code == 200
    assert notary.count("login") == 0, "the token is as good as before"


@pytest.mark.parametrize("name", ["Host", "hOST", b"host"])
@pytest.mark.parametrize("moment", ["cold", "warm", "replayed"])
def test_rule_5_a_signed_request_has_the_right_host(client: Client, moment: str, name: str | bytes) -> None:
    if isinstance(name, bytes) and client.name == "aiohttp":
        pytest.skip("aiohttp takes text only")
    with BadServer() as server:
        auth = client.auth_type("JohnSmith", "qwe123QWE", cloud_url=server.url)
        if moment != "cold":
            client.get(f"{server.url}{FILES}", auth)
        if moment == "replayed":
            server.once[FILES] = send(reply(status=401))
        client.get(
            f"{server.url}{FILES}",
            auth,
            headers={name: b"evil.example" if isinstance(name, bytes) else "evil.example"},
        )
        signed = [head for head in server.heads if b"authorization: bearer" in head.lower()]
    own = f"\r\nhost: {urlsplit(server.url).netloc}\r\n".encode()
    assert len(signed) == {"cold": 1, "warm": 2, "replayed": 3}[moment]
    for head in signed:
        assert own in head.lower()
        assert b"evil.example" not in head


def test_rule_5_a_redirect_within_the_data_center_keeps_the_signature(
    client: Client, notary: Sandbox, files: str
) -> None:
    auth = client.auth(notary)
    client.get(files, auth)
    notary.clear()
    notary.faults.answer_next("/old", 302, {"Location": FILES})
    assert client.get(f"{notary.url}/old", auth, follow=True).status_code == 200
    assert [call.is_signed for call in notary.calls] == [True, True]


@pytest.mark.users_only
@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_rule_5_a_redirect_of_a_control_call_is_not_followed_with_credentials(
    client: Client, notary: Sandbox, files: str, status: int, follow: bool
) -> None:
    target = {"Location": f"{notary.foreign_url}/steal"}
    for path, error in ((LOOKUP, DiscoveryError), (LOGIN, LoginError)):
        notary.clear()
        notary.faults.answer_next(path, status, target)
        auth = client.auth(notary)
        with pytest.raises(error, match="redirect") as caught:
            client.get(files, auth, follow=follow)
        assert isinstance(caught.value, client.error)
        assert not isinstance(caught.value, CredentialsRefused)
        assert [call.kind for call in notary.calls if call.kind == "login"] == ["login"] * (error is LoginError)
        # httpx follows by itself where it is told to, but without the password's form.
        assert all(call.body_size == 0 for call in notary.calls if call.host == "foreign host")
        assert client.get(files, auth).status_code == 200, "the next request starts clean"


def test_rule_6_many_at_once_cause_one_login(client: Client, notary: Sandbox, files: str) -> None:
    notary.faults.latency_of[LOGIN] = 0.1
    auth = client.auth(notary)
    responses = client.at_once([files] * 50, auth)
    assert [response.status_code for response in responses] == [200] * 50
    assert (notary.count("lookup"), notary.count("login")) == (len(asked("lookup")), 1)


def test_rule_7_many_at_once_with_a_wrong_password_cause_one_refusal(
    client: Client, notary: Sandbox, files: str
) -> None:
    notary.faults.latency_of[LOGIN] = 0.1
    auth = client.auth(notary, password="wrong")
    for error in client.at_once([files] * 50, auth):
        assert isinstance(error, CredentialsRefused)
        assert isinstance(error, client.error)
    assert notary.count("login") == 1
    assert not notary.account().is_locked


def test_rule_7_an_unreachable_platform_fails_all_after_two_attempts(client: Client) -> None:
    attempts: list[socket.socket] = []

    def slam(server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            attempts.append(connection)
            if len(attempts) <= 2:  # the first leaves nineteen waiting, the second eighteen, who then give up
                until(lambda: callers_that_wait(auth.account) >= 20 - len(attempts))
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        auth = client.auth_type("JohnSmith", "qwe123QWE", cloud_url=url)
        thread = threading.Thread(target=slam, args=(server,), daemon=True)
        thread.start()
        errors = client.at_once([f"{url}{FILES}"] * 20, auth)
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert all(isinstance(error, client.error) for error in errors)
    assert sum(isinstance(error, DiscoveryError) for error in errors) >= 15
    assert len(attempts) <= 5, "two, and some for callers who were on their way from the first to the second"


@pytest.mark.parametrize("client", each(client for client in CLIENTS if not client.is_async))
@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_rule_7_a_leader_whose_thread_raises_hands_over(
    client: Client, notary: Sandbox, files: str, ending: type[BaseException]
) -> None:
    leading, others_wait = threading.Event(), threading.Event()

    def password() -> str:
        if not leading.is_set():
            leading.set()
            others_wait.wait(30)
            raise ending
        return notary.password

    auth = client.auth(notary, password=password)
    ended: list[object] = []

    def lead() -> None:
        try:
            client.get(files, auth)
        except ending as error:
            ended.append(error)

    leader = threading.Thread(target=lead)
    leader.start()
    assert leading.wait(30)
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(client.get, files, auth) for _ in range(3)]
        until(lambda: somebody_waits(auth.account))
        others_wait.set()
        assert [one.result().status_code for one in waiting] == [200] * 3
    leader.join()
    assert len(ended) == 1
    assert notary.count("login") == 1


def test_rule_9_a_wrong_password_is_sent_once(client: Client, notary: Sandbox, files: str) -> None:
    auth = client.auth(notary, password="wrong")
    for _ in range(10):
        with pytest.raises(CredentialsRefused, match="invalid_client" if is_clients() else "access_denied"):
            client.get(files, auth)
    assert notary.count("login") == 1


def test_rule_10_a_busy_platform_is_asked_again(client: Client, notary: Sandbox, files: str) -> None:
    if not is_clients():
        notary.faults.answer_next(LOOKUP, 503, {"Retry-After": "0"}, times=2)
    notary.faults.answer_next(LOGIN, 429, {"Retry-After": "0"})
    assert client.get(files, client.auth(notary)).status_code == 200
    assert (notary.count("lookup"), notary.count("login")) == (3 * len(asked("lookup")), 2)


def test_rule_11_control_calls_carry_none_of_the_users_headers(
    client: Client, notary: Sandbox, files: str
) -> None:
    client.get(files, client.auth(notary), headers={"X-Mine": "yes", "Cookie": "mine=1"})
    own = {"authorization"} if is_clients() else set()
    for call in notary.calls[:-1]:
        assert set(call.headers) <= own | {
            "accept", "accept-encoding", "cache-control", "connection", "content-length", "content-type", "host",
            "user-agent",
        }  # fmt: skip
        assert call.headers["cache-control"] == "no-store"
        assert call.headers["user-agent"].startswith("notary-auth/")
        assert call.headers["accept"] == "application/json"


ENCODE = {"gzip": gzip.compress, "br": brotli.compress, "x-unknown": bytes}


@pytest.mark.users_only
@pytest.mark.parametrize("encoding", ENCODE)
def test_rule_12_an_encoded_reply_is_an_error_and_is_not_read(
    client: Client, notary: Sandbox, files: str, encoding: str
) -> None:
    """None was accepted, and a few hundred bytes of brotli may be 256 MiB."""
    document = json.dumps({"server_url": notary.data_center_urls[0]}).encode()
    notary.faults.answer_next(LOOKUP, 200, {"Content-Encoding": encoding}, ENCODE[encoding](document))
    with pytest.raises(DiscoveryError, match="has a Content-Encoding") as caught:
        client.get(files, client.auth(notary))
    assert isinstance(caught.value, client.error)
    assert [call.headers["accept-encoding"] for call in notary.calls] == ["identity"]


def test_rule_12_a_reply_that_says_identity_is_not_encoded(client: Client, notary: Sandbox, files: str) -> None:
    document = json.dumps({"server_url": notary.data_center_urls[0]}).encode()
    notary.faults.answer_next(LOOKUP, 200, {"Content-Encoding": "identity"}, document)
    assert client.get(files, client.auth(notary)).status_code == 200


def test_rule_12_a_reply_without_end_is_not_read_to_it(client: Client, notary: Sandbox, files: str) -> None:
    notary.faults.answer_next(LOGIN, 200, {}, b" " * (50 * 1024 * 1024))
    with pytest.raises(LoginError, match="larger than 1 MiB"):
        client.get(files, client.auth(notary))


@pytest.mark.parametrize("offset", [-86400, 86400])
def test_rule_13_clocks_that_disagree_cost_no_login(
    client: Client, notary: Sandbox, files: str, offset: float
) -> None:
    notary.faults.clock_offset = offset
    auth = client.auth(notary)
    for _ in range(3):
        assert client.get(files, auth).status_code == 200
    assert notary.count("login") == 1


def test_rule_14_a_token_near_its_expiry_is_refreshed(client: Client, notary: Sandbox, files: str) -> None:
    auth = client.auth(notary)
    client.get(files, auth)
    advance(auth.account, 7200 - 100)
    notary.clear()
    assert client.get(files, auth).status_code == 200
    assert [kind for _, kind, _ in wire(notary)] == ["login", "request"]
    client.get(files, auth)
    assert wire(notary) == WARM


def test_rule_14_a_refresh_that_is_refused_fails_no_request(client: Client, notary: Sandbox, files: str) -> None:
    auth = client.auth(notary)
    client.get(files, auth)
    advance(auth.account, 7200 - 100)
    notary.account().password = "changed"
    assert client.get(files, auth).status_code == 200
    assert notary.count("login") == 2


def test_rule_15_a_revoked_token_is_replaced(client: Client, notary: Sandbox, files: str) -> None:
    auth = client.auth(notary)
    client.get(files, auth)
    wire(notary)
    notary.revoke_tokens()
    response = client.get(files, auth)
    assert response.status_code == 200
    assert wire(notary) == asked(("data center 1", "request", 401), *COLD)
    assert [hop.status_code for hop in response.history] == [401] * client.records_replays


def test_rule_15_many_at_once_with_a_revoked_token_cause_one_login(
    client: Client, notary: Sandbox, files: str
) -> None:
    auth = client.auth(notary)
    client.get(files, auth)
    notary.clear()
    notary.revoke_tokens()
    notary.faults.latency_of[LOGIN] = 0.1
    assert [response.status_code for response in client.at_once([files] * 30, auth)] == [200] * 30
    assert (notary.count("lookup"), notary.count("login")) == (len(asked("lookup")), 1)


def test_rule_15_those_who_wait_for_a_login_hold_no_connection_that_it_may_need(
    client: Client, notary: Sandbox, files: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.clients.TIMEOUT", 5)
    auth = client.auth(notary)
    client.get(files, auth)
    notary.revoke_tokens()
    notary.clear()
    answers = client.at_once([files] * 5, auth, connections=1)
    # A connection that a waiter holds would be missing: a PoolTimeout. The pools of httpx and of httpx2's first
    # versions may close a connection that a thread has just been given (encode/httpcore#1110): another matter.
    library = client.library
    of_the_pool = (library.ReadError, library.ReadTimeout) if client in HTTPX and not client.is_async else ()
    statuses = [answer.status_code for answer in answers if not isinstance(answer, of_the_pool)]
    assert statuses
    assert set(statuses) == {200}
    assert notary.count("login") == 1 or len(statuses) < 5


@pytest.mark.users_only
def test_rule_15_a_moved_account_is_followed(client: Client, notary: Sandbox, files: str) -> None:
    auth = client.auth(notary)
    client.get(files, auth)
    notary.clear()
    notary.move()
    assert [response.status_code for response in client.at_once([files] * 20, auth)] == [200] * 20
    assert (notary.count("lookup"), notary.count("login")) == (len(asked("lookup")), 1)
    assert auth.account.server_url == notary.data_center_urls[1]
    assert client.get(notary.data_center_urls[0] + FILES, auth).status_code == 200


def test_rule_15_a_401_on_a_fresh_token_is_passed_on(client: Client, notary: Sandbox, files: str) -> None:
    auth = client.auth(notary)
    client.get(files, auth)
    notary.clear()
    notary.faults.answer_next(FILES, 401, body=b"no", times=4)
    for _ in range(3):
        response = client.get(files, auth)
        assert (response.status_code, response.content) == (401, b"no")
    assert notary.count("login") == 1


Body = Callable[[Client], dict[str, Any]]


def _multipart(client: Client) -> dict[str, Any]:
    return {"files": {"file": ("a.txt", io.BytesIO(b"content"))}}


def _generator(client: Client) -> dict[str, Any]:
    body = [
        b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\n',
        b"content\r\n--x--\r\n",
    ]
    return {"content": client.generator(body), "headers": {"content-type": "multipart/form-data; boundary=x"}}


def _bytes(client: Client) -> dict[str, Any]:
    options = _generator(CLIENTS[0])
    return {**options, "content": b"".join(options["content"])}


def _file(client: Client) -> dict[str, Any]:
    options = _bytes(client)
    return {**options, "content": io.BytesIO(options["content"])}


class Unseekable(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def seek(self, *_: Any) -> int:
        raise io.UnsupportedOperation("seek")


class ForwardsOnly(io.BytesIO):
    """A stream that can skip, and never go back: httpx would send nothing of it, and no error."""

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence or offset < self.tell():
            raise io.UnsupportedOperation("seek")
        return super().seek(offset)


class WithoutPosition:
    """A file-like object as pipes and sockets are: it can be read, and that is all."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        return self._content.read(size)

    def __iter__(self) -> Any:
        return iter(self._content)


def _unseekable(client: Client) -> dict[str, Any]:
    options = _bytes(client)
    return {**options, "content": Unseekable(options["content"])}


def _without_position(client: Client) -> dict[str, Any]:
    options = _bytes(client)
    return {**options, "content": WithoutPosition(options["content"])}


def _unseekable_part(client: Client) -> dict[str, Any]:
    return {"files": {"file": ("a.txt", Unseekable(b"content"))}}


def _part_that_goes_forwards_only(client: Client) -> dict[str, Any]:
    return {"files": {"file": ("a.txt", ForwardsOnly(b"content"))}}


SYNC_ONLY = (_file, _unseekable, _without_position)


@pytest.mark.parametrize("body", [_bytes, _multipart, _file])
def test_rule_16_a_body_that_can_be_sent_again_is(client: Client, notary: Sandbox, files: str, body: Body) -> None:
    if client in HTTPX and body is _file:
        pytest.skip("a file as content= is not sent again in httpx, a form's is")
    auth = client.auth(notary)
    client.get(files, auth)
    notary.revoke_tokens()
    file_id = client.send("POST", files, auth=auth, **body(client)).json()["file_id"]
    assert client.get(f"{files}/{file_id}/download", auth).content == b"content"


@pytest.mark.parametrize(
    "body",
    [
        _generator,
        _file,
        _unseekable,
        _without_position,
        _unseekable_part,
        _part_that_goes_forwards_only,
    ],
)
def test_rule_16_a_body_that_cannot_be_sent_again_is_not(
    client: Client, notary: Sandbox, files: str, body: Body
) -> None:
    if client.is_async and body in SYNC_ONLY:
        pytest.skip("httpx's asynchronous clients do not take a synchronous file as content=")
    if client not in HTTPX and body is _file:
        pytest.skip("requests and niquests go back to where a file began")
    if client not in HTTPX and body in (_unseekable_part, _part_that_goes_forwards_only):
        pytest.skip("requests and niquests read the files of a form into memory, and can send them again")
    auth = client.auth(notary)
    client.get(files, auth)
    notary.revoke_tokens()
    notary.clear()
    assert client.send("POST", files, auth=auth, **body(client)).status_code == 401
    assert wire(notary) == [("data center 1", "request", 401)]
    # The next request logs in anew, and nothing empty was stored.
    assert client.get(files, auth).json()["files"] == []
    assert wire(notary) == asked(*COLD)


def test_rule_18_a_pickled_response_has_no_credentials(client: Client, notary: Sandbox, files: str) -> None:
    auth = client.auth(notary)
    responses = [client.get(files, auth), client.get(files, auth)]
    notary.revoke_tokens()
    old = token_of(auth.account).authorization.partition(" ")[2].encode()
    responses.append(client.get(files, auth))
    new = token_of(auth.account).authorization.partition(" ")[2].encode()
    for response in responses:
        pickled = pickle.dumps(response)
        assert not any(secret in pickled for secret in (notary.password.encode(), old, new))
        assert pickle.loads(pickled).status_code == 200


@pytest.mark.users_only
def test_rule_18_no_error_has_a_secret_in_it(
    client: Client, notary: Sandbox, files: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "notary_auth")
    password, code = "geheim-geheim", "424242"
    notary.add_user("Jane", "other", totp=code)
    token = '{"access_token": "to ken-geheim", "token_type": "bearer"}'
    for status, body in (
        (401, f'{{"error": "access_denied", "error_description": "{password} {code}"}}'),
        (400, f'{{"error": "invalid_totp", "error_description": "{password} {code}"}}'),
        (200, token),
        (200, f"<html>{password} {code}"),
        (500, password),
    ):
        notary.faults.answer_next(LOGIN, status, {}, body)
        auth = client.auth(notary, username="Jane", password=password, totp=lambda: code)
        with pytest.raises(NotaryAuthError) as caught:
            client.get(files, auth)
        seen = [caplog.text, "".join(traceback.format_exception(caught.value))]
        error: BaseException | None = caught.value
        while error is not None:
            seen += [str(error), repr(error), repr(error.args), repr(vars(error)), repr(pickle.dumps(error))]
            error = error.__cause__ or error.__context__
        for text in seen:
            assert not any(secret in text for secret in (password, code, "ken-geheim"))


def test_rule_18_a_repr_shows_no_password(client: Client, notary: Sandbox) -> None:
    auth = client.auth(notary)
    assert repr(auth) == f"{type(auth).__name__}('JohnSmith', cloud_url={notary.url!r})"
    assert notary.password not in repr(auth.account) + str(auth)


def test_rule_19_the_history_has_the_users_own_hops_only(client: Client, notary: Sandbox, files: str) -> None:
    assert client.get(files, client.auth(notary)).history == []
    auth = client.auth(notary)
    notary.faults.answer_next("/old", 302, {"Location": FILES})
    response = client.get(f"{notary.url}/old", auth, follow=True)
    assert [hop.status_code for hop in response.history] == [302]
    assert [hop.history for hop in response.history] == [[]]
    notary.revoke_tokens()
    response = client.get(files, auth)
    assert [hop.status_code for hop in response.history] == [401] * client.records_replays


def test_rule_20_any_unicode_password_works(client: Client, notary: Sandbox, files: str) -> None:
    password = "pä ss+&=%\u2028\N{SNOWMAN}\N{GRINNING FACE}\t"
    (notary.add_client if is_clients() else notary.add_user)("Jürgen Ö.", password)
    assert client.get(files, client.auth(notary, username="Jürgen Ö.", password=password)).status_code == 200


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda auth: pickle.loads(pickle.dumps(auth))])
def test_rule_21_a_copy_has_the_credentials_and_shares_nothing(
    client: Client, notary: Sandbox, files: str, twin: Callable[[Any], Any]
) -> None:
    auth = client.auth(notary)
    client.get(files, auth)
    other = twin(auth)
    assert type(other) is type(auth)
    assert other.account is not auth.account
    assert client.get(files, other).status_code == 200
    assert notary.count("login") == 2
    auth.account.forget()
    client.get(files, other)
    assert notary.count("login") == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_rule_21_a_forked_child_is_free_of_its_parents_locks(client: Client, notary: Sandbox, files: str) -> None:
    notary.faults.held.add(LOGIN)
    auth = client.auth(notary)
    account = auth.account
    leader = threading.Thread(target=lambda: client.get(files, auth))
    leader.start()
    held, forked = threading.Event(), threading.Event()

    def hold_the_lock() -> None:
        with lock_of(account):
            held.set()
            forked.wait(30)

    until(lambda: LOGIN in notary.pending)
    threading.Thread(target=hold_the_lock).start()
    assert held.wait(30)
    pid = os.fork()  # at the worst moment: another thread has the lock, a third one leads
    if pid == 0:
        status = 1
        try:
            signal.alarm(30)
            status = 0 if client.get(files, auth).status_code == 200 else 2
        finally:
            os._exit(status)
    forked.set()
    notary.faults.held.clear()
    leader.join()
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert notary.count("login") == 2, "one of the parent, one of the child"


@pytest.mark.users_only
def test_rule_22_errors_are_the_clients_own(client: Client, notary: Sandbox, files: str) -> None:
    home = notary.data_center_urls[0]
    notary.add_user("Jane", "pass", totp="123456")
    notary.faults.answer_next(LOOKUP, 500)
    cases: list[tuple[type[NotaryAuthError], dict[str, Any], tuple[Any, ...]]] = [
        (DiscoveryError, {}, (500, None, None, f"{notary.url}{LOOKUP}")),
        (
            CredentialsRefused,
            {"password": "wrong"},
            (401, "access_denied", "Wrong login or password", home + LOGIN),
        ),
        (
            TotpRequired,
            {"username": "Jane", "password": "pass"},
            (401, "totp_required", "A TOTP code is needed", home + LOGIN),
        ),
    ]
    for kind, arguments, details in cases:
        auth = client.auth(notary, **arguments)
        with pytest.raises(client.error) as caught:
            client.get(files, auth)
        error: Any = caught.value
        assert isinstance(error, kind)
        assert (error.status, error.error, error.error_description, error.url) == details
        restored = pickle.loads(pickle.dumps(error))
        assert type(restored) is type(error)
        assert isinstance(restored, client.error)
        assert (restored.status, restored.error, str(restored)) == (error.status, error.error, str(error))
        if client.name != "aiohttp":  # whose errors have no request
            assert str(error.request.url).startswith("http")


def test_rule_22_an_insecure_cloud_url_is_refused_in_the_clients_terms_too(client: Client) -> None:
    with pytest.raises(InsecureUrl) as caught:
        client.auth_type("JohnSmith", "qwe123QWE", cloud_url="http://cloud.acronis.com")
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, client.error)


@pytest.mark.users_only
def test_a_totp_account_logs_in_with_its_code(client: Client, notary: Sandbox, files: str) -> None:
    notary.add_user("Jane", "pass", totp="123456")
    auth = client.auth(notary, username="Jane", password=lambda: "pass", totp=lambda: "123456")
    assert client.get(files, auth).status_code == 200


def test_callables_run_off_the_event_loop(client: Client, notary: Sandbox, files: str) -> None:
    threads: list[threading.Thread] = []

    def ask() -> str:
        threads.append(threading.current_thread())
        return notary.password

    assert client.get(files, client.auth(notary, password=ask)).status_code == 200
    assert (threads[0] is threading.main_thread()) is not client.is_async


def test_several_adapters_share_one_account(notary: Sandbox, files: str) -> None:
    account = Account(notary.username, notary.password, cloud_url=notary.url)
    for client in CLIENTS:
        auth = client.auth_of(account)
        assert auth.account is account
        assert client.get(files, auth).status_code == 200
    assert notary.count("login") == 1


def test_from_account_takes_an_account_only(client: Client) -> None:
    with pytest.raises(TypeError, match=r"must be a notary_auth\.Account, not str"):
        client.auth_type.from_account("JohnSmith")


WRONG_PAIRS = [
    pytest.param(client, other, id=f"{other} in {client}", marks=pytest.mark.matrix if is_of_matrix else [])
    for client in CLIENTS
    for other in CLIENTS
    for is_of_matrix in [not {client.name, other.name} <= set(DEFAULT)]
    if other.library is not client.library
]


@pytest.mark.parametrize(("client", "other"), WRONG_PAIRS)
@pytest.mark.parametrize("warm", [False, True])
def test_the_wrong_clients_auth_names_the_right_import(
    client: Client, other: Client, warm: bool, notary: Sandbox, files: str
) -> None:
    auth = other.auth(notary)
    if warm:
        other.get(files, auth)
        notary.clear()
    with pytest.raises(TypeError, match=f"from {client.adapter.__name__} import (?:Async)?NotaryAuth"):
        client.get(files, auth)
    assert notary.calls == []


def test_an_unknown_clients_request_is_refused(client: Client, notary: Sandbox) -> None:
    with pytest.raises(TypeError, match="has adapters for requests, niquests, httpx, httpx2"):
        client.call(client.auth(notary), object())


def test_tls_works_with_the_clients_own_ca_settings(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)  # requests lets them win over a session's verify
    with Sandbox(tls=True) as notary:
        assert notary.url.startswith("https://")
        files = f"{notary.api_url}/stored-files"
        if client not in HTTPX:
            assert client.get(files, client.auth(notary), ca=notary.ca_file).status_code == 200
        elif isinstance(client, HttpxAsync):

            async def get() -> Any:
                async with client.library.AsyncClient(verify=notary.ssl_context) as http:
                    return await http.get(files, auth=client.auth(notary))

            assert client.run(get).status_code == 200
        else:
            with client.library.Client(verify=notary.ssl_context) as http:
                assert http.get(files, auth=client.auth(notary)).status_code == 200
        assert [call.kind for call in notary.calls] == asked("lookup", "login", "request")


def test_an_account_that_is_used_while_it_forgets_stays_sane(client: Client, notary: Sandbox, files: str) -> None:
    auth = client.auth(notary)

    def work(number: int) -> int:
        if number % 5 == 0:
            auth.account.forget()
        return int(client.get(files, auth).status_code)

    assert in_threads(work, range(20)) == [200] * 20


def test_rule_15_a_replayed_response_has_taken_time(client: Client, notary: Sandbox, files: str) -> None:
    auth = client.auth(notary)
    client.get(files, auth)
    notary.revoke_tokens()
    notary.faults.latency_of[FILES] = 0.1
    response = client.get(files, auth)
    if not client.records_replays:
        return
    assert response.history
    assert 0.1 <= response.elapsed.total_seconds() < 20
