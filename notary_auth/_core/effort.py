"""How much a caller does for a login: how often it asks, and what it waits for."""

from typing import NamedTuple

from .caller import Login

MAX_ATTEMPTS = 3
STORE_LOCK_TIMEOUT = 40.0  # seconds that a leader waits for another process's login; less than `LEADER_TIMEOUT`


class Effort(NamedTuple):
    """How much a login is worth to the caller that leads it."""

    attempts: int = MAX_ATTEMPTS  # at each control request
    store_timeout: float = STORE_LOCK_TIMEOUT  # seconds to wait while another process logs in
    gives_way: bool = False  # whether to leave the login to that process
    takes_stored: bool = True  # whether another process's token will do
    login: Login | None = None  # that this caller leads; None: there is none that others wait for


FULL = Effort()
#: Of a caller that cannot wait for a leader of its own process, and so waits for no other process either.
WITHOUT_WAITING = Effort(store_timeout=0.0)
#: Whatever is stored, there is to be a new token.
FRESH = Effort(takes_stored=False)
#: Ahead of expiry. A request with a good token in hand neither waits out a Retry-After nor waits for others.
AHEAD = Effort(attempts=1, store_timeout=0.0, gives_way=True)
