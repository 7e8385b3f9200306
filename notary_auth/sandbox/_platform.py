"""What the platform does: accounts, tokens and stored files, as one Starlette application for all its hosts.

Which host a call is for is told by the port it came in on. Nothing here knows how it is served.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from math import inf
from typing import IO, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

LOOKUP = "/api/1/accounts"
LOGIN = "/api/2/idp/token"
REVOKE = "/api/2/idp/revoke_token"
API = "/api/notary/v2"

CLOUD, FIRST, SECOND, FOREIGN = "cloud", "data center 1", "data center 2", "foreign host"
HOSTS = (CLOUD, FIRST, SECOND, FOREIGN)

PAGE = 20
LARGEST_FILE = 1024**3
FAILURES_BEFORE_LOCK = 5
CHUNK = 256 * 1024
HELD_PAUSE = 0.001  # seconds between two looks at whether a call is still held
CLIENT_CLOSED_REQUEST = 499  # nginx's word for a client that went away

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(slots=True)
class Account:
    """An account of the sandbox's."""

    username: str
    password: str = field(repr=False)
    data_center: str = FIRST
    totp: str | Callable[[], str] | None = field(default=None, repr=False)
    failures: int = 0

    @property
    def is_locked(self) -> bool:
        return self.failures >= FAILURES_BEFORE_LOCK

    def takes_code(self, code: str) -> bool:
        expected = self.totp() if callable(self.totp) else self.totp
        return expected is None or code == expected


KINDS = "lookup", "login", "refresh", "revoke", "request"


@dataclass(frozen=True, slots=True)
class Call:
    """A call that arrived, and what it was answered with.

    `host` is ``"cloud"``, ``"data center 1"``, ``"data center 2"`` or ``"foreign host"``. `kind` is
    ``"lookup"``, ``"login"``, ``"refresh"``, ``"revoke"`` or ``"request"``. Header names are in lower case.
    `body_size` is how many bytes of the body came in at the foreign host, the only one that has no use for them.
    `grant` is a login's ``grant_type``, if the call got as far as being read.
    """

    host: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    status: int
    body_size: int = 0
    grant: str = ""

    @property
    def kind(self) -> str:
        if self.path == LOGIN and self.grant == "refresh_token":
            return "refresh"
        return {LOOKUP: "lookup", LOGIN: "login", REVOKE: "revoke"}.get(self.path, "request")

    @property
    def is_signed(self) -> bool:
        return "authorization" in self.headers


@dataclass(slots=True)
class Faults:
    """What can be made to go wrong, at any time. All are off to begin with.

    Attributes:
        latency: seconds added to every answer.
        latency_of: seconds added to the answers of a path, such as ``{"/api/2/idp/token": 1.0}``.
        held: paths that are not answered for as long as they are in this set.
        clock_offset: seconds the server's clock is ahead of this machine's.
        send_date: whether answers have a ``Date``.
        token_lifetime: seconds that a token lives.
        token_fields: which of ``expires_on`` and ``expires_in`` the token reply has.
        token_overrides: fields of the token reply to be replaced, or left out where the value is None.
    """

    latency: float = 0.0
    latency_of: dict[str, float] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    clock_offset: float = 0.0
    send_date: bool = True
    token_lifetime: float = 7200.0
    token_fields: frozenset[str] = frozenset({"expires_on"})
    token_overrides: dict[str, Any] = field(default_factory=dict)
    _next: deque[tuple[str, str | None, Response]] = field(default_factory=deque)

    def answer_next(
        self,
        path: str,
        status: int,
        headers: Mapping[str, str] | None = None,
        body: bytes | str = b"",
        *,
        times: int = 1,
        host: str | None = None,
    ) -> None:
        """Answer the next calls of a path like this instead, at one host or whichever comes first.

        Raises:
            ValueError: `path` does not begin with a slash.
        """
        if not path.startswith("/"):
            raise ValueError(f"{path!r} is no path: begin it with a slash")
        for _ in range(times):
            self._next.append((path, host, Response(body, status, dict(headers or {}))))

    def take(self, path: str, host: str) -> Response | None:
        for fault in self._next:
            if fault[0] == path and fault[1] in (None, host):
                self._next.remove(fault)
                return fault[2]
        return None


@dataclass(frozen=True, slots=True)
class _Token:
    username: str
    data_center: str
    expires_on: float
    login: str  # tokens of one login are revoked together


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


