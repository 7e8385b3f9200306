"""Refresh tokens with every client, against the sandbox."""

from __future__ import annotations

from notary_auth.sandbox import Sandbox

from .clients import Client
from .core import make_token_expired


def test_a_refresh_token_is_used_for_the_next_login(client: Client, notary: Sandbox, files: str) -> None:
    codes = ["424242"]
    notary.add_user("bob", "builder", totp="424242")
    auth = client.auth(notary, username="bob", password="builder", totp=codes.pop, offline_access=True)
    notary.faults.token_lifetime = 0.5
    for _ in range(4):
        assert client.get(files, auth).status_code == 200
        make_token_expired(auth.account)
    assert (notary.count("login"), notary.count("refresh")) == (1, 3)
    assert codes == []


def test_a_revoked_refresh_token_falls_back_to_the_password(client: Client, notary: Sandbox, files: str) -> None:
    auth = client.auth(notary, offline_access=True)
    client.get(files, auth)
    notary.revoke_tokens()
    assert client.get(files, auth).status_code == 200
    assert (notary.count("login"), notary.count("refresh")) == (2, 1)
    assert not notary.account().is_locked
