"""What importing a package adds to importing its client: time, and modules.

Each import has an interpreter of its own, with all modules compiled before; packages by turns.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from .table import Result, Table

ROUNDS = 15

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
]
PROGRAM = """
import sys, time
import {client}
before = set(sys.modules)
started = time.perf_counter()
import {modules}
took = time.perf_counter() - started
print(took * 1000, *sorted(set(sys.modules) - before))
"""


def environment(compiled: Path) -> dict[str, str]:
    """Variables for an interpreter that keeps what it has compiled in that folder, wherever it may not."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**variables, "PYTHONPYCACHEPREFIX": str(compiled)}


def once(client: str, modules: str, compiled: Path) -> tuple[float, list[str]]:
    """Milliseconds, and the modules that came in."""
    program = PROGRAM.format(client=client, modules=modules)
    ended = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment(compiled)
    )
    milliseconds, *added = ended.stdout.split()
    return float(milliseconds), added


def run() -> Result:
    times: dict[tuple[str, str], list[float]] = {}
    added: dict[tuple[str, str], int] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(-1, ROUNDS):
            for client, name, modules in PACKAGES:
                took, names = once(client, modules, Path(folder))
                added[client, name] = len(names)
                if number >= 0:  # the first one compiles
                    times.setdefault((client, name), []).append(took)
    rows = [
        [*package, round(min(took), 1), round(statistics.median(took), 1), added[package]]
        for package, took in times.items()
    ]
    return Result([Table("Import, on top of the client's", ["", "", "least ms", "median", "modules"], rows)])
