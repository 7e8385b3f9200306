"""Fixtures of the tests of the bare core."""

from __future__ import annotations

import pytest

from notary_auth import _sealed
from tests.shared_store import Members


@pytest.fixture(autouse=True)
def cheap_scrypt(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "real_scrypt" not in request.keywords:
        monkeypatch.setattr(_sealed, "SCRYPT_COST", 2**10)


@pytest.fixture
def fleet() -> Members:
    return Members()
