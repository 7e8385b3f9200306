"""``notary-auth demo``: what a user does, with each client, on a platform on this machine.

Every figure shown is counted by the platform, and compared with what it should be.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO, Protocol, TypeVar

import httpx
import requests
from requests_toolbelt import MultipartEncoder
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.table import Table

import notary_auth.httpx
import notary_auth.requests
from notary_auth.sandbox import Sandbox

FILE_SIZE = 4 * 1024 * 1024
CROWD = 200
WORKERS = 32
NO_PROXY = {"no_proxy": "127.0.0.1"}  # requests would take the environment's proxy to this machine as well
TIMEOUT = 60  # seconds, for a machine that is busy with something else

Result = TypeVar("Result")


class Client(Protocol):
    """A client in a user's hands: the calls that the demo makes."""

    name: str

    def get(self, path: str) -> requests.Response | httpx.Response: ...
    def upload(self, content: BinaryIO) -> requests.Response | httpx.Response: ...
    def crowd(self, path: str, number: int) -> list[int]: ...
    def close(self) -> None: ...


class RequestsClient:
    name = "requests"

    def __init__(self, notary: Sandbox) -> None:
        self._api = notary.api_url
        self._auth = notary_auth.requests.NotaryAuth(notary.username, notary.password, cloud_url=notary.url)

    def get(self, path: str) -> requests.Response:
        return requests.get(self._api + path, auth=self._auth, timeout=TIMEOUT, proxies=NO_PROXY)

    def upload(self, content: BinaryIO) -> requests.Response:
        form = MultipartEncoder({"file": ("demo.bin", content)})  # requests' own files= reads it all first
        headers = {"Content-Type": form.content_type}
        url = f"{self._api}/stored-files"
        return requests.post(url, data=form, headers=headers, auth=self._auth, timeout=TIMEOUT, proxies=NO_PROXY)

    def crowd(self, path: str, number: int) -> list[int]:
        with ThreadPoolExecutor(WORKERS) as pool:
            return [answer.status_code for answer in pool.map(self.get, [path] * number)]

    def close(self) -> None:
        pass


class HttpxClient:
    name = "httpx"

    def __init__(self, notary: Sandbox) -> None:
        auth = notary_auth.httpx.NotaryAuth(notary.username, notary.password, cloud_url=notary.url)
        # With more connections than may stay open idle, httpx's pool can close one that a thread has just been
        # given (encode/httpcore#1110). The demo is not about that: all may stay.
        limits = httpx.Limits(max_connections=WORKERS, max_keepalive_connections=WORKERS)
        self._client = httpx.Client(
            base_url=notary.api_url, auth=auth, timeout=TIMEOUT, limits=limits, trust_env=False
        )

    def get(self, path: str) -> httpx.Response:
        return self._client.get(path)

    def upload(self, content: BinaryIO) -> httpx.Response:
        return self._client.post("/stored-files", files={"file": ("demo.bin", content)})

    def crowd(self, path: str, number: int) -> list[int]:
        with ThreadPoolExecutor(WORKERS) as pool:
            return [answer.status_code for answer in pool.map(self.get, [path] * number)]

    def close(self) -> None:
        self._client.close()


class AsyncioClient:
    name = "httpx under asyncio"

    def __init__(self, notary: Sandbox) -> None:
        self._loop = asyncio.new_event_loop()
        auth = notary_auth.httpx.NotaryAuth(notary.username, notary.password, cloud_url=notary.url)
        self._client = httpx.AsyncClient(base_url=notary.api_url, auth=auth, timeout=TIMEOUT, trust_env=False)

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._loop.run_until_complete(work)

    def get(self, path: str) -> httpx.Response:
        return self._run(self._client.get(path))

    def upload(self, content: BinaryIO) -> httpx.Response:
        return self._run(self._client.post("/stored-files", files={"file": ("demo.bin", content)}))

    def crowd(self, path: str, number: int) -> list[int]:
        async def ask_at_once() -> list[int]:
            answers = await asyncio.gather(*(self._client.get(path) for _ in range(number)))
            return [answer.status_code for answer in answers]

        return self._run(ask_at_once())

    def close(self) -> None:
        self._run(self._client.aclose())
        self._loop.close()


