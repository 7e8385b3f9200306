"""The pages in docs/: each block and each command on them is run, and diagrams say what their sources say."""

from __future__ import annotations

import html
import json
import re
import runpy
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import keyring
import keyring.backend
import pyotp
import pytest
import requests

from notary_auth.sandbox import Sandbox

from .core import make_token_expired
from .pages import PAGES, ROOT, blocks, commands, run_block
from .servers import RedisServer, programs
from .terminal import Terminal

BLOCKS = [block for page in ("fleet", "credentials", "two-factors") for block in blocks(PAGES[page])]


def block_with(text: str) -> str:
    (found,) = [block for block in BLOCKS if text in block]
    return found


def test_the_block_on_niquests_runs(notary: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("niquests")
    code = PAGES["clients"].partition(".. code-block:: python\n")[2].partition("\naiohttp\n---")[0]
    run_block(textwrap.dedent(code), notary, monkeypatch)
    assert notary.count("login") == 1


def get(notary: Sandbox, auth: Any) -> int:
    import httpx

    files = f"{notary.api_url}/stored-files"
    if isinstance(auth, httpx.Auth):
        return httpx.get(files, auth=auth, verify=False).status_code
    return requests.get(files, auth=auth, timeout=10).status_code


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


#: Pages whose blocks just run, against the sandbox. Those of the others need more, and have tests of their own.
PLAIN = ["index", "why", "quickstart", "clients", "errors"]
OTHERS = {"fleet", "credentials", "two-factors", "network", "testing", "security"}


@pytest.mark.parametrize(("page", "block"), [(page, block) for page in PLAIN for block in blocks(PAGES[page])])
def test_the_blocks_of_a_page_run(page: str, block: str, notary: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    run_block(block, notary, monkeypatch)


def test_no_page_has_blocks_that_nobody_runs() -> None:
    assert {page for page, text in PAGES.items() if blocks(text)} == {*PLAIN, *OTHERS}


#: How the pages name our programs, and how they are run here, where nothing need be on the PATH.
PROGRAMS = {"notary-auth ": "python -m notary_auth ", "http ": "python -m httpie --ignore-stdin "}


def as_run_here(command: str) -> str:
    for name, program in PROGRAMS.items():
        if command.startswith(name):
            return program + command.removeprefix(name)
    return command


@pytest.mark.parametrize(
    "command",
    sorted(
        {as_run_here(command) for text in PAGES.values() for command in commands(text) if "pip " not in command}
        - {"python -m notary_auth demo"}  # which test_command_line looks at
    ),
)
def test_the_commands_of_a_page_run(command: str, notary: Sandbox, tmp_path: Path) -> None:
    variables = Terminal(notary, tmp_path).environment({"HTTPIE_CONFIG_DIR": str(tmp_path)})
    command = command.replace("https://cloud.acronis.com", notary.url).replace("python ", f"{sys.executable} ", 1)
    done = subprocess.run(
        ["/bin/sh", "-c", command], env=variables, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


DIAGRAMS = ROOT / "docs" / "diagrams"
SOURCES = pytest.mark.parametrize("source", sorted(DIAGRAMS.glob("*.mmd")), ids=lambda path: path.stem)


@SOURCES
def test_a_diagram_says_what_its_source_says(source: Path) -> None:
    drawn = source.with_suffix(".svg").read_text(encoding="utf-8")
    shown = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", drawn)))
    for line in source.read_text(encoding="utf-8").splitlines()[1:]:
        text = line.partition(" as ")[2] if "participant" in line else line.partition(": ")[2]
        assert text.strip() in shown, f"{source.name} was changed: draw it anew with `nox -s diagrams`"


@SOURCES
def test_a_diagram_is_what_the_script_draws(source: Path) -> None:
    draw = runpy.run_path(str(DIAGRAMS / "draw.py"))["draw"]
    drawn = draw(source.read_text(encoding="utf-8"), f"diagram-{source.stem}")
    assert source.with_suffix(".svg").read_text(encoding="utf-8") == drawn, "draw it anew with `nox -s diagrams`"


@SOURCES
def test_the_page_shows_each_diagram(source: Path) -> None:
    assert f".. raw:: html\n   :file: diagrams/{source.stem}.svg\n" in PAGES["request"]


def test_the_tests_of_the_page_on_testing_pass(tmp_path: Path) -> None:
    written = blocks(PAGES["testing"])
    for number, block in enumerate(written):
        (tmp_path / f"test_block_{number}.py").write_text(block)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout
    assert f"{sum(block.count('def test_') for block in written)} passed" in done.stdout


def test_every_block_is_run() -> None:
    assert len(BLOCKS) == 11


def test_a_store_of_files(notary: Sandbox, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    code = block_with("store=FileStore())")
    for _ in range(2):
        assert get(notary, run_block(code, notary, monkeypatch)["auth"]) == 200
    assert notary.count("login") == 1
    assert list((cache / "notary-auth").iterdir())


def test_a_store_in_redis(notary: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    with RedisServer(programs()["valkey"]) as server:
        code = block_with("redis.Redis(").replace("127.0.0.1:6379", f"127.0.0.1:{server.port}")
        code = code.replace('host="127.0.0.1"', f'host="127.0.0.1", port={server.port}')
        for _ in range(2):
            assert get(notary, run_block(code, notary, monkeypatch)["auth"]) == 200
    assert notary.count("login") == 1


def test_a_code_is_asked_for_once(notary: Sandbox, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    notary.add_user("JohnSmith", "qwe123QWE", totp="424242")
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return "424242"

    for _ in range(2):
        auth = run_block(block_with("offline_access=True"), notary, monkeypatch, {"input": answer})["auth"]
        assert get(notary, auth) == 200
        make_token_expired(auth.account)
        assert get(notary, auth) == 200
    assert asked == ["Code: "]
    assert notary.count("refresh") >= 1


def test_an_api_client(notary: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    code = block_with("for_client(").replace("https://eu2-cloud.acronis.com", notary.data_center_urls[0])
    notary.add_client("4d2e…", "a-secret")
    auth = run_block(code.replace("server_url=", f"cloud_url={notary.url!r}, server_url="), notary, monkeypatch)[
        "auth"
    ]
    assert get(notary, auth) == 200
    assert notary.count("lookup") == 0


def test_a_code_for_each_login(notary: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    code = block_with("what the console showed")
    (shared,) = re.findall('secret = "(.+?)"', code)
    notary.add_user("JohnSmith", "qwe123QWE", totp=lambda: pyotp.TOTP(shared).now())
    assert get(notary, run_block(code, notary, monkeypatch)["auth"]) == 200


def test_a_block_that_logs_out(notary: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    run_block(block_with("with NotaryAuth("), notary, monkeypatch)
    assert [call.kind for call in notary.calls] == ["lookup", "login", "request", "revoke"]


def test_the_environment(notary: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTARY_USERNAME", notary.username)
    monkeypatch.setenv("NOTARY_PASSWORD", notary.password)
    assert get(notary, run_block(block_with("from_env()"), notary, monkeypatch)["auth"]) == 200


class Keyring(keyring.backend.KeyringBackend):
    """A real backend of the keyring library, in memory: a test has no desktop to unlock one."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


def test_a_keyring_and_codes(notary: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = pyotp.random_base32()
    before = keyring.get_keyring()
    keyring.set_keyring(Keyring())
    try:
        keyring.set_password("notary-auth", "JohnSmith", "qwe123QWE")
        keyring.set_password("notary-auth-totp", "JohnSmith", shared)
        notary.add_user("JohnSmith", "qwe123QWE", totp=lambda: pyotp.TOTP(shared).now())
        assert get(notary, run_block(block_with("import keyring"), notary, monkeypatch)["auth"]) == 200
    finally:
        keyring.set_keyring(before)


@pytest.fixture
def vault() -> Iterator[HTTPServer]:
    """A server that speaks as much of Vault's HTTP API as the recipe: KV version 2, a token."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_known = (self.path, self.headers["X-Vault-Token"]) == ("/v1/secret/data/notary", "a-token")
            body = json.dumps(
                {"data": {"data": {"password": "qwe123QWE"}}} if is_known else {"errors": []}
            ).encode()
            self.send_response(200 if is_known else 403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_vault(notary: Sandbox, monkeypatch: pytest.MonkeyPatch, vault: HTTPServer) -> None:
    monkeypatch.setenv("VAULT_ADDR", f"http://127.0.0.1:{vault.server_port}")
    monkeypatch.setenv("VAULT_TOKEN", "a-token")
    assert get(notary, run_block(block_with("VAULT_ADDR"), notary, monkeypatch)["auth"]) == 200


@pytest.mark.usefixtures("pace")
def test_a_store_of_ones_own(notary: Sandbox, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    names = run_block(block_with("class DatabaseStore"), notary, monkeypatch)
    run_block(block_with("for check in store_conformance"), notary, monkeypatch, names)
    from notary_auth.requests import NotaryAuth

    for _ in range(2):
        auth = NotaryAuth("JohnSmith", "qwe123QWE", cloud_url=notary.url, store=names["DatabaseStore"]("x.sqlite"))
        assert get(notary, auth) == 200
    assert notary.count("login") == 1
