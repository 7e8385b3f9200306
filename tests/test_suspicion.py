"""Replies of those who mean ill, on real sockets, with every client: what they cost, and what is said of them.

Memory is bounded by the process's own limit, so that a fault fails in place of filling the machine.
"""

from __future__ import annotations

import base64
import gzip
import socket
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from notary_auth import CredentialsRefused, DiscoveryError, InsecureUrl, LoginError, LogoutError, NotaryAuthError

from .badserver import TOKEN, BadServer, Script, drip, reply, reset, say_nothing, send
from .clients import CLIENTS, HTTPX, Client, each
from .core import make_token_expired
from .leaks import leaks, reachable
from .paths import FILES, LOGIN, LOOKUP, REVOKE

PASSWORD = "geheim & 9€ <"

MEMORY = 600 * 1024 * 1024  # bytes that a test may take in addition to what there is; threads reserve some as well

#: 1 GiB of zeros, compressed three times over: 265 bytes.
BOMB = base64.b64decode(
    "H4sIAAAAAAACA5Pv5mAAASbmt3cW5gUXyrQ9LFuboWamtkzgsZpHmkcXY/cNkSTFmTMdFt1OWWBwh1NCj0GknKF4d0NqUmQA99K3vjqW7z/P"
    "+H/R/ufTJ7a/bKRz3/jk1fUcf93/dHp9fH76bmWg4QkPpoVPn3xWwqBq26+/r85qAoUMSt5/+77sduCDh29eej8HCjQc/P3l0Y+T3/gbdx/9"
    "vbIYKHLggey/vfPytzfEr37Prv6OESjU/N3dAOTaIBZmILnAFcyJAnMU3JA4ozKjMqMyozKjMqMyBGX0vn1Pm6374PHfR4dfX1Su/vf2+c/b"
    "X63/819Jbz1z4g0/AwDYL/M5IwcAAA=="
)
#: The same, compressed once: 1 MiB.
LARGE_BOMB = gzip.decompress(gzip.decompress(BOMB))


@pytest.fixture(params=each(CLIENTS))
def client(request: pytest.FixtureRequest) -> Client:
    found: Client = request.param
    return found


@pytest.fixture
def server() -> Iterator[BadServer]:
    with BadServer() as running:
        yield running


@contextmanager
def little_memory() -> Iterator[None]:
    """Let this process fail to get much more memory than it has."""
    if sys.platform != "linux":
        yield
        return
    import resource

    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def auth_at(client: Client, server: BadServer, **arguments: Any) -> Any:
    return client.auth_type("JohnSmith", PASSWORD, cloud_url=server.url, **arguments)


def granted(**fields: object) -> Script:
    return send(reply({"access_token": TOKEN, "token_type": "bearer", "expires_in": 7200, **fields}))


ENCODINGS = {
    "gzip, three times": ("gzip, gzip, gzip", BOMB),
    "gzip": ("gzip", LARGE_BOMB),
    "deflate": ("deflate", zlib.compress(b"{}")),
    "br, twice": ("br, br", b"\x0b\x00\x80\x00\x03"),
    "zstd": ("zstd", b"\x28\xb5\x2f\xfd\x04\x00\x01\x00\x00"),
    "unknown": ("x-mine", b"{}"),
}


@pytest.mark.parametrize("asked", ["look-up", "login", "refresh", "revocation"])
@pytest.mark.parametrize(("encoding", "body"), ENCODINGS.values(), ids=ENCODINGS)
def test_rule_12_an_encoded_reply_takes_neither_memory_nor_time(
    client: Client, server: BadServer, asked: str, encoding: str, body: bytes
) -> None:
    auth = auth_at(client, server, offline_access=asked == "refresh")
    url = f"{server.url}{FILES}"
    if asked in ("refresh", "revocation"):
        server.once[LOGIN] = granted(refresh_token="refresh-1") if asked == "refresh" else granted()
        client.get(url, auth)
    path = {"look-up": LOOKUP, "login": LOGIN, "refresh": LOGIN, "revocation": REVOKE}[asked]
    status = 400 if asked == "revocation" else 200  # of a success, nothing else counts
    server.faults[path] = send(reply(status=status, body=body, headers=[f"Content-Encoding: {encoding}"]))
    if asked == "refresh":
        make_token_expired(auth.account)
    work = partial(client.log_out, auth) if asked == "revocation" else partial(client.get, url, auth)
    started = time.monotonic()
    with little_memory(), pytest.raises(NotaryAuthError) as caught:
        work()
    assert time.monotonic() - started < 5
    assert isinstance(caught.value, client.error)
    if asked == "revocation":
        assert isinstance(caught.value, LogoutError)
    else:
        assert "has a Content-Encoding, which was not accepted" in str(caught.value)


