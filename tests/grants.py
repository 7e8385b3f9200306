"""The grant that a test's accounts log in with: a user's password, or an API client's secret (rule 27).

A module that is marked ``both_grants`` runs each test once with each, but those marked ``users_only``: they are
about discovery, codes, refresh tokens, or what a message says of a password. `core.new_account` and `Client.auth`
build what the test's grant needs. An API client looks nothing up, so a test says with `asked` which control
requests it expects, and a scripted response to a discovery that is not made is left out.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from .paths import LOOKUP


class Grant(Enum):
    USER = "password"
    CLIENT = "client_credentials"


current = Grant.USER  # the running test's; the fixture `grant` sets it


def is_clients() -> bool:
    """Whether the running test's accounts are API clients'."""
    return current is Grant.CLIENT


def asked(*requests: Any) -> list[Any]:
    """Of these requests, those that the test's accounts make: paths, kinds, or tuples with a kind in them."""
    lookups = {LOOKUP, "lookup"}
    return [
        each
        for each in requests
        if not (is_clients() and lookups & set(each if isinstance(each, tuple) else [each]))
    ]
