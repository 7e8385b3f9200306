"""What the command line understands, and what its exit statuses mean.

Each command is imported when it is asked for: ``notary-auth --help`` needs no HTTP client.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from notary_auth._version import __version__

EPILOG = """\
credentials:
  The user from --user or NOTARY_USERNAME, the cloud from --cloud-url or NOTARY_CLOUD_URL, the data
  center, where it is known, from --server-url or NOTARY_SERVER_URL. The password from
  NOTARY_PASSWORD, the file that NOTARY_PASSWORD_FILE names, the keyring if that is installed (service
  "notary-auth", for another cloud "notary-auth@HOST"), or a prompt; never from an argument, which all users
  of a machine can read. Or an API client's, from NOTARY_CLIENT_ID, NOTARY_CLIENT_SECRET or
  NOTARY_CLIENT_SECRET_FILE, and NOTARY_SERVER_URL.

exit status:
  0 all well                     4 a TOTP code is needed, or was refused
  1 something else went wrong    5 the data center was not found
  2 wrong usage                  6 the login or logout failed
  3 user or password refused     7 the platform was not reached
                               130 interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit status."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr has it: a name in other letters is no error
    try:
        status = int(options.run(options))
        print(end="", flush=True)
    except KeyboardInterrupt:
        print(file=sys.stderr)  # a prompt may be open
        return 130
    except BrokenPipeError:  # `notary-auth ... | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # no CA bundle, no room for what is printed
        print(f"notary-auth: {error}", file=sys.stderr)
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="notary-auth",
        description="Authentication for the Acronis Notary API.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"notary-auth {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_token_commands(commands)
    _add_account_commands(commands)
    _add_sandbox_commands(commands)
    return parser


def _account_options() -> argparse.ArgumentParser:
    account = argparse.ArgumentParser(add_help=False)
    account.add_argument("-u", "--user", metavar="NAME", help="the login name (default: NOTARY_USERNAME)")
    account.add_argument("--cloud-url", metavar="URL", help="another cloud than Acronis' own (NOTARY_CLOUD_URL)")
    account.add_argument(
        "--server-url", metavar="URL", help="the data center, where it is known (NOTARY_SERVER_URL)"
    )
    account.set_defaults(no_store=False, offline_access=False)
    return account


def _login_options() -> argparse.ArgumentParser:
    login = _account_options()
    login.add_argument("--no-store", action="store_true", help="keep and use no tokens of earlier runs")
    login.add_argument(
        "--offline-access", action="store_true", help="ask for a refresh token, so that a code is asked for once"
    )
    return login


def _add_token_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    login = _login_options()
    check = commands.add_parser(
        "check",
        parents=[login],
        help="try each step up to a signed request, and explain the first that fails",
        description="Try each step up to a signed request: name, connection, data center, login, a signed call, "
        "clocks. It logs in anew. The exit status is 0 only if all is well.",
        epilog="example: notary-auth check --user JohnSmith",
    )
    check.add_argument("--json", action="store_true", help="print one JSON object, for machines")
    check.set_defaults(run=_check)

    token = commands.add_parser(
        "token",
        parents=[login],
        help="print an access token",
        description="Print an access token, for curl and scripts. Whoever sees it can use it.",
        epilog="example:\n  notary-auth token --header |\n"
        '    curl -H @- "$(notary-auth data-center)/api/notary/v2/stored-files"',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shown = token.add_mutually_exclusive_group()
    shown.add_argument("--header", action="store_true", help="print the whole Authorization line")
    shown.add_argument("--json", action="store_true", help="print token, expiry and data center as JSON")
    token.add_argument("--fresh", action="store_true", help="log in, and replace the token of earlier runs")
    token.set_defaults(run=_token)


def _add_account_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    account = _account_options()
    data_center = commands.add_parser(
        "data-center",
        parents=[account],
        help="print the URL of the data center that holds the account",
        description="Print the URL of the data center that holds the account. No password is asked for.",
        epilog="example: notary-auth data-center --user JohnSmith",
    )
    data_center.set_defaults(run=_data_center)

    logout = commands.add_parser(
        "logout",
        parents=[account],
        help="have the tokens of earlier runs revoked, and forget them",
        description="Have the tokens that earlier runs have stored revoked, and forget them.",
        epilog="example: notary-auth logout --user JohnSmith",
    )
    logout.set_defaults(run=_logout)


def _add_sandbox_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    demo = commands.add_parser(
        "demo",
        help="show what notary-auth does, against a platform on this machine",
        description="Start a platform on this machine and use it with requests, httpx, and httpx under asyncio: "
        "list, upload and download files, lose the token, and ask 200 times at once. "
        "The exit status is 0 only if everything came out as expected.",
    )
    demo.set_defaults(run=_demo)

    sandbox = commands.add_parser(
        "sandbox",
        help="serve a platform on this machine until Ctrl-C",
        description="Serve a platform on this machine until Ctrl-C: a cloud, two data centers and a foreign host.",
        epilog="example: notary-auth sandbox --port 8080 --user alice:wonderland",
    )
    sandbox.add_argument(
        "--port", type=_port, default=0, help="the cloud's port; the three above it are taken too"
    )
    sandbox.add_argument(
        "--user",
        type=_user,
        action="append",
        metavar="NAME:PASSWORD",
        help="an account; may be given several times (default: JohnSmith:qwe123QWE)",
    )
    sandbox.add_argument("--tls", action="store_true", help="serve https, with a CA of its own")
    sandbox.set_defaults(run=_sandbox)


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a number: {text}") from None
    if not 0 <= port <= 65535 - 3:
        raise argparse.ArgumentTypeError(f"not a port with three more above it: {text}")
    return port


def _user(text: str) -> tuple[str, str]:
    name, _, password = text.partition(":")
    if not name or not password:
        raise argparse.ArgumentTypeError("must be NAME:PASSWORD, neither of them empty")
    return name, password


def _check(options: argparse.Namespace) -> int:
    from . import check

    return check.run(options)


def _token(options: argparse.Namespace) -> int:
    from . import account

    return account.token(options)


def _data_center(options: argparse.Namespace) -> int:
    from . import account

    return account.data_center(options)


def _logout(options: argparse.Namespace) -> int:
    from . import account

    return account.logout(options)


def _demo(options: argparse.Namespace) -> int:
    try:
        from . import demo
    except ModuleNotFoundError as error:
        return _missing(error)
    return demo.run()


def _sandbox(options: argparse.Namespace) -> int:
    try:
        from . import sandbox
    except ModuleNotFoundError as error:
        return _missing(error)
    return sandbox.serve(dict(options.user) if options.user else None, options.port, options.tls)


def _missing(error: ModuleNotFoundError) -> int:
    needed = "This command needs the extra 'sandbox': pip install 'notary-auth[sandbox]'"
    print(f"{needed} (no module named {error.name!r})", file=sys.stderr)
    return 2
