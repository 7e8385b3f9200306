"""Rule 17: bodies stream. What a large file takes in memory on its way up and down, with every client."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .clients import CLIENTS, Client
from .paths import ROOT

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak is read from Linux")


@pytest.fixture(scope="module")
def cloud_url() -> Iterator[str]:
    """A sandbox in a process of its own, so that its memory is not counted."""
    command = [sys.executable, "-m", "notary_auth", "sandbox"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None
        yield found[0]
        process.terminate()


def extra_megabytes(client: str, cloud_url: str, mib: int) -> float:
    command = [sys.executable, "-m", "tests.transfer", client, cloud_url, str(mib)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def test_rule_17_64_mib_take_less_than_20_mb(client: Client, cloud_url: str) -> None:
    assert extra_megabytes(str(client), cloud_url, 64) < 20


@pytest.mark.long
@pytest.mark.parametrize("client", [str(client) for client in CLIENTS])
def test_rule_17_1_gib_takes_less_than_20_mb(client: str, cloud_url: str) -> None:
    extra = extra_megabytes(client, cloud_url, 1024)
    print(f"{client}: {extra:.1f} MB more for 1 GiB up and down")
    assert extra < 20
