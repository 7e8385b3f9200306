"""Credentials from environment variables, as containers and CI systems hand them out."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from .errors import LoginError

USERNAME, PASSWORD, PASSWORD_FILE = "NOTARY_USERNAME", "NOTARY_PASSWORD", "NOTARY_PASSWORD_FILE"
CLIENT_ID, CLIENT_SECRET = "NOTARY_CLIENT_ID", "NOTARY_CLIENT_SECRET"
CLIENT_SECRET_FILE = "NOTARY_CLIENT_SECRET_FILE"
CLOUD_URL, SERVER_URL = "NOTARY_CLOUD_URL", "NOTARY_SERVER_URL"


def from_environment() -> dict[str, Any]:
    """The arguments that the environment has: of a user, or with a `client_id` of an API client.

    Raises:
        ValueError: saying which variable is missing, or which two exclude each other.
    """
    urls = {"cloud_url": os.environ.get(CLOUD_URL), "server_url": os.environ.get(SERVER_URL)}
    given = {name: url for name, url in urls.items() if url}
    username, client_id = os.environ.get(USERNAME), os.environ.get(CLIENT_ID)
    check_for_one_kind(username, client_id)
    if client_id:
        if "server_url" not in given:
            raise ValueError(f"{SERVER_URL} is not set, or empty: an API client belongs to a data center")
        return {"client_id": client_id, "client_secret": _needed(CLIENT_SECRET, CLIENT_SECRET_FILE), **given}
    if not username:
        raise ValueError(f"{USERNAME} is not set, or empty")
    return {"username": username, "password": _needed(PASSWORD, PASSWORD_FILE), **given}


def check_for_one_kind(username: str | None, client_id: str | None) -> None:
    """
    Raises:
        ValueError: there are the credentials of both kinds.
    """
    if username and client_id:
        raise ValueError(f"both {USERNAME} and {CLIENT_ID} are set: unset one of them")


def _needed(name: str, file: str) -> str | Callable[[], str]:
    secret = secret_of_environment(name, file)
    if secret is None:
        raise ValueError(f"neither {name} nor {file} is set, or they are empty")
    return secret


def secret_of_environment(name: str = PASSWORD, file: str = PASSWORD_FILE) -> str | Callable[[], str] | None:
    """A password or secret, or what reads it from a file; None where the environment has neither.

    Raises:
        ValueError: it has both.
    """
    secret, path = os.environ.get(name), os.environ.get(file)
    if secret and path:
        raise ValueError(f"both {name} and {file} are set: unset one of them")
    return partial(_read_secret, file, path) if path else secret or None


def _read_secret(variable: str, path: str) -> str:
    """The secret in a file, without the line end that editors put behind it. Read anew, since files rotate.

    Raises:
        LoginError: there is none that could be read. Its message names the variable and the file.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:  # PowerShell writes a byte order mark
            secret = file.read().removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8"
        raise LoginError(f"{variable}: cannot read {path}: {reason}") from None
    if not secret:
        raise LoginError(f"{variable}: {path} is empty")
    return secret
