"""The page on company networks: its code runs behind a real proxy with a CA of its own, and its table is true."""

from __future__ import annotations

import asyncio
import inspect
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests

import notary_auth.aiohttp
import notary_auth.httpx
import notary_auth.requests
from notary_auth.sandbox import Sandbox

from .badserver import BadServer, reply, send, tunnel
from .clients import leaves_sockets
from .pages import PAGES, blocks, run_block

OURS = (
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
)

#: What httpx calls it: another name before 0.26.
PROXY = "proxy" if "proxy" in inspect.signature(httpx.Client).parameters else "proxies"


@pytest.fixture
def secure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    for name in OURS:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with Sandbox(tls=True) as sandbox:
        yield sandbox


@pytest.fixture
def proxy(secure: Sandbox) -> Iterator[BadServer]:
    with BadServer() as server:
        for url in (secure.url, *secure.data_center_urls):
            host = url.removeprefix("https://")
            server.faults[host] = tunnel(host)
        yield server


@pytest.fixture
def other_proxy() -> Iterator[BadServer]:
    with BadServer() as server:
        yield server


def hosts(secure: Sandbox) -> set[str]:
    return {secure.url.removeprefix("https://"), secure.data_center_urls[0].removeprefix("https://")}


@pytest.mark.parametrize("block", blocks(PAGES["network"])[:2], ids=["requests", "httpx"])
def test_a_login_goes_through_the_proxy_and_trusts_the_ca(
    block: str, secure: Sandbox, proxy: BadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = block.replace("http://proxy.example.com:3128", proxy.url)
    block = block.replace("Client(proxy=", f"Client({PROXY}=")
    block = block.replace("/etc/ssl/certs/company.pem", str(secure.ca_file))
    run_block(block, secure, monkeypatch)
    assert [call.kind for call in secure.calls] == ["lookup", "login", "request"]
    assert set(proxy.paths) == hosts(secure)


def test_a_data_center_that_is_given_needs_no_cloud(notary: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    block = blocks(PAGES["network"])[2].replace("https://eu2-cloud.acronis.com", notary.data_center_urls[0])
    auth = run_block(block, notary, monkeypatch)["auth"]
    assert requests.get(f"{notary.api_url}/stored-files", auth=auth, timeout=9).status_code == 200
    assert [(call.host, call.kind) for call in notary.calls] == [
        ("data center 1", "login"), ("data center 1", "request"),
    ]  # fmt: skip


def test_the_environments_proxy_and_ca_are_used_without_code(
    secure: Sandbox, proxy: BadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(secure.ca_file))
    monkeypatch.setenv("SSL_CERT_FILE", str(secure.ca_file))
    arguments = {"username": secure.username, "password": secure.password, "cloud_url": secure.url}
    files = f"{secure.api_url}/stored-files"
    assert requests.get(files, auth=notary_auth.requests.NotaryAuth(**arguments), timeout=30).status_code == 200
    assert set(proxy.paths) == hosts(secure)
    proxy.paths.clear()
    assert httpx.get(files, auth=notary_auth.httpx.NotaryAuth(**arguments)).status_code == 200
    assert set(proxy.paths) == hosts(secure)


def refuse(proxy: BadServer, secure: Sandbox) -> None:
    for host in hosts(secure):
        proxy.faults[host] = send(reply(status=403))


def test_the_environments_proxy_wins_over_the_sessions_and_loses_to_the_requests(
    secure: Sandbox, proxy: BadServer, other_proxy: BadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    refuse(other_proxy, secure)
    with requests.Session() as session:
        session.proxies, session.verify = {"https": other_proxy.url}, str(secure.ca_file)
        session.get(f"{secure.url}/x", timeout=9)
        with pytest.raises(requests.exceptions.ProxyError):
            session.get(f"{secure.url}/x", proxies={"https": other_proxy.url}, timeout=9)
    assert len(proxy.paths) == len(other_proxy.paths) == 1


def test_requests_ca_bundle_wins_over_the_sessions_verify_and_loses_to_the_requests(
    secure: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", requests.certs.where())
    with requests.Session() as session:
        session.verify = str(secure.ca_file)
        with pytest.raises(requests.exceptions.SSLError):
            session.get(f"{secure.url}/x", timeout=9)
        assert session.get(f"{secure.url}/x", verify=secure.ca_file, timeout=9).status_code == 404
        session.trust_env = False
        assert session.get(f"{secure.url}/x", timeout=9).status_code == 404


def test_httpx_prefers_the_clients_settings(
    secure: Sandbox, proxy: BadServer, other_proxy: BadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", other_proxy.url)
    monkeypatch.setenv("SSL_CERT_FILE", requests.certs.where())
    refuse(other_proxy, secure)
    url = f"{secure.url}/x"
    with httpx.Client(**{PROXY: proxy.url}, verify=secure.ssl_context) as client:  # type: ignore[arg-type]
        assert client.get(url).status_code == 404
    with httpx.Client(trust_env=False, verify=secure.ssl_context) as client:
        assert client.get(url).status_code == 404
    with httpx.Client(verify=secure.ssl_context) as client, pytest.raises(httpx.ProxyError):
        client.get(url)
    assert (len(proxy.paths), len(other_proxy.paths)) == (1, 1)


def through_aiohttp(
    secure: Sandbox,
    url: str,
    session: dict[str, Any] | None = None,
    *,
    auth: Any = None,
    is_trusted: bool = False,
    **options: Any,
) -> int:
    """Get a URL and log out, with a connection for each request. Returns the status."""
    auth = auth or notary_auth.aiohttp.NotaryAuth(secure.username, secure.password, cloud_url=secure.url)

    async def get() -> int:
        connector = aiohttp.TCPConnector(ssl=secure.ssl_context if is_trusted else True, force_close=True)
        async with aiohttp.ClientSession(connector=connector, middlewares=(auth,), **(session or {})) as http:
            async with http.get(url, **options) as response:
                status = response.status
            if is_trusted:
                await auth.alogout(http)
        return status

    return asyncio.run(get())


@leaves_sockets  # before Python 3.11, TLS waits for the other side to say goodbye, and the loop does not
def test_aiohttps_logins_go_through_the_requests_proxy_and_context(secure: Sandbox, proxy: BadServer) -> None:
    options = {"proxy": proxy.url, "proxy_headers": {"X-Team": "a"}, "ssl": secure.ssl_context}
    assert through_aiohttp(secure, f"{secure.api_url}/stored-files", **options) == 200
    assert set(proxy.paths) == hosts(secure)
    assert all(b"X-Team: a" in head for head in proxy.heads)


@leaves_sockets
def test_aiohttps_logins_and_logouts_go_through_the_sessions_proxy(secure: Sandbox, proxy: BadServer) -> None:
    files = f"{secure.api_url}/stored-files"
    assert through_aiohttp(secure, files, {"proxy": proxy.url}, is_trusted=True) == 200
    assert len(proxy.paths) == len(secure.calls) == 4  # discovery, login, the request, logout


@leaves_sockets
def test_aiohttps_logins_and_logouts_go_through_the_environments_proxy_if_the_session_trusts_it(
    secure: Sandbox, proxy: BadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("http://", "http://nina:proxy-secret@"))
    files = f"{secure.api_url}/stored-files"
    assert through_aiohttp(secure, files, {"trust_env": True}, is_trusted=True) == 200
    assert len(proxy.paths) == len(secure.calls) == 4
    assert all(b"Proxy-Authorization: Basic " in head for head in proxy.heads)
    proxy.paths.clear()
    assert through_aiohttp(secure, files, is_trusted=True) == 200
    assert proxy.paths == []


@leaves_sockets
def test_aiohttps_logins_are_verified_where_a_request_is_not(secure: Sandbox) -> None:
    for url in (f"{secure.api_url}/stored-files", f"{secure.foreign_url}/x"):
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            through_aiohttp(secure, url, ssl=False)
        assert secure.calls == []
        assert through_aiohttp(secure, url, is_trusted=True, ssl=False) == 200
        secure.clear()


@leaves_sockets
def test_what_an_aiohttp_request_to_another_host_trusts_is_not_for_logins(secure: Sandbox) -> None:
    other = ssl.create_default_context()
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        through_aiohttp(secure, f"{secure.foreign_url}/x", is_trusted=True, ssl=other)
    assert secure.count("lookup") == 1


@leaves_sockets
def test_what_netrc_has_is_not_sent_with_aiohttps_logins(
    secure: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "netrc"
    file.write_text("default login nina password netrc-secret\n", encoding="utf-8")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
    files = f"{secure.api_url}/stored-files"
    assert through_aiohttp(secure, files, {"trust_env": True}, is_trusted=True) == 200
    assert [call.headers.get("authorization") for call in secure.calls if call.kind != "request"] == [None] * 3
    secure.add_client("id", "secret")
    auth = notary_auth.aiohttp.NotaryAuth.for_client(
        "id", "secret", server_url=secure.data_center_urls[0], cloud_url=secure.url
    )
    assert through_aiohttp(secure, files, {"trust_env": True}, auth=auth, is_trusted=True) == 200
