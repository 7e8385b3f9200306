"""Instructions of the processor for one signature, counted by valgrind: what no noise touches.

It runs a Python of its own under callgrind, which counts only while it is told to, and dumps what it has counted
once for each contestant.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

CALLS = 1000


def counted(endings: Sequence[str] = ("",)) -> dict[str, float] | None:
    """Instructions by the names that `signing.signatures` has, of those that end so. None: no valgrind."""
    if shutil.which("valgrind") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        output = f"--callgrind-out-file={folder}/out"
        valgrind = ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", output]
        counting = [*valgrind, sys.executable, "-m", __name__, *endings]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        subprocess.run(counting, check=True, env=environment, stderr=subprocess.DEVNULL)
        reports = [path.read_text() for path in Path(folder).iterdir()]
    found = {}
    for report in reports:
        name = re.search(r"^desc: Trigger: dump (\w*)\.$", report, re.MULTILINE)
        total = re.search(r"^totals: (\d+)$", report, re.MULTILINE)
        if name and total:
            found[bytes.fromhex(name[1]).decode()] = int(total[1]) / CALLS
    nothing = found.pop("")
    return {name: round(total - nothing) for name, total in found.items()}


def _control(*options: str) -> None:
    subprocess.run(["callgrind_control", *options, str(os.getpid())], check=True, capture_output=True)


def _count(name: str, call: Callable[[], object]) -> None:
    for _ in range(100):  # until the interpreter has specialized it
        call()
    _control("--zero")
    for _ in range(CALLS):
        call()
    _control(f"--dump={name.encode().hex()}.")  # a bare number would be taken for a process


async def main(*endings: str) -> None:
    from .signing import signatures

    async with signatures(endings) as signing:
        _control("--instr=on")
        _count("", lambda: None)
        for name, sign in signing.items():
            _count(name, sign)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
