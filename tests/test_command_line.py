"""The command line, run as users run it."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from notary_auth import __version__
from notary_auth.__main__ import main
from notary_auth.sandbox import Sandbox

from .core import hide_sandbox, interrupt_demo, interrupt_sandbox
from .paths import ROOT

COMMAND = [sys.executable, "-m", "notary_auth"]


def test_the_demo_holds_its_expectations(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # a company's, which does not know this machine
    assert main(["demo"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("3 calls the first time") == 3
    assert shown.count("1 call the second time") == 3
    assert shown.count("one login served them") == 3
    assert "✗" not in shown
    assert "all as expected" in shown


def test_the_demo_fails_if_an_expectation_does(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from notary_auth.sandbox import Sandbox

    monkeypatch.setattr(Sandbox, "count", lambda self, kind: 2)
    assert main(["demo"]) == 1
    assert "2 instead of 1" in capsys.readouterr().out


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A command of ours under way, which is gone in the end whatever happens."""
    # Where the tests run in the background of a shell, SIGINT is ignored, and that is inherited.
    start = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    start += "runpy.run_module('notary_auth', run_name='__main__')"
    with subprocess.Popen(
        [sys.executable, "-c", start, *command], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("tls", "end"),
    [
        (True, signal.SIGINT),
        (False, signal.SIGTERM),
        pytest.param(True, signal.SIGTERM, marks=pytest.mark.matrix),
        pytest.param(False, signal.SIGINT, marks=pytest.mark.matrix),
    ],
)
def test_the_sandbox_serves_until_it_is_interrupted(tls: bool, end: signal.Signals) -> None:
    with running(["sandbox", "--user", "alice:wonder:land", "--user", "bob:builder", *["--tls"] * tls]) as process:
        assert process.stdout is not None
        shown = []
        while "Ctrl-C" not in "".join(shown):
            shown.append(process.stdout.readline())
        text = "".join(shown)
        cloud = re.search(r"cloud\s+(\S+)", text)
        assert cloud is not None
        ca = re.search(r"CA\s+(\S+)", text)
        assert (ca is not None) is tls
        line = next(line for line in shown if line.startswith("auth = "))
        assert line == f'auth = NotaryAuth("alice", "wonder:land", cloud_url="{cloud[1]}")\n'
        # What is printed is there to be copied.
        copied = "".join(shown[shown.index("\n") + 1 : -2])
        result = subprocess.run(
            [sys.executable, "-c", copied], capture_output=True, text=True, cwd=ROOT, check=False
        )
        assert result.stdout == "{'files': [], 'paging': {'cursors': {}}}\n", result.stderr
        process.send_signal(end)
        assert process.wait(20) == 0
        assert ca is None or not Path(ca[1]).exists()
    with pytest.raises(requests.ConnectionError):
        requests.get(cloud[1], timeout=5)


def test_the_sandbox_is_stopped_by_an_interrupt(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[Sandbox] = []
    stop = Sandbox.stop
    monkeypatch.setattr(Sandbox, "stop", lambda self: (stopped.append(self), stop(self)))
    interrupt_sandbox(monkeypatch)
    assert main(["sandbox", "--tls"]) == 0
    assert capsys.readouterr().out.endswith("Ctrl-C stops it.\nstopped\n")
    assert len(stopped) == 1
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["sandbox", "--port", str(taken.getsockname()[1])]) == 1
    assert "cannot serve on port" in capsys.readouterr().err


def test_an_interrupt_elsewhere_ends_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_demo(monkeypatch)
    assert main(["demo"]) == 130


def test_a_port_that_is_in_use_is_told_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run([*COMMAND, "sandbox", "--port", port], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"cannot serve on port {port}")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [[], ["nothing"], ["sandbox", "--port", "x"], ["sandbox", "--port", "65535"], ["sandbox", "--user", "x"]],
)
def test_wrong_arguments_are_said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: notary-auth" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"], ["sandbox", "--help"]])
def test_help_is_everywhere(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 0
    assert "usage: notary-auth" in capsys.readouterr().out


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"notary-auth {__version__}\n"


@pytest.mark.parametrize("command", ["demo", "sandbox"])
def test_without_the_extra_it_says_what_to_install(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hide_sandbox(monkeypatch)
    assert main([command]) == 2
    assert "pip install 'notary-auth[sandbox]'" in capsys.readouterr().err
