"""A case's result, and a run as files: `record.json`, and what the documentation shows of that.

The tables and plots are made from the record and nothing else, so that they can be made again from it:

    python -m benchmarks.record docs/measured
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tabulate import tabulate

from . import plots
from .contestants import CONTESTANTS

RECORD = "record.json"
Key = TypeVar("Key")
Measured = TypeVar("Measured")


async def in_turns(
    measuring: Mapping[Key, Callable[[], Awaitable[Measured]]], rounds: int, warm_up: int = 0
) -> dict[Key, list[Measured]]:
    """What each measures in so many rounds. All have a turn in each round, so that noise comes to all alike.

    The first `warm_up` rounds are not among the results.
    """
    found: dict[Key, list[Measured]] = {key: [] for key in measuring}
    for _ in range(warm_up + rounds):
        for key, measure in measuring.items():
            found[key].append(await measure())
    return {key: results[warm_up:] for key, results in found.items()}


class Table(NamedTuple):
    """Rows as they were measured, rounded to what is worth showing. None is what there is no figure for."""

    title: str
    head: list[str]
    rows: list[list[Any]]
    note: str = ""

    def text(self) -> str:
        """As reStructuredText, which reads as well on a terminal."""
        lined = tabulate(self.rows, self.head, tablefmt="rst", missingval="-", floatfmt="", disable_numparse=True)
        return "\n\n".join(filter(None, [f"**{self.title}**", lined, self.note]))


class Result(NamedTuple):
    """The tables of a case, and the points that its plots are drawn from, by name."""

    tables: list[Table]
    points: Any = None


def described() -> dict[str, str]:
    """What a record was made on, and with which versions and commit."""
    packages = [name for each in CONTESTANTS if each.imports for name in (each.library, each.name)]
    changed = _output("git", "status", "--porcelain", "notary_auth", "benchmarks")
    processor = _output("grep", "-m1", "model name", "/proc/cpuinfo").partition(": ")[2] or platform.processor()
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "commit": _output("git", "rev-parse", "--short", "HEAD") + (" and changes" if changed else ""),
        "processor": f"{processor}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        **{name: version(name) for name in dict.fromkeys(packages)},
    }


def _output(*command: str) -> str:
    root = Path(__file__).parent.parent
    return subprocess.run(command, capture_output=True, text=True, cwd=root, check=False).stdout.strip()


def write(folder: Path, about: dict[str, str], results: dict[str, Result]) -> None:
    """Write the record of a run, and what is shown of it."""
    folder.mkdir(parents=True, exist_ok=True)
    cases = {
        case: {"tables": [table._asdict() for table in tables], "points": points}
        for case, (tables, points) in results.items()
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
    return "\n\n".join(Table(**table).text() for table in found["tables"]) + "\n"


if __name__ == "__main__":
    show(Path(sys.argv[1]))