@pytest.mark.parametrize("path", [LOOKUP, LOGIN])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_rule_12_the_body_of_a_redirect_is_not_read(
    client: Client, server: BadServer, path: str, status: int
) -> None:
    """A client that follows redirects reads it by itself, to the end and decoded."""
    redirect = [f"Location: {server.url}/x", "Content-Encoding: gzip"]
    server.faults[path] = send(reply(status=status, body=LARGE_BOMB, headers=redirect))
    with little_memory(), pytest.raises((DiscoveryError, LoginError), match=f"{status}, a redirect") as caught:
        client.get(f"{server.url}{FILES}", auth_at(client, server), follow=True)
    assert isinstance(caught.value, client.error)
    assert caught.value.status == status
    assert server.paths[-1] == path, "nothing else is asked for"


@pytest.mark.parametrize("path", [LOOKUP, LOGIN])
def test_rule_12_a_redirect_that_drips_holds_nobody(client: Client, server: BadServer, path: str) -> None:
    head = f"HTTP/1.1 302 Found\r\nLocation: {server.url}/x\r\nContent-Length: 1000000\r\n\r\n".encode()
    server.faults[path] = drip(head, [b"x"] * 1000, 0.02)
    started = time.monotonic()
    with pytest.raises((DiscoveryError, LoginError), match="302, a redirect"):
        client.get(f"{server.url}{FILES}", auth_at(client, server), follow=True)
    assert time.monotonic() - started < 10, "it would take 20 s to its end"


