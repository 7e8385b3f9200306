"""The platform's stored files: listed, uploaded, described, downloaded."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import AsyncIterator
from typing import IO, TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

if TYPE_CHECKING:
    from ._platform import Platform

PAGE = 20
LARGEST_FILE = 1024**3
CHUNK = 256 * 1024


class _StoredFile:
    """An upload, on disk as it came in. Several may read it at once."""

    def __init__(self, name: str, content: IO[bytes]) -> None:
        self.id = secrets.token_hex(12)
        self.name = name
        self.created_at = int(time.time())
        self._content = content
        self._lock = threading.Lock()
        self.size = content.seek(0, 2)
        digest = hashlib.sha256()
        for offset in range(0, self.size, CHUNK):
            digest.update(self.read(offset))
        self.hash = digest.hexdigest()

    def read(self, offset: int) -> bytes:
        with self._lock:
            self._content.seek(offset)
            return self._content.read(CHUNK)

    def close(self) -> None:
        self._content.close()

    def described(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "size": self.size,
            "hash": self.hash,
            "created_at": self.created_at,
            "certificate": {"id": f"certificate-{self.id}", "hash": self.hash, "timestamp": self.created_at},
        }


class StoredFiles:
    """The files of all users, on disk."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self.files: dict[str, list[_StoredFile]] = {}

    def close(self) -> None:
        for files in self.files.values():
            for file in files:
                file.close()
        self.files.clear()

    async def list(self, request: Request) -> Response:
        user = self._platform.identity.user_of(request)
        if isinstance(user, Response):
            return user
        try:
            limit = int(request.query_params.get("limit", PAGE))
            start = int(request.query_params.get("cursor", 0))
        except ValueError:
            limit = start = -1
        if limit < 1 or start < 0:
            return JSONResponse({"message": "limit and cursor must be numbers"}, 400)
        files = self.files.get(user, [])
        after = start + limit
        cursors = {"after": str(after)} if after < len(files) else {}
        page = [file.described() for file in files[start:after]]
        return JSONResponse({"files": page, "paging": {"cursors": cursors}})

    async def store(self, request: Request) -> Response:
        user = self._platform.identity.user_of(request)
        if isinstance(user, Response):
            return user
        form = await request.form()
        upload = form.get("file")
        if not isinstance(upload, UploadFile):
            await form.close()
            return JSONResponse({"message": "the part 'file' is missing"}, 400)
        if (upload.size or 0) > LARGEST_FILE:
            await form.close()
            return JSONResponse({"message": "the file is larger than 1 GiB"}, 413)
        # Starlette has streamed it to a temporary file, which from now on is the store's.
        file = await run_in_threadpool(_StoredFile, upload.filename or "", upload.file)
        if self._platform.is_past(request):
            file.close()
            return Response(status_code=503)
        self.files.setdefault(user, []).append(file)
        return JSONResponse({"file_id": file.id}, 201)

    def _file(self, request: Request) -> _StoredFile | Response:
        user = self._platform.identity.user_of(request)
        if isinstance(user, Response):
            return user
        file_id = request.path_params["file_id"]
        for file in self.files.get(user, []):
            if file.id == file_id:
                return file
        return JSONResponse({"message": "no such file"}, 404)

    async def describe(self, request: Request) -> Response:
        file = self._file(request)
        return file if isinstance(file, Response) else JSONResponse({"file": file.described()})

    async def download(self, request: Request) -> Response:
        file = self._file(request)
        if isinstance(file, Response):
            return file

        async def content() -> AsyncIterator[bytes]:
            for offset in range(0, file.size, CHUNK):
                yield await run_in_threadpool(file.read, offset)

        headers = {"content-length": str(file.size)}
        return StreamingResponse(content(), media_type="application/octet-stream", headers=headers)
