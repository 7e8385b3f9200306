"""What requests and niquests have and httpx has not: urllib3's retries below a session, options of a request.

httpx's control requests go through the user's client, and so with all that it is set to.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any
from urllib.request import getproxies

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from notary_auth import CredentialsRefused, NotaryAuthError
from notary_auth.requests import NotaryAuth
from notary_auth.sandbox import Sandbox

from .badserver import BadServer, reply, send, tunnel
from .clients import SESSIONS, Client, NiquestsAsyncio, each
from .core import set_control_timeout, use_session_type
from .paths import LOGIN, LOOKUP

every_session = pytest.mark.parametrize("client", each(SESSIONS))


def retries(*statuses: int, is_raised: bool = True) -> Retry:
    """urllib3's retries for all methods, which is not their default and what people set."""
    return Retry(
        total=2, status_forcelist=statuses, allowed_methods=None, backoff_factor=0, raise_on_status=is_raised
    )


# A session that retries 401


@every_session
@pytest.mark.parametrize("is_raised", [True, False])
def test_rule_25_a_session_that_retries_401_ends_in_a_refusal_that_is_remembered(
    notary: Sandbox, files: str, client: Client, is_raised: bool
) -> None:
    auth = client.auth(notary, password="wrong")
    for _ in range(3):
        with pytest.raises(CredentialsRefused) as caught:
            client.get(files, auth, retries=retries(401, 503, is_raised=is_raised))
        assert isinstance(caught.value, client.error)
        assert caught.value.status == 401
    assert notary.count("login") == 3, "the session's own retries of one login"


@every_session
@pytest.mark.parametrize("path", [LOOKUP, LOGIN])
def test_a_session_that_retries_503_ends_in_our_error(
    notary: Sandbox, files: str, client: Client, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With the status in it, and not in urllib3's."""
    caplog.set_level(logging.INFO)
    notary.faults.answer_next(path, 503, {"Retry-After": "0"}, times=30)
    with pytest.raises(client.error, match="503") as caught:
        client.get(files, client.auth(notary), retries=retries(401, 503))
    assert getattr(caught.value, "status", None) == 503


@every_session
def test_a_revoked_token_is_repaired_where_control_requests_have_a_session_that_retries_401(
    notary: Sandbox, files: str, client: Client
) -> None:
    auth = client.auth(notary)
    assert client.get(files, auth, retries=retries(401, is_raised=False)).status_code == 200
    notary.revoke_tokens()
    response = client.get(files, auth, retries=retries(401, is_raised=False))
    assert [each.status_code for each in (*response.history, response)] == [401, 200]
    assert notary.count("login") == 2


def test_a_revoked_token_is_repaired_by_control_requests_of_a_session_whose_policy_raises(
    notary: Sandbox, files: str
) -> None:
    """The session is the auth object's; the user's own requests go without it."""
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=retries(401, 503)))
        auth = NotaryAuth(notary.username, notary.password, cloud_url=notary.url, session=session)
        for _ in range(2):
            assert requests.get(files, auth=auth, timeout=9).status_code == 200
            notary.revoke_tokens()
    assert notary.count("login") == 2


class Raising:
    """A session that raises for each status, as people make one."""

    @staticmethod
    def of(kind: Any) -> Any:
        class Session(kind):  # type: ignore[misc]
            def send(self, *arguments: Any, **options: Any) -> Any:
                response = super().send(*arguments, **options)
                response.raise_for_status()
                return response

        return Session

    @staticmethod
    def of_async(kind: Any) -> Any:
        class Session(kind):  # type: ignore[misc]
            async def send(self, *arguments: Any, **options: Any) -> Any:
                response = await super().send(*arguments, **options)
                response.raise_for_status()
                return response

        return Session


@every_session
def test_rule_25_a_session_that_raises_for_each_status_ends_in_a_refusal_that_is_remembered(
    notary: Sandbox, files: str, client: Client
) -> None:
    library = client.library
    auth = client.auth(notary, password="wrong")

    def get() -> None:
        with Raising.of(library.Session)() as session:
            session.get(files, auth=client.auth_type.from_account(auth.account, session=session), timeout=9)

    async def get_async() -> None:
        async with Raising.of_async(library.AsyncSession)() as session:
            await session.get(files, auth=client.auth_type.from_account(auth.account, session=session), timeout=9)

    for _ in range(3):
        with pytest.raises(CredentialsRefused) as caught:
            client.run(get_async) if isinstance(client, NiquestsAsyncio) else get()
        assert caught.value.error == "access_denied", "what the platform said is read"
    assert notary.count("login") == 1


