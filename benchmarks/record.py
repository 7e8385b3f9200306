"""A run as files: `record.json` with all of it, and what the documentation shows of that.

The tables and plots are made from the record and nothing else, so that they can be made again from it:

    python -m benchmarks.record docs/measured
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .table import Result, Table

RECORD = "record.json"


def write(folder: Path, about: dict[str, str], results: dict[str, Result]) -> None:
    """Write the record of these cases, and beside them those that `folder` has of others."""
    folder.mkdir(parents=True, exist_ok=True)
    known = json.loads((folder / RECORD).read_text())["cases"] if (folder / RECORD).exists() else {}
    cases = {
        case: {"about": about, "tables": [table._asdict() for table in result.tables], "points": result.points}
        for case, result in results.items()
    }
    text = json.dumps({"cases": {**known, **cases}}, separators=(",", ":"))
    (folder / RECORD).write_text(text + "\n")
    show(folder)


def show(folder: Path) -> None:
    """Write the tables and plots of the record in `folder`."""
    from . import plots

    cases = json.loads((folder / RECORD).read_text())["cases"]
    for case, found in cases.items():
        (folder / f"{case}.rst").write_text(tables(found))
    first = next(iter(cases.values()))["about"]
    (folder / "machine.rst").write_text(", ".join(f"{name} {value}" for name, value in first.items()) + ".\n")
    plots.draw(folder, cases)


def tables(found: dict[str, object]) -> str:
    """A case's tables, as its file has them."""
    shown = [Table(**table).text() for table in found["tables"]]  # type: ignore[attr-defined]
    return "\n\n".join(shown) + "\n"


if __name__ == "__main__":
    show(Path(sys.argv[1]))
