"""A steady stream of requests across the end of a token: who waits for the next one?

The first token lives just so long that the contestant takes it for due at three seconds, with the margin that it
comes with: 300 s before the end for one, 20 s for another. notary-auth's is a tenth of a life as short as that: of
four seconds, to be due at 3.6 or little later. (`expires_on` is in whole seconds.)
"""

from __future__ import annotations

import statistics

from .contestants import HEADER, AsyncContestant, Contestant
from .platform import Platform
from .signing import label
from .stream import CONTESTANTS, HELD_UP, LOGIN_TAKES, flow, prepare, shown
from .table import Result, Table

DUE_AT = 3.0


def lifetime_for(contestant: Contestant | AsyncContestant) -> float:
    """How long the first token lives: until it is due, and then the contestant's margin, in seconds."""
    return 4.0 if contestant.renews_before is None else DUE_AT + contestant.renews_before


def run() -> Result:
    rows = []
    points = {}
    with Platform() as platform:
        for each in CONTESTANTS:
            if each.name == HEADER:
                continue
            prepare(platform)
            platform.fault("token_lifetime", lifetime_for(each))
            # The second token lives long enough for no third one to be needed.
            samples = flow(each, platform, lambda: platform.fault("token_lifetime", 7200.0), at=DUE_AT / 2)
            took = [sample.took * 1000 for sample in samples]
            rows.append(
                [
                    each.client,
                    each.name,
                    len(samples),
                    round(statistics.median(took), 1),
                    round(statistics.quantiles(took, n=100)[98], 1),
                    round(max(took)),
                    sum(sample.took > HELD_UP for sample in samples),
                    sum(sample.status != 200 for sample in samples),
                    platform.count("login", "refresh") - 1,
                ]
            )
            points[label(each)] = shown(samples)
    head = ["", "", "requests", "median ms", "99th of 100", "longest", "held up", "failed", "logins at the end"]
    note = f"Held up: for more than {HELD_UP * 1000:.0f} ms. A login takes {LOGIN_TAKES * 1000:.0f} ms."
    return Result([Table("A token's end", head, rows, note)], points)
