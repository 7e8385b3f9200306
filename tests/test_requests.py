"""What is peculiar to requests: its sessions, netrc, cookies, hooks and prepared requests."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from notary_auth.requests import NotaryAuth
from notary_auth.sandbox import Sandbox

from .badserver import BadServer, reply, send
from .core import advance, current_login, set_control_timeout, tokens_of
from .paths import FILES, LOGIN


@pytest.fixture
def auth(notary: Sandbox) -> NotaryAuth:
    return NotaryAuth(notary.username, notary.password, cloud_url=notary.url)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def test_rule_11_no_netrc_gets_in_the_way(
    notary: Sandbox, files: str, auth: NotaryAuth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login other password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    notary.revoke_tokens()
    assert requests.get(files, auth=auth).status_code == 200
    notary.revoke_tokens()
    assert requests.get(files, auth=auth).status_code == 200
    assert [call.headers.get("authorization", "").partition(" ")[0] for call in notary.calls] == [
        "", "", "Bearer", "Bearer", "", "", "Bearer",
    ]  # fmt: skip


@pytest.mark.parametrize("has_session", [False, True])
def test_rule_11_a_proxy_is_used_with_tls_and_not_without(
    notary: Sandbox, monkeypatch: pytest.MonkeyPatch, has_session: bool
) -> None:
    """Without TLS it would read the password, which is for this very machine."""
    with BadServer() as proxy, requests.Session() as session:
        proxy.faults["cloud.example:443"] = send(reply(status=403))  # to CONNECT
        if has_session:
            session.proxies = {"http": proxy.url, "https": proxy.url}
        else:
            for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
                monkeypatch.setenv(name, proxy.url)
            for name in ("no_proxy", "NO_PROXY"):
                monkeypatch.setenv(name, "")
        own = {"session": session} if has_session else {}
        here = NotaryAuth(notary.username, notary.password, cloud_url=notary.url, **own)
        signed = here(requests.Request("GET", notary.api_url).prepare())
        assert signed.headers["Authorization"]
        assert proxy.paths == []
        there = NotaryAuth("JohnSmith", "qwe123QWE", cloud_url="https://cloud.example", **own)
        with pytest.raises(requests.exceptions.ProxyError):
            there(requests.Request("GET", "https://cloud.example/x").prepare())
        assert proxy.paths == ["cloud.example:443"]


def test_rule_11_control_calls_have_a_timeout(
    notary: Sandbox, files: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeouts = []
    send = HTTPAdapter.send

    def watch(self: HTTPAdapter, request: Any, **kwargs: Any) -> Any:
        timeouts.append(kwargs["timeout"])
        return send(self, request, **kwargs)

    monkeypatch.setattr(HTTPAdapter, "send", watch)
    requests.get(files, auth=NotaryAuth(notary.username, notary.password, cloud_url=notary.url), timeout=7)
    assert timeouts == [(10.0, 30.0), (10.0, 30.0), 7]


def test_rule_11_control_calls_go_through_the_users_session(
    notary: Sandbox, files: str, session: requests.Session
) -> None:
    urls = []

    class Watching(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            urls.append(request.url)
            return super().send(request, *args, **kwargs)

    session.mount("http://", Watching())
    session.headers["X-Mine"] = "yes"
    session.cookies.set("mine", "1", domain="127.0.0.1")
    session.auth = NotaryAuth(notary.username, notary.password, cloud_url=notary.url, session=session)
    assert session.get(files).status_code == 200
    assert len(urls) == 3
    assert ["x-mine" in call.headers for call in notary.calls] == [False, False, True]
    assert not any("cookie" in call.headers for call in notary.calls[:2])


def test_a_session_that_follows_every_redirect_cannot_follow_that_of_a_control_call(
    notary: Sandbox, files: str
) -> None:
    class Stubborn(requests.Session):
        def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
            return super().send(request, **{**kwargs, "allow_redirects": True})

    notary.faults.answer_next(LOGIN, 307, {"Location": f"{notary.foreign_url}/steal"})
    with Stubborn() as session:
        auth = NotaryAuth(notary.username, notary.password, cloud_url=notary.url, session=session)
        with pytest.raises(requests.RequestException, match="redirect"):
            requests.get(files, auth=auth)
    assert not [call for call in notary.calls if call.host == "foreign host"]


class Reentrant(requests.Session):
    """A session that asks for something with the same auth before it sends what it was given."""

    def __init__(self, url: str, depth: int) -> None:
        super().__init__()
        self.inner_auth: NotaryAuth | None = None
        self.left = depth
        self.statuses: list[int] = []
        self._url = url

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        if self.left:
            self.left -= 1
            self.statuses.append(requests.get(self._url, auth=self.inner_auth).status_code)
        return super().send(request, **kwargs)


def test_rule_8_a_session_that_uses_the_same_auth_does_not_wait_for_itself(notary: Sandbox, files: str) -> None:
    with Reentrant(files, depth=3) as session:
        auth = session.inner_auth = NotaryAuth(
            notary.username, notary.password, cloud_url=notary.url, session=session
        )
        assert requests.get(files, auth=auth).status_code == 200
        assert session.statuses == [200, 200, 200]


def test_rule_8_a_session_that_never_stops_using_the_same_auth_is_an_error(notary: Sandbox, files: str) -> None:
    with Reentrant(files, depth=10**9) as session:
        auth = session.inner_auth = NotaryAuth(
            notary.username, notary.password, cloud_url=notary.url, session=session
        )
        with pytest.raises(RecursionError):
            requests.get(files, auth=auth)
        session.left = 0
        assert requests.get(files, auth=auth).status_code == 200, "nobody leads any more"


def test_cookies_of_the_cloud_do_not_come_along(notary: Sandbox, auth: NotaryAuth) -> None:
    # Two host names of this machine, as cookies know no ports.
    cloud = notary.url.replace("127.0.0.1", "localhost")
    auth = NotaryAuth(notary.username, notary.password, cloud_url=cloud)
    with requests.Session() as session:
        session.cookies.set("cloud", "1", domain="localhost.local")
        session.cookies.set("home", "2", domain="127.0.0.1")
        session.auth = auth
        for _ in range(2):
            assert session.get(f"{cloud}{FILES}").status_code == 200
            assert notary.calls[-1].headers.get("cookie") == "home=2"
        session.get(f"{cloud}{FILES}", headers={"Cookie": "own=3"})
        assert notary.calls[-1].headers["cookie"] == "home=2", "the user's own header is for the cloud, too"
        session.get(f"{cloud}{FILES}", headers={"Host": "elsewhere.example"})
        assert notary.calls[-1].headers["host"] == notary.data_center_urls[0].partition("://")[2]


def test_the_users_response_hook_sees_the_answer_and_not_the_401(
    notary: Sandbox, files: str, auth: NotaryAuth
) -> None:
    seen = []
    requests.get(files, auth=auth)
    notary.revoke_tokens()
    requests.get(files, auth=auth, hooks={"response": lambda response, **_: seen.append(response.status_code)})
    assert seen == [200]


def test_a_session_serves_its_cookies_and_connections_through_a_replay(
    notary: Sandbox, files: str, auth: NotaryAuth, session: requests.Session
) -> None:
    session.auth = auth
    session.get(files)
    notary.revoke_tokens()
    notary.faults.answer_next(FILES, 401, {"Set-Cookie": "a=1"})
    assert session.get(files).status_code == 200
    assert session.cookies.get_dict() == {"a": "1"}


def test_a_replay_streams_if_the_request_does(notary: Sandbox, files: str, auth: NotaryAuth) -> None:
    requests.get(files, auth=auth)
    notary.revoke_tokens()
    response = requests.get(files, auth=auth, stream=True)
    assert response.status_code == 200
    assert response._content_consumed is False
    assert b"files" in response.raw.read()
    response.close()


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_rule_16_any_bytes_can_be_sent_again(
    notary: Sandbox, files: str, auth: NotaryAuth, kind: Callable[[bytes], Any]
) -> None:
    requests.get(files, auth=auth)
    notary.revoke_tokens()
    form = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\ncontent\r\n--x--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = requests.post(files, data=kind(form), headers=headers, auth=auth)
    assert requests.get(f"{files}/{answer.json()['file_id']}/download", auth=auth).content == b"content"


def test_rule_18_a_pickled_response_works_on_without_the_hook(
    notary: Sandbox, files: str, auth: NotaryAuth
) -> None:
    restored = pickle.loads(pickle.dumps(requests.get(files, auth=auth)))
    (hook,) = restored.request.hooks["response"]
    assert hook(restored) is None
    # A copied request keeps the hook, and with it the replay.
    request = requests.Request("GET", files, auth=auth).prepare()
    twin = copy.deepcopy(request)
    notary.revoke_tokens()
    with requests.Session() as session:
        assert session.send(twin).status_code == 200


def test_a_request_that_was_prepared_long_ago_is_replayed_with_the_current_token(
    notary: Sandbox, files: str, auth: NotaryAuth
) -> None:
    prepared = requests.Request("GET", files, auth=auth).prepare()
    notary.revoke_tokens()
    with requests.Session() as session:
        assert session.get(files, auth=auth).status_code == 200
        logins = notary.count("login")
        for _ in range(2):
            assert session.send(prepared.copy()).status_code == 200
    assert notary.count("login") == logins


def test_a_network_error_is_requests_own_and_frees_the_leadership(own_notary: Sandbox) -> None:
    own_notary.stop()
    auth = NotaryAuth("JohnSmith", "qwe123QWE", cloud_url=own_notary.url)
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{own_notary.api_url}/stored-files", auth=auth)
    assert current_login(auth.account) is None


def test_rule_18_a_network_error_during_the_login_has_no_password_in_it(
    notary: Sandbox, files: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_control_timeout(monkeypatch, 10, 0.4)
    notary.faults.held.add(LOGIN)
    auth = NotaryAuth(notary.username, notary.password, cloud_url=notary.url)
    with pytest.raises(requests.ReadTimeout) as caught:
        requests.get(files, auth=auth)
    assert LOGIN in notary.pending
    assert caught.value.request is not None
    assert caught.value.request.body is None
    assert notary.password.encode() not in pickle.dumps(caught.value)


def test_rule_14_a_refresh_that_times_out_fails_no_request(
    notary: Sandbox, files: str, auth: NotaryAuth, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests.get(files, auth=auth)
    set_control_timeout(monkeypatch, 10, 0.4)
    notary.faults.held.add(LOGIN)
    advance(auth.account, 7200 - 100)
    assert requests.get(files, auth=auth).status_code == 200


def test_a_session_is_a_session(notary: Sandbox) -> None:
    session: Any = "https"
    with pytest.raises(TypeError, match=r"session must be a requests\.Session, not str"):
        NotaryAuth(notary.username, notary.password, session=session)


def test_an_interrupt_frees_the_leadership(
    notary: Sandbox, files: str, auth: NotaryAuth, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(HTTPAdapter, "send", interrupt)
        with pytest.raises(KeyboardInterrupt):
            requests.get(files, auth=auth)
    assert requests.get(files, auth=auth).status_code == 200


def test_a_session_survives_pickling(notary: Sandbox, files: str, session: requests.Session) -> None:
    auth = NotaryAuth(notary.username, notary.password, cloud_url=notary.url, session=session)
    assert requests.get(files, auth=pickle.loads(pickle.dumps(auth))).status_code == 200


def test_a_session_that_raises_stop_iteration_has_logged_nobody_out(notary: Sandbox, files: str) -> None:
    """As an exhausted mock does: it must not pass for the end of the steps."""

    class Exhausted(requests.Session):
        is_exhausted = False

        def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            return next(iter(())) if self.is_exhausted else super().send(request, **options)

    with Exhausted() as session:
        auth = NotaryAuth(notary.username, notary.password, cloud_url=notary.url, session=session)
        assert requests.get(files, auth=auth).status_code == 200
        session.is_exhausted = True
        with pytest.raises(RuntimeError, match="StopIteration"):
            auth.logout()


def test_a_prepared_request_begins_a_new_chain_each_time_it_is_sent(notary: Sandbox) -> None:
    auth = NotaryAuth(notary.username, notary.password, cloud_url=notary.url)
    home, elsewhere = notary.data_center_urls[0], f"{notary.foreign_url}/x"
    with requests.Session() as session:
        prepared = session.prepare_request(requests.Request("GET", f"{home}{FILES}", auth=auth))
        for _ in range(3):
            notary.faults.answer_next(FILES, 302, {"Location": elsewhere})
            notary.faults.answer_next("/x", 302, {"Location": f"{home}{FILES}"})
            assert session.send(prepared).status_code == 401, "another host has chosen the path"
            notary.revoke_tokens()
            assert session.send(prepared).status_code == 200, "this time, nobody has"
            prepared.headers["Authorization"] = f"Bearer {tokens_of(notary)[-1]}"


def test_rule_23_a_script_without_logging_sees_warnings(notary: Sandbox) -> None:
    script = (
        "import requests\n"
        "from notary_auth.requests import NotaryAuth\n"
        f"auth = NotaryAuth({notary.username!r}, {notary.password!r}, cloud_url={notary.url!r})\n"
        f"requests.get({notary.foreign_url + '/x'!r}, auth=auth)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert f"requests to {notary.foreign_url} are sent unsigned" in done.stderr
