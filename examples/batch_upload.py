"""A batch upload in threads, with a bar for each file: pip install tqdm

python examples/batch_upload.py FILE…
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import requests
from tqdm import tqdm

from notary_auth.requests import NotaryAuth

FILES = os.environ.get("NOTARY_CLOUD_URL", "https://cloud.acronis.com") + "/api/notary/v2/stored-files"
AUTH = NotaryAuth.from_env()  # shared by all threads


class Watched:
    """A file that moves a bar as it is read. It can go back to its start, so an upload can be sent again."""

    def __init__(self, file: BinaryIO, bar: Any) -> None:
        self._file, self._bar = file, bar

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self._bar.update(len(chunk))
        return chunk

    def seek(self, *where: int) -> int:
        position = self._file.seek(*where)
        self._bar.n = position
        return position

    def tell(self) -> int:
        return self._file.tell()


def upload(path: Path) -> str:
    with (
        path.open("rb") as file,
        tqdm(total=path.stat().st_size, desc=path.name, unit="B", unit_scale=True) as bar,
    ):
        answer = requests.post(FILES, files={"file": (path.name, Watched(file, bar))}, auth=AUTH, timeout=600)
    answer.raise_for_status()
    return str(answer.json()["file_id"])


def main(paths: list[str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        for path, file_id in zip(paths, pool.map(upload, map(Path, paths)), strict=True):
            print(f"{path}: {file_id}")
    AUTH.logout()


if __name__ == "__main__":
    main(sys.argv[1:])
