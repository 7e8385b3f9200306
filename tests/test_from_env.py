"""Credentials from environment variables, with every client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

import notary_auth.httpx
import notary_auth.requests
from notary_auth import LoginError
from notary_auth.sandbox import Sandbox

from .clients import Client
from .core import arguments_of


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
    with pytest.raises(LoginError, match=f"NOTARY_PASSWORD_FILE: cannot read {secret}: No such file or directory"):
        client.get(files, auth)
    secret.write_text("\n")
    with pytest.raises(LoginError, match=f"NOTARY_PASSWORD_FILE: {secret} is empty"):
        client.get(files, auth)
    secret.write_text(f"{notary.password}\r\n")
    assert client.get(files, auth).status_code == 200
    notary.revoke_tokens()
    secret.write_bytes(b"\xef\xbb\xbf" + notary.password.encode() + b"\r\n")  # as PowerShell writes UTF-8
    assert client.get(files, auth).status_code == 200
    notary.account().password = "rotated pass word"
    notary.revoke_tokens()
    secret.write_text("rotated pass word\n")
    assert client.get(files, auth).status_code == 200


def test_rule_26_the_environment_names_the_data_center(
    client: Client, notary: Sandbox, files: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "USERNAME": notary.username,
        "PASSWORD": notary.password,
        "CLOUD_URL": notary.url,
        "SERVER_URL": notary.data_center_urls[0],
    }.items():
        monkeypatch.setenv(f"NOTARY_{name}", value)
    auth = client.auth_type.from_env()
    assert client.get(files, auth).status_code == 200
    notary.revoke_tokens()
    assert client.get(files, auth).status_code == 200
    assert (notary.count("lookup"), notary.count("login")) == (0, 2)


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
        (
            {"NOTARY_USERNAME": "x", "NOTARY_PASSWORD": "geheim", "NOTARY_CLOUD_URL": "x"},
            "cloud_url must be an https URL",
        ),
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

    class ReachedError(Exception):
        """The session was asked to send something."""

    class Session(requests.Session):
        def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
            raise ReachedError

    session = Session()
    auth: Any = notary_auth.requests.NotaryAuth.from_env(session=session, offline_access=True)
    assert arguments_of(auth.account)["offline_access"] is True
    with pytest.raises(ReachedError):
        requests.get("https://cloud.acronis.com/", auth=auth, timeout=9)
