"""Credentials from environment variables, as containers and CI systems hand them out."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

USERNAME, PASSWORD, PASSWORD_FILE = "NOTARY_USERNAME", "NOTARY_PASSWORD", "NOTARY_PASSWORD_FILE"
CLOUD_URL = "NOTARY_CLOUD_URL"


def from_environment() -> dict[str, Any]:
    """The arguments of an Account that the environment has.

    Raises:
        ValueError: saying which variable is missing, or that there are two for the password.
    """
    found = {
        name: os.environ[name] for name in (USERNAME, PASSWORD, PASSWORD_FILE, CLOUD_URL) if os.environ.get(name)
    }
    if USERNAME not in found:
        raise ValueError(f"{USERNAME} is not set, or empty")
    if PASSWORD not in found and PASSWORD_FILE not in found:
        raise ValueError(f"neither {PASSWORD} nor {PASSWORD_FILE} is set, or they are empty")
    if PASSWORD in found and PASSWORD_FILE in found:
        raise ValueError(f"both {PASSWORD} and {PASSWORD_FILE} are set: one of them must go")
    path = found.get(PASSWORD_FILE)
    arguments: dict[str, Any] = {
        "username": found[USERNAME],
        "password": found[PASSWORD] if path is None else partial(_read_password, path),
    }
    if CLOUD_URL in found:
        arguments["cloud_url"] = found[CLOUD_URL]
    return arguments


def _read_password(path: str) -> str:
    """The password in a file, without the line end that editors put behind it. Read anew, since files rotate."""
    with open(path, encoding="utf-8") as file:
        return file.read().removesuffix("\n").removesuffix("\r")
