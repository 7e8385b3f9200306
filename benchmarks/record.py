"""A run as files: `record.json` with what tables and plots need, and what the documentation shows of that.

The tables and plots are made from the record and nothing else, so that they can be made again from it:

    python -m benchmarks.record docs/measured
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from . import plots
from .table import Result, Table

RECORD = "record.json"
PACKAGES = [
    "notary-auth",
    "requests",
    "httpx",
    "httpx2",
    "aiohttp",
    "requests-auth",
    "httpx-auth",
    "requests-oauth2client",
    "Authlib",
    "google-auth",
    "azure-core",
]


def described() -> dict[str, str]:
    """What a record was made on, and with which versions and commit."""
    changed = _git("status", "--porcelain", "notary_auth", "benchmarks")
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "commit": _git("rev-parse", "--short", "HEAD") + (" and changes" if changed else ""),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def _git(*command: str) -> str:
    root = Path(__file__).parent.parent
    return subprocess.run(["git", *command], capture_output=True, text=True, cwd=root, check=False).stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def write(folder: Path, about: dict[str, str], results: dict[str, Result]) -> None:
    """Write the record of a run, and what is shown of it."""
    folder.mkdir(parents=True, exist_ok=True)
    cases = {
        case: {"tables": [table._asdict() for table in result.tables], "points": result.points}
        for case, result in results.items()
    }
    text = json.dumps({"about": about, "cases": cases}, separators=(",", ":"))
    (folder / RECORD).write_text(text + "\n")
    show(folder)


def show(folder: Path) -> None:
    """Write the tables and plots of the record in `folder`."""
    run = json.loads((folder / RECORD).read_text())
    for case, found in run["cases"].items():
        (folder / f"{case}.rst").write_text(tables(found))
    about = ", ".join(f"{name} {value}" for name, value in run["about"].items())
    (folder / "machine.rst").write_text(f"{about}.\n")
    plots.draw(folder, run["cases"])


def tables(found: dict[str, Any]) -> str:
    """A case's tables, as its file has them."""
    shown = [Table(**table).text() for table in found["tables"]]
    return "\n\n".join(shown) + "\n"


if __name__ == "__main__":
    show(Path(sys.argv[1]))
