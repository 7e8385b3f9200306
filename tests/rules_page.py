"""The page of the rules, docs/rules.rst. ``python -m tests.rules_page`` lists each rule's tests there anew."""

from __future__ import annotations

import re

from .paths import ROOT

PAGE = ROOT / "docs" / "rules.rst"

RULE = re.compile(
    r"^Rule (?P<number>\d+|[a-e]): .+\n~+\n(?:(?!Rule (?:\d|[a-e]:)).*\n)*?\n"
    r":Code: (?P<code>.+)\n:Tests: (?P<files>.+)$",
    re.MULTILINE,
)
TEST = re.compile(r"^(?:async )?def test_rule_(\d+|[a-e])_", re.MULTILINE)


def stated() -> dict[str, str]:
    """What the page lists below each rule, by the rule's number, in the page's order."""
    return {match["number"]: match["files"] for match in RULE.finditer(PAGE.read_text(encoding="utf-8"))}


def decided() -> dict[str, list[tuple[str, str]]]:
    """Where the page says that a rule is decided, by its number: files of the library, and names in them."""
    places: dict[str, list[tuple[str, str]]] = {}
    for match in RULE.finditer(PAGE.read_text(encoding="utf-8")):
        for file, names in re.findall(r"``([\w/]+\.py)`` \((.+?)\)", match["code"]):
            places.setdefault(match["number"], []).extend((file, name) for name in re.findall(r"[\w.]+", names))
    return places


def held() -> dict[str, str]:
    """The files that have tests of a rule, as the page lists them, by the rule's number."""
    files: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for number in sorted(set(TEST.findall(path.read_text(encoding="utf-8")))):
            files.setdefault(number, []).append(f"``{path.relative_to(ROOT).as_posix()}``")
    return {number: ", ".join(found) for number, found in files.items()}


def write() -> None:
    found = held()

    def listed(match: re.Match[str]) -> str:
        return match[0].removesuffix(match["files"]) + found.get(match["number"], "none")

    PAGE.write_text(RULE.sub(listed, PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write()
