"""The notes of one release: its section of CHANGELOG.rst.

python .github/release_notes.py 0.1.0
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).parent.parent / "CHANGELOG.rst"


def notes(changelog: str, version: str) -> str:
    """The section of a version, without its heading.

    Raises:
        KeyError: there is none.
    """
    sections = re.split(r"^(\d\S*)(?: \(.*\))?\n-{3,}\n", changelog, flags=re.MULTILINE)
    return dict(zip(sections[1::2], sections[2::2], strict=True))[version].strip() + "\n"


if __name__ == "__main__":
    print(notes(CHANGELOG.read_text(encoding="utf-8"), sys.argv[1]), end="")
