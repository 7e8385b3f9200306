"""The programs in examples/, run as their users run them, against the sandbox."""

from __future__ import annotations

import importlib
import io
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import urllib3
from tqdm import tqdm

from notary_auth import CredentialsRefused
from notary_auth.requests import NotaryAuth
from notary_auth.sandbox import Sandbox

from .badserver import BadServer
from .clients import in_threads
from .paths import ROOT
from .waiting import until

EXAMPLES = ROOT / "examples"


@pytest.fixture
def environment(notary: Sandbox, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "NOTARY_USERNAME": notary.username,
        "NOTARY_PASSWORD": notary.password,
        "NOTARY_CLOUD_URL": notary.url,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "HOME": str(tmp_path),
    }


def run(name: str, environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    files = [tmp_path / f"contract-{number}.pdf" for number in range(6)]
    for file in files:
        file.write_bytes(b"signed" * 20_000)
    return [str(file) for file in files]


def stored(notary: Sandbox) -> set[str]:
    auth = NotaryAuth(notary.username, notary.password, cloud_url=notary.url)
    answer = requests.get(f"{notary.api_url}/stored-files", auth=auth, timeout=9)
    return {file["name"] for file in answer.json()["files"]}


def test_the_script_lists_all_pages_and_logs_in_once(notary: Sandbox, environment: dict[str, str]) -> None:
    auth = NotaryAuth(notary.username, notary.password, cloud_url=notary.url)
    for number in range(25):
        answer = requests.post(
            f"{notary.api_url}/stored-files", files={"file": (f"{number}.txt", b"x")}, auth=auth, timeout=9
        )
        assert answer.status_code == 201
    notary.clear()
    for _ in range(2):
        assert len(run("script.py", environment).splitlines()) == 25
    assert notary.count("login") == 1


def test_the_script_ends_with_one_sentence(notary: Sandbox, environment: dict[str, str]) -> None:
    environment["NOTARY_PASSWORD"] = "wrong"
    with pytest.raises(AssertionError, match="CredentialsRefused: the platform refused the login") as caught:
        run("script.py", environment)
    assert "Traceback" not in str(caught.value)


def test_the_worker_uploads_and_logs_out(notary: Sandbox, environment: dict[str, str], paths: list[str]) -> None:
    shown = run("asyncio_worker.py", environment, *paths)
    assert shown.count(" 201 ") == 6
    assert (notary.count("login"), notary.count("revoke")) == (1, 1)
    assert len(stored(notary)) == 6


@pytest.mark.parametrize("spoil", ["file", "password"])
def test_the_worker_ends_at_an_error(
    notary: Sandbox, environment: dict[str, str], paths: list[str], spoil: str
) -> None:
    if spoil == "file":
        paths.append("not-there.txt")
    else:
        environment["NOTARY_PASSWORD"] = "wrong"
    expected = {"file": "FileNotFoundError", "password": "CredentialsRefused"}[spoil]
    with pytest.raises(AssertionError, match=expected):
        run("asyncio_worker.py", environment, *paths)


def test_the_batch_uploads_in_threads(notary: Sandbox, environment: dict[str, str], paths: list[str]) -> None:
    assert len(run("batch_upload.py", environment, *paths).splitlines()) == 6
    assert (notary.count("login"), notary.count("revoke")) == (1, 1)
    assert len(stored(notary)) == 6


def test_the_bar_of_a_batch_shows_what_was_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And is not full before the server has read anything."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.delitem(sys.modules, "batch_upload", raising=False)
    import batch_upload

    bars: list[tqdm[Any]] = []

    def new_bar(**settings: Any) -> tqdm[Any]:
        bars.append(tqdm(file=io.StringIO(), **settings))
        return bars[-1]

    monkeypatch.setattr(batch_upload, "tqdm", new_bar)
    path, size, may_read = tmp_path / "large.pdf", 64 * 1024 * 1024, threading.Event()
    with path.open("wb") as file:
        file.truncate(size)

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            may_read.wait(30)
            received = 0
            while received < size:
                received += len(connection.recv(1024 * 1024))
            body = b'{"file_id": "1"}'
            connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        ThreadPoolExecutor(2) as pool,
        httpx.Client() as client,
    ):
        monkeypatch.setattr(batch_upload, "FILES", f"http://127.0.0.1:{listener.getsockname()[1]}/")
        served = pool.submit(serve, listener)
        uploaded = pool.submit(batch_upload.upload, client, path)
        until(lambda: bars and bars[0].n, 10)
        assert not uploaded.done()
        assert 0 < bars[0].n < size / 2
        may_read.set()
        assert uploaded.result(30) == "1"
        served.result(30)
    assert bars[0].n == size


