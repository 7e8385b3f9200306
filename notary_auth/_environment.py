"""Credentials from environment variables, as containers and CI systems hand them out."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from .errors import LoginError

USERNAME, PASSWORD, PASSWORD_FILE = "NOTARY_USERNAME", "NOTARY_PASSWORD", "NOTARY_PASSWORD_FILE"
CLOUD_URL, SERVER_URL = "NOTARY_CLOUD_URL", "NOTARY_SERVER_URL"


def from_environment() -> dict[str, Any]:
    """The arguments of an Account that the environment has.

    Raises:
        ValueError: saying which variable is missing, or that there are two for the password.
    """
    username = os.environ.get(USERNAME)
    if not username:
        raise ValueError(f"{USERNAME} is not set, or empty")
    password = password_of_environment()
    if password is None:
        raise ValueError(f"neither {PASSWORD} nor {PASSWORD_FILE} is set, or they are empty")
    urls = {"cloud_url": os.environ.get(CLOUD_URL), "server_url": os.environ.get(SERVER_URL)}
    return {"username": username, "password": password, **{name: url for name, url in urls.items() if url}}


def password_of_environment() -> str | Callable[[], str] | None:
    """The password, or what reads it from a file; None where the environment has neither.

    Raises:
        ValueError: it has both.
    """
    password, path = os.environ.get(PASSWORD), os.environ.get(PASSWORD_FILE)
    if password and path:
        raise ValueError(f"both {PASSWORD} and {PASSWORD_FILE} are set: unset one of them")
    return partial(_read_password, path) if path else password or None


def _read_password(path: str) -> str:
    """The password in a file, without the line end that editors put behind it. Read anew, since files rotate.

    Raises:
        LoginError: there is none that could be read. Its message names the variable and the file.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:  # PowerShell writes a byte order mark
            password = file.read().removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8"
        raise LoginError(f"{PASSWORD_FILE}: cannot read {path}: {reason}") from None
    if not password:
        raise LoginError(f"{PASSWORD_FILE}: {path} is empty")
    return password
