"""What a record was made on, and with which versions and commit."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

PACKAGES = [
    "notary-auth",
    "requests",
    "httpx",
    "httpx2",
    "requests-auth",
    "httpx-auth",
    "requests-oauth2client",
    "Authlib",
    "google-auth",
    "azure-core",
]


def described() -> dict[str, str]:
    """Lines for a reader, by name."""
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "commit": _commit(),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def _commit() -> str:
    return _git("rev-parse", "--short", "HEAD") + (
        " and changes" if _git("status", "--porcelain", "notary_auth", "benchmarks") else ""
    )


def _git(*command: str) -> str:
    root = Path(__file__).parent.parent
    return subprocess.run(["git", *command], capture_output=True, text=True, cwd=root, check=False).stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