class Demo:
    """The tour, and what of it went otherwise than expected."""

    def __init__(self, sandbox: Sandbox, console: Console) -> None:
        self._sandbox = sandbox
        self._console = console
        self.failures = 0

    def tour(self, kind: Callable[[Sandbox], Client]) -> None:
        client = kind(self._sandbox)
        try:
            self._console.rule(f"[bold]{client.name}")
            self._list(client)
            self._store(client)
            self._lose_the_token(client)
        finally:
            client.close()
        newcomer = kind(self._sandbox)
        try:
            self._come_in_a_crowd(newcomer)
        finally:
            newcomer.close()

    def expect(self, what: str, found: object, expected: object) -> None:
        fine = found == expected
        self.failures += not fine
        mark = "[green]✓[/]" if fine else "[red]✗[/]"
        self._console.print(f"{mark} {what}" + ("" if fine else f": {found!r} instead of {expected!r}"))

    def _list(self, client: Client) -> None:
        for time, expected in (("first", 3), ("second", 1)):
            self._sandbox.clear()
            status = client.get("/stored-files").status_code
            self._show_calls(f"Listing the stored files for the {time} time, on the wire")
            self.expect("the list is there", status, 200)
            self.expect(
                f"{expected} call{'s' * (expected > 1)} the {time} time", len(self._sandbox.calls), expected
            )

    def _store(self, client: Client) -> None:
        content = os.urandom(FILE_SIZE)
        columns = (TextColumn("  {task.description}"), BarColumn(), DownloadColumn())
        with tempfile.TemporaryFile() as file, Progress(*columns, console=self._console) as progress:
            file.write(content)
            file.seek(0)
            answer = client.upload(progress.wrap_file(file, FILE_SIZE, description="uploading"))
        self.expect("the file is stored", answer.status_code, 201)
        path = f"/stored-files/{answer.json().get('file_id')}"
        listed = [file["id"] for file in client.get("/stored-files").json()["files"]]
        self.expect("it is listed", answer.json().get("file_id") in listed, True)
        digest = hashlib.sha256(content).hexdigest()
        self.expect("the platform's SHA-256 of it is ours", client.get(path).json()["file"]["hash"], digest)
        downloaded = hashlib.sha256(client.get(f"{path}/download").content).hexdigest()
        self.expect(f"the {FILE_SIZE // 1024**2} MiB downloaded are those uploaded", downloaded, digest)

    def _lose_the_token(self, client: Client) -> None:
        self._sandbox.clear()
        self._sandbox.revoke_tokens()
        self.expect(
            "the token revoked, the next request is answered", client.get("/stored-files").status_code, 200
        )
        self.expect("it took one login", self._sandbox.count("login"), 1)

    def _come_in_a_crowd(self, client: Client) -> None:
        self._sandbox.clear()
        statuses = client.crowd("/stored-files", CROWD)
        self.expect(f"{CROWD} concurrent requests of a newcomer are answered", statuses, [200] * CROWD)
        self.expect("one discovery served them", self._sandbox.count("lookup"), 1)
        self.expect("one login served them", self._sandbox.count("login"), 1)

    def _show_calls(self, title: str) -> None:
        table = Table("", "host", "call", "signed", "status", title=title, title_justify="left")
        for number, call in enumerate(self._sandbox.calls, 1):
            signed = "yes" if call.is_signed else ""
            table.add_row(str(number), call.host, f"{call.method} {call.path}", signed, str(call.status))
        self._console.print(table)


def run() -> int:
    """Run the demo. Returns 0 if all expectations held, else 1."""
    console = Console(highlight=False)
    with Sandbox() as sandbox:
        demo = Demo(sandbox, console)
        clients: tuple[Callable[[Sandbox], Client], ...] = (RequestsClient, HttpxClient, AsyncioClient)
        for kind in clients:
            demo.tour(kind)
    console.rule()
    console.print("all as expected" if not demo.failures else f"[red]{demo.failures} not as expected")
    return int(demo.failures > 0)
