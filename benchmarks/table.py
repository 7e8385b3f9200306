"""What a case has measured, and how it is shown."""

from __future__ import annotations

from typing import Any, NamedTuple

from tabulate import tabulate


class Table(NamedTuple):
    """Rows as they were measured, rounded to what is worth showing. None is what there is no figure for."""

    title: str
    head: list[str]
    rows: list[list[Any]]
    note: str = ""

    def text(self) -> str:
        """As reStructuredText, which reads as well on a terminal."""
        lined = tabulate(self.rows, self.head, tablefmt="rst", missingval="-", floatfmt="", disable_numparse=True)
        parts = [f"**{self.title}**", lined]
        return "\n\n".join([*parts, self.note] if self.note else parts)


class Result(NamedTuple):
    """The tables of a case, and the points that its plots are drawn from, by name."""

    tables: list[Table]
    points: Any = None
