"""The platform's accounts: discovery, login, refresh, revocation, and whose token a request carries."""

from __future__ import annotations

import secrets
from base64 import b64decode
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ._model import FIRST, Account, Client

if TYPE_CHECKING:
    from ._platform import Platform


@dataclass(frozen=True, slots=True)
class _Token:
    username: str
    data_center: str
    expires_on: float
    login: str  # tokens of one login are revoked together


class Identity:
    """Accounts, the tokens they were granted, and the calls about both."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self.accounts: dict[str, Account] = {}
        self.clients: dict[str, Client] = {}
        self.tokens: dict[str, _Token] = {}
        self.refresh_tokens: dict[str, _Token] = {}

    def clear(self) -> None:
        for state in (self.accounts, self.clients, self.tokens, self.refresh_tokens):
            state.clear()

    async def look_up(self, request: Request) -> Response:
        username = request.query_params.get("login", "")
        account = self.accounts.get(username)
        # The platform answers for unknown names as well: it does not tell who has an account.
        data_center = FIRST if account is None else account.data_center
        return JSONResponse({"login": username, "id": 0, "server_url": self._platform.urls[data_center]})

    async def log_in(self, request: Request) -> Response:
        async with request.form() as form:
            fields = {name: str(value) for name, value in form.items()}
        request.state.grant = grant = fields.get("grant_type", "")
        if grant == "client_credentials":
            client = self._client_of(request)
            if client is None:
                return _refusal(401, "invalid_client", "Client id or secret are wrong")
            return self._grant(client.client_id, client.data_center, with_refresh_token=False)
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
        wants_refresh_token = "offline_access" in fields.get("scope", "").split()
        return self._grant(username, account.data_center, with_refresh_token=wants_refresh_token)

    def _client_of(self, request: Request) -> Client | None:
        """The API client that a request is from, by its Basic credentials (RFC 6749, section 2.3.1)."""
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            client_id, _, secret = b64decode(encoded, validate=True).decode("ascii").partition(":")
        except ValueError:
            return None
        client = self.clients.get(unquote_plus(client_id)) if scheme.lower() == "basic" else None
        if client is None or client.data_center != request.state.host:
            return None
        is_right = secrets.compare_digest(client.client_secret.encode(), unquote_plus(secret).encode())
        return client if is_right else None

    def _refusal_for(self, account: Account | None, host: str, password: str, code: str) -> Response | None:
        if account is None or account.data_center != host:
            return _refusal(401, "access_denied", "Wrong login or password")
        if account.is_locked:
            return _refusal(401, "access_denied", "The account is locked")
        if not secrets.compare_digest(account.password.encode(), password.encode()):
            account.fail(self._platform.faults)
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
        return self._grant(spent.username, spent.data_center, with_refresh_token=True)

    async def revoke(self, request: Request) -> Response:
        async with request.form() as form:
            token = str(form.get("token", ""))
        if not token:
            return _refusal(400, "invalid_request", "token is missing")
        revoked = self.tokens.get(token) or self.refresh_tokens.get(token)
        if revoked is not None and revoked.username in self.clients and self._client_of(request) is None:
            return _refusal(401, "invalid_client", "An API client has to authenticate itself")
        if revoked is not None:  # and also where it is gone already (RFC 7009, section 2.2)
            for tokens in (self.tokens, self.refresh_tokens):
                for name in [name for name, each in tokens.items() if each.login == revoked.login]:
                    del tokens[name]
        return JSONResponse({})

    def _grant(self, username: str, data_center: str, *, with_refresh_token: bool) -> Response:
        faults = self._platform.faults
        access_token, id_token, refresh_token = (secrets.token_urlsafe(48) for _ in range(3))
        expires_on = self._platform.now() + faults.token_lifetime
        login = secrets.token_hex(8)
        self.tokens[access_token] = _Token(username, data_center, expires_on, login)
        reply: dict[str, Any] = {"access_token": access_token, "id_token": id_token, "token_type": "bearer"}
        if with_refresh_token:
            self.refresh_tokens[refresh_token] = _Token(username, data_center, inf, login)
            reply["refresh_token"] = refresh_token
        if "expires_on" in faults.token_fields:
            reply["expires_on"] = int(expires_on)
        if "expires_in" in faults.token_fields:
            reply["expires_in"] = int(faults.token_lifetime)
        reply.update(faults.token_overrides)
        return JSONResponse({name: value for name, value in reply.items() if value is not None})

    def user_of(self, request: Request) -> str | Response:
        """Whose token the request carries; or the 401 for one that carries no good one."""
        scheme, _, access_token = request.headers.get("authorization", "").partition(" ")
        token = self.tokens.get(access_token) if scheme.lower() == "bearer" else None
        if token is None:
            return self._unauthorized("The token is missing or not known")
        if token.data_center != request.state.host:
            return self._unauthorized("The token is of another data center")
        holder = self.accounts.get(token.username) or self.clients[token.username]
        if holder.data_center != token.data_center:
            return self._unauthorized("The account has moved")
        if token.expires_on <= self._platform.now():
            return self._unauthorized("The token has expired")
        return token.username

    def _unauthorized(self, message: str) -> Response:
        headers = {"www-authenticate": "Bearer"}
        if not self._platform.faults.explains_401:
            return Response(status_code=401, headers=headers)
        body = {"domain": "Notary", "code": "Unauthorized", "debug": {"message": message}}
        return JSONResponse(body, 401, headers)


def _refusal(status: int, error: str, description: str) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status)