@every_session
def test_a_hook_that_raises_for_a_401_sees_the_replay(notary: Sandbox, files: str, client: Client) -> None:
    def check(response: Any, **_: Any) -> None:
        response.raise_for_status()

    async def check_async(response: Any, **_: Any) -> None:
        response.raise_for_status()

    auth = client.auth(notary)
    assert client.get(files, auth).status_code == 200
    notary.revoke_tokens()
    hooks = {"response": check_async if client.is_async else check}
    assert client.get(files, auth, hooks=hooks).status_code == 200


class Bare(HTTPAdapter):
    """An adapter that makes its responses by itself, and does not say that they are its own."""

    def send(self, *arguments: Any, **options: Any) -> requests.Response:
        response = super().send(*arguments, **options)
        del response.connection  # type: ignore[attr-defined]
        return response


@pytest.mark.parametrize("knows_session", [True, False])
def test_a_response_of_an_adapter_of_ones_own(
    notary: Sandbox, files: str, knows_session: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with requests.Session() as session:
        session.mount("http://", Bare())
        own = {"session": session} if knows_session else {}
        session.auth = NotaryAuth(notary.username, notary.password, cloud_url=notary.url, **own)
        assert session.get(files, timeout=9).status_code == 200
        notary.revoke_tokens()
        assert session.get(files, timeout=9).status_code == (200 if knows_session else 401)
        assert session.get(files, timeout=9).status_code == 200
        assert ("cannot be sent again" in caplog.text) != knows_session


class Ticketed(requests.Session):
    """A session that first asks another host for something, which refuses."""

    def send(self, request: Any, **options: Any) -> requests.Response:
        ticket = requests.get(self.gateway, timeout=9)  # type: ignore[attr-defined]
        ticket.raise_for_status()
        return super().send(request, **options)


def test_the_status_of_another_request_is_no_answer_of_the_platforms(notary: Sandbox, files: str) -> None:
    with BadServer() as gateway, Ticketed() as session:
        gateway.faults["/ticket"] = send(reply(status=401))
        session.gateway = f"{gateway.url}/ticket"  # type: ignore[attr-defined]
        auth = NotaryAuth(notary.username, notary.password, cloud_url=notary.url, session=session)
        with pytest.raises(requests.HTTPError) as caught:
            requests.get(files, auth=auth, timeout=9)
    assert not isinstance(caught.value, NotaryAuthError)
    assert notary.calls == []


# Options of one request


@pytest.fixture
def secure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)  # requests lets them win over a session's verify
    with Sandbox(tls=True) as sandbox:
        yield sandbox


@every_session
def test_a_login_after_a_401_has_the_verify_of_the_request(secure: Sandbox, client: Client) -> None:
    auth = client.auth(secure)
    files = f"{secure.api_url}/stored-files"
    assert client.get(files, auth, ca=secure.ca_file).status_code == 200
    secure.revoke_tokens()
    assert client.get(files, auth, verify=secure.ca_file).status_code == 200
    assert secure.count("login") == 2


@every_session
def test_a_login_after_a_401_is_verified_although_the_request_was_not(secure: Sandbox, client: Client) -> None:
    auth = client.auth(secure)
    files = f"{secure.api_url}/stored-files"
    assert client.get(files, auth, ca=secure.ca_file).status_code == 200
    secure.revoke_tokens()
    with pytest.warns(Warning, match="Unverified"), pytest.raises(client.library.exceptions.SSLError):
        client.get(files, auth, verify=False)
    assert secure.count("login") == 1, "the password went out unverified"


@every_session
def test_a_login_after_a_401_has_the_proxies_of_the_request(secure: Sandbox, client: Client) -> None:
    """The rejected request, the look-up, the login and the replay: four tunnels, or fewer that are kept."""
    auth = client.auth(secure)
    files = f"{secure.api_url}/stored-files"
    assert client.get(files, auth, ca=secure.ca_file).status_code == 200
    secure.revoke_tokens()
    cloud, first = (url.removeprefix("https://") for url in (secure.url, secure.data_center_urls[0]))
    with BadServer() as proxy:
        proxy.faults = {cloud: tunnel(cloud), first: tunnel(first)}
        proxies = {"https": proxy.url}
        assert client.get(files, auth, verify=secure.ca_file, proxies=proxies).status_code == 200
        asked = proxy.paths
    assert asked.count(cloud) == 1, "only the look-up is for the cloud"
    assert asked.count(first) >= 2, "the login had a connection of its own"
    assert secure.count("login") == 2


