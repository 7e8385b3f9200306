"""The commands that use an account: where its credentials come from, what is printed, how it ends."""

from __future__ import annotations

import argparse
import getpass
import json
import logging
import os
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import partial, wraps
from importlib.util import find_spec
from math import inf
from typing import NamedTuple

import requests

from notary_auth import _environment as environment
from notary_auth import errors
from notary_auth._adapters.drivers import run_to_end
from notary_auth._core.account import CLOUD_URL, arguments_of, discover, log_in_anew, seconds_left
from notary_auth._core.refusals import HOW_TO_TRY_AT_ONCE
from notary_auth._wire.explanation import CHECK_SERVER_URL, CHECK_TOTP, PASS_TOTP
from notary_auth._wire.origin import Origin
from notary_auth.requests import NotaryAuth
from notary_auth.stores import users_store

KEYRING_SERVICE = "notary-auth"


class Ending(NamedTuple):
    """What a command says of an error, and ends with."""

    kind: type[Exception]
    status: int  # of the process
    advice: str
    sentence: str = ""  # for the host and the error's class; empty: the error's own text is fit for users


NETWORK = "Look at the network, at firewalls, and at HTTPS_PROXY."

#: The most special error first.
ENDINGS = (
    Ending(
        errors.CredentialsRefused,
        3,
        "Check user name and password, or id and secret. Further failures lock a user's account.",
    ),
    Ending(errors.TotpSetupRequired, 4, "Enrol the account in the console, or turn it into a service account."),
    Ending(
        errors.TotpRequired,
        4,
        "If a code was wrong, look at the clock of your phone. For programs there are service accounts.",
    ),
    Ending(
        errors.DiscoveryError,
        5,
        "A proxy, a firewall or a captive portal may have answered in the cloud's place.",
    ),
    Ending(
        errors.LoginError, 6, "Try again later. If it stays, ask the platform's support, with the words above."
    ),
    Ending(errors.LogoutError, 6, ""),
    Ending(errors.NotaryAuthError, 1, ""),
    Ending(
        requests.exceptions.ProxyError,
        7,
        "Look at HTTPS_PROXY and NO_PROXY, for http at HTTP_PROXY.",
        "the proxy on the way to {} failed",
    ),
    Ending(
        requests.exceptions.SSLError,
        7,
        "If a proxy opens TLS, REQUESTS_CA_BUNDLE has to name a file with its CA.",
        "no TLS with {}, or its certificate is not trusted: look at the clock, and at REQUESTS_CA_BUNDLE",
    ),
    Ending(requests.exceptions.Timeout, 7, NETWORK, "{} did not answer in time"),
    Ending(requests.exceptions.ConnectionError, 7, NETWORK, "cannot connect to {}"),
    Ending(requests.RequestException, 7, NETWORK, "the request to {} failed: {}"),
    Ending(OSError, 1, "Look at REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE."),
    Ending(Exception, 1, ""),
)


#: Advice to a program, and that to the user of a command in its place.
ADVICE = {
    PASS_TOTP: "Run it in a terminal, which asks for the code.",
    CHECK_TOTP: "Check the code, and the clock of your phone.",
    "is cloud_url right?": "is --cloud-url right?",
    CHECK_SERVER_URL: CHECK_SERVER_URL.replace("server_url=", "--server-url"),
    HOW_TO_TRY_AT_ONCE: "With --no-store, the command tries at once.",
}


def ending_of(error: Exception) -> Ending:
    return next(ending for ending in ENDINGS if isinstance(error, ending.kind))


class Unusable(Exception):
    """Something is missing that the command needs, or wrong; says what."""


def ends_in_order(command: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], int]:
    """Run a command to an exit status: errors are one sentence on stderr, and no traceback."""

    @wraps(command)
    def run(options: argparse.Namespace) -> int:
        # A store that fails is no error, but the user wants to know.
        logging.basicConfig(level=logging.WARNING, format="notary-auth: %(message)s")
        try:
            command(options)
        except (Unusable, errors.InsecureUrl) as error:
            return complain(error, 2)
        except (errors.NotaryAuthError, requests.RequestException) as error:
            return complain(error, status_of(error))
        return 0

    return run


