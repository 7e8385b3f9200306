"""HTTPie's ``-A notary``: ``http -A notary -a JohnSmith https://cloud.acronis.com/api/notary/v2/stored-files``.

HTTPie finds this by the entry point ``httpie.plugins.auth.v1``. Each of its calls is a process of its own; the
tokens are kept in the user's `FileStore` in between, so that the second call is one request.
"""

from __future__ import annotations

import getpass
import os
import sys
from typing import NoReturn

from httpie.plugins import AuthPlugin
from requests import PreparedRequest
from requests.auth import AuthBase

from ._core.account import CLOUD_URL
from ._environment import CLOUD_URL as CLOUD_URL_VARIABLE
from ._environment import PASSWORD, PASSWORD_FILE, SERVER_URL, USERNAME, secret_of_environment
from .requests import NotaryAuth
from .stores import users_store


class NotaryAuthPlugin(AuthPlugin):  # type: ignore[misc]  # HTTPie has no types
    """User and password from ``-a``, the environment or a prompt; the URLs from the environment."""

    name = "Acronis Notary"
    auth_type = "notary"
    description = "Look the data center up, log in, and put the token on the request"
    auth_require = False  # the environment may have it
    prompt_password = False  # nor is one to be asked for that the environment has

    def get_auth(self, username: str | None = None, password: str | None = None) -> AuthBase:
        """The NotaryAuth for this call. With ``--offline``, what puts a placeholder on the request that is shown.

        Raises:
            SystemExit: there is no user name, or something is wrong; what to do is said before.
        """
        username = username or os.environ.get(USERNAME)
        if not username:
            _end(f"which user? Give -a NAME, or set {USERNAME}")
        # HTTPie keeps this in the files of its sessions, and would keep the password there, in clear.
        self.raw_auth = username
        if "--offline" in sys.argv:  # HTTPie does not tell its plugins
            return _Placeholder()
        store = users_store()
        if store is None:
            print(
                "http: warning: no tokens are kept, so each call logs in: no extra 'stores', or no home",
                file=sys.stderr,
            )
        try:
            return NotaryAuth(
                username,
                password or secret_of_environment() or _Prompt(username),
                cloud_url=os.environ.get(CLOUD_URL_VARIABLE) or CLOUD_URL,
                server_url=os.environ.get(SERVER_URL) or None,
                store=store,
            )
        except ValueError as error:
            _end(f"{error} (look at {CLOUD_URL_VARIABLE} and the other NOTARY variables)")


def _end(sentence: str) -> NoReturn:
    """End as HTTPie does where its arguments are wrong."""
    print(f"http: error: {sentence}", file=sys.stderr)
    raise SystemExit(2)


def _has_terminal() -> bool:
    """Whether somebody can be asked, whatever standard input is."""
    if sys.stdin is not None and sys.stdin.isatty():
        return True
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))  # where getpass asks on Unix
    except OSError:
        return False
    return True


class _Prompt:
    """A password that is asked for once, when it is needed."""

    def __init__(self, username: str) -> None:
        self._username = username
        self._answer = ""

    def __call__(self) -> str:
        if not _has_terminal():  # standard input may have a document in it that is to be sent
            _end(f"no password: set {PASSWORD} or {PASSWORD_FILE}, or run it in a terminal")
        self._answer = self._answer or getpass.getpass(f"http: password for {self._username}: ")
        return self._answer


class _Placeholder(AuthBase):
    """Signs a request that is not sent, without a login."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = "Bearer ***"
        return request