@pytest.mark.parametrize(
    "piece", ["xn--a.", "\u0660", "a", "."], ids=["labels that are encoded", "digits", "letters", "dots"]
)
def test_rule_12_a_long_server_url_is_an_error_at_once(client: Client, server: BadServer, piece: str) -> None:
    server_url = "https://" + piece * (150_000 // len(piece))
    server.faults[LOOKUP] = send(reply({"server_url": server_url}))
    started = time.monotonic()
    with pytest.raises(DiscoveryError, match="longer than 300 characters") as caught:
        client.get(f"{server.url}{FILES}", auth_at(client, server))
    assert time.monotonic() - started < 3
    assert isinstance(caught.value, client.error)


HOSTS = [
    "_xn--a", "-a", "a-", "--", "_", "a_b", "1_xn--0", "aa--bb", "a" * 63 + "." + "b" * 63, ".".join(["a"] * 120),
    "xn--a-.b", "a..b", "xn--zckzah", "\u05d0\u0627", "faß.de", "xn--80ak6aa92e.com", "localhost.",
]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
def test_rule_12_a_host_that_a_client_takes_for_none_is_one_of_our_errors(
    client: Client, server: BadServer, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it is not found, which is the client's own error."""

    def resolve(name: Any, *arguments: Any, **options: Any) -> Any:
        if name in ("127.0.0.1", b"127.0.0.1"):
            return found(name, *arguments, **options)
        raise socket.gaierror(socket.EAI_NONAME, "no such host")

    found = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    server.faults[LOOKUP] = send(reply({"server_url": f"https://{host}:1"}))
    auth = auth_at(client, server)
    with pytest.raises(client.error) as caught:
        client.get(f"{server.url}{FILES}", auth)
    if not isinstance(caught.value, NotaryAuthError):
        own = (
            "ConnectError",
            "ConnectionError",
            "ConnectTimeout",
            "ClientConnectorError",
            "ClientConnectorDNSError",
        )
        assert type(caught.value).__name__ in own, caught.value
    assert leaks(reachable(caught.value), [PASSWORD]) == []


FAILURES: dict[str, Script] = {
    "no answer": reset(b""),
    "no HTTP": send(b"geheim\r\n\r\n"),
    "a reset in the head": reset(b"HTTP/1.1 200 OK\r\nContent-"),
    "a reset in the body": reset(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"),
    "a chunk that is none": send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
    "a redirect": send(reply(status=307, headers=["Location: /elsewhere"])),
    "a refusal": send(reply({"error": "access_denied"}, 401)),
    "no JSON": send(reply(body=b"<html>")),
    "no token": send(reply({})),
}


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_rule_18_no_secret_can_be_reached_from_an_error_of_a_login(
    client: Client, server: BadServer, failure: Script, follow: bool
) -> None:
    server.faults[LOGIN] = failure
    with pytest.raises(client.error) as caught:
        client.get(f"{server.url}{FILES}", auth_at(client, server), follow=follow)
    assert leaks(reachable(caught.value), [PASSWORD]) == []


@pytest.mark.parametrize("client", each(HTTPX))
@pytest.mark.parametrize("path", [LOGIN, FILES])
def test_rule_18_no_secret_can_be_reached_from_a_time_out(client: Client, server: BadServer, path: str) -> None:
    server.faults[path] = say_nothing
    with pytest.raises(client.library.ReadTimeout) as caught:
        client.get(f"{server.url}{FILES}", auth_at(client, server), timeout=0.3)
    if path == LOGIN:
        assert caught.value.request.content == b""
    assert leaks(reachable(caught.value), [PASSWORD]) == []


def test_the_search_reaches_a_secret() -> None:
    class Slotted:
        __slots__ = ("inside",)

    error, slotted = ValueError("x"), Slotted()
    slotted.inside = {"a": [lambda: error, (b"geheim",)]}  # type: ignore[attr-defined]
    error.request = slotted  # type: ignore[attr-defined]
    assert leaks(reachable(error), ["geheim"]) == ["geheim"]


@pytest.mark.parametrize("client", each(client for client in HTTPX if not client.is_async))
def test_rule_11_a_login_without_tls_goes_through_no_open_connection_to_a_proxy(
    client: Client, server: BadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with BadServer() as proxy:
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "")
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        url = f"{server.url}/x"
        proxy.faults[url] = drip(answer, [b"x"], 30)  # and the connection stays
        with client.library.Client() as session:
            assert session.get(url).status_code == 200
            with pytest.raises(InsecureUrl, match="is sent without TLS"):
                session.get(f"{server.url}{FILES}", auth=auth_at(client, server))
        assert proxy.paths == [url]


@pytest.mark.parametrize("client", each(HTTPX))
def test_rule_11_a_login_without_tls_goes_through_no_socks_proxy(
    client: Client, server: BadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "socks5://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    with pytest.raises(InsecureUrl, match="is sent without TLS"):
        client.get(f"{server.url}{FILES}", auth_at(client, server))


@pytest.mark.parametrize("client", each(HTTPX))
def test_rule_11_a_login_without_tls_goes_through_no_proxy(
    client: Client, server: BadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with BadServer() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "")
        client.get(f"{server.url}/x")
        assert proxy.paths, "it is a proxy"
        proxy.paths.clear()
        auth = auth_at(client, server)
        with pytest.raises(InsecureUrl, match="is sent without TLS, so through no proxy: set NO_PROXY") as caught:
            client.get(f"{server.url}{FILES}", auth)
        assert isinstance(caught.value, client.error)
        assert (proxy.paths, server.paths) == ([], [])
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert client.get(f"{server.url}{FILES}", auth).status_code == 200
        assert proxy.paths == []


@pytest.mark.parametrize(
    "spelling", ["geheim &amp; 9€ &lt;", "geheim%20%26%209%e2%82%ac%20%3c", "geheim \\u0026 9\\u20ac \\u003c"]
)
def test_rule_18_a_password_is_not_shown_however_the_platform_spells_it(
    client: Client, server: BadServer, spelling: str
) -> None:
    said = {"error": "access_denied", "error_description": f"{spelling} is wrong"}
    server.faults[LOGIN] = send(reply(said, 401))
    with pytest.raises(CredentialsRefused) as caught:
        client.get(f"{server.url}{FILES}", auth_at(client, server))
    assert caught.value.error_description == "***"


def test_rule_9_a_login_that_keeps_failing_is_sent_three_times(client: Client, server: BadServer) -> None:
    server.faults[LOGIN] = send(reply(status=403, body=b"<html>"))
    auth = auth_at(client, server)
    for _ in range(20):
        with pytest.raises(LoginError):
            client.get(f"{server.url}{FILES}", auth)
    assert server.paths.count(LOGIN) == 3
    del server.faults[LOGIN]
    auth.account.forget()
    assert client.get(f"{server.url}{FILES}", auth).status_code == 200
