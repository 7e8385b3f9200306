"""What goes wrong on the network and at the platform: one table, on real sockets with every client.

For each fault: what the caller gets and that it gets it in time, that nothing secret is in it, and that the next
request starts clean. A fault in what a reply says, and not in how it comes in, is met by the bare core in the
default run, and by every client in the matrix.
"""

from __future__ import annotations

import gzip
import itertools
import re
import time
from collections.abc import Callable
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import urllib3

from notary_auth import DiscoveryError, LoginError, NotaryAuthError

from .badserver import LOGIN, LOOKUP, TOKEN, BadServer, Script, drip, reply, reset, say_nothing, send
from .clients import Client
from .core import (
    RETRIED,
    ControlBody,
    ControlResponse,
    begin,
    complete,
    found,
    granted,
    new_account,
    set_control_timeout,
    shorten_pauses,
)
from .fault_table import documented
from .leaks import chain, leaks, shown_by

TIMEOUT = 0.5  # seconds, where the fault is that nothing comes
PATIENCE = 10.0  # seconds for everything else, on a busy machine that is traced for coverage
PASSWORD = "geheim & 9€"
NETWORK = "the client's own error"  # that is, not one of ours
FINE = "the response"
UNEXPLAINED = " without an explanation"


class Fault(NamedTuple):
    name: str
    kind: str  # its row in the table of docs/reliability.rst
    answer: bytes | Script  # a whole reply, or what happens in place of one
    outcome: str  # NETWORK, FINE, or what our error says
    only: str | None = None  # the control call it can happen to; None: both
    on_every_client: bool = False  # whether it is the client that has to stand it
    timeout: float = PATIENCE  # seconds that the client waits

    @property
    def script(self) -> Script:
        return send(self.answer) if isinstance(self.answer, bytes) else self.answer

    @property
    def tries(self) -> int:
        """How often the control call is made (rule 10)."""
        return 3 if self.outcome.removeprefix("answered ") in map(str, RETRIED) else 1

    @property
    def paths(self) -> list[str]:
        """The control calls that it can happen to."""
        return [path for path in (LOOKUP, LOGIN) if self.only in (None, path)]


def _compressed(body: bytes) -> bytes:
    return reply(headers=["Content-Encoding: gzip"], body=body)


def _once(make: Callable[[], bytes]) -> Script:
    """Send what takes long to make, and is made when it is needed for the first time."""
    made = cache(make)
    return lambda connection, stopping: connection.sendall(made())


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

SILENT = "does not answer, or resets the connection"
BROKEN = "sends a reply that ends too early, or is no HTTP"
NO_JSON = "sends a page, nothing, or something else that is not JSON"
OTHER = "answers with another status than 200"
BUSY = "is busy (429, 502, 503, 504), with any ``Retry-After`` or none"
CLOCK = "names an expiry in the past, or has a wrong clock"

