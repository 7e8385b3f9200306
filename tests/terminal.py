"""A user's shell for the tests of commands: an environment, a home, and the sandbox as the cloud."""

from __future__ import annotations

import io
import logging
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import keyring
import keyring.backends.null

from notary_auth.__main__ import main
from notary_auth.sandbox import Sandbox

from .paths import ROOT


class Ended(NamedTuple):
    status: int
    out: str
    error: str


class Terminal:
    """Runs ``notary-auth`` as its user would: here, in a process of its own, or at a real terminal."""

    module = "notary_auth"

    def __init__(self, notary: Sandbox, home: Path) -> None:
        self.notary = notary
        own = {name: value for name, value in os.environ.items() if not name.startswith("NOTARY_")}
        self.variables = {
            **own,
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / "cache"),
            "NOTARY_USERNAME": notary.username,
            "NOTARY_PASSWORD": notary.password,
            "NOTARY_CLOUD_URL": notary.url,
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }

    def run(self, *arguments: str, **variables: str | None) -> Ended:
        """Run a command in this process, which takes none of the interpreter's half second to start."""
        environment = self.environment(variables)
        out, error = (_Output(environment.get("PYTHONIOENCODING", "utf-8")) for _ in range(2))
        with (
            open(os.devnull) as nothing,
            mock.patch.dict(os.environ, environment, clear=True),
            mock.patch.object(sys, "stdin", nothing),
            redirect_stdout(out),
            redirect_stderr(error),
            _no_log_handlers(),
            _no_keyring(),
        ):
            try:
                status = main(arguments)
            except SystemExit as end:  # of argparse: wrong usage, or a help that was shown
                status = int(end.code or 0)
        return Ended(status, out.text, error.text)

    def run_process(self, *arguments: str, **variables: str | None) -> Ended:
        """Run a command in a process of its own, with warnings as errors."""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", self.module, *arguments],
            env=self.environment(variables),
            cwd=ROOT,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    def type(self, answers: list[str], *arguments: str, **variables: str | None) -> tuple[int, str]:
        """Run it at a real terminal, and answer each question. Returns the status, and what was to be seen."""
        child, terminal = pty.fork()
        if child == 0:
            try:
                os.chdir(ROOT)
                os.execve(
                    sys.executable, [sys.executable, "-m", self.module, *arguments], self.environment(variables)
                )
            finally:
                os._exit(127)
        seen = ""
        left = list(answers)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                seen += os.read(terminal, 1024).decode(errors="replace")
            except OSError:  # it has ended
                break
            if left and seen.rstrip().endswith(":"):
                os.write(terminal, f"{left.pop(0)}\n".encode())
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), seen

    def environment(self, variables: Mapping[str, str | None]) -> dict[str, str]:
        merged: dict[str, Any] = {**self.variables, **variables}
        return {name: value for name, value in merged.items() if value is not None}


class _Output(io.TextIOWrapper):
    """Standard output as a pipe is: bytes, in an encoding that may lack letters."""

    def __init__(self, encoding: str) -> None:
        self._bytes = io.BytesIO()
        super().__init__(self._bytes, encoding, errors="strict", newline="\n", write_through=True)

    @property
    def text(self) -> str:
        self.flush()
        return self._bytes.getvalue().decode(self.encoding)


@contextmanager
def _no_keyring() -> Iterator[None]:
    """Keep the developer's own keyring out: the library looks into the environment for one only at first."""
    before = keyring.get_keyring()
    keyring.set_keyring(keyring.backends.null.Keyring())
    try:
        yield
    finally:
        keyring.set_keyring(before)


@contextmanager
def _no_log_handlers() -> Iterator[None]:
    """Let the command set up its own logging, as in a process where nobody has."""
    root, ours = logging.getLogger(), logging.getLogger("notary_auth")
    handlers, level, our_level = root.handlers, root.level, ours.level
    root.handlers = []
    root.setLevel(logging.WARNING)
    try:
        yield
    finally:
        root.handlers = handlers
        root.setLevel(level)
        ours.setLevel(our_level)