def complain(error: Exception, status: int) -> int:
    print(f"notary-auth: {sentence(error)}", file=sys.stderr)
    return status


def status_of(error: Exception) -> int:
    if isinstance(error.__cause__, Unusable):  # of a credential that nobody could be asked for
        return 2
    if isinstance(error, errors.LogoutError) and isinstance(error.__cause__, requests.RequestException):
        return 7
    return ending_of(error).status


def sentence(error: Exception) -> str:
    """What went wrong in one line, without the inner workings of an HTTP client."""
    if isinstance(error.__cause__, Unusable):
        return str(error.__cause__)
    said = ending_of(error).sentence
    if not said:
        text = str(error)
        for to_program, to_user in ADVICE.items():
            text = text.replace(to_program, to_user)
        return text
    request = getattr(error, "request", None)
    where = "the platform" if request is None else "/".join(request.url.split("/")[:3])
    return said.format(where, type(error).__name__)


def auth_of(options: argparse.Namespace, *, with_password: bool = True) -> NotaryAuth:
    """The NotaryAuth that the options and the environment ask for.

    Raises:
        Unusable: the user is not known, or something is wrong about an argument.
    """
    username = options.user or os.environ.get(environment.USERNAME)
    client_id = None if options.user else os.environ.get(environment.CLIENT_ID)
    cloud_url = options.cloud_url or os.environ.get(environment.CLOUD_URL) or CLOUD_URL
    server_url = options.server_url or os.environ.get(environment.SERVER_URL) or None
    keeps_tokens = with_password and not options.no_store
    try:
        environment.check_for_one_kind(username, client_id)
        if client_id:
            return _auth_of_client(client_id, cloud_url, server_url, with_password, keeps_tokens)
        if not username:
            raise Unusable(f"which user? Give --user, or set {environment.USERNAME}")
        return NotaryAuth(
            username,
            _password_source(username, cloud_url) if with_password else _never_asked,
            cloud_url=cloud_url,
            server_url=server_url,
            store=users_store() if keeps_tokens else None,
            offline_access=options.offline_access,
        )
    except ValueError as error:
        names = {
            "cloud_url": "--cloud-url" if options.cloud_url else environment.CLOUD_URL,
            "server_url": "--server-url" if options.server_url else environment.SERVER_URL,
        }
        argument, _, rest = str(error).partition(" ")
        raise Unusable(f"{names.get(argument, argument)} {rest}") from None


def _auth_of_client(
    client_id: str, cloud_url: str, server_url: str | None, with_secret: bool, keeps_tokens: bool
) -> NotaryAuth:
    name, file = environment.CLIENT_SECRET, environment.CLIENT_SECRET_FILE
    source: str | Callable[[], str] = _never_asked
    if with_secret:
        secret = environment.secret_of_environment(name, file)
        if secret is None:
            raise Unusable(f"no client secret: set {name} or {file}")
        source = secret if isinstance(secret, str) else partial(_from_file, secret)
    if server_url is None:
        raise Unusable(f"which data center? Give --server-url, or set {environment.SERVER_URL}")
    store = users_store() if keeps_tokens else None
    return NotaryAuth.for_client(client_id, source, server_url=server_url, cloud_url=cloud_url, store=store)


def _never_asked() -> str:
    raise Unusable("no password is needed here")


def log_in(auth: NotaryAuth, *, is_fresh: bool = False) -> tuple[NotaryAuth, str]:
    """Log in, if there is no token. If a code turns out to be needed, the user is asked for it.

    Args:
        is_fresh: whether to log in also if there is a token, and put the new one in its place.

    Returns:
        The NotaryAuth that is logged in, and the value of the header that it signs with.
    """
    try:
        return auth, _authorization(auth, is_fresh)
    except errors.TotpRequired as error:
        arguments = arguments_of(auth.account)
        is_users = "totp" in arguments  # and no API client's
        if isinstance(error, errors.TotpSetupRequired) or not (is_users and sys.stdin.isatty()):
            raise
    auth = NotaryAuth(**{**arguments, "totp": _code})
    return auth, _authorization(auth, is_fresh)


