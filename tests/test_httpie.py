"""HTTPie's own `http`, with the plugin that it finds by its entry point."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from notary_auth.sandbox import Sandbox

from .terminal import Terminal


class Http(Terminal):
    """A user's shell in which HTTPie is installed."""

    command = (sys.executable, "-m", "httpie")

    def http(self, *arguments: str, **variables: str | None) -> subprocess.CompletedProcess[str]:
        own = {"HTTPIE_CONFIG_DIR": self.variables["HOME"] + "/httpie", **variables}
        return subprocess.run(
            [*self.command, "--ignore-stdin", "--check-status", *arguments],
            env=self.environment(own),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def http(notary: Sandbox, tmp_path: Path) -> Http:
    return Http(notary, tmp_path)


def test_user_and_password_on_the_command_line(http: Http, files: str) -> None:
    nowhere = {"NOTARY_USERNAME": None, "NOTARY_PASSWORD": None}
    for _ in range(2):
        done = http.http("--body", "-A", "notary", "-a", "JohnSmith:qwe123QWE", files, **nowhere)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["files"] == []
    kinds = [call.kind for call in http.notary.calls]
    assert kinds == ["lookup", "login", "request", "request"], "the second call is one request"


@pytest.mark.matrix
def test_all_from_the_environment(http: Http, files: str) -> None:
    assert http.http("-A", "notary", files).returncode == 0


@pytest.mark.matrix
def test_a_password_is_asked_for_and_not_shown(http: Http, files: str) -> None:
    http.module = "httpie"
    config = {"HTTPIE_CONFIG_DIR": http.variables["HOME"] + "/httpie", "NOTARY_PASSWORD": None}
    status, seen = http.type(["qwe123QWE"], "--body", "-A", "notary", "-a", "JohnSmith", files, **config)
    assert status == 0
    assert "password for JohnSmith" in seen
    assert '"files"' in seen
    assert "qwe123QWE" not in seen


@pytest.mark.matrix
def test_a_session_file_has_no_password(http: Http, files: str) -> None:
    done = http.http("--session", "mine", "-A", "notary", "-a", "JohnSmith:qwe123QWE", files, NOTARY_PASSWORD=None)
    assert done.returncode == 0
    (session,) = Path(http.variables["HOME"], "httpie").rglob("mine.json")
    assert "qwe123QWE" not in session.read_text()
    assert "JohnSmith" in session.read_text()
    assert http.http("--session", "mine", files).returncode == 0, "the password is the environment's now"


@pytest.mark.matrix
def test_an_upload_survives_a_revoked_token_at_the_second_try(http: Http, files: str, tmp_path: Path) -> None:
    """HTTPie streams its bodies, so a 401 is the user's; but the next call must not be handed the same token."""
    (tmp_path / "contract.pdf").write_bytes(b"signed")
    upload = ("-A", "notary", "--form", files, f"file@{tmp_path / 'contract.pdf'}")
    assert http.http(*upload).returncode == 0
    http.notary.revoke_tokens()
    assert {http.http(*upload).returncode for _ in range(2)} <= {0, 4}
    assert http.http(*upload).returncode == 0


def test_a_wrong_password_is_one_sentence(http: Http, files: str) -> None:
    done = http.http("-A", "notary", "-a", "JohnSmith:wrong", files)
    assert done.returncode == 1
    assert "the platform refused the login of 'JohnSmith'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_request_that_goes_out_unsigned_is_warned_of(http: Http) -> None:
    """HTTPie writes localhost for a port alone, which is another host than 127.0.0.1."""
    port = http.notary.url.rpartition(":")[2]
    done = http.http("-A", "notary", "-a", "JohnSmith", f":{port}/api/notary/v2/stored-files")
    assert done.returncode == 4
    assert (
        f"requests to http://localhost:{port} are sent unsigned: that is neither {http.notary.url}" in done.stderr
    )


@pytest.mark.parametrize("arguments", [[], ["--chunked"]], ids=["whole", "chunked"])
def test_no_line_of_a_document_is_taken_for_the_password(
    http: Http, files: str, tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "contract.txt").write_text("This contract is made between\nJohn and Jane\n")
    own = {"HTTPIE_CONFIG_DIR": http.variables["HOME"] + "/httpie", "NOTARY_PASSWORD": None}
    with open(tmp_path / "contract.txt") as contract:
        done = subprocess.run(
            [*http.command, *arguments, "-A", "notary", "-a", "JohnSmith", "POST", files],
            env=http.environment(own),
            stdin=contract,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            start_new_session=True,  # without a terminal, as cron has it
        )
    assert done.returncode != 0
    assert "set NOTARY_PASSWORD or NOTARY_PASSWORD_FILE" in done.stderr
    assert "Traceback" not in done.stderr
    assert http.notary.count("login") == 0


def test_a_request_that_is_only_shown_needs_no_login(http: Http, files: str) -> None:
    done = http.http("--offline", "-A", "notary", "-a", "JohnSmith", files, NOTARY_PASSWORD=None)
    assert done.returncode == 0
    assert "Authorization: Bearer ***" in done.stdout
    assert http.notary.calls == []


@pytest.mark.matrix
def test_nobody_is_an_error_that_says_what_to_do(http: Http, files: str) -> None:
    done = http.http("-A", "notary", files, NOTARY_USERNAME=None)
    assert done.returncode != 0
    assert "Give -a NAME, or set NOTARY_USERNAME" in done.stderr


@pytest.mark.matrix
def test_a_wrong_cloud_url_is_one_sentence(http: Http, files: str) -> None:
    done = http.http("-A", "notary", files, NOTARY_CLOUD_URL="http://cloud.example")
    assert done.returncode != 0
    assert "http: error: cloud_url must be https" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.matrix
def test_httpie_lists_it() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "httpie", "--help"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert "notary" in done.stdout
