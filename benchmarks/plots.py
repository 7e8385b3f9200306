"""The plots of a record: SVGs that the page includes inline, so that furo's CSS variables give them its theme."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from math import log10
from pathlib import Path
from typing import Any

from .contestants import HEADER, HEADER_AND_HOOK, HEADER_IN_FLOWS, NOTARY_AUTH

SECONDS = 5.0  # of a stream, and of the plots over time
WIDTH, ROW, CHARACTER = 360, 18, 6.2  # units: of a plot, as of a phone, of a line or a bar, of a character
PANEL, LEFT, DECADES = 50, 48, 3.4  # units of a panel of dots, and left of them; from 1 ms to 2.5 s
INK, GRID = "var(--color-foreground-primary, #000)", "var(--color-background-item, #ccc)"
OURS, THEIRS = "var(--color-brand-primary, #0a4bff)", "var(--color-foreground-muted, #6b6f76)"
BOLD, END = 'font-weight="bold"', 'text-anchor="end"'
FAILED = "var(--color-problematic, #b30000)"
LEFT_OUT = HEADER_AND_HOOK, HEADER_IN_FLOWS, f"{NOTARY_AUTH}, cloud's URL"

Plot = tuple[list[str], float]  # the elements of an SVG, and its height
Bar = tuple[str, str, float, str]  # the title of its group, a name, a value, and what is written behind the bar


def draw(folder: Path, cases: dict[str, Any]) -> None:
    """Draw the plots of a record's cases."""
    plots: dict[str, tuple[Callable[[Any], Plot], str]] = {
        "signing": (_signing, "Bars: what a signature takes with each package, for each client."),
        "cold_start": (_cold_start, "Bars: round trips until the first answer, with TCP and TLS."),
        "herd": (_herd, "Bars: how many logins a hundred and a thousand threads cause that begin at once."),
        "rollover": (_dots, "Dots: how long each request took, over five seconds, with each package."),
        "revocation": (
            _dots,
            "Dots: how long each request took; tokens are revoked at 2 s, and failures are red.",
        ),
    }
    for name, (plot, label) in plots.items():
        elements, height = plot(cases[name])
        size = f'viewBox="0 0 {WIDTH} {height:g}" font-size="12" fill="{INK}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" class="diagram" {size} role="img" aria-label="{label}">'
        (folder / f"{name}.svg").write_text("\n".join([head, *elements, "</svg>\n"]), encoding="utf-8")


def _text(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text x="{x:.4g}" y="{y + 13:g}" {style}>{escape(text)}</text>'


def _color(name: str) -> str:
    return OURS if NOTARY_AUTH in name else THEIRS


def _bars(bars: list[Bar]) -> Plot:
    """Horizontal bars, each group to a scale of its own."""
    elements, y = [], 0.0
    for title in dict.fromkeys(bar[0] for bar in bars):
        group = [bar for bar in bars if bar[0] == title]
        elements.append(_text(0, y, title, BOLD))
        left = max(len(name) for _, name, _, _ in group) * CHARACTER
        right = max(len(text) for _, _, _, text in group) * CHARACTER + 14
        for _, name, value, text in group:
            y += ROW
            width = (WIDTH - left - right) * value / max(bar[2] for bar in group)
            bar = f'x="{left + 5:g}" y="{y + 2:g}" width="{width:.4g}" height="14" fill="{_color(name)}"'
            elements += [_text(left, y, name, END), f"<rect {bar}/>", _text(left + width + 9, y, text)]
        y += 1.5 * ROW
    return elements, y


def _signing(case: dict[str, Any]) -> Plot:
    rows = [(f"{table['title']}: µs", row) for table in case["tables"] for row in table["rows"]]
    return _bars([(title, row[0], row[1], str(row[1])) for title, row in rows if row[0] not in LEFT_OUT])


def _cold_start(case: dict[str, Any]) -> Plot:
    bars = []
    for client, name, lookups, *_, trips in case["tables"][0]["rows"]:
        if name != HEADER:
            bars.append(
                (f"{client}: round trips", name, trips, f"{trips} with discovery" if lookups else str(trips))
            )
    return _bars(bars)


def _herd(case: dict[str, Any]) -> Plot:
    """Of threads: of tasks, all that share a login at all have one."""
    table = case["tables"][0]
    bars: list[Bar] = []
    for client, name, *cells in table["rows"]:
        for size, cell in zip(table["head"][2:], cells, strict=False):
            if name != HEADER and size in ("100", "1,000") and cell:
                logins = cell.partition(" ")[0]
                bars.append(
                    (f"{size} threads at once: logins", f"{client}: {name}", int(logins.replace(",", "")), logins)
                )
    return _bars(bars)


def _dots(case: dict[str, Any]) -> Plot:
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