def test_the_service_serves_with_one_login(
    notary: Sandbox, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastapi.testclient import TestClient

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.delitem(sys.modules, "fastapi_service", raising=False)
    import fastapi_service

    with TestClient(fastapi_service.app) as browser:
        for _ in range(3):
            assert browser.get("/files").json() == {"names": []}
    assert notary.count("login") == 1
    monkeypatch.setenv("NOTARY_PASSWORD", "wrong")
    with TestClient(fastapi_service.app) as browser:
        answer = browser.get("/files")
    assert (answer.status_code, "Notary does not let us in" in answer.text) == (502, True)


def test_before_and_after_say_the_same(notary: Sandbox, environment: dict[str, str]) -> None:
    assert run("migration_before.py", environment) == run("migration_after.py", environment) == "0 files\n"


def test_every_example_is_run() -> None:
    text = Path(__file__).read_text()
    for path in EXAMPLES.glob("*.py"):
        assert path.stem in text, f"nobody runs {path.name}"


# The adapter that "How to add a client" is about


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("urllib3_adapter")


@pytest.fixture
def pool() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(maxsize=30) as manager:
        yield manager


def test_the_adapter_of_the_page_keeps_the_rules(notary: Sandbox, adapter: Any, pool: urllib3.PoolManager) -> None:
    auth = adapter.NotaryAuth(notary.username, notary.password, cloud_url=notary.url)
    files = f"{notary.api_url}/stored-files"

    def statuses(url: str, count: int = 1, **options: Any) -> list[int]:
        responses = in_threads(lambda _: auth.request(pool, "GET", url, **options), range(count))
        return [response.status for response in responses]

    assert statuses(files, 30) == [200] * 30
    assert (notary.count("lookup"), notary.count("login")) == (1, 1)
    notary.revoke_tokens()
    assert statuses(files, 10) == [200] * 10
    assert notary.count("login") == 2
    notary.move()
    assert statuses(files) == [200]
    assert statuses(f"{notary.foreign_url}/x") == [200]
    assert not [call for call in notary.calls if call.host == "foreign host" and call.is_signed]
    notary.revoke_tokens()
    assert statuses(files, body=iter([b"once"])) == [401]
    assert statuses(files) == [200]
    statuses(files, headers={"cookie": "cloud=1", "X-Mine": "yes"})
    assert notary.calls[-1].headers.get("cookie") is None
    assert notary.calls[-1].headers["x-mine"] == "yes"
    auth.logout(pool)
    assert notary.count("revoke") == 1


def test_rule_5_the_adapter_of_the_page_sends_the_right_host(
    notary: Sandbox, adapter: Any, pool: urllib3.PoolManager
) -> None:
    auth = adapter.NotaryAuth(notary.username, notary.password, cloud_url=notary.url)
    for url in (notary.api_url, f"{notary.data_center_urls[0]}/api/notary/v2"):
        auth.request(pool, "GET", f"{url}/stored-files", headers={"host": "evil.example"})
        assert notary.calls[-1].is_signed
        assert notary.calls[-1].headers["host"] == notary.data_center_urls[0].partition("://")[2]


def test_the_adapter_of_the_page_sends_the_pools_own_headers(notary: Sandbox, adapter: Any) -> None:
    auth = adapter.NotaryAuth(notary.username, notary.password, cloud_url=notary.url)
    with urllib3.PoolManager(headers={"X-Mine": "yes"}) as pool:
        auth.request(pool, "GET", f"{notary.api_url}/stored-files")
    assert notary.calls[-1].headers["x-mine"] == "yes"
    assert all("x-mine" not in call.headers for call in notary.calls[:-1])


def test_rule_11_the_adapter_of_the_page_sends_no_password_through_a_proxy_in_clear(
    notary: Sandbox, adapter: Any
) -> None:
    auth = adapter.NotaryAuth(notary.username, notary.password, cloud_url=notary.url)
    with BadServer() as proxy, urllib3.ProxyManager(proxy.url) as pool:
        auth.request(pool, "GET", f"{notary.api_url}/stored-files")
        assert proxy.paths == [f"{notary.data_center_urls[0]}/api/notary/v2/stored-files"]
    assert [call.kind for call in notary.calls] == ["lookup", "login"]


def test_the_adapters_errors_are_the_clients_own(notary: Sandbox, adapter: Any, pool: urllib3.PoolManager) -> None:
    auth = adapter.NotaryAuth(notary.username, "wrong", cloud_url=notary.url)
    with pytest.raises(CredentialsRefused) as caught:
        auth.request(pool, "GET", f"{notary.api_url}/stored-files")
    assert isinstance(caught.value, urllib3.exceptions.HTTPError)
    nowhere = adapter.NotaryAuth("JohnSmith", "x", cloud_url="http://127.0.0.1:1")
    with pytest.raises(urllib3.exceptions.HTTPError):
        nowhere.request(pool, "GET", "http://127.0.0.1:1/x")


def test_the_adapter_has_less_than_a_hundred_lines(adapter: Any) -> None:
    lines = Path(adapter.__file__).read_text().splitlines()
    assert sum(bool(line.strip()) for line in lines) < 100
