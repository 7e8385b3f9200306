"""What is fuzzed, and what must hold whatever comes in. No fuzzer is imported here: the tests run these as well.

A target takes bytes and raises an AssertionError where a rule (docs/rules.rst) is broken. Anything else that it
raises is a finding too.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import cache
from ipaddress import IPv6Address
from typing import Any
from urllib.parse import urlsplit

import httpx
import urllib3

from notary_auth import Account, DiscoveryError, LoginError, NotaryAuthError
from tests.clients import CLIENTS
from tests.core import (
    CLOUD,
    Call,
    ControlBody,
    ControlResponse,
    Forward,
    Origin,
    Received,
    SendControl,
    Sleep,
    WaitForLogin,
    current_login,
    steps_of,
    token_of,
)
from tests.dry import visit
from tests.hostile import HOME, PASSWORD, HostilePlatform

CODE = "424242-code"
STATUSES = [200, 200, 200, 400, 401, 403, 404, 429, 500, 502, 503, 504, 100, 204, 301, 302, 307, 308, 418, 599]
DEFAULT_PORTS = {"http": 80, "https": 443}


def replies(data: bytes) -> None:
    """Rules 9, 10, 12 and 18: any reply to the look-up and to the login.

    The input's lines, split at NUL bytes, are replies: a byte that picks the status, a line of headers as JSON or
    not, the body.
    """
    left = [_reply(part) for part in data.split(b"\0")]
    account = Account("JohnSmith", PASSWORD, totp=lambda: CODE)
    steps = steps_of(account, f"{account.cloud_url}/x")
    result: Any = None
    last = ControlResponse(500, {}, b"")
    sent = 0
    try:
        while True:
            match steps.send(result):
                case SendControl(request):
                    sent += 1
                    assert sent <= 12, "asks again and again"
                    if request.method == "POST":
                        home = Origin.of(request.url)
                        assert home is not None
                        assert home.is_secure
                    result = last = left.pop(0) if left else ControlResponse(500, {}, b"")
                case Sleep(seconds):
                    assert 0 <= seconds <= 75
                case Call(function):
                    result = function()
                case WaitForLogin():
                    raise AssertionError("waits for nobody")
                case Forward(signature):
                    _check_token(account)
                    assert last.status == 200
                    assert last.headers.get("content-encoding", "identity").strip().lower() == "identity"
                    result = Received(
                        200, signature.url or f"{account.cloud_url}/x", signature.authorization, True
                    )
    except StopIteration:
        assert token_of(account).authorization, "over, and not logged in"
    except NotaryAuthError as error:
        _check_error(error, str(account.server_url))
    assert current_login(account) is None


def _reply(part: bytes) -> ControlResponse:
    status = STATUSES[part[0] % len(STATUSES)] if part else 200
    head, _, body = part[1:].partition(b"\n")
    headers: dict[str, str] = {}
    with suppress(ValueError, RecursionError):
        document = json.loads(head)
        if isinstance(document, dict):
            headers = {name: value for name, value in document.items() if isinstance(value, str)}
    read = ControlBody(status, headers)  # as every adapter reads it
    read.take_all([body])
    return read.response()


def _check_token(account: Account) -> None:
    token = token_of(account)
    assert re.fullmatch(r"Bearer [A-Za-z0-9._~+/-]+=*", token.authorization, re.ASCII)
    assert 0 < token.refresh_at <= token.expires_at, "not a number, or before all time"
    home = token.data_center
    assert home is not None
    assert home.is_secure
    assert _parsed(f"{home}/") == (home.scheme, home.host, home.port or DEFAULT_PORTS[home.scheme])


def _check_error(error: NotaryAuthError, server_url: str) -> None:
    assert isinstance(error, DiscoveryError | LoginError)
    shown = "".join(map(repr, (error, error.args, error.error, error.error_description, error.url)))
    for secret in (PASSWORD, CODE):
        assert secret not in shown or secret in server_url, "shows a secret that is not a host's name by chance"
    assert len(shown) < 5000, "quotes the platform at length"
    assert str(error).isprintable(), "lets the platform write to a terminal"


def origins(data: bytes) -> None:
    """Rules 3 and 4: where an origin is seen, the parsers that decide where bytes go see the same one."""
    url = data.decode("utf-8", "surrogateescape")
    with suppress(ValueError):
        base = Origin.of_base_url(url)
        assert Origin.of(f"{base}/x") == base, "does not read what it wrote"
    origin = Origin.of(url)
    if origin is None:
        return
    expected = origin.scheme, origin.host, origin.port or DEFAULT_PORTS[origin.scheme]
    assert _parsed(url) == expected
    # A parser that refuses a URL sends nothing anywhere.
    with suppress(urllib3.exceptions.LocationParseError):
        other = urllib3.util.parse_url(url)
        assert (other.scheme, _named(other.host), other.port or DEFAULT_PORTS[str(other.scheme)]) == expected
    with suppress(httpx.InvalidURL, UnicodeEncodeError):
        third = httpx.URL(url)
        assert (
            third.scheme,
            _named(third.raw_host.decode("ascii")),
            third.port or DEFAULT_PORTS[third.scheme],
        ) == expected
    home = Origin("https", "eu2-cloud.acronis.com", None)
    assert Origin.of(home.readdress(url)) == home
    assert urlsplit(home.readdress(url)).query == urlsplit(url).query


def _parsed(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, _named(parts.hostname), parts.port or DEFAULT_PORTS[parts.scheme]


def _named(host: str | None) -> str:
    name = (host or "").strip("[]").removesuffix(".")
    return IPv6Address(name).compressed if ":" in name else name


def redirects(data: bytes) -> None:
    """Rules 4 and 5: a chain of redirects, one location a line, followed by a client that a byte picks."""
    if not data:
        return
    client = _sync_clients()[data[0] % len(_sync_clients())]
    status = [301, 302, 303, 307, 308][data[0] // 16 % 5]
    chain = [line.decode("utf-8", "surrogateescape") for line in data[1:].split(b"\n")[:8]]
    platform = HostilePlatform(chain, status)
    auth = client.adapter.NotaryAuth("JohnSmith", PASSWORD)
    visit(client, auth, [f"{HOME}/x", f"{CLOUD}/x", chain[0]], platform, follow=True)
    assert platform.leaks() == []


@cache
def _sync_clients() -> list[Any]:
    return [client for client in CLIENTS if not client.is_async]


TARGETS = {"replies": replies, "origins": origins, "redirects": redirects}
