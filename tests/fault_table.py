"""The fault table of docs/reliability.rst. ``python -m tests.fault_table`` writes it from what is observed."""

from __future__ import annotations

from pathlib import Path

from .badserver import LOGIN, LOOKUP

PAGE = Path(__file__).parent.parent / "docs" / "reliability.rst"
BEGIN, END = ".. fault table: begin\n", ".. fault table: end\n"
HEAD = """
.. list-table::
   :header-rows: 1
   :widths: 26 37 37

   * - What the platform does
     - at the look-up
     - at the login
"""


def documented() -> dict[str, dict[str, str]]:
    """What the page says, by fault and path."""
    table = PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0].partition("at the login\n")[2]
    rows = [[cell.strip() for cell in row.split("\n     - ")] for row in table.split("   * - ") if row.strip()]
    return {name: {LOOKUP: lookup, LOGIN: login} for name, lookup, login in rows}


def write() -> None:
    from .clients import CLIENTS
    from .test_faults import FAULTS, observe

    text = HEAD
    for fault in FAULTS:
        text += f"   * - {fault.name}\n"
        for path in (LOOKUP, LOGIN):
            told = ["(of the login only)"]
            if fault.only in (None, path):
                told = sorted({observe(client, fault, path).told for client in CLIENTS})
            text += f"     - {' / '.join(told)}\n"
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}{text}\n{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    write()
