"""What the pages say of speed is what was measured: tables and figures are those of the record."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import guard, plots, record, stream

from .pages import ROOT

MEASURED = ROOT / "docs" / "measured"
CASES: dict[str, Any] = json.loads((MEASURED / record.RECORD).read_text(encoding="utf-8"))["cases"]
PAGE = (ROOT / "docs" / "benchmarks.rst").read_text(encoding="utf-8")


def test_the_record_has_all_cases() -> None:
    assert list(CASES) == list(benchmarks.CASES)


@pytest.mark.parametrize("case", list(benchmarks.CASES))
def test_the_page_shows_the_tables_of_the_record(case: str) -> None:
    assert f".. include:: measured/{case}.rst" in PAGE
    assert (MEASURED / f"{case}.rst").read_text(encoding="utf-8") == record.tables(CASES[case])


def test_the_page_shows_the_plots_of_the_record(tmp_path: Path) -> None:
    plots.draw(tmp_path, CASES)
    drawn = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert drawn == {path.name: path.read_text(encoding="utf-8") for path in MEASURED.glob("*.svg")}
    assert sorted(re.findall(r"raw:: html\n   :file: measured/(\S+)", PAGE)) == sorted(drawn)


def test_a_stream_keeps_what_was_held_up_and_the_longest_of_the_others() -> None:
    measured = [(0.01, 0.001, 200), (0.02, 0.002, 200), (0.02, 0.001, 401), (0.01, 0.2, 200), (0.02, 0.21, 200)]
    kept = [(0.01, 200.0, 200), (0.02, 1.0, 401), (0.02, 2.0, 200), (0.02, 210.0, 200)]
    assert stream.shown([stream.Sample(*each) for each in measured]) == kept


def test_the_guard_ends_with_an_error_where_a_figure_is_bad(capsys: pytest.CaptureFixture[str]) -> None:
    guard.check("logins", 1, True)
    with pytest.raises(SystemExit) as ended:
        guard.check("logins", 2, False)
    assert ended.value.code == 1
    assert capsys.readouterr().out == "ok   logins: 1\nBAD  logins: 2\n"
