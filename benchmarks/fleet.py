"""How often a fleet logs in: 1, 10 and 50 processes that start at once, with each store and without.

    python -m benchmarks.fleet

The platform is the sandbox, the Redis a Valkey of this command's own. Counts, and the seconds until the last
process has its answer: most of those are Python starting up.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

from notary_auth.sandbox import Sandbox
from tests.servers import RedisServer, programs

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


def run(size: int, store: str) -> tuple[int, float]:
    """Logins, and seconds for all."""
    with Sandbox() as notary:
        notary.faults.latency_of["/api/2/idp/token"] = 0.2
        started = time.perf_counter()
        members = [subprocess.Popen([sys.executable, "-c", MEMBER, notary.url, store]) for _ in range(size)]
        failed = sum(member.wait() != 0 for member in members)
        took = time.perf_counter() - started
        if failed:
            raise RuntimeError(f"{failed} of {size} processes failed")
        return notary.count("login"), took


def main() -> None:
    print(f"{'':12}" + "".join(f"{size:>4} processes    " for size in SIZES))
    for name in ("no store", "FileStore", "RedisStore"):
        shown = []
        for size in SIZES:
            with tempfile.TemporaryDirectory() as folder, RedisServer(programs()["valkey"]) as server:
                store = {"no store": "", "FileStore": f"{folder}/store", "RedisStore": server.url}[name]
                logins, took = run(size, store)
            shown.append(f"{logins:3} logins {took:5.1f} s")
        print(f"{name:12}" + "  ".join(shown))


if __name__ == "__main__":
    main()
