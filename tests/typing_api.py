"""The public names as users type them. mypy --strict and pyright read this file; nothing runs it."""

from __future__ import annotations

import aiohttp
import httpx
import httpx2
import niquests
import requests
from typing_extensions import assert_type

import notary_auth.aiohttp
import notary_auth.httpx
import notary_auth.httpx2
import notary_auth.niquests
import notary_auth.requests
from notary_auth import (
    Account,
    CredentialsRefused,
    DiscoveryError,
    InsecureUrl,
    LoginError,
    LogoutError,
    NotaryAuthError,
    TotpRequired,
    TotpSetupRequired,
)
from notary_auth.sandbox import Sandbox
from notary_auth.stores import FileStore, MemoryStore, RedisStore, TokenStore
from notary_auth.testing import store_conformance


def one_argument(url: str) -> None:
    requests.get(url, auth=notary_auth.requests.NotaryAuth("JohnSmith", "qwe123QWE"))
    httpx.get(url, auth=notary_auth.httpx.NotaryAuth("JohnSmith", "qwe123QWE"))
    httpx2.get(url, auth=notary_auth.httpx2.NotaryAuth("JohnSmith", "qwe123QWE"))
    session = requests.Session()
    session.auth = notary_auth.requests.NotaryAuth("JohnSmith", "qwe123QWE", session=session)
    niquests.get(url, auth=notary_auth.niquests.NotaryAuth("JohnSmith", "qwe123QWE"))
    niquests.AsyncSession(auth=notary_auth.niquests.AsyncNotaryAuth("JohnSmith", "qwe123QWE"))
    httpx.Client(auth=notary_auth.httpx.NotaryAuth("JohnSmith", "qwe123QWE"))
    httpx2.AsyncClient(auth=notary_auth.httpx2.NotaryAuth("JohnSmith", "qwe123QWE"))
    aiohttp.ClientSession(middlewares=(notary_auth.aiohttp.NotaryAuth("JohnSmith", "qwe123QWE"),))


def ask_keyring() -> str:
    return "qwe123QWE"


def api_clients() -> None:
    url = "https://eu2-cloud.acronis.com"
    account = Account.for_client("client-1", ask_keyring, server_url=url, store=MemoryStore())
    assert_type(account, Account)
    with_requests = notary_auth.requests.NotaryAuth.for_client("client-1", "secret", server_url=url)
    assert_type(with_requests, notary_auth.requests.NotaryAuth)
    notary_auth.requests.NotaryAuth.for_client("client-1", "secret", server_url=url, session=requests.Session())
    assert_type(notary_auth.aiohttp.NotaryAuth.from_account(account), notary_auth.aiohttp.NotaryAuth)


def all_arguments() -> Account:
    auth = notary_auth.httpx.NotaryAuth(
        "JohnSmith", ask_keyring, cloud_url="https://cloud.acronis.com", server_url=None, totp=lambda: "123456"
    )
    assert_type(auth.account, Account)
    assert_type(auth.account.server_url, str | None)
    assert_type(auth.account.base_url, str | None)
    assert_type(auth.account.username, str)
    auth.account.forget()
    return auth.account


def stores() -> list[TokenStore]:
    found: list[TokenStore] = [
        MemoryStore(),
        FileStore(),
        FileStore("x"),
        RedisStore("redis://localhost", prefix="p:"),
    ]
    for check in store_conformance:
        check(MemoryStore)
    for store in found:
        assert_type(store.load("name"), tuple[bytes, float] | None)
        notary_auth.requests.NotaryAuth("JohnSmith", "qwe123QWE", store=store, offline_access=True)
        Account("JohnSmith", "qwe123QWE", store=store, offline_access=True)
    return found


async def logging_out(client: httpx.Client, aclient: httpx2.AsyncClient) -> None:
    with notary_auth.requests.NotaryAuth.from_env() as auth:
        assert_type(auth, notary_auth.requests.NotaryAuth)
        auth.logout()
    assert_type(notary_auth.httpx.NotaryAuth.from_env(store=MemoryStore()), notary_auth.httpx.NotaryAuth)
    notary_auth.httpx.NotaryAuth("JohnSmith", "qwe123QWE").logout(client)
    await notary_auth.httpx2.NotaryAuth("JohnSmith", "qwe123QWE").alogout(aclient)


def one_account_for_several(account: Account) -> None:
    assert_type(notary_auth.requests.NotaryAuth.from_account(account), notary_auth.requests.NotaryAuth)
    assert_type(notary_auth.httpx.NotaryAuth.from_account(account), notary_auth.httpx.NotaryAuth)
    assert_type(notary_auth.httpx2.NotaryAuth.from_account(account), notary_auth.httpx2.NotaryAuth)


def errors(error: NotaryAuthError) -> None:
    assert_type(error.status, int | None)
    assert_type(error.error, str | None)
    assert_type(error.error_description, str | None)
    assert_type(error.url, str | None)
    assert_type(error.retry_after, float | None)
    assert_type(error.age, float | None)
    kinds: list[type[LoginError]] = [CredentialsRefused, TotpRequired, TotpSetupRequired]
    more: list[type[NotaryAuthError]] = [DiscoveryError, InsecureUrl, LogoutError, *kinds]
    value_error: type[ValueError] = InsecureUrl
    assert more
    assert value_error


def sandbox() -> None:
    with Sandbox({"JohnSmith": "qwe123QWE"}, tls=True) as notary:
        assert_type(notary.url, str)
        assert_type(notary.username, str)
        assert_type(notary.password, str)
        assert_type(notary.count("login"), int)