@every_session
def test_a_login_after_a_401_has_the_timeout_of_the_request(notary: Sandbox, files: str, client: Client) -> None:
    auth = client.auth(notary)
    assert client.get(files, auth).status_code == 200
    notary.revoke_tokens()
    notary.faults.held.add(LOGIN)
    with pytest.raises(client.library.exceptions.ReadTimeout) as caught:
        client.get(files, auth, timeout=0.3)
    assert "session=" not in str(caught.value), "the request's own time-out was used"
    notary.faults.held.clear()


@every_session
@pytest.mark.parametrize("timeout", [3600, (3, None), None])
def test_a_login_after_a_401_waits_no_longer_than_others_do(
    notary: Sandbox, files: str, client: Client, timeout: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large upload has a time-out of an hour. Other callers wait for this login."""
    auth = client.auth(notary)
    assert client.get(files, auth).status_code == 200
    notary.revoke_tokens()
    set_control_timeout(monkeypatch, 0.3, 0.3)
    notary.faults.held.add(LOGIN)
    with pytest.raises(client.library.exceptions.ReadTimeout):
        client.get(files, auth, timeout=timeout)
    notary.faults.held.clear()


def test_a_login_after_a_401_minds_no_proxy_for_its_own_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """requests hands a hook the environment's proxies as if they were the request's."""
    for name, value in {"https_proxy": "http://127.0.0.1:1", "no_proxy": "eu2.example"}.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setenv(name.upper(), value)
    asked: list[dict[str, str]] = []

    def respond(request: Any, status: int, body: bytes) -> requests.Response:
        response = requests.Response()
        response.status_code, response.request, response.url = status, request, request.url
        response.raw = io.BytesIO(body)
        return response

    class Noted(requests.Session):
        def send(self, request: Any, **options: Any) -> requests.Response:
            asked.append(dict(options["proxies"]))
            return respond(request, 200, b'{"access_token": "t%d", "token_type": "bearer"}' % len(asked))

    class Rejecting(HTTPAdapter):
        def send(self, request: Any, **options: Any) -> requests.Response:
            response = respond(request, 401, b"")
            response.connection = self  # type: ignore[attr-defined]
            return response

    use_session_type(monkeypatch, NotaryAuth, Noted)
    auth = NotaryAuth(
        "JohnSmith", "qwe123QWE", server_url="https://eu2.example", cloud_url="https://cloud.example"
    )
    with requests.Session() as session:
        session.mount("https://", Rejecting())
        assert session.get("https://cloud.example/x", auth=auth, timeout=9).status_code == 401
    assert len(asked) == 2
    assert asked[0] == asked[1] == {}


@every_session
def test_a_first_login_says_that_it_knows_nothing_of_the_requests_options(secure: Sandbox, client: Client) -> None:
    with pytest.raises(
        client.library.exceptions.SSLError, match="notary-auth's own discovery, login or logout"
    ) as caught:
        client.get(f"{secure.api_url}/stored-files", client.auth(secure), verify=secure.ca_file)
    assert "verify=" in str(caught.value)
    assert "session=" in str(caught.value)
    assert secure.password not in repr(caught.value)


@every_session
def test_a_first_login_that_takes_too_long_says_so_too(
    notary: Sandbox, files: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_control_timeout(monkeypatch, 0.2, 0.2)
    notary.faults.held.add(LOGIN)
    with pytest.raises(client.library.exceptions.ReadTimeout, match="session="):
        client.get(files, client.auth(notary), timeout=9)
    notary.faults.held.clear()


@every_session
def test_a_first_login_that_a_proxy_refuses_says_so_too(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with BadServer() as proxy:
        proxy.faults["cloud.example:443"] = send(reply(status=403))
        for name, value in {"https_proxy": proxy.url, "no_proxy": ""}.items():
            monkeypatch.setenv(name, value)
            monkeypatch.setenv(name.upper(), value)
        # niquests reads these variables once a process.
        monkeypatch.setattr(client.library.utils, "getproxies", getproxies)
        auth = client.auth_type("JohnSmith", "qwe123QWE", cloud_url="https://cloud.example")
        with pytest.raises(client.library.exceptions.ProxyError, match="session="):
            client.get("https://cloud.example/x", auth)