class Platform:
    """The state of a platform, and the application that serves it."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.tokens: dict[str, _Token] = {}
        self.refresh_tokens: dict[str, _Token] = {}
        self.files: dict[str, list[_StoredFile]] = {}
        self.faults = Faults()
        self.calls = _new_record()
        self.pending: list[str] = []  # paths of calls that have arrived, and are not answered yet
        self.hosts: dict[int, str] = {}  # by port
        self.urls: dict[str, str] = {}  # by host
        self.app = Starlette(
            routes=[
                Route(LOOKUP, self._at(self._lookup, CLOUD)),
                Route(LOGIN, self._at(self._log_in, FIRST, SECOND), methods=["POST"]),
                Route(REVOKE, self._at(self._revoke, FIRST, SECOND), methods=["POST"]),
                Route(f"{API}/stored-files", self._at(self._list, FIRST, SECOND), methods=["GET"]),
                Route(f"{API}/stored-files", self._at(self._store, FIRST, SECOND), methods=["POST"]),
                Route(f"{API}/stored-files/{{file_id}}", self._at(self._describe, FIRST, SECOND)),
                Route(f"{API}/stored-files/{{file_id}}/download", self._at(self._download, FIRST, SECOND)),
                Route("/{path:path}", self._at(self._elsewhere, *HOSTS), methods=_METHODS),
            ],
        )

    def now(self) -> float:
        """Seconds since the epoch by the server's clock."""
        return time.time() + self.faults.clock_offset

    def reset(self) -> None:
        self.close()
        for state in (self.accounts, self.tokens, self.refresh_tokens):
            state.clear()
        self.calls, self.pending = _new_record(), []
        self.faults = Faults()

    def close(self) -> None:
        for files in self.files.values():
            for file in files:
                file.close()
        self.files.clear()

    def _at(self, endpoint: Endpoint, *hosts: str) -> Endpoint:
        """What all calls have in common: faults, the record, and that not every host has every call."""

        async def answer(request: Request) -> Response:
            host = self.hosts[request.scope["server"][1]]
            request.state.host = host
            request.state.body_size = 0
            request.state.grant = ""
            path = request.url.path
            request.state.calls = calls = self.calls
            try:
                if path in (LOGIN, REVOKE):
                    await request.body()  # a form has arrived when all of it has
                await self._wait_to_answer(path)
                if self._is_past(request):
                    return Response(status_code=503)
                endpoint_here = endpoint if host in hosts else self._elsewhere
                response = self.faults.take(path, host) or await endpoint_here(request)
            except ClientDisconnect:  # arrived all the same
                response = Response(status_code=CLIENT_CLOSED_REQUEST)
            if self.faults.send_date and "date" not in response.headers:
                response.headers["date"] = formatdate(self.now(), usegmt=True)
            calls.append(
                Call(
                    host,
                    request.method,
                    path,
                    request.url.query,
                    dict(request.headers),
                    response.status_code,
                    request.state.body_size,
                    request.state.grant,
                )
            )
            return response

        return answer

    async def _wait_to_answer(self, path: str) -> None:
        faults, pending = self.faults, self.pending
        pending.append(path)
        try:
            await asyncio.sleep(faults.latency + faults.latency_of.get(path, 0.0))
            while path in faults.held and faults is self.faults:  # noqa: ASYNC110  a set of the user's has no event
                await asyncio.sleep(HELD_PAUSE)
        finally:
            pending.remove(path)

    def _is_past(self, request: Request) -> bool:
        """Whether a `reset` came since this call did: it is no part of what is now, and must change nothing."""
        return request.state.calls is not self.calls

    async def _lookup(self, request: Request) -> Response:
        username = request.query_params.get("login", "")
        account = self.accounts.get(username)
        # The platform answers for unknown names as well: it does not tell who has an account.
        data_center = FIRST if account is None else account.data_center
        return JSONResponse({"login": username, "id": 0, "server_url": self.urls[data_center]})

    async def _log_in(self, request: Request) -> Response:
        async with request.form() as form:
            fields = {name: str(value) for name, value in form.items()}
        request.state.grant = grant = fields.get("grant_type", "")
        if grant == "refresh_token":
            return self._refresh(request.state.host, fields.get("refresh_token", ""))
        username, password, code = (fields.get(name, "") for name in ("username", "password", "totp_code"))
        if grant != "password" or not username or not password:
            return _refusal(400, "invalid_request", "grant_type, username or password is missing")
        account = self.accounts.get(username)
        refusal = self._refusal_for(account, request.state.host, password, code)
        if account is None or refusal is not None:
            return refusal or _refusal(401, "access_denied", "Wrong login or password")
        account.failures = 0
        return self._grant(account, with_refresh_token="offline_access" in fields.get("scope", "").split())

    @staticmethod
    def _refusal_for(account: Account | None, host: str, password: str, code: str) -> Response | None:
        if account is None or account.data_center != host:
            return _refusal(401, "access_denied", "Wrong login or password")
        if account.is_locked:
            return _refusal(403, "access_denied", "The account is locked")
        if not secrets.compare_digest(account.password.encode(), password.encode()):
            account.failures += 1
            return _refusal(401, "access_denied", "Wrong login or password")
        if not account.takes_code(code):
            error, description = (
                ("invalid_totp", "The TOTP code is wrong") if code else ("totp_required", "A TOTP code is needed")
            )
            return _refusal(401, error, description)
        return None

    def _refresh(self, host: str, refresh_token: str) -> Response:
        """Spend a refresh token: the one that comes back replaces it."""
        spent = self.refresh_tokens.pop(refresh_token, None)
        if spent is None or spent.data_center != host or self.accounts[spent.username].data_center != host:
            return _refusal(400, "invalid_grant", "The refresh token is not known, spent or revoked")
        return self._grant(self.accounts[spent.username], with_refresh_token=True)

    async def _revoke(self, request: Request) -> Response:
        async with request.form() as form:
            token = str(form.get("token", ""))
        if not token:
            return _refusal(400, "invalid_request", "token is missing")
        revoked = self.tokens.get(token) or self.refresh_tokens.get(token)
        if revoked is not None:  # and also where it is gone already (RFC 7009, section 2.2)
            for tokens in (self.tokens, self.refresh_tokens):
                for name in [name for name, each in tokens.items() if each.login == revoked.login]:
                    del tokens[name]
        return JSONResponse({})

    def _grant(self, account: Account, *, with_refresh_token: bool) -> Response:
        faults = self.faults
        access_token, id_token, refresh_token = (secrets.token_urlsafe(48) for _ in range(3))
        expires_on = self.now() + faults.token_lifetime
        login = secrets.token_hex(8)
        self.tokens[access_token] = _Token(account.username, account.data_center, expires_on, login)
        reply: dict[str, Any] = {"access_token": access_token, "id_token": id_token, "token_type": "bearer"}
        if with_refresh_token:
            self.refresh_tokens[refresh_token] = _Token(account.username, account.data_center, inf, login)
            reply["refresh_token"] = refresh_token
        if "expires_on" in faults.token_fields:
            reply["expires_on"] = int(expires_on)
        if "expires_in" in faults.token_fields:
            reply["expires_in"] = int(faults.token_lifetime)
        reply.update(faults.token_overrides)
        return JSONResponse({name: value for name, value in reply.items() if value is not None})

    def _user(self, request: Request) -> str | Response:
        """Whose token the request carries; or the 401 for one that carries no good one."""
        scheme, _, access_token = request.headers.get("authorization", "").partition(" ")
        token = self.tokens.get(access_token) if scheme.lower() == "bearer" else None
        if token is None:
            return _unauthorized("The token is missing or not known")
        if token.data_center != request.state.host:
            return _unauthorized("The token is of another data center")
        if self.accounts[token.username].data_center != token.data_center:
            return _unauthorized("The account has moved")
        if token.expires_on <= self.now():
            return _unauthorized("The token has expired")
        return token.username

    async def _list(self, request: Request) -> Response:
        user = self._user(request)
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

    async def _store(self, request: Request) -> Response:
        user = self._user(request)
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
        if self._is_past(request):
            file.close()
            return Response(status_code=503)
        self.files.setdefault(user, []).append(file)
        return JSONResponse({"file_id": file.id}, 201)

    def _file(self, request: Request) -> _StoredFile | Response:
        user = self._user(request)
        if isinstance(user, Response):
            return user
        file_id = request.path_params["file_id"]
        for file in self.files.get(user, []):
            if file.id == file_id:
                return file
        return JSONResponse({"message": "no such file"}, 404)

    async def _describe(self, request: Request) -> Response:
        file = self._file(request)
        return file if isinstance(file, Response) else JSONResponse({"file": file.described()})

    async def _download(self, request: Request) -> Response:
        file = self._file(request)
        if isinstance(file, Response):
            return file

        async def content() -> AsyncIterator[bytes]:
            for offset in range(0, file.size, CHUNK):
                yield await run_in_threadpool(file.read, offset)

        headers = {"content-length": str(file.size)}
        return StreamingResponse(content(), media_type="application/octet-stream", headers=headers)

    async def _elsewhere(self, request: Request) -> Response:
        if request.state.host == FOREIGN:
            async for chunk in request.stream():
                request.state.body_size += len(chunk)
            return JSONResponse({"host": FOREIGN, "path": request.url.path})
        return JSONResponse({"message": f"the {request.state.host} has no such call"}, 404)


def _new_record() -> deque[Call]:
    return deque(maxlen=1_000_000)


_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def _refusal(status: int, error: str, description: str) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status)


def _unauthorized(message: str) -> Response:
    body = {"domain": "Notary", "code": "Unauthorized", "debug": {"message": message}}
    return JSONResponse(body, 401, {"www-authenticate": "Bearer"})
