"""Asyncio workers: notarize what is on a queue, four files at a time, with one login for all.

python examples/asyncio_worker.py FILE…
"""

import asyncio
import os
import sys
from pathlib import Path

import httpx

from notary_auth.httpx import NotaryAuth

FILES = os.environ.get("NOTARY_CLOUD_URL", "https://cloud.acronis.com") + "/api/notary/v2/stored-files"


async def work(queue: "asyncio.Queue[Path]", client: httpx.AsyncClient) -> None:
    while not queue.empty():
        path = queue.get_nowait()
        with path.open("rb") as file:  # seekable, so it survives a token that was revoked
            answer = await client.post(FILES, files={"file": (path.name, file)})
        print(path.name, answer.status_code, answer.json().get("file_id"))


async def main(paths: list[str]) -> None:
    queue: asyncio.Queue[Path] = asyncio.Queue()
    for path in paths:
        queue.put_nowait(Path(path))
    auth = NotaryAuth.from_env()
    async with httpx.AsyncClient(auth=auth, timeout=60) as client:
        await asyncio.gather(*(work(queue, client) for _ in range(4)))  # ends at the first error
        await auth.alogout(client)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
