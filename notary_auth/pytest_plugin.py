"""Fixtures for tests of code that talks to Notary: a platform on this machine, over real HTTP.

Every run of pytest in an environment with notary-auth imports this module, so it imports nothing until a fixture
is used. The fixtures need the extra ``sandbox``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .sandbox import Sandbox


@pytest.fixture
def notary() -> Iterator[Sandbox]:
    """A Notary platform of the test's own: ``url``, ``username``, ``password``, its faults and its record."""
    with _new_sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def notary_session() -> Iterator[Sandbox]:
    """One Notary platform for all tests of the run: ``notary_session.reset()`` makes it as it was at first."""
    with _new_sandbox() as sandbox:
        yield sandbox


def _new_sandbox() -> Sandbox:
    try:
        from .sandbox import Sandbox
    except ModuleNotFoundError as error:
        pytest.fail(
            f"this fixture needs the extra 'sandbox': pip install 'notary-auth[sandbox]' "
            f"(no module named {error.name!r})",
            pytrace=False,
        )
    return Sandbox()
