"""How often a fleet logs in: 1, 10 and 50 processes that start at once, with each store and without.

The Redis is a Valkey of this case's own. Counts, and the seconds until the last process has its answer: most of
those are Python starting up. A login takes 0.2 s.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from notary_auth.sandbox._model import LOGIN
from tests.servers import RedisServer, programs

from .imports import environment
from .platform import Platform
from .table import Result, Table

SIZES = (1, 10, 50)
MEMBER = """
import sys
import requests
from notary_auth.requests import NotaryAuth
from notary_auth.stores import FileStore, RedisStore

cloud, store = sys.argv[1:]
chosen = RedisStore(store) if store.startswith("redis") else FileStore(store) if store else None
auth = NotaryAuth("JohnSmith", "qwe123QWE", cloud_url=cloud, store=chosen)
requests.get(cloud + "/api/notary/v2/stored-files", auth=auth, timeout=60).raise_for_status()
"""


def once(size: int, store: str, compiled: Path) -> tuple[int, float]:
    """Logins, and seconds for all."""
    with Platform() as platform:
        platform.fault("latency_of", {LOGIN: 0.2})
        started = time.perf_counter()
        command = [sys.executable, "-c", MEMBER, platform.url, store]
        members = [subprocess.Popen(command, env=environment(compiled)) for _ in range(size)]
        failed = sum(member.wait() != 0 for member in members)
        took = time.perf_counter() - started
        if failed:
            raise RuntimeError(f"{failed} of {size} processes failed")
        return platform.count("login"), took


def run() -> Result:
    rows = []
    with tempfile.TemporaryDirectory() as compiled:
        for name in ("no store", "FileStore", "RedisStore"):
            row: list[object] = [name]
            for size in (1, *SIZES):  # the first one compiles
                with tempfile.TemporaryDirectory() as folder, RedisServer(programs()["valkey"]) as server:
                    store = {"no store": "", "FileStore": f"{folder}/store", "RedisStore": server.url}[name]
                    logins, took = once(size, store, Path(compiled))
                row.append(f"{logins} in {took:.1f} s")
            rows.append([name, *row[2:]])
    note = "requests_auth and httpx_auth can keep tokens in a file, as they are and with no lock: not measured."
    head = ["", *(f"{size} processes" if size > 1 else "1 process" for size in SIZES)]
    return Result([Table("A fleet: logins, and time", head, rows, note)])
