"""The public names as users type them. mypy --strict and pyright read this file; nothing runs it."""

from __future__ import annotations

import httpx
import httpx2
import requests
from typing_extensions import assert_type

import notary_auth.httpx
import notary_auth.httpx2
import notary_auth.requests
from notary_auth import (
    Account,
    CredentialsRefused,
    DiscoveryError,
    InsecureUrl,
    LoginError,
    NotaryAuthError,
    TotpRequired,
)
from notary_auth.sandbox import Sandbox


def one_argument(url: str) -> None:
    requests.get(url, auth=notary_auth.requests.NotaryAuth("JohnSmith", "qwe123QWE"))
    httpx.get(url, auth=notary_auth.httpx.NotaryAuth("JohnSmith", "qwe123QWE"))
    httpx2.get(url, auth=notary_auth.httpx2.NotaryAuth("JohnSmith", "qwe123QWE"))
    session = requests.Session()
    session.auth = notary_auth.requests.NotaryAuth("JohnSmith", "qwe123QWE", session=session)
    httpx.Client(auth=notary_auth.httpx.NotaryAuth("JohnSmith", "qwe123QWE"))
    httpx2.AsyncClient(auth=notary_auth.httpx2.NotaryAuth("JohnSmith", "qwe123QWE"))


def ask_keyring() -> str:
    return "qwe123QWE"


def all_arguments() -> Account:
    auth = notary_auth.httpx.NotaryAuth(
        "JohnSmith", ask_keyring, cloud_url="https://cloud.acronis.com", totp=lambda: "123456"
    )
    assert_type(auth.account, Account)
    assert_type(auth.account.server_url, str | None)
    assert_type(auth.account.base_url, str | None)
    assert_type(auth.account.username, str)
    auth.account.forget()
    return auth.account


def one_account_for_several(account: Account) -> None:
    assert_type(notary_auth.requests.NotaryAuth.from_account(account), notary_auth.requests.NotaryAuth)
    assert_type(notary_auth.httpx.NotaryAuth.from_account(account), notary_auth.httpx.NotaryAuth)
    assert_type(notary_auth.httpx2.NotaryAuth.from_account(account), notary_auth.httpx2.NotaryAuth)


def errors(error: NotaryAuthError) -> None:
    assert_type(error.status, int | None)
    assert_type(error.error, str | None)
    assert_type(error.error_description, str | None)
    assert_type(error.url, str | None)
    kinds: list[type[LoginError]] = [CredentialsRefused, TotpRequired]
    more: list[type[NotaryAuthError]] = [DiscoveryError, InsecureUrl, *kinds]
    value_error: type[ValueError] = InsecureUrl
    assert more
    assert value_error


def sandbox() -> None:
    with Sandbox({"JohnSmith": "qwe123QWE"}, tls=True) as notary:
        assert_type(notary.url, str)
        assert_type(notary.username, str)
        assert_type(notary.password, str)
        assert_type(notary.count("login"), int)
