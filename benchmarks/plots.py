"""The plots of a record: SVGs that the page includes inline, so that furo's CSS variables give them its theme."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from math import log10
from pathlib import Path
from typing import Any

from .contestants import HEADER, HEADER_AND_HOOK, HEADER_IN_FLOWS, NOTARY_AUTH
from .stream import SECONDS

WIDTH, ROW, CHARACTER = 360, 18, 6.2  # units: of a plot, as of a phone, of a line or a bar, of a character
PANEL, LEFT, DECADES = 50, 48, 3.4  # units of a panel of dots, and left of them; from 1 ms to 2.5 s
INK, GRID = "var(--color-foreground-primary, #000)", "var(--color-background-item, #ccc)"
OURS, THEIRS = "var(--color-brand-primary, #0a4bff)", "var(--color-foreground-muted, #6b6f76)"
BOLD, END = 'font-weight="bold"', 'text-anchor="end"'
FAILED = "var(--color-problematic, #b30000)"
LEFT_OUT = HEADER_AND_HOOK, HEADER_IN_FLOWS, f"{NOTARY_AUTH}, cloud's URL"

Plot = tuple[list[str], float]  # the elements of an SVG, and its height
Bars = list[tuple[str, float, str]]  # a name, a value, and what is written behind the bar


def draw(folder: Path, cases: dict[str, Any]) -> None:
    """Draw the plots of a record's cases."""
    plots: list[tuple[str, Callable[[Any], Plot], str]] = [
        ("signing", _signing, "Bars: what a signature takes with each package, for each client."),
        ("cold_start", _cold_start, "Bars: round trips until the first answer, with TCP and TLS."),
        ("herd", _herd, "Bars: how many logins a hundred and a thousand threads cause that begin at once."),
        ("rollover", _over_time, "Dots: how long each request took, over five seconds, with each package."),
        (
            "revocation",
            _over_time,
            "Dots: how long each request took; tokens are revoked at 2 s, and failures are red.",
        ),
    ]
    for name, plot, label in plots:
        elements, height = plot(cases[name])
        size = f'viewBox="0 0 {WIDTH} {height:g}" font-size="12" fill="{INK}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" class="diagram" {size} role="img" aria-label="{label}">'
        (folder / f"{name}.svg").write_text("\n".join([head, *elements, "</svg>\n"]), encoding="utf-8")


def _text(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text x="{x:.4g}" y="{y + 13:g}" {style}>{escape(text)}</text>'


def _color(name: str) -> str:
    return OURS if NOTARY_AUTH in name else THEIRS


def _bars(groups: Iterable[tuple[str, Bars]]) -> Plot:
    """Groups of horizontal bars, each to a scale of its own."""
    elements, y = [], 0.0
    for title, bars in groups:
        elements.append(_text(0, y, title, BOLD))
        left = max(len(name) for name, _, _ in bars) * CHARACTER
        right = max(len(text) for _, _, text in bars) * CHARACTER + 14
        for name, value, text in bars:
            y += ROW
            width = (WIDTH - left - right) * value / max(value for _, value, _ in bars)
            bar = f'x="{left + 5:g}" y="{y + 2:g}" width="{width:.4g}" height="14" fill="{_color(name)}"'
            elements += [_text(left, y, name, END), f"<rect {bar}/>", _text(left + width + 9, y, text)]
        y += 1.5 * ROW
    return elements, y


def _signing(case: dict[str, Any]) -> Plot:
    groups = []
    for table in case["tables"]:
        rows = [row for row in table["rows"] if row[0] not in LEFT_OUT]
        groups.append((f"{table['title']}: µs", [(row[0], row[1], str(row[1])) for row in rows]))
    return _bars(groups)


def _cold_start(case: dict[str, Any]) -> Plot:
    groups: dict[str, Bars] = {}
    for client, name, lookups, *_, trips in case["tables"][0]["rows"]:
        if name != HEADER:
            text = f"{trips} with discovery" if lookups else str(trips)
            groups.setdefault(f"{client}: round trips", []).append((name, trips, text))
    return _bars(groups.items())


def _herd(case: dict[str, Any]) -> Plot:
    groups: dict[str, Bars] = {}
    for name, line in case["points"]["Threads"].items():  # of tasks, all that share a login at all have one
        for size, logins in line:
            if HEADER not in name and size in (100, 1000):
                groups.setdefault(f"{size:,} threads at once: logins", []).append((name, logins, f"{logins:,}"))
    return _bars(groups.items())


def _over_time(case: dict[str, Any]) -> Plot:
    elements, y, table = [], 0.0, case["tables"][0]
    for (name, samples), row in zip(case["points"].items(), table["rows"], strict=True):
        cells = zip(table["head"], row, strict=True)
        counts = ", ".join(f"{cell:,} {head}" for head, cell in cells if head in ("held up", "failed"))
        elements += [_text(0, y, name, BOLD), _text(WIDTH, y, counts, END)]
        y += ROW + PANEL
        for power, label in ((0, "1 ms"), (2, "100 ms")):
            at = y - PANEL * power / DECADES
            elements.append(f'<path d="M{LEFT} {at:.4g}H{WIDTH}" stroke="{GRID}"/>')
            elements.append(_text(LEFT - 5, at - 9, label, END))
        for is_good, color in ((True, _color(name)), (False, FAILED)):
            path = ""
            for at, took, status in samples:
                if (status == 200) == is_good:
                    x, up = (WIDTH - LEFT) * at / SECONDS, PANEL * log10(max(took, 1)) / DECADES
                    path += f"M{LEFT + x:.4g} {y - up:.4g}h0"
            elements.append(f'<path d="{path}" stroke="{color}" stroke-width="3" stroke-linecap="round"/>')
        y += ROW
    return [*elements, _text(LEFT, y, "0 s"), _text(WIDTH, y, f"{SECONDS:g} s", END)], y + ROW
