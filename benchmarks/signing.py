"""What signing a warm request costs, beside a hard-coded header set in the same kind of hook.

    python -m benchmarks.signing

In process, no sockets. The two are run in turns; the minimum of many rounds is shown, with the median, since noise
only ever adds. Ratios, not microseconds, are what to compare between machines.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import httpx
import httpx2
import requests
from requests.auth import AuthBase

import notary_auth.httpx
import notary_auth.httpx2
import notary_auth.requests
from notary_auth import Account
from notary_auth._origin import Origin
from notary_auth._token import Token

HOME = "https://eu2-cloud.acronis.com"
CLOUD = "https://cloud.acronis.com"
PATH = "/api/notary/v2/stored-files"
ROUNDS, CALLS = 60, 5000


def warm_account() -> Account:
    account = Account("JohnSmith", "qwe123QWE")
    origin = Origin.of(HOME)
    assert origin is not None
    account._data_center = origin
    account._addresses |= {origin}
    account.token = Token.issued("eyJ0eXAi" * 40, origin, account.now(), 7200)
    return account


class HardRequests(AuthBase):
    """A hard-coded header, with a hook that looks at the answer as ours does."""

    def __init__(self, header: str, hook: bool) -> None:
        self._header = header
        self._hook = hook

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        if self._hook:
            request.register_hook("response", self.look)
        return request

    def look(self, response: Any, **_: Any) -> Any:
        return response


def requests_call(auth: Any, url: str) -> Callable[[], None]:
    request = requests.Request("GET", url).prepare()
    hooks = request.hooks

    def call() -> None:
        hooks["response"] = []
        request.url = url
        auth(request)

    return call


class _Answer:
    status_code = 200


def httpx_call(library: Any, auth: Any, url: str, is_async: bool) -> Callable[[], None]:
    request = library.Request("GET", url)
    parsed = request.url
    answer = _Answer()

    def call() -> None:
        request.url = parsed
        flow = auth.sync_auth_flow(request)
        next(flow)
        try:
            flow.send(answer)
        except StopIteration:
            pass

    def acall() -> None:
        request.url = parsed
        flow = auth.async_auth_flow(request)
        step(flow.__anext__())
        step(flow.asend(answer))

    def step(awaitable: Any) -> None:
        try:
            awaitable.send(None)
        except (StopIteration, StopAsyncIteration):
            pass

    return acall if is_async else call


def hard_httpx(library: Any, header: str) -> Any:
    class Hard(library.Auth):  # type: ignore[misc,name-defined]
        def auth_flow(self, request: Any) -> Any:
            request.headers["Authorization"] = header
            yield request

    return Hard()


def measure(contestants: dict[str, Callable[[], None]]) -> dict[str, tuple[float, float]]:
    """Minimum and median of a call in microseconds, of all contestants in turns."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, call in contestants.items():
            started = time.perf_counter()
            for _ in range(CALLS):
                call()
            times[name].append((time.perf_counter() - started) / CALLS * 1e6)
    return {name: (min(values), statistics.median(values)) for name, values in times.items()}


def cases() -> dict[str, dict[str, Callable[[], None]]]:
    account = warm_account()
    header = account.token.authorization
    auth = notary_auth.requests.NotaryAuth.from_account(account)
    found = {
        "requests": {
            "hard-coded header": requests_call(HardRequests(header, hook=False), HOME + PATH),
            "hard-coded header, and a hook": requests_call(HardRequests(header, hook=True), HOME + PATH),
            "NotaryAuth, data center's URL": requests_call(auth, HOME + PATH),
            "NotaryAuth, cloud's URL": requests_call(auth, CLOUD + PATH),
        }
    }
    for library, adapter in ((httpx, notary_auth.httpx), (httpx2, notary_auth.httpx2)):
        ours = adapter.NotaryAuth.from_account(account)
        hard = hard_httpx(library, header)
        for kind, is_async in (("", False), (", async", True)):
            found[library.__name__ + kind] = {
                "hard-coded header": httpx_call(library, hard, HOME + PATH, is_async),
                "NotaryAuth, data center's URL": httpx_call(library, ours, HOME + PATH, is_async),
                "NotaryAuth, cloud's URL": httpx_call(library, ours, CLOUD + PATH, is_async),
            }
    return found


def main() -> None:
    for client, contestants in cases().items():
        print(f"\n{client:34} {'min µs':>8} {'median':>8} {'ratio':>6}")
        results = measure(contestants)
        floor = next(iter(results.values()))[0]
        for name, (least, median) in results.items():
            print(f"  {name:32} {least:8.2f} {median:8.2f} {least / floor:6.2f}")


if __name__ == "__main__":
    main()
