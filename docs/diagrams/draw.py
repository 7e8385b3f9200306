"""Draw each docs/diagrams/*.mmd as an SVG beside it: ``python docs/diagrams/draw.py``, or ``nox -s diagrams``.

The sources are sequence diagrams in the part of Mermaid's language that they need: a title and a description for
screen readers, participants, arrows and notes. The pages include the SVGs inline, so that they follow the page's
theme by furo's CSS variables. They are 360 units wide, which is the width of a phone: a label has 12 pixels there.
"""

from __future__ import annotations

import re
import textwrap
from html import escape
from pathlib import Path

WIDTH, LINE, GAP = 360, 15, 7  # units: of a drawing, of a line of text, around an arrow
CHARACTER = 6.2  # units for a character of 12 units, in the wider ones of the usual fonts
LABEL = 25  # characters on a line, unless the arrow has room for more
ARROW = r"(\w+?)(--?)>>(\w+): (.+)"

INK = "var(--color-foreground-primary, #000)"
PAPER = "var(--color-background-primary, #fff)"
LIFELINE = "var(--color-foreground-border, #878787)"
BRAND = "var(--color-brand-primary, #0a4bff)"
NOTE = "var(--color-background-secondary, #f8f9fb)"


class Drawing:
    """A drawing that grows downwards. Its lifelines come first in the SVG, since labels cover them."""

    def __init__(self, participants: dict[str, str]) -> None:
        step = WIDTH / len(participants)
        self.x = {key: step * (number + 0.5) for number, key in enumerate(participants)}
        self.y = 40.0
        self.parts = [
            f'<rect x="{x - 41:g}" y="1" width="82" height="26" rx="4" fill="{PAPER}" stroke="{BRAND}"/>\n'
            + text(x, 18, [participants[key]], "bold")
            for key, x in self.x.items()
        ]

    def arrow(self, start: str, kind: str, end: str, label: str) -> None:
        """An arrow with its label above it: solid, or dashed for a response."""
        left, right = sorted((self.x[start], self.x[end]))
        self.label(label, (left + right) / 2, max(LABEL, int((right - left) / CHARACTER)), PAPER, "none")
        head = 7 if self.x[start] < self.x[end] else -7
        dashes = ' stroke-dasharray="4 3"' if kind == "--" else ""
        to, y = self.x[end], self.y + 2
        self.parts += [
            f'<path d="M{self.x[start]:g} {y:g}H{to - head:g}" stroke="{INK}"{dashes}/>',
            f'<path d="M{to:g} {y:g}l{-head} -4v8z" fill="{INK}"/>',
        ]
        self.y += 2 + GAP

    def note(self, over: str, label: str) -> None:
        """A box over a lifeline."""
        self.y += 2
        self.label(label, self.x[over], LABEL, NOTE, LIFELINE)
        self.y += GAP

    def label(self, label: str, x: float, characters: int, fill: str, stroke: str) -> None:
        """Lines of text on a box that hides the lifelines behind it. A box that would be cut off moves inside."""
        lines = balanced(label, characters)
        width = max(map(len, lines)) * CHARACTER + 6
        x = min(max(x, width / 2 + 1), WIDTH - width / 2 - 1)
        height = LINE * len(lines) + 3
        box = f'x="{x - width / 2:g}" y="{self.y:g}" width="{width:g}" height="{height}"'
        self.parts.append(f'<rect {box} rx="3" fill="{fill}" stroke="{stroke}"/>')
        self.parts.append(text(x, self.y + 12.5, lines))
        self.y += height

    def lifelines(self) -> str:
        """From the participants to the bottom."""
        return "\n".join(f'<path d="M{x:g} 27V{self.y:g}" stroke="{LIFELINE}"/>' for x in self.x.values())


def balanced(label: str, characters: int) -> list[str]:
    """As few lines as possible, as equally long as possible."""
    widths = range(1, characters + 1)
    wraps = [textwrap.wrap(label, width, break_long_words=False, break_on_hyphens=False) for width in widths]
    return min(wraps, key=lambda lines: (len(lines), max(map(len, lines))))


def text(x: float, y: float, lines: list[str], weight: str = "normal") -> str:
    """Centered lines."""
    spans = [
        f'<tspan x="{x:g}" dy="{LINE if line else 0}">{escape(each)}</tspan>' for line, each in enumerate(lines)
    ]
    return f'<text x="{x:g}" y="{y:g}" fill="{INK}" font-weight="{weight}">{" ".join(spans)}</text>'


def draw(source: str, name: str) -> str:
    """Return the SVG of a source. `name` makes its ids differ from those of other drawings on the page."""
    title, description = (re.search(rf"{key}: (.+)", source)[1] for key in ("accTitle", "accDescr"))
    drawing = Drawing(dict(re.findall(r"participant (\w+) as (.+)", source)))
    for over, note, *arrow in re.findall(rf"^ *(?:Note over (\w+): (.+)|{ARROW})$", source, re.MULTILINE):
        if note:
            drawing.note(over, note)
        else:
            drawing.arrow(*arrow)
    drawn = "\n".join([drawing.lifelines(), *drawing.parts])
    return f"""<svg xmlns="http://www.w3.org/2000/svg" class="diagram" viewBox="0 0 {WIDTH} {drawing.y + 4:g}" \
role="img" aria-labelledby="{name}-title {name}-description" font-size="12" text-anchor="middle">
<title id="{name}-title">{escape(title)}</title>
<desc id="{name}-description">{escape(description)}</desc>
{drawn}
</svg>
"""


def main() -> None:
    for source in Path(__file__).parent.glob("*.mmd"):
        drawn = draw(source.read_text(encoding="utf-8"), f"diagram-{source.stem}")
        source.with_suffix(".svg").write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
