"""The fault table of docs/reliability.rst. ``python -m tests.fault_table`` writes it from what is observed."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "reliability.rst"
BEGIN, END = ".. fault table: begin\n", ".. fault table: end\n"
HEAD = """
.. list-table::
   :header-rows: 1
   :widths: 45 55

   * - The platform, or what answers in its place
     - Your code gets
"""


def documented() -> dict[str, str]:
    """What the page says, by kind of fault."""
    table = PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0].partition("Your code gets\n")[2]
    rows = [[cell.strip() for cell in row.split("\n     - ")] for row in table.split("   * - ") if row.strip()]
    return dict(rows)  # type: ignore[arg-type]


def write() -> None:
    from .clients import CLIENTS
    from .test_faults import FAULTS, observe

    told: dict[str, dict[str, dict[str, None]]] = {}  # by kind and what came: the classes of errors, in order
    for fault in FAULTS:
        for path in fault.paths:
            for client in CLIENTS:
                error, what = observe(client, fault, path).told
                told.setdefault(fault.kind, {}).setdefault(what, {})[error] = None
    text = HEAD
    for kind, outcomes in told.items():
        cells = [f"{' or '.join(errors)}: {what}".removeprefix(": ") for what, errors in outcomes.items()]
        text += f"   * - {kind}\n     - {'; '.join(cells)}\n"
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}{text}\n{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    write()
