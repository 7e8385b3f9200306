"""What the pages say of speed is what was measured: tables and figures are those of the record."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import guard, record

from .pages import README, ROOT

MEASURED = ROOT / "docs" / "measured"
CASES: dict[str, Any] = json.loads((MEASURED / record.RECORD).read_text(encoding="utf-8"))["cases"]
PAGE = (ROOT / "docs" / "benchmarks.rst").read_text(encoding="utf-8")


def test_the_record_has_all_cases() -> None:
    assert list(CASES) == benchmarks.CASES


@pytest.mark.parametrize("case", benchmarks.CASES)
def test_the_page_shows_the_tables_of_the_record(case: str) -> None:
    assert f".. include:: measured/{case}.rst" in PAGE
    assert (MEASURED / f"{case}.rst").read_text(encoding="utf-8") == record.tables(CASES[case])


def test_each_plot_of_the_page_is_there_for_light_and_dark() -> None:
    plots = re.findall(r"image:: measured/(\S+)-(light|dark)\.svg", PAGE)
    assert {name for name, _ in plots} == {"signing", "cold_start", "herd", "rollover", "revocation"}
    for name, theme in plots:
        assert (MEASURED / f"{name}-{theme}.svg").exists()
    assert len(plots) == 10


def signature(package: str) -> float:
    """Microseconds, at the least, on requests."""
    rows = CASES["signing"]["tables"][0]["rows"]
    return float(next(row[1] for row in rows if row[0] == package))


def test_the_readme_quotes_two_figures_of_the_record() -> None:
    paragraph = README.partition("**Costs next to nothing.**")[2].partition("\n\n")[0]
    quoted = re.findall(r"([\d.]+) µs", paragraph)
    others = min(signature(row[0]) for row in CASES["signing"]["tables"][0]["rows"] if is_of_another(row[0]))
    assert [float(figure) for figure in quoted] == [signature("notary-auth"), others]


def is_of_another(package: str) -> bool:
    return not package.startswith(("notary-auth", "hard-coded header"))


def test_the_guard_ends_with_an_error_where_a_figure_is_bad(capsys: pytest.CaptureFixture[str]) -> None:
    guard.check("logins", 1, True)
    with pytest.raises(SystemExit) as ended:
        guard.check("logins", 2, False)
    assert ended.value.code == 1
    assert capsys.readouterr().out == "ok   logins: 1\nBAD  logins: 2\n"
