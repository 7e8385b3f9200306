"""``notary-auth sandbox``: serve until Ctrl-C or SIGTERM, and say what to copy."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Mapping

from notary_auth.sandbox import Sandbox


def serve(users: Mapping[str, str] | None, port: int, tls: bool) -> int:
    """Serve a sandbox until Ctrl-C or SIGTERM. Returns the exit status: 0, or 1 if a port is not free."""
    sandbox = Sandbox(users, port=port, tls=tls)
    try:
        sandbox.start()
    except OSError as error:
        print(f"cannot serve on port {port} and the three above it: {error.strerror or error}", file=sys.stderr)
        return 1
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        print(_explained(sandbox), flush=True)
        wait_for_ever()
    except KeyboardInterrupt:
        print("stopped")
    finally:
        signal.signal(signal.SIGTERM, before)
        sandbox.stop()
    return 0


def wait_for_ever() -> None:
    threading.Event().wait()


def _explained(sandbox: Sandbox) -> str:
    first, second = sandbox.data_center_urls
    lines = [
        f"cloud          {sandbox.url}",
        f"data centers   {first}  {second}",
        f"foreign host   {sandbox.foreign_url}",
    ]
    if sandbox.ca_file:
        lines.append(f"CA             {sandbox.ca_file}")
    lines.append("")
    if sandbox.ca_file:
        lines.append(f'import os; os.environ["REQUESTS_CA_BUNDLE"] = "{sandbox.ca_file}"')
    lines += [
        "import requests; from notary_auth.requests import NotaryAuth",
        f'auth = NotaryAuth("{sandbox.username}", "{sandbox.password}", cloud_url="{sandbox.url}")',
        f'print(requests.get("{sandbox.api_url}/stored-files", auth=auth).json())',
        "",
        "Ctrl-C stops it.",
    ]
    return "\n".join(lines)
