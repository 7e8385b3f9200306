"""What goes wrong on the network and at the platform, on real sockets: one table, for every client.

For each fault: what the caller gets and that it gets it in time, that nothing secret is in it, and that the next
request starts clean.
"""

from __future__ import annotations

import gzip
import itertools
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import urllib3

from notary_auth import DiscoveryError, LoginError, NotaryAuthError

from .badserver import LOGIN, LOOKUP, TOKEN, BadServer, Script, drip, reply, reset, say_nothing, send
from .clients import Client
from .core import RETRIED, set_control_timeout, shorten_pauses
from .fault_table import documented
from .leaks import chain, leaks, shown_by

TIMEOUT = 1.0
PASSWORD = "geheim & 9€"
NETWORK = "the client's own error"  # that is, not one of ours
FINE = "answered"
UNEXPLAINED = " without an explanation that could be read"


class Fault(NamedTuple):
    name: str
    script: Script
    outcome: str  # NETWORK, FINE, or what our error says
    only: str | None = None  # the control call it can happen to; None: both

    @property
    def timeout(self) -> float:
        """Seconds that the client waits. A busy machine, traced for coverage, may take one for a mebibyte."""
        return 8 * TIMEOUT if self.outcome == "larger than 1 MiB" else TIMEOUT

    @property
    def tries(self) -> int:
        """How often the control call is made (rule 10)."""
        return 3 if self.outcome.removeprefix("answered ") in map(str, RETRIED) else 1


def _compressed(body: bytes) -> bytes:
    return reply(headers=["Content-Encoding: gzip"], body=body)


def _redirect(status: int) -> bytes:
    return reply(status=status, headers=["Location: http://127.0.0.1:1/elsewhere"], body=b"")


def _busy(status: int, *headers: str) -> bytes:
    return reply(status=status, headers=headers, body=b"")


def _login(fields: str, *headers: str) -> bytes:
    body = f'{{"access_token": "{TOKEN}", "token_type": "bearer"{fields}}}'
    return reply(headers=headers, body=body.encode())


def _shortened(number: str) -> str:
    return number if len(number) < 20 else f"of {len(number)} digits"


LONG_AGO, FAR_AHEAD = "Mon, 01 Jan 2001 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"

FAULTS = [
    Fault("closes without an answer", send(b""), NETWORK),
    Fault("accepts and never answers", say_nothing, NETWORK),
    Fault("reset without an answer", reset(b""), NETWORK),
    Fault("reset in mid-header", reset(b"HTTP/1.1 200 OK\r\nContent-Ty"), NETWORK),
    Fault("reset in mid-body", reset(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), NETWORK),
    Fault("body shorter than announced", send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), NETWORK),
    Fault("no HTTP at all", send(b"SSH-2.0-OpenSSH_9.2\r\n"), NETWORK),
    Fault(
        "chunks that are none", send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n{}"), NETWORK
    ),
    Fault(
        "body that drips",
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", itertools.repeat(b"{"), 0.3 * TIMEOUT),
        "takes too long",
    ),
    Fault("gzip bomb", send(_compressed(gzip.compress(bytes(50_000_000)))), "larger than 1 MiB"),
    Fault("gzip that is none", send(_compressed(b"not gzip")), "is not JSON"),
    Fault("10 MB of JSON", send(reply(["x" * 10_000_000])), "larger than 1 MiB"),
    Fault("100,000 nested brackets", send(reply(body=b"[" * 100_000)), "is not JSON"),
    Fault("HTML with 200", send(reply(body=b"<html>Welcome</html>")), "is not JSON"),
    Fault("HTML with 500", send(reply(status=500, body=b"<html>Oops</html>")), "answered 500"),
    Fault("nothing with 200", send(reply(body=b"")), "is not JSON"),
    Fault("a list", send(reply([])), "is not a JSON object"),
    Fault("an empty object", send(reply({})), "has no "),
    *(
        Fault(f"redirect {status}", send(_redirect(status)), "redirect")
        for status in (300, 301, 302, 303, 307, 308)
    ),
    *(Fault(f"{status}", send(_busy(status)), f"answered {status}") for status in (429, 502, 503, 504)),
    *(
        Fault(
            f"{status}, Retry-After: {value}", send(_busy(status, f"Retry-After: {value}")), f"answered {status}"
        )
        for status in (429, 503)
        for value in ("0", "-5", "99999999999999999999", "1e400", "soon", LONG_AGO, FAR_AHEAD)
    ),
    *(
        Fault(f"expires_on {_shortened(value)}", send(_login(f', "expires_on": {value}')), "not a number", LOGIN)
        for value in ('"1562910964"', "NaN", "1e400", "Infinity", "true", "[]", "1" + "0" * 400)
    ),
    Fault("expires_on in the past", send(_login(', "expires_on": 1')), FINE, LOGIN),
    Fault(
        "expires_on long past by the server's clock", send(_login(', "expires_on": 1', f"Date: {FAR_AHEAD}")), FINE
    ),
    Fault(
        "the server's clock is behind", send(_login(', "expires_on": 978314400', f"Date: {LONG_AGO}")), FINE, LOGIN
    ),
    Fault(
        "the server's clock is ahead",
        send(_login(', "expires_on": 4102452000', f"Date: {FAR_AHEAD}")),
        FINE,
        LOGIN,
    ),
    Fault("a Date that is none", send(_login(', "expires_on": 4102452000', "Date: yesterday")), FINE, LOGIN),
]
FAULTS = [fault._replace(only=LOGIN) if fault.outcome == FINE else fault for fault in FAULTS]
CASES = [(fault, path) for fault in FAULTS for path in (LOOKUP, LOGIN) if fault.only in (None, path)]


