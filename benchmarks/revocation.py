"""A token that is revoked under load: who notices, and how soon is all well again?

At two seconds the platform revokes every token that it has handed out.
"""

from __future__ import annotations

from .contestants import HEADER
from .platform import Platform
from .signing import label
from .stream import CONTESTANTS, HELD_UP, LOGIN_TAKES, SECONDS, Sample, flow, prepare, shown
from .table import Result, Table

REVOKED_AT = 2.0


def recovery(samples: list[Sample]) -> float | None:
    """Seconds from the revocation until the last request that failed or was held up had come to its end. None:
    they failed for as long as the stream went on."""
    if samples[-1].status != 200:
        return None
    troubled = [one.at + one.took for one in samples if one.status != 200 or one.took > HELD_UP]
    return max([REVOKED_AT, *troubled]) - REVOKED_AT


def run() -> Result:
    rows = []
    points = {}
    with Platform() as platform:
        for each in CONTESTANTS:
            prepare(platform)
            samples = flow(each, platform, platform.revoke_tokens, at=REVOKED_AT)
            failed = sum(sample.status != 200 for sample in samples)
            recovered = recovery(samples)
            rows.append(
                [
                    each.client,
                    each.name,
                    len(samples),
                    failed,
                    platform.count("login", "refresh") - (each.name != HEADER),
                    "never" if recovered is None else f"{recovered:.2f} s",
                ]
            )
            points[label(each)] = shown(samples)
    head = ["", "", "requests", "failed", "logins after it", "all well after"]
    left = SECONDS - REVOKED_AT
    note = (
        f"Never: not within the {left:.0f} s that the stream goes on. A login takes {LOGIN_TAKES * 1000:.0f} ms."
    )
    return Result([Table("A revoked token", head, rows, note)], points)
