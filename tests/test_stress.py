"""Rules 6, 7, 14 and 15 with every client at once, while tokens are revoked, end, and accounts move."""

from __future__ import annotations

import os

import pytest

from notary_auth import Account
from notary_auth.sandbox import Sandbox

from .crowd import Crowd

LOGIN = "/api/2/idp/token"


def counts(notary: Sandbox) -> tuple[int, int]:
    return notary.count("lookup"), notary.count("login")


LONG = pytest.param(
    22,
    300,
    marks=[
        pytest.mark.long,
        pytest.mark.skipif(not os.environ.get("NOTARY_AUTH_LONG"), reason="takes minutes: nox -s long"),
    ],
)


@pytest.mark.parametrize(("threads", "tasks"), [(4, 30), LONG])
def test_a_crowd_of_all_clients_logs_in_once_for_each_thing_that_happens(
    notary: Sandbox, files: str, threads: int, tasks: int
) -> None:
    """In the long run 66 threads, 600 asyncio tasks on two loops, 600 trio tasks in two runs: one account."""
    notary.faults.latency_of[LOGIN] = 0.2
    account = Account(notary.username, notary.password, cloud_url=notary.url)
    crowd = Crowd(account, files, threads, tasks)
    with crowd.asking():
        crowd.settle()
        assert counts(notary) == (1, 1)

        notary.revoke_tokens()
        crowd.settle()
        assert counts(notary) == (2, 2), "a look-up as well, since the account may have moved"

        notary.move()
        crowd.settle()
        assert counts(notary) == (3, 3)
        assert account.server_url == notary.data_center_urls[1]

        notary.faults.clock_offset = 7300  # the server's clock leaps past the token's end
        crowd.settle()
        assert counts(notary) == (4, 4)
    assert crowd.failures == []
