from __future__ import annotations

import pytest

from tests.shared_store import Processes


@pytest.fixture
def processes() -> Processes:
    """Several processes of one account that share a store and a clock."""
    return Processes()
