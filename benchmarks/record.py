"""A run as files: `record.json` with what tables and plots need, and what the documentation shows of that.

The tables and plots are made from the record and nothing else, so that they can be made again from it:

    python -m benchmarks.record docs/measured
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from . import plots
from .table import Result, Table

RECORD = "record.json"


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