class Observed(NamedTuple):
    """What a caller got for its first request, and how often the control call at fault was made for that."""

    error: Exception | None
    tries: int
    seconds: float

    @property
    def told(self) -> str:
        """In the words of docs/reliability.rst."""
        if self.error is None:
            return "answered"
        if not isinstance(self.error, NotaryAuthError):
            return NETWORK
        said = str(self.error).rpartition(" answered ")[2].partition(", a redirect")[0]
        tries = f", after {self.tries} tries" if self.tries > 1 else ""
        return f"``{type(self.error).__name__}``: answered {said.removesuffix(UNEXPLAINED)}{tries}"


def observe(client: Client, fault: Fault, path: str) -> Observed:
    """Meet a fault with a new account, and then see that its next request starts clean."""
    with pytest.MonkeyPatch.context() as patch, BadServer() as server:
        set_control_timeout(patch, TIMEOUT, fault.timeout)
        patch.setattr("tests.clients.TIMEOUT", fault.timeout)
        shorten_pauses(patch)
        files = f"{server.url}/api/notary/v2/stored-files"
        auth: Any = client.auth_type("JohnSmith", PASSWORD, cloud_url=server.url)
        server.faults[path] = fault.script
        error = None
        started = time.monotonic()
        try:
            assert client.send("GET", files, auth=auth).status_code == 200
        except client.error as caught:
            error = caught
        observed = Observed(error, server.paths.count(path), time.monotonic() - started)
        server.faults.clear()
        patch.setattr("tests.clients.TIMEOUT", 30)
        assert client.send("GET", files, auth=auth).status_code == 200, "the next request starts clean"
    return observed


@pytest.mark.parametrize(("fault", "path"), CASES, ids=[f"{fault.name[:40]}-{path[5:]}" for fault, path in CASES])
def test_a_fault(client: Client, fault: Fault, path: str) -> None:
    observed = observe(client, fault, path)
    assert observed.seconds < 10 * TIMEOUT, "two time-outs, and what a busy machine adds"
    assert observed.tries == fault.tries
    if observed.error is not None:
        assert not _secrets_in(observed.error)
    if fault.name == "body shorter than announced" and client.name == "requests" and urllib3.__version__ < "2":
        assert "is not JSON" in str(observed.error)  # it does not mind
        return
    if fault.outcome not in (NETWORK, FINE):
        assert isinstance(observed.error, DiscoveryError if path == LOOKUP else LoginError), repr(observed.error)
        assert fault.outcome in str(observed.error)
    assert observed.told == documented()[fault.name][path], "python -m tests.fault_table writes it anew"


def test_the_documented_table_has_all_faults_and_no_others() -> None:
    assert list(documented()) == [fault.name for fault in FAULTS]


def _secrets_in(error: BaseException) -> list[str]:
    return leaks(shown_by(error), [PASSWORD, TOKEN])


def test_a_connection_that_is_refused(client: Client) -> None:
    with BadServer() as server:
        url = server.url
    auth: Any = client.auth_type("JohnSmith", PASSWORD, cloud_url=url)
    with pytest.raises(client.error) as caught:
        client.send("GET", f"{url}/api/notary/v2/stored-files", auth=auth)
    assert not isinstance(caught.value, NotaryAuthError)
    assert not _secrets_in(caught.value)


@pytest.fixture
def _no_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """requests has the environment's CA bundle go before its session's."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_no_bundle")
@pytest.mark.parametrize("flaw", ["unknown CA", "expired", "wrong host"])
def test_a_certificate_that_is_not_good(client: Client, flaw: str, tmp_path: Path) -> None:
    import trustme

    ca = trustme.CA()
    certificate = ca.issue_cert(
        "example.org" if flaw == "wrong host" else "127.0.0.1",
        not_after=datetime(2020, 1, 1, tzinfo=timezone.utc) if flaw == "expired" else None,
    )
    trusted = trustme.CA() if flaw == "unknown CA" else ca
    trusted.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with BadServer(certificate) as server:
        url = f"{server.url}/api/notary/v2/stored-files"
        auth: Any = client.auth_type("JohnSmith", PASSWORD, cloud_url=server.url)
        with pytest.raises(client.error) as caught:
            client.send("GET", url, auth=auth, ca=tmp_path / "ca.pem")
        told = " ".join(map(str, chain(caught.value)))
        assert "certificate" in told or "doesn't match" in told
        assert not _secrets_in(caught.value)
        assert server.paths == [], "nothing was asked for"


@pytest.mark.usefixtures("_no_bundle")
def test_a_certificate_that_is_good(client: Client, tmp_path: Path) -> None:
    import trustme

    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with BadServer(ca.issue_cert("127.0.0.1")) as server:
        url = f"{server.url}/api/notary/v2/stored-files"
        auth: Any = client.auth_type("JohnSmith", PASSWORD, cloud_url=server.url)
        assert client.send("GET", url, auth=auth, ca=tmp_path / "ca.pem").status_code == 200