DRIPPING = drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", itertools.repeat(b"{"), 0.1 * TIMEOUT)

#: How a reply comes in, or does not: what the client has to stand.
ON_THE_WAY = [
    Fault("closes without an answer", SILENT, b"", NETWORK),
    Fault("accepts and never answers", SILENT, say_nothing, NETWORK, timeout=TIMEOUT),
    Fault("reset without an answer", SILENT, reset(b""), NETWORK),
    Fault("reset in mid-header", SILENT, reset(b"HTTP/1.1 200 OK\r\nContent-Ty"), NETWORK),
    Fault("reset in mid-body", SILENT, reset(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), NETWORK),
    Fault("body shorter than announced", BROKEN, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", NETWORK),
    Fault("no HTTP at all", BROKEN, b"SSH-2.0-OpenSSH_9.2\r\n", NETWORK),
    Fault(
        "chunks that are none", BROKEN, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n{}", NETWORK
    ),
    Fault("body that drips", "sends a body that drips", DRIPPING, "takes too long", timeout=TIMEOUT),
    Fault(
        "gzip",
        "encodes a reply, which nobody asked for",
        _compressed(gzip.compress(b"{}")),
        "has a Content-Encoding",
    ),
    Fault(
        "gzip that is none",
        "encodes a reply, which nobody asked for",
        _compressed(b"not gzip"),
        "has a Content-Encoding",
    ),
    Fault("10 MB of JSON", "sends more than 1 MiB", _once(lambda: reply(["x" * 10_000_000])), "larger than 1 MiB"),
]

#: What a reply says. One redirect and one `Retry-After` are sent to every client all the same.
REPLIES = [
    Fault("100,000 nested brackets", NO_JSON, reply(body=b"[" * 100_000), "is not JSON"),
    Fault("HTML with 200", NO_JSON, reply(body=b"<html>Welcome</html>"), "is not JSON"),
    Fault("HTML with 500", OTHER, reply(status=500, body=b"<html>Oops</html>"), "answered 500"),
    Fault("nothing with 200", NO_JSON, reply(body=b""), "is not JSON"),
    Fault("a list", "sends JSON that is no object", reply([]), "is not a JSON object"),
    Fault("an empty object", "leaves out the data center or the token", reply({}), "has no "),
    *(
        Fault(
            f"redirect {status}",
            OTHER if status == 300 else "redirects",
            _redirect(status),
            "without an explanation" if status == 300 else "redirect",  # which no client follows
            on_every_client=status == 307,
        )
        for status in (300, 301, 302, 303, 307, 308)
    ),
    *(Fault(f"{status}", BUSY, _busy(status), f"answered {status}") for status in (429, 502, 503, 504)),
    *(
        Fault(
            f"{status}, Retry-After: {value}",
            BUSY,
            _busy(status, f"Retry-After: {value}"),
            f"answered {status}",
            on_every_client=(status, value) == (503, "0"),
        )
        for status in (429, 503)
        for value in ("0", "-5", "99999999999999999999", "1e400", "soon", LONG_AGO, FAR_AHEAD)
    ),
    *(
        Fault(
            f"expires_on {_shortened(value)}",
            "names an expiry that is no number",
            _login(f', "expires_on": {value}'),
            "not a number",
            LOGIN,
        )
        for value in ('"1562910964"', "NaN", "1e400", "Infinity", "true", "[]", "1" + "0" * 400)
    ),
    Fault("expires_on in the past", CLOCK, _login(', "expires_on": 1'), FINE, LOGIN),
    Fault(
        "expires_on long past by the server's clock",
        CLOCK,
        _login(', "expires_on": 1', f"Date: {FAR_AHEAD}"),
        FINE,
        LOGIN,
    ),
    Fault(
        "the server's clock is behind",
        CLOCK,
        _login(', "expires_on": 978314400', f"Date: {LONG_AGO}"),
        FINE,
        LOGIN,
    ),
    Fault(
        "the server's clock is ahead",
        CLOCK,
        _login(', "expires_on": 4102452000', f"Date: {FAR_AHEAD}"),
        FINE,
        LOGIN,
    ),
    Fault("a Date that is none", CLOCK, _login(', "expires_on": 4102452000', "Date: yesterday"), FINE, LOGIN),
]

FAULTS = [*(fault._replace(on_every_client=True) for fault in ON_THE_WAY), *REPLIES]


def is_in_default_run(fault: Fault, path: str) -> bool:
    """Whether the default run has a fault on sockets. A look-up is sent and read as a login is."""
    return fault.on_every_client and path == LOGIN


def cases(on_sockets: bool) -> list[Any]:
    """Each fault at each control call, as parameters of a test."""
    return [
        pytest.param(
            fault,
            path,
            id=f"{fault.name[:40]}-{path[5:]}",
            marks=pytest.mark.matrix if on_sockets and not is_in_default_run(fault, path) else [],
        )
        for fault in FAULTS
        for path in fault.paths
        if on_sockets or not fault.on_every_client
    ]


class Observed(NamedTuple):
    """What a caller got for its first request, and how often the control call at fault was made for that."""

    error: Exception | None
    tries: int
    seconds: float = 0.0

    @property
    def told(self) -> tuple[str, str]:
        """In the words of docs/reliability.rst: the class of the error, if it is one of ours, and what came."""
        if self.error is None:
            return "", FINE
        if not isinstance(self.error, NotaryAuthError):
            return "", NETWORK
        said = str(self.error).rpartition(" answered ")[2].partition(", after ")[0].partition(": is cloud_url")[0]
        tries = f", after {self.tries} tries" if self.tries > 1 else ""
        said = re.sub(r"^\d{3}\b", "N", said.partition(UNEXPLAINED)[0].partition(" and a page")[0])
        return f"``{type(self.error).__name__}``", f"answered {said}{tries}"


def observe(client: Client, fault: Fault, path: str) -> Observed:
    """Meet a fault with a new account, and then see that its next request starts clean."""
    with pytest.MonkeyPatch.context() as patch, BadServer() as server:
        set_control_timeout(patch, fault.timeout, fault.timeout)
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


def observe_on_the_core(fault: Fault, path: str) -> Observed:
    """Meet a fault with the bare core, and then see that the next request starts clean."""
    assert isinstance(fault.answer, bytes)
    answer = _parsed(fault.answer)
    account = new_account(password=PASSWORD)
    with pytest.MonkeyPatch.context() as patch:
        shorten_pauses(patch)
        conversation = begin(account).go_on(*[found()] * (path == LOGIN), *[answer] * fault.tries)
    tries = sum(request.url.split("?")[0].endswith(path) for request in conversation.sent)
    if conversation.error is not None:
        complete(account, found(), granted())
    return Observed(conversation.error, tries)


def _parsed(answer: bytes) -> ControlResponse:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    read = ControlBody(int(status.split()[1]), headers)
    read.take(body)
    return read.response()


@pytest.mark.parametrize(("fault", "path"), cases(on_sockets=True))
def test_a_fault(client: Client, fault: Fault, path: str) -> None:
    observed = observe(client, fault, path)
    if fault.name == "body shorter than announced" and client.name == "requests" and urllib3.__version__ < "2":
        assert "is not JSON" in str(observed.error)  # it does not mind
        return
    if client.name == "aiohttp" and path == LOOKUP and fault.outcome == NETWORK:  # repeats a GET once by itself
        observed = observed._replace(tries=1)
    check(fault, path, observed)


@pytest.mark.parametrize(("fault", "path"), cases(on_sockets=False))
def test_a_fault_on_the_bare_core(fault: Fault, path: str) -> None:
    check(fault, path, observe_on_the_core(fault, path))


def check(fault: Fault, path: str, observed: Observed) -> None:
    assert observed.tries == fault.tries
    assert observed.seconds < 10 * fault.timeout, "within about two time-outs, and what a busy machine adds"
    if observed.error is not None:
        assert not _secrets_in(observed.error)
    if fault.outcome == FINE:
        assert observed.error is None
    elif fault.outcome == NETWORK:
        assert observed.error is not None
        assert not isinstance(observed.error, NotaryAuthError)
    else:
        assert isinstance(observed.error, DiscoveryError if path == LOOKUP else LoginError), repr(observed.error)
        assert fault.outcome in str(observed.error)
    cell = documented()[fault.kind]
    assert all(part in cell for part in observed.told), "python -m tests.fault_table writes it anew"


def test_the_documented_table_has_all_kinds_of_faults_and_no_others() -> None:
    assert list(documented()) == list(dict.fromkeys(fault.kind for fault in FAULTS))
    assert len(documented()) <= 25


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
