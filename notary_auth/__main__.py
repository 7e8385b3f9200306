"""The command line: ``python -m notary_auth`` or ``notary-auth``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ._version import __version__

_NEEDS_SANDBOX = "This command needs the extra 'sandbox': pip install 'notary-auth[sandbox]'"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="notary-auth", description="Authentication for the Acronis Notary API.")
    parser.add_argument("--version", action="version", version=f"notary-auth {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

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
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535 - 3:
        raise argparse.ArgumentTypeError(f"not a port with three more above it: {text}")
    return port


def _user(text: str) -> tuple[str, str]:
    name, _, password = text.partition(":")
    if not name or not password:
        raise argparse.ArgumentTypeError("must be NAME:PASSWORD, neither of them empty")
    return name, password


def _demo(options: argparse.Namespace) -> int:
    try:
        from .sandbox import _demo
    except ModuleNotFoundError as error:
        return _missing(error)
    return _demo.run()


def _sandbox(options: argparse.Namespace) -> int:
    try:
        from .sandbox import _command
    except ModuleNotFoundError as error:
        return _missing(error)
    return _command.serve(dict(options.user) if options.user else None, options.port, options.tls)


def _missing(error: ModuleNotFoundError) -> int:
    print(f"{_NEEDS_SANDBOX} (no module named {error.name!r})", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
