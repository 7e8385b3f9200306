"""API clients of the platform's (rule 27) with every HTTP client, on real sockets."""

from __future__ import annotations

import copy
import pickle
from base64 import b64encode
from typing import Any
from urllib.parse import quote_plus

import pytest

from notary_auth import CredentialsRefused
from notary_auth.sandbox import Sandbox
from notary_auth.stores import FileStore

from .badserver import BadServer, reset
from .clients import Client
from .leaks import leaks, shown_by
from .paths import FILES, LOGIN
from .terminal import Terminal

ID, SECRET = "client: 1", "geheim: & 9€"


@pytest.fixture
def platform(notary: Sandbox) -> Sandbox:
    notary.add_client(ID, SECRET)
    return notary


def auth_of(client: Client, platform: Sandbox, secret: Any = SECRET, **options: Any) -> Any:
    return client.auth_type.for_client(
        ID, secret, server_url=platform.data_center_urls[0], cloud_url=platform.url, **options
    )


def test_rule_27_requests_are_signed_without_discovery(client: Client, platform: Sandbox, files: str) -> None:
    auth = auth_of(client, platform)
    for url in (files, platform.data_center_urls[0] + FILES, files):
        assert client.get(url, auth).status_code == 200
    assert [call.kind for call in platform.calls] == ["login", "request", "request", "request"]
    assert client.get(f"{platform.foreign_url}/x", auth).status_code == 200
    assert not platform.calls[-1].is_signed


def test_rule_27_the_other_apis_of_the_data_center_are_signed_too(client: Client, platform: Sandbox) -> None:
    auth = auth_of(client, platform)
    client.get(f"{platform.url}/api/2/tenants", auth)
    assert (platform.calls[-1].host, platform.calls[-1].path) == ("data center 1", "/api/2/tenants")
    assert platform.calls[-1].is_signed


def test_rule_27_a_rotated_secret_works_after_a_401(client: Client, platform: Sandbox, files: str) -> None:
    current = [SECRET]
    auth = auth_of(client, platform, lambda: current[0])
    assert client.get(files, auth).status_code == 200
    current[0] = "another secret"
    platform.add_client(ID, current[0])  # which revokes the tokens of the old one
    response = client.get(files, auth)
    assert response.status_code == 200
    assert platform.count("login") == 2


def test_rule_27_a_wrong_secret_is_sent_once_and_shown_nowhere(
    client: Client, platform: Sandbox, files: str
) -> None:
    auth = auth_of(client, platform, "falsch: & 9€")
    for _ in range(3):
        with pytest.raises(CredentialsRefused) as caught:
            client.get(files, auth)
        assert isinstance(caught.value, client.error)
        assert caught.value.error == "invalid_client"
        assert not leaks(shown_by(caught.value), ["falsch: & 9€", "falsch%3A+%26+9%E2%82%AC"])
    assert platform.count("login") == 1


def test_rule_18_an_error_of_the_network_shows_no_client_secret(client: Client) -> None:
    with BadServer() as server:
        server.faults[LOGIN] = reset(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
        for url in (server.url, "http://127.0.0.1:1"):
            auth = client.auth_type.for_client(ID, SECRET, server_url=url, cloud_url=url)
            with pytest.raises(client.error) as caught:
                client.get(url + FILES, auth)
            assert "authorization" not in getattr(getattr(caught.value, "request", None), "headers", {})
            both = b64encode(f"{quote_plus(ID)}:{quote_plus(SECRET)}".encode()).decode()
            assert leaks(shown_by(caught.value), [SECRET, quote_plus(SECRET), both]) == []


def test_rule_27_a_logout_revokes_its_token(client: Client, platform: Sandbox, files: str) -> None:
    auth = auth_of(client, platform)
    assert client.get(files, auth).status_code == 200
    client.log_out(auth)
    (call,) = [call for call in platform.calls if call.kind == "revoke"]
    assert call.status == 200
    assert call.headers["authorization"].startswith("Basic ")


def test_rule_27_a_store_shares_a_clients_login(
    client: Client, platform: Sandbox, files: str, tmp_path: Any
) -> None:
    for _ in range(2):
        auth = auth_of(client, platform, store=FileStore(tmp_path / "store"))
        assert client.get(files, auth).status_code == 200
    assert platform.count("login") == 1


def test_rule_27_copies_and_pickles_log_in_for_themselves(client: Client, platform: Sandbox, files: str) -> None:
    auth = auth_of(client, platform)
    for again in (auth, copy.copy(auth), pickle.loads(pickle.dumps(auth))):
        assert client.get(files, again).status_code == 200
    assert platform.count("login") == 3


def test_rule_27_the_environment_has_a_client(
    client: Client, platform: Sandbox, files: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    monkeypatch.delenv("NOTARY_USERNAME", raising=False)
    for name, value in {
        "CLIENT_ID": ID,
        "CLIENT_SECRET_FILE": str(tmp_path / "secret"),
        "SERVER_URL": platform.data_center_urls[0],
        "CLOUD_URL": platform.url,
    }.items():
        monkeypatch.setenv(f"NOTARY_{name}", value)
    assert client.get(files, client.auth_type.from_env()).status_code == 200
    monkeypatch.setenv("NOTARY_USERNAME", "JohnSmith")
    with pytest.raises(ValueError, match="both NOTARY_USERNAME and NOTARY_CLIENT_ID are set"):
        client.auth_type.from_env()
    monkeypatch.delenv("NOTARY_USERNAME")
    monkeypatch.delenv("NOTARY_SERVER_URL")
    with pytest.raises(ValueError, match="NOTARY_SERVER_URL is not set, or empty: an API client belongs"):
        client.auth_type.from_env()


def test_rule_27_the_commands_take_a_client(platform: Sandbox, tmp_path: Any) -> None:
    terminal = Terminal(platform, tmp_path)
    own: dict[str, str | None] = {
        "NOTARY_USERNAME": None,
        "NOTARY_PASSWORD": None,
        "NOTARY_CLIENT_ID": ID,
        "NOTARY_CLIENT_SECRET": SECRET,
        "NOTARY_SERVER_URL": platform.data_center_urls[0],
    }
    ended = terminal.run("check", **own)
    assert ended.status == 0, ended.out
    assert f"login: {ID}, token good for" in ended.out
    assert terminal.run("token", **own).status == 0
    assert terminal.run("logout", **own) == (0, "", f"notary-auth: logged out '{ID}'\n")
    for variables, text in (
        (
            {"NOTARY_CLIENT_SECRET": None},
            "no client secret: set NOTARY_CLIENT_SECRET or NOTARY_CLIENT_SECRET_FILE",
        ),
        ({"NOTARY_SERVER_URL": None}, "which data center? Give --server-url, or set NOTARY_SERVER_URL"),
        ({"NOTARY_USERNAME": "JohnSmith"}, "both NOTARY_USERNAME and NOTARY_CLIENT_ID are set: unset one of them"),
    ):
        ended = terminal.run("token", **{**own, **variables})
        assert (ended.status, ended.error) == (2, f"notary-auth: {text}\n")
