"""Memory: what large bodies take, what an idle NotaryAuth holds, and what is left behind by a million requests."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import httpx2
import requests

import notary_auth.httpx
import notary_auth.httpx2
import notary_auth.requests
from tests.transfer import memory

from .contestants import NOTARY_AUTH, THREADS
from .in_memory import InMemoryPlatform
from .platform import FILES, Platform
from .table import Result, Table

MIB = 1024
REQUESTS = 1_000_000
OBJECTS = 500
CLIENTS: list[tuple[Any, Any]] = [
    (requests, notary_auth.requests.NotaryAuth),
    (httpx, notary_auth.httpx.NotaryAuth),
    (httpx2, notary_auth.httpx2.NotaryAuth),
]


def extra_megabytes(client: str, cloud_url: str) -> float:
    """What a GiB up and down takes, over what the process had after 4 MiB went the same way."""
    command = [sys.executable, "-m", "tests.transfer", client, cloud_url, str(MIB)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def bytes_each(make: Callable[[], object]) -> int:
    """What an object holds, with all that only it refers to."""
    make()  # what is loaded or cached once
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = [make() for _ in range(OBJECTS)]
        return (tracemalloc.get_traced_memory()[0] - before) // len(kept)
    finally:
        tracemalloc.stop()


def warmed(library: Any, auth_type: Any) -> Callable[[], object]:
    client = library.Session() if library is requests else library.Client()

    def make() -> object:
        auth = auth_type("JohnSmith", "qwe123QWE")
        client.get(InMemoryPlatform.files, auth=auth)
        return auth

    return make


def growth() -> dict[str, int]:
    """Bytes that the process has grown by in a million requests, signed and answered in process. Run in one of
    its own."""
    grown = {}
    with InMemoryPlatform() as platform:
        for each in THREADS:
            if each.name != NOTARY_AUTH:
                continue
            with each.open(platform) as opened:
                opened.new_client()(each.url(platform))
                sign = opened.signing(platform.home + FILES)
                _repeat(sign, REQUESTS // 10)
                before = memory("VmRSS")
                _repeat(sign, REQUESTS)
                grown[each.client] = memory("VmRSS") - before
    return grown


def _repeat(sign: Callable[[], object], times: int) -> None:
    for _ in range(times):
        sign()


def run() -> Result:
    rows = []
    left = subprocess.run(
        [sys.executable, "-m", __name__], check=True, capture_output=True, text=True
    ).stdout.split()
    grown = dict(zip(left[::2], left[1::2], strict=True))
    with Platform() as platform:
        large = {library.__name__: extra_megabytes(library.__name__, platform.url) for library, _ in CLIENTS}
    with InMemoryPlatform():
        for library, auth_type in CLIENTS:
            name = library.__name__
            new = bytes_each(partial(auth_type, "JohnSmith", "qwe123QWE"))
            warm = bytes_each(warmed(library, auth_type))
            rows.append([name, round(large[name], 1), new, warm, int(grown[name]) // 1024])
    head = [
        "",
        "MB for 1 GiB up and down",
        "bytes of a new one",
        "of a warm one",
        f"KiB more after {REQUESTS:,} requests",
    ]
    note = "Up and down: of multipart and streamed. The million is signed and answered in process."
    return Result([Table("Memory", head, rows, note)])


if __name__ == "__main__":
    for client, size in growth().items():
        print(client, size)
