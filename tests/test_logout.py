"""Logging out with every client, against the sandbox."""

from __future__ import annotations

import inspect

import httpx
import pytest
import requests

import notary_auth.httpx
import notary_auth.requests
from notary_auth import LogoutError
from notary_auth.sandbox import Sandbox

from .clients import Client
from .core import is_logged_in, token_of
from .grants import asked, is_clients
from .paths import REVOKE

pytestmark = pytest.mark.both_grants


@pytest.mark.users_only
def test_a_logout_revokes_what_was_granted(client: Client, notary: Sandbox, files: str) -> None:
    auth = client.auth(notary, offline_access=True)
    client.get(files, auth)
    stolen = str(token_of(auth.account).authorization)
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
    assert ("authorization" in call.headers) == is_clients(), "a client's own Basic, and nobody's token"
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
    assert not is_logged_in(auth.account)
    assert [call.host for call in notary.calls if call.host == "foreign host"] == []


def test_an_unreachable_platform_is_a_logout_error(client: Client) -> None:
    with Sandbox() as notary:
        auth = client.auth(notary)
        client.get(f"{notary.api_url}/stored-files", auth)
    with pytest.raises(LogoutError, match=r"failed: (Client)?Connect") as caught:
        client.log_out(auth)
    assert isinstance(caught.value.__cause__, client.error)
    assert not is_logged_in(auth.account)


def test_wrong_clients_are_refused(notary: Sandbox) -> None:
    auth = notary_auth.httpx.NotaryAuth(notary.username, notary.password, cloud_url=notary.url)
    for wrong in (None, requests.Session(), httpx.AsyncClient(), httpx):
        with pytest.raises(TypeError, match=r"client must be a httpx\.Client"):
            auth.logout(wrong)
    coroutine = auth.alogout(httpx.Client(verify=False))
    assert inspect.iscoroutine(coroutine)
    with pytest.raises(TypeError, match=r"client must be a httpx\.AsyncClient"):
        coroutine.send(None)


@pytest.mark.users_only
def test_a_with_block_logs_out(notary: Sandbox, files: str) -> None:
    auth = notary_auth.requests.NotaryAuth(notary.username, notary.password, cloud_url=notary.url)
    with auth as entered:
        assert entered is auth
        assert requests.get(files, auth=auth, timeout=9).status_code == 200
    assert [call.kind for call in notary.calls] == asked("lookup", "login", "request", "revoke")


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