def _authorization(auth: NotaryAuth, is_fresh: bool) -> str:
    if is_fresh:
        run_to_end(auth._perform(log_in_anew(auth.account)))
    return str(run_to_end(auth._perform(auth.account.sign(auth.account.cloud_url))).authorization)


def _password_source(username: str, cloud_url: str) -> Callable[[], str]:
    """What asks for the password when it is needed: the environment, the keyring, or the user."""
    try:
        given = environment.secret_of_environment()
    except ValueError as error:
        raise Unusable(str(error)) from None
    known: list[str] = []  # the keyring's or the prompt's answer: a login and its refresh need not ask twice

    def ask() -> str:
        if given is not None:
            return given if isinstance(given, str) else _from_file(given)
        if not known:
            known.append(_from_keyring(username, cloud_url) or _from_prompt(username, cloud_url))
        return known[0]

    return ask


def _from_file(read: Callable[[], str]) -> str:
    try:
        return read()
    except errors.LoginError as error:
        raise Unusable(str(error)) from None


def _from_keyring(username: str, cloud_url: str) -> str | None:
    try:
        import keyring.errors
    except ModuleNotFoundError:
        return None
    try:
        return keyring.get_password(_keyring_service(cloud_url), username)
    except keyring.errors.NoKeyringError:
        return None
    except Exception as error:  # noqa: BLE001  whatever a desktop's keyring raises where there is no desktop
        print(f"notary-auth: the keyring failed ({type(error).__name__})", file=sys.stderr)
        return None


def _keyring_service(cloud_url: str) -> str:
    # A cloud that is not the default one has a service of its own: whoever sets a variable of the environment must
    # not get the password that was kept for the default cloud.
    cloud = Origin.of_base_url(cloud_url)
    return KEYRING_SERVICE if str(cloud) == CLOUD_URL else f"{KEYRING_SERVICE}@{cloud.netloc}"


def _from_prompt(username: str, cloud_url: str) -> str:
    if not sys.stdin.isatty():
        command = f", keep it with `keyring set {_keyring_service(cloud_url)} {username}`"
        raise Unusable(
            f"no password: set {environment.PASSWORD} or {environment.PASSWORD_FILE}"
            f"{command if find_spec('keyring') else ''}, or run it in a terminal"
        )
    try:
        password = getpass.getpass(f"Password of {username}: ")
    except EOFError:
        password = ""
    if not password:
        raise Unusable("no password was given")
    return password


def _code() -> str:
    print("TOTP code: ", end="", file=sys.stderr, flush=True)
    code = "".join(sys.stdin.readline().split())  # phones show 123 456
    if not code:
        raise Unusable("no code was given")
    return code


@ends_in_order
def token(options: argparse.Namespace) -> None:
    auth, header = log_in(auth_of(options), is_fresh=options.fresh)
    access_token = header.removeprefix("Bearer ")
    if options.json:
        left = seconds_left(auth.account)
        expires_at = None if left == inf else datetime.now(timezone.utc) + timedelta(seconds=left)
        document = {
            "access_token": access_token,
            "expires_in": None if left == inf else round(left),
            "expires_at": expires_at and expires_at.isoformat(timespec="seconds"),
            "data_center": auth.account.server_url,
        }
        print(json.dumps(document, indent=2))
    else:
        print(f"Authorization: {header}" if options.header else access_token)


@ends_in_order
def data_center(options: argparse.Namespace) -> None:
    auth = auth_of(options, with_password=False)
    run_to_end(auth._perform(discover(auth.account)))
    print(auth.account.server_url)


@ends_in_order
def logout(options: argparse.Namespace) -> None:
    auth = auth_of(options)
    if arguments_of(auth.account)["store"] is None:
        raise Unusable("there is nothing to log out from: no tokens are kept (no extra 'stores', or no home)")
    logging.getLogger("notary_auth").setLevel(logging.INFO)  # which says what was revoked
    auth.logout()
