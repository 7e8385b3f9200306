"""``notary-auth check`` tries each step up to a signed request, and says what to do about the first that fails."""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from math import inf
from typing import NamedTuple
from urllib.parse import urlsplit

import requests

from notary_auth import errors
from notary_auth._adapters.drivers import run_to_end
from notary_auth._adapters.session_control import TIMEOUT
from notary_auth._core.account import arguments_of, discover, seconds_left
from notary_auth._wire import API_PATH, LOOKUP_PATH
from notary_auth.requests import NotaryAuth

from .account import Unusable, auth_of, complain, ending_of, log_in, sentence, status_of

CLOCK_TOLERANCE = 30.0  # seconds that clocks may differ without a word


class Step(NamedTuple):
    name: str
    is_ok: bool
    said: str
    advice: str = ""
    status: int = 0


class _Progress:
    """What the steps so far have come to."""

    def __init__(self, auth: NotaryAuth) -> None:
        self.auth = auth
        self.response: requests.Response | None = None


class _Failed(Exception):
    """A step has failed, and those after it need not be tried."""

    def __init__(self, said: str, advice: str, status: int) -> None:
        super().__init__(said)
        self.said, self.advice, self.status = said, advice, status


def run(options: argparse.Namespace) -> int:
    """Print the steps as they are done. Returns the exit status: that of the first step that failed."""
    try:
        auth = auth_of(options)
    except (Unusable, errors.InsecureUrl) as error:
        return complain(error, 2)
    steps = []
    for step in _steps(auth):
        steps.append(step)
        if not options.json:
            _show(step)
    if options.json:
        listed = [
            {"name": step.name, "ok": step.is_ok, "said": step.said, "advice": step.advice or None}
            for step in steps
        ]
        print(json.dumps({"ok": all(step.is_ok for step in steps), "steps": listed}, indent=2))
    return next((step.status for step in steps if not step.is_ok), 0)


def _show(step: Step) -> None:
    tick, cross = ("✓", "✗") if _can_show("✓✗") else ("ok", "FAILED")
    print(f"{tick if step.is_ok else cross} {step.name}: {step.said}", flush=True)
    if step.advice:
        print(f"  {step.advice}", flush=True)


def _can_show(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _steps(auth: NotaryAuth) -> Iterator[Step]:
    progress = _Progress(auth)
    stages: list[tuple[str, Callable[[_Progress], str]]] = [
        ("name", _resolve),
        ("connection", _connect),
        ("data center", _discover),
        ("login", _log_in),
        ("signed call", _call),
        ("clocks", _compare_clocks),
    ]
    for name, stage in stages:
        try:
            said = stage(progress)
        except _Failed as failure:
            yield Step(name, False, failure.said, failure.advice, failure.status)
            return
        except (errors.NotaryAuthError, OSError) as error:  # such as requests' own
            advice = "" if isinstance(error.__cause__, Unusable) else ending_of(error).advice
            yield Step(name, False, sentence(error), advice, status_of(error))
            return
        yield Step(name, True, said)


def _first_url(progress: _Progress) -> str:
    """Where the first request goes: to the cloud, unless the data center was given."""
    return progress.auth.account.server_url or progress.auth.account.cloud_url


def _resolve(progress: _Progress) -> str:
    url = _first_url(progress)
    parts = urlsplit(url)
    if parts.scheme == "https" and requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url)):
        return "left to the proxy of the environment"
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise _Failed(
            f"{parts.hostname} does not resolve: {reason}", "Look at the name and the DNS server.", 7
        ) from None
    return f"{parts.hostname} is {', '.join(sorted({str(each[4][0]) for each in found}))}"


def _connect(progress: _Progress) -> str:
    url = _first_url(progress)
    with requests.Session() as session:
        session.trust_env = url.startswith("https")  # logins in clear go past the proxies as well
        started = time.monotonic()
        path = LOOKUP_PATH if url == progress.auth.account.cloud_url else ""
        session.head(f"{url}{path}", timeout=TIMEOUT, allow_redirects=False)
        took = time.monotonic() - started
    secured = "with TLS" if url.startswith("https") else "without TLS, on this machine"
    return f"{url} answers {secured} ({took * 1000:.0f} ms)"


def _discover(progress: _Progress) -> str:
    run_to_end(progress.auth._perform(discover(progress.auth.account)))
    how = ", as it was given: nothing was looked up" if arguments_of(progress.auth.account)["server_url"] else ""
    return f"{progress.auth.account.server_url}{how}"


def _log_in(progress: _Progress) -> str:
    progress.auth, _ = log_in(progress.auth, is_fresh=True)
    account = progress.auth.account
    left = seconds_left(account)
    return f"{account.username}, token good for {'an unknown time' if left == inf else f'{left:.0f} s'}"


def _call(progress: _Progress) -> str:
    url = f"{progress.auth.account.base_url}/stored-files?limit=1"
    response = requests.get(url, auth=progress.auth, timeout=TIMEOUT, allow_redirects=False)
    progress.response = response
    where = f"GET {API_PATH}/stored-files: {response.status_code}"
    if response.status_code == 401:
        raise _Failed(
            where, "The login worked, and its token is rejected: is the Notary service enabled for the account?", 1
        )
    if response.status_code in (402, 403):
        return f"{where}, so the token is good, and the account has no quota or no right for this"
    if response.status_code != 200:
        raise _Failed(where, "The token was sent. Try again later.", 1)
    return where


def _compare_clocks(progress: _Progress) -> str:
    try:
        header = "" if progress.response is None else progress.response.headers.get("Date", "")
        date = parsedate_to_datetime(header).timestamp()
    except (OverflowError, TypeError, ValueError):  # no date, or one that no clock will show
        return "the server does not tell its time"
    ahead = date - time.time()
    if abs(ahead) <= CLOCK_TOLERANCE:
        return "this machine's and the server's agree"
    which = "behind" if ahead > 0 else "ahead of"
    return f"this machine's is {abs(ahead):.0f} s {which} the server's, which does not matter to notary-auth"
