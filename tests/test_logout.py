"""Logout, refresh tokens and environment variables with every client, against the sandbox."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests

import notary_auth.httpx
import notary_auth.requests
from notary_auth import LoginError, LogoutError
from notary_auth.sandbox import Sandbox

from .clients import Client

LOGIN, REVOKE = "/api/2/idp/token", "/api/2/idp/revoke_token"


def test_a_logout_revokes_what_was_granted(client: Client, notary: Sandbox, files: str) -> None:
    auth = client.auth(notary, offline_access=True)
    client.get(files, auth)
    stolen = str(auth.account.token.authorization)
    assert client.log_out(auth) is None
    assert notary.count("revoke") == 2
    home = f"{notary.data_center_urls[0]}/api/notary/v2/stored-files"
    assert client.send("GET", home, headers={"Authorization": stolen}).status_code == 401
    assert client.get(files, auth).status_code == 200
    assert notary.count("login") == 2


def test_a_logout_of_nobody_calls_nobody(client: Client, notary: Sandbox) -> None:
    client.log_out(client.auth(notary))
    assert notary.calls == []


def test_a_logout_carries_only_its_own_headers(client: Client, notary: Sandbox, files: str) -> None:
    auth = client.auth(notary)
    client.get(files, auth)
    client.log_out(auth)
    (call,) = [call for call in notary.calls if call.kind == "revoke"]
    assert "authorization" not in call.headers
    assert "cookie" not in call.headers
    assert call.headers["user-agent"].startswith("notary-auth/")


@pytest.mark.parametrize("status", [400, 500, 302])
def test_a_logout_that_fails_is_the_clients_error_too(
    client: Client, notary: Sandbox, files: str, status: int
) -> None:
    auth = client.auth(notary)
    client.get(files, auth)
    notary.faults.answer_next(REVOKE, status, {"location": notary.foreign_url}, '{"error": "invalid_client"}')
    with pytest.raises(LogoutError, match=r"invalid_client|a redirect") as caught:
        client.log_out(auth)
    assert isinstance(caught.value, client.error)
    assert not auth.account.is_logged_in
    assert [call.host for call in notary.calls if call.host == "foreign host"] == []


def test_an_unreachable_platform_is_a_logout_error(client: Client) -> None:
    with Sandbox() as notary:
        auth = client.auth(notary)
        client.get(f"{notary.api_url}/stored-files", auth)
    with pytest.raises(LogoutError, match="failed: Connect") as caught:
        client.log_out(auth)
    assert isinstance(caught.value.__cause__, client.error)
    assert not auth.account.is_logged_in


def test_a_refresh_token_is_used_for_the_next_login(client: Client, notary: Sandbox, files: str) -> None:
    codes = ["424242"]
    notary.add_user("bob", "builder", totp="424242")
    auth = client.auth(notary, username="bob", password="builder", totp=codes.pop, offline_access=True)
    notary.faults.token_lifetime = 0.5
    for _ in range(4):
        assert client.get(files, auth).status_code == 200
        auth.account.token.refresh_at = auth.account.token.expires_at = 0
    assert (notary.count("login"), notary.count("refresh")) == (1, 3)
    assert codes == []


def test_a_revoked_refresh_token_falls_back_to_the_password(client: Client, notary: Sandbox, files: str) -> None:
    auth = client.auth(notary, offline_access=True)
    client.get(files, auth)
    notary.revoke_tokens()
    assert client.get(files, auth).status_code == 200
    assert (notary.count("login"), notary.count("refresh")) == (2, 1)
    assert not notary.account().is_locked


def test_wrong_clients_are_refused(notary: Sandbox) -> None:
    auth = notary_auth.httpx.NotaryAuth(notary.username, notary.password, cloud_url=notary.url)
    for wrong in (None, requests.Session(), httpx.AsyncClient(), httpx):
        with pytest.raises(TypeError, match=r"client must be a httpx\.Client"):
            auth.logout(wrong)
    coroutine = auth.alogout(httpx.Client(verify=False))
    assert inspect.iscoroutine(coroutine)
    with pytest.raises(TypeError, match=r"client must be a httpx\.AsyncClient"):
        coroutine.send(None)


# The context manager of requests


def test_a_with_block_logs_out(notary: Sandbox, files: str) -> None:
    auth = notary_auth.requests.NotaryAuth(notary.username, notary.password, cloud_url=notary.url)
    with auth as entered:
        assert entered is auth
        assert requests.get(files, auth=auth, timeout=9).status_code == 200
    assert [call.kind for call in notary.calls] == ["lookup", "login", "request", "revoke"]


def test_a_with_block_in_which_nobody_logged_in_does_no_io() -> None:
    with notary_auth.requests.NotaryAuth("JohnSmith", "qwe123QWE", cloud_url="http://127.0.0.1:1"):
        pass


def test_a_with_block_does_not_hide_what_was_raised_in_it(
    notary: Sandbox, files: str, caplog: pytest.LogCaptureFixture
) -> None:
    notary.faults.answer_next(REVOKE, 500, times=2)
    auth = notary_auth.requests.NotaryAuth(notary.username, notary.password, cloud_url=notary.url)

    def fails_after_a_request() -> None:
        with auth:
            requests.get(files, auth=auth, timeout=9)
            raise KeyError

    with pytest.raises(KeyError):
        fails_after_a_request()
    assert "the logout of 'JohnSmith'" in caplog.text
    with pytest.raises(LogoutError), auth:
        requests.get(files, auth=auth, timeout=9)


# from_env


def test_credentials_come_from_the_environment(
    client: Client, notary: Sandbox, files: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTARY_USERNAME", notary.username)
    monkeypatch.setenv("NOTARY_PASSWORD", notary.password)
    monkeypatch.setenv("NOTARY_CLOUD_URL", notary.url)
    assert client.get(files, client.auth_type.from_env()).status_code == 200


def test_a_password_file_is_read_at_each_login(
    client: Client, notary: Sandbox, files: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    monkeypatch.setenv("NOTARY_USERNAME", notary.username)
    monkeypatch.setenv("NOTARY_PASSWORD_FILE", str(secret))
    monkeypatch.setenv("NOTARY_CLOUD_URL", notary.url)
    auth = client.auth_type.from_env()
    with pytest.raises(LoginError, match="the password callable raised FileNotFoundError"):
        client.get(files, auth)
    secret.write_text(f"{notary.password}\r\n")
    assert client.get(files, auth).status_code == 200
    notary.account().password = "rotated pass word"
    notary.revoke_tokens()
    secret.write_text("rotated pass word\n")
    assert client.get(files, auth).status_code == 200


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({}, "NOTARY_USERNAME is not set, or empty"),
        ({"NOTARY_USERNAME": "", "NOTARY_PASSWORD": "x"}, "NOTARY_USERNAME is not set, or empty"),
        ({"NOTARY_USERNAME": "x"}, "neither NOTARY_PASSWORD nor NOTARY_PASSWORD_FILE is set"),
        ({"NOTARY_USERNAME": "x", "NOTARY_PASSWORD": ""}, "neither NOTARY_PASSWORD nor"),
        (
            {"NOTARY_USERNAME": "x", "NOTARY_PASSWORD": "geheim", "NOTARY_PASSWORD_FILE": "/y"},
            "both NOTARY_PASSWORD and NOTARY_PASSWORD_FILE are set",
        ),
        ({"NOTARY_USERNAME": "x", "NOTARY_PASSWORD": "geheim", "NOTARY_CLOUD_URL": "x"}, "cloud_url is not"),
    ],
)
def test_what_is_missing_is_said(variables: dict[str, str], text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTARY_USERNAME", "NOTARY_PASSWORD", "NOTARY_PASSWORD_FILE", "NOTARY_CLOUD_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=text) as caught:
        notary_auth.requests.NotaryAuth.from_env()
    assert "geheim" not in str(caught.value)


def test_an_argument_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTARY_USERNAME", "JohnSmith")
    monkeypatch.setenv("NOTARY_PASSWORD", "qwe123QWE")
    monkeypatch.setenv("NOTARY_CLOUD_URL", "https://cloud.example.com")
    auth = notary_auth.requests.NotaryAuth.from_env(cloud_url="https://other.example.com")
    assert auth.account.cloud_url == "https://other.example.com"


def test_other_arguments_go_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTARY_USERNAME", "JohnSmith")
    monkeypatch.setenv("NOTARY_PASSWORD", "qwe123QWE")
    session = requests.Session()
    auth: Any = notary_auth.requests.NotaryAuth.from_env(session=session, offline_access=True)
    assert auth.account.arguments()["offline_access"] is True
    assert auth._session is session
