"""What takes a process of its own: importing a package, and a fleet."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from functools import partial

from notary_auth.sandbox._model import LOGIN
from tests.servers import RedisServer, programs

from .contestants import CONTESTANTS, Contestant
from .platform import Platform
from .record import Result, Table, in_turns

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


async def imported(contestant: Contestant) -> tuple[float, list[str]]:
    """Milliseconds, and the modules that came in."""
    milliseconds, *added = run(IMPORT, contestant.library, contestant.imports)[0].split()
    return float(milliseconds), added


async def run_imports() -> Result:
    """What importing a package adds to importing its client."""
    packages = {(each.library, each.name): each for each in CONTESTANTS if each.imports}
    found = await in_turns({key: partial(imported, each) for key, each in packages.items()}, ROUNDS, warm_up=1)
    rows = [[*key, round(min(runs)[0], 1), len(runs[0][1])] for key, runs in found.items()]
    return Result([Table("Import, on top of the client's", ["", "", "least ms", "modules"], rows)])


async def run_fleet() -> Result:
    """How often processes that start at once log in, and seconds until the last has its answer: most of those are
    Python starting up. A login takes 0.2 s. The Redis is a Valkey of this case's own."""
    rows = []
    with Platform() as platform:
        platform.fault("latency_of", {LOGIN: 0.2})
        for name in ("no store", "FileStore", "RedisStore"):
            cells = []
            for size in (1, *SIZES):  # the first one compiles
                with tempfile.TemporaryDirectory() as folder, RedisServer(programs()["valkey"]) as server:
                    store = {"no store": "", "FileStore": f"{folder}/store", "RedisStore": server.url}[name]
                    platform.clear()
                    started = time.perf_counter()
                    run(MEMBER, platform.url, store, times=size)
                    cells.append(f"{platform.counts()[1]} in {time.perf_counter() - started:.1f} s")
            rows.append([name, *cells[1:]])
    note = "requests_auth and httpx_auth can keep tokens in a file, as they are and with no lock: not measured."
    head = ["", *(f"{size} processes" if size > 1 else "1 process" for size in SIZES)]
    return Result([Table("A fleet: logins, and time", head, rows, note)])
