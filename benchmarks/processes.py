"""What takes a process of its own: importing a package, and a fleet."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from notary_auth.sandbox._model import LOGIN
from tests.servers import RedisServer, programs

from .platform import SandboxPlatform
from .table import Result, Table

# The client, the package's name, and what its documentation has its users import.
PACKAGES = [
    ("requests", "requests_auth", "requests_auth"),
    ("requests", "requests-oauth2client", "requests_oauth2client"),
    ("requests", "Authlib", "authlib.integrations.requests_client"),
    ("requests", "google-auth", "google.auth.transport.requests"),
    ("requests", "azure-core", "azure.core.pipeline.policies, azure.core.pipeline.transport"),
    ("requests", "notary-auth", "notary_auth.requests"),
    ("httpx", "httpx_auth", "httpx_auth"),
    ("httpx", "notary-auth", "notary_auth.httpx"),
    ("httpx2", "Authlib", "authlib.integrations.httpx_client"),
    ("httpx2", "notary-auth", "notary_auth.httpx2"),
    ("aiohttp", "notary-auth", "notary_auth.aiohttp"),
]
ROUNDS = 15
IMPORT = """
import sys, time, importlib
client, modules = sys.argv[1:]
importlib.import_module(client)
before = set(sys.modules)
started = time.perf_counter()
exec("import " + modules)
took = time.perf_counter() - started
print(took * 1000, *sorted(set(sys.modules) - before))
"""

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


def run(program: str, *arguments: str, times: int = 1) -> list[str]:
    """The outputs of a Python program that runs so many times at once."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # only the first one is to compile
    command = [sys.executable, "-c", program, *arguments]
    started = [subprocess.Popen(command, env=environment, stdout=-1, text=True) for _ in range(times)]
    outputs = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise RuntimeError(f"not all processes have ended well: {command}")
    return outputs


def imported(client: str, modules: str) -> tuple[float, list[str]]:
    """Milliseconds, and the modules that came in."""
    milliseconds, *added = run(IMPORT, client, modules)[0].split()
    return float(milliseconds), added


def run_imports() -> Result:
    """What importing a package adds to importing its client, in turns, with all modules compiled before."""
    times: dict[tuple[str, str, int], list[float]] = {}
    for number in range(-1, ROUNDS):
        for client, name, modules in PACKAGES:
            took, added = imported(client, modules)
            if number >= 0:  # the first one compiles
                times.setdefault((client, name, len(added)), []).append(took)
    rows = [[client, name, round(min(took), 1), added] for (client, name, added), took in times.items()]
    return Result([Table("Import, on top of the client's", ["", "", "least ms", "modules"], rows)])


def run_fleet() -> Result:
    """How often processes that start at once log in, and seconds until the last has its answer: most of those are
    Python starting up. A login takes 0.2 s. The Redis is a Valkey of this case's own."""
    rows = []
    with SandboxPlatform() as platform:
        platform.fault("latency_of", {LOGIN: 0.2})
        for name in ("no store", "FileStore", "RedisStore"):
            cells = []
            for size in (1, *SIZES):  # the first one compiles
                with tempfile.TemporaryDirectory() as folder, RedisServer(programs()["valkey"]) as server:
                    store = {"no store": "", "FileStore": f"{folder}/store", "RedisStore": server.url}[name]
                    platform.clear()
                    started = time.perf_counter()
                    run(MEMBER, platform.url, store, times=size)
                    cells.append(f"{platform.count('login')} in {time.perf_counter() - started:.1f} s")
            rows.append([name, *cells[1:]])
    note = "requests_auth and httpx_auth can keep tokens in a file, as they are and with no lock: not measured."
    head = ["", *(f"{size} processes" if size > 1 else "1 process" for size in SIZES)]
    return Result([Table("A fleet: logins, and time", head, rows, note)])
