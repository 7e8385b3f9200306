from __future__ import annotations

from collections.abc import Iterator

import pytest

from notary_auth.sandbox import Sandbox

from .clients import CLIENTS, Client


@pytest.fixture
def notary() -> Iterator[Sandbox]:
    """A platform of the test's own."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def files(notary: Sandbox) -> str:
    """The URL that users write for their stored files."""
    return f"{notary.api_url}/stored-files"


@pytest.fixture(params=CLIENTS, ids=str)
def client(request: pytest.FixtureRequest) -> Client:
    """Each client, in each of the ways it is used."""
    return request.param  # type: ignore[no-any-return]
