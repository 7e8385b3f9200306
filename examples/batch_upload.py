"""A batch upload in threads, with a bar for each file: pip install tqdm

python examples/batch_upload.py FILE…

httpx reads a form's files while it sends them, so a bar shows what is on its way. requests reads them into memory
first: with requests, take requests-toolbelt's MultipartEncoder.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import httpx
from tqdm import tqdm

from notary_auth.httpx import NotaryAuth

FILES = os.environ.get("NOTARY_CLOUD_URL", "https://cloud.acronis.com") + "/api/notary/v2/stored-files"


class Watched:
    """A file that moves a bar as it is read. It can go back to its start, so an upload can be sent again."""

    def __init__(self, file: BinaryIO, bar: Any) -> None:
        self._file, self._bar = file, bar
        self.fileno = file.fileno  # whose size httpx asks for

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self._bar.update(len(chunk))
        return chunk

    def seek(self, *where: int) -> int:
        position = self._file.seek(*where)
        self._bar.n = position
        return position


def upload(client: httpx.Client, path: Path) -> str:
    with (
        path.open("rb") as file,
        tqdm(total=path.stat().st_size, desc=path.name, unit="B", unit_scale=True) as bar,
    ):
        response = client.post(FILES, files={"file": (path.name, Watched(file, bar))})  # type: ignore[dict-item]
    response.raise_for_status()
    return str(response.json()["file_id"])


def main(paths: list[str]) -> None:
    auth = NotaryAuth.from_env()
    with httpx.Client(auth=auth, timeout=600) as client, ThreadPoolExecutor(4) as pool:  # shared by all threads
        for path, file_id in zip(paths, pool.map(partial(upload, client), map(Path, paths)), strict=True):
            print(f"{path}: {file_id}")
        auth.logout(client)


if __name__ == "__main__":
    main(sys.argv[1:])
