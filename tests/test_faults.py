"""What goes wrong on the network, on real sockets, with every client."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest

from notary_auth import DiscoveryError

from .badserver import BadServer, drip
from .clients import CLIENTS, Client


@pytest.mark.parametrize("client", CLIENTS, ids=str)
def test_a_reply_that_drips_ends_within_two_time_outs(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    timeout = 1.0
    monkeypatch.setattr("notary_auth.requests.TIMEOUT", (timeout, timeout))
    monkeypatch.setattr("tests.clients.TIMEOUT", timeout)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    servers: list[BadServer] = []
    with BadServer(drip(head, itertools.repeat(b"{"), 0.05, servers)) as server:
        servers.append(server)
        auth: Any = client.adapter.NotaryAuth("JohnSmith", "qwe123QWE", cloud_url=server.url)
        started = time.monotonic()
        with pytest.raises(client.error) as caught:
            client.send("GET", f"{server.url}/api/notary/v2/stored-files", auth=auth)
        took = time.monotonic() - started
    assert isinstance(caught.value, DiscoveryError)
    assert "takes too long" in str(caught.value)
    assert len(server.requests) == 1
    assert took < 10 * timeout, "far from the half day that the whole reply would take"
