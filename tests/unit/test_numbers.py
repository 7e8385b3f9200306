"""The numbers that docs/rules.rst states: other tests take them from the code, whatever they are."""

from __future__ import annotations

import pytest

from tests import core


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("MAX_WARNED_ORIGINS", 1000),  # rule 4
        ("MAX_LOST_LEADERS", 2),  # rule 7
        ("LEADER_TIMEOUT", 60),
        ("LIVENESS_INTERVAL", 2),  # rule 8
        ("LIVENESS_PATIENCE", 4),
        ("REFUSAL_TTL", 300),  # rule 9
        ("MAX_FAILURES", 3),
        ("FIRST_PAUSE", 2),
        ("LONGEST_PAUSE", 60),
        ("MAX_ATTEMPTS", 3),  # rule 10
        ("RETRIED", {429, 502, 503, 504}),
        ("RETRY_AFTER_LIMIT", 60),
        ("BODY_LIMIT", 1024 * 1024),  # rule 12
        ("MAX_BASE_URL", 300),
        ("MAX_TOKEN", 16 * 1024),
        ("REFRESH_MARGIN", 300),  # rule 14
        ("REFRESH_PAUSE", 30),
        ("MAX_REPLAYS", 3),  # rule 15
        ("UNAUTHORIZED_BACKOFF", 60),
        ("LEASE", 30),  # rule b
        ("STORE_LOCK_TIMEOUT", 40),
        ("MACHINES_SLACK", 300),
        ("TOKEN_TTL", 24 * 3600),  # rule d
        ("REFRESH_TOKEN_TTL", 30 * 24 * 3600),
    ],
)
def test_the_numbers_of_the_rules(name: str, number: object) -> None:
    assert getattr(core, name) == number
