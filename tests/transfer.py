"""A large file up and down with one client, in a process of its own, and what memory that took.

    python -m tests.transfer CLIENT CLOUD_URL MIB

prints the extra memory in MB, over what the process had after a small file went the same way.
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import IO, Any

import aiohttp
from requests_toolbelt import MultipartEncoder

from .clients import CLIENTS, HTTPX, AiohttpAsyncio, Client, HttpxAsync, NiquestsAsyncio, Requests

MIB = 1024 * 1024


def transfer(client: Client, cloud_url: str, auth: Any, size: int) -> None:
    files = f"{cloud_url}/api/notary/v2/stored-files"
    with tempfile.TemporaryFile() as content:
        content.truncate(size)
        file_id = upload(client, files, auth, content)
    received = download(client, f"{files}/{file_id}/download", auth)
    assert received == size, f"{received} of {size} bytes came back"


def upload(client: Client, url: str, auth: Any, content: IO[bytes]) -> str:
    if client not in HTTPX and not isinstance(client, AiohttpAsyncio):
        form = MultipartEncoder({"file": ("zeros", content)})
        body: Any = form
        if client.name != "requests":  # niquests reads an encoder into memory, but streams what it has to iterate
            body = client.generator(iter(partial(form.read, 65536), b""))
        answer = client.send("POST", url, auth=auth, content=body, headers={"Content-Type": form.content_type})
    else:
        answer = client.send("POST", url, auth=auth, files={"file": ("zeros", content)})
    assert answer.status_code == 201, answer
    return str(answer.json()["file_id"])


def download(client: Client, url: str, auth: Any) -> int:
    size = 0
    if isinstance(client, Requests):
        with client.library.get(url, auth=auth, stream=True) as answer:
            for chunk in answer.iter_content(65536):
                size += len(chunk)
        return size
    if isinstance(client, AiohttpAsyncio):

        async def fetch() -> int:
            size = 0
            async with aiohttp.ClientSession(middlewares=(auth,)) as session, session.get(url) as answer:
                async for chunk in answer.content.iter_chunked(65536):
                    size += len(chunk)
            return size

        return int(client.run(fetch))
    if isinstance(client, NiquestsAsyncio):

        async def receive() -> int:
            size = 0
            async with client.library.AsyncSession(auth=auth) as session:
                answer = await session.get(url, stream=True)
                async for chunk in await answer.iter_content(65536):
                    size += len(chunk)
            return size

        return int(client.run(receive))
    if not isinstance(client, HttpxAsync):
        with client.library.Client(auth=auth) as http, http.stream("GET", url) as answer:
            return sum(len(chunk) for chunk in answer.iter_bytes())

    async def stream() -> int:
        size = 0
        async with client.library.AsyncClient(auth=auth) as http, http.stream("GET", url) as answer:
            async for chunk in answer.aiter_bytes():
                size += len(chunk)
        return size

    return int(client.run(stream))


def memory(field: str) -> int:
    """A figure of /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def main(name: str, cloud_url: str, mib: str) -> None:
    client = next(each for each in CLIENTS if each.name == name)
    auth = client.auth_type("JohnSmith", "qwe123QWE", cloud_url=cloud_url)
    transfer(client, cloud_url, auth, 4 * MIB)  # what is imported and allocated once does not count
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to the present
    transfer(client, cloud_url, auth, int(mib) * MIB)
    print((memory("VmHWM") - before) / 1e6)


if __name__ == "__main__":
    main(*sys.argv[1:])
