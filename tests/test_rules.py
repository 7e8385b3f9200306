"""Each rule is stated in docs/rules.rst, with its tests, and no reference to a rule leads nowhere."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from . import rules_page
from .rules_page import ROOT

NUMBERS = [*map(str, range(1, 28)), *"abcde"]
FOLDERS = ("notary_auth", "tests", "docs", "fuzz", "benchmarks", "examples")
FILES = [
    path
    for path in [*ROOT.glob("*.rst"), *(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*")))]
    if path.suffix in (".py", ".rst") and path != Path(__file__)
]
REFERENCE = re.compile(r"\brules?[ _]((?:\d+|[a-e])\b(?:(?:,| and| to) (?:\d+|[a-e])\b)*)", re.IGNORECASE)


def test_each_rule_is_stated_with_the_files_that_have_tests_of_it() -> None:
    assert sorted(rules_page.stated(), key=NUMBERS.index) == NUMBERS
    assert rules_page.stated() == rules_page.held(), "python -m tests.rules_page writes the lists anew"


def test_each_rule_is_decided_where_its_page_says() -> None:
    places = rules_page.decided()
    assert sorted(places, key=NUMBERS.index) == NUMBERS
    assert [place for each in places.values() for place in each if place[1] not in defined_in(place[0])] == []


@cache
def defined_in(file: str) -> set[str]:
    """The functions, classes, methods and constants that a file of the library defines."""
    names: set[str] = set()
    for node in ast.parse((ROOT / "notary_auth" / file).read_text(encoding="utf-8")).body:
        match node:
            case ast.ClassDef(name=name, body=body):
                names |= {name, *(f"{name}.{each.name}" for each in body if isinstance(each, ast.FunctionDef))}
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return names


def referred_to(text: str) -> set[str]:
    """The numbers of the rules that a text names: "rule 9", "rules 4 and 5", "rules 2 to 5"."""
    return {number for match in REFERENCE.finditer(text) for number in re.findall(r"\d+|\b[a-e]\b", match[1])}


def test_references_are_found() -> None:
    assert referred_to("(rules 4 and 5: tests; rule a) Rules 10 to 12, test_rule_15_x") == {
        "4",
        "5",
        "a",
        "10",
        "12",
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_whatever_refers_to_a_rule_or_a_file_refers_to_one_that_is_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert referred_to(text) <= set(NUMBERS)
    assert {
        name for name in re.findall(rf"\b(?:{'|'.join(FOLDERS)})/[\w/]+\.(?:py|rst)\b", text) if is_missing(name)
    } == set()


def is_missing(name: str) -> bool:
    return not (ROOT / name).exists() and not (ROOT / "docs" / name).exists()


def test_the_tables_for_contributors_name_every_file_of_the_tests() -> None:
    text = (ROOT / "CONTRIBUTING.rst").read_text(encoding="utf-8")
    files = [path.stem for path in (ROOT / "tests").glob("*.py") if path.stem not in ("__init__", "conftest")]
    assert [name for name in files if f"``{name}``" not in text] == [], "say in its tables what they are"
