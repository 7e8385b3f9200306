"""The plots of a record: SVG, light and dark, each with a transparent background."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")  # without a display
import matplotlib.pyplot as plt

from .contestants import HEADER, HEADER_AND_HOOK, HEADER_IN_FLOWS, NOTARY_AUTH

INK = {"light": "#1a1a1a", "dark": "#e6e6e6"}
OURS, THEIRS, FAILED = "#1f9e6e", "#8a8f98", "#d1495b"
CLOUD = f"{NOTARY_AUTH}, cloud's URL"


def draw(folder: Path, cases: dict[str, Any]) -> None:
    """Draw the plots of those cases of a record that have one."""
    drawings: list[tuple[str, Callable[[Any], None], str]] = [
        ("signing", _signing, "tables"),
        ("cold_start", _cold_start, "tables"),
        ("herd", _herd, "points"),
        ("rollover", _over_time, "points"),
        ("revocation", _over_time, "points"),
    ]
    for name, drawing, of in drawings:
        if name not in cases:
            continue
        for theme in INK:
            with _themed(theme):
                drawing(cases[name][of])
                plt.savefig(folder / f"{name}-{theme}.svg", transparent=True, metadata={"Date": None})
                plt.close()


@contextmanager
def _themed(theme: str) -> Iterator[None]:
    ink = INK[theme]
    colors = dict.fromkeys(
        ["text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "axes.titlecolor"], ink
    )
    style = {
        **colors,
        "font.size": 9,
        "svg.fonttype": "path",
        "svg.hashsalt": "notary-auth",  # the same record gives the same file
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.constrained_layout.use": True,
        "legend.frameon": False,
    }
    with plt.rc_context(style):
        yield


def _color(name: str) -> str:
    return OURS if NOTARY_AUTH in name else THEIRS


def _signing(tables: list[dict[str, Any]]) -> None:
    found = {table["title"].removeprefix("A signature on "): table["rows"] for table in tables}
    mosaic = [["requests", "httpx", "httpx2"], ["requests", "httpx, async", "httpx2, async"]]
    figure, panels = plt.subplot_mosaic(mosaic, figsize=(9, 3.8))
    for client, panel in panels.items():
        rows = [row for row in found[client] if row[0] not in (HEADER_AND_HOOK, HEADER_IN_FLOWS, CLOUD)][::-1]
        names = [row[0] for row in rows]
        panel.barh(names, [row[1] for row in rows], color=[_color(name) for name in names])
        panel.set_title(client, fontsize=9)
        panel.tick_params(axis="y", labelsize=7)
    figure.supxlabel("µs for a signature to the data center's URL, warm: the least of many rounds", fontsize=9)


def _cold_start(tables: list[dict[str, Any]]) -> None:
    rows = [row for row in tables[0]["rows"] if row[1] != HEADER][::-1]
    names = [f"{row[0]}: {row[1]}" for row in rows]
    _, panel = plt.subplots(figsize=(8, 3.8))
    panel.barh(names, [row[-1] for row in rows], color=[_color(name) for name in names])
    for position, row in enumerate(rows):
        panel.text(
            row[-1] + 0.1, position, "finds the data center" if row[2] else "was told", va="center", fontsize=7
        )
    panel.set_xlabel("round trips until the first answer, with TCP and TLS")


def _herd(points: dict[str, dict[str, list[list[int]]]]) -> None:
    _, panel = plt.subplots(figsize=(8, 3.4))
    for name, line in points["Threads"].items():  # of tasks, all that share a login at all have one
        if HEADER in name:
            continue
        style = {"color": OURS, "lw": 2.5, "zorder": 3} if NOTARY_AUTH in name else {"lw": 1}
        panel.plot(*zip(*line, strict=True), "o-", ms=3, label=name, **style)
    panel.set(xscale="log", yscale="log", xlabel="threads at once, with nothing known", ylabel="logins")
    panel.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))


def _over_time(points: dict[str, list[list[float]]]) -> None:
    rows = (len(points) + 1) // 2
    _, grid = plt.subplots(rows, 2, figsize=(9, 1.25 * rows), sharex=True, sharey=True)
    panels = list(grid.flat)
    for panel, (name, samples) in zip(panels, points.items(), strict=False):
        for good, color in ((True, _color(name)), (False, FAILED)):
            shown = [(at, took) for at, took, status in samples if (status == 200) == good]
            if shown:
                # Thousands of dots: as an image in the SVG, which would be megabytes otherwise.
                panel.scatter(*zip(*shown, strict=True), s=3, color=color, linewidths=0, rasterized=True)
        panel.set_title(name, fontsize=8, loc="left", pad=2)
        panel.set(yscale="log")
    for panel in panels[len(points) :]:
        panel.set_visible(False)
    for panel in grid[-1]:
        panel.set_xlabel("seconds")
    grid[0][0].set_ylabel("ms")
