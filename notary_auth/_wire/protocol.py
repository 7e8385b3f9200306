"""The platform's wire format: control requests built, their responses read. Pure functions, and no I/O.

Responses are read with suspicion: a gateway or an attacker may have answered. What does not fit becomes a
`DiscoveryError` or a `LoginError` that says what was wrong (`explanation` makes safe to show what was said).
"""

import re
from collections.abc import Iterable
from datetime import timezone
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any, NamedTuple
from urllib.parse import urlencode

from notary_auth._secrets import Basic, Bearer, Document, Secret, SecretBytes
from notary_auth._version import __version__
from notary_auth.errors import DiscoveryError, LoginError, LogoutError

from . import LOOKUP_PATH, REVOKE_PATH, TOKEN_PATH
from .explanation import WRONG_PLACE, described, explanation, meaning_of_refusal, read_object, what_was_said
from .messages import ControlRequest, ControlResponse
from .origin import Origin

RETRY_AFTER_LIMIT = 60.0  # seconds

_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Cache-Control": "no-store",  # an account may move, and a token is nobody's to keep
    "User-Agent": f"notary-auth/{__version__}",
}
_B64TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)  # RFC 6750, section 2.1
MAX_TOKEN = 16 * 1024  # characters


# Discovery: docs/platform.rst, "Which data center holds the account"


def lookup_request(cloud: Origin, username: str) -> ControlRequest:
    return ControlRequest("GET", f"{cloud}{LOOKUP_PATH}?{urlencode({'login': username})}", dict(_HEADERS))


def read_lookup(response: ControlResponse, cloud: Origin, username: str) -> Origin:
    """The data center that the response names."""
    url = f"{cloud}{LOOKUP_PATH}"
    subject = f"cannot find the data center of {username!r}: {url}"
    if response.status != 200:
        message = f"{subject} answered {described(response)}"
        raise DiscoveryError(message, status=response.status, url=url, retry_after=retry_after(response))
    document, flaw = read_object(response)
    if document is not None:
        server_url = document.get("server_url")
        flaw = f"has no server_url that is a string: {WRONG_PLACE}"
        if isinstance(server_url, str):
            try:
                data_center = Origin.of_base_url(server_url)
            except ValueError as error:
                flaw = f"has a server_url that {error}"
            else:
                if data_center.is_secure and (data_center.scheme == "https" or cloud.scheme == "http"):
                    return data_center
                flaw = "has a server_url without TLS"
    raise DiscoveryError(f"{subject} answered with a reply that {flaw}", status=response.status, url=url)


# Login: docs/platform.rst, "Logging in"; RFC 6749, section 4.3


class TokenResponse(NamedTuple):
    """What a login or a refresh gives (RFC 6749, section 5.1)."""

    authorization: Bearer  # the access token, as a header has it
    lifetime: float | None  # seconds; None: not known
    refresh_token: Secret | None


class TokenEndpoint(NamedTuple):
    """A data center's token endpoint for one login: the requests to it, and what their responses mean."""

    data_center: Origin
    username: str  # or an API client's id
    offline_access: bool = False  # whether a refresh token is asked for; else there is none, whatever is answered
    is_client: bool = False

    @property
    def url(self) -> str:
        return f"{self.data_center}{TOKEN_PATH}"

    def password_request(self, password: Secret, code: Secret | None = None) -> ControlRequest:
        """RFC 6749, section 4.3."""
        fields = {"grant_type": Secret("password"), "username": Secret(self.username), "password": password}
        if code is not None:
            fields["totp_code"] = code
        if self.offline_access:
            fields["scope"] = Secret("offline_access")
        return _form(self.url, fields)

    def client_request(self, secret: Secret) -> ControlRequest:
        """RFC 6749, section 4.4."""
        return _form(self.url, {"grant_type": Secret("client_credentials")}, Basic(self.username, secret))

    def refresh_request(self, refresh_token: Secret) -> ControlRequest:
        """RFC 6749, section 6."""
        return _form(self.url, {"grant_type": Secret("refresh_token"), "refresh_token": refresh_token})

    def read(self, response: ControlResponse, secrets: Iterable[Secret], local_time: float) -> TokenResponse:
        """What was granted.

        Args:
            secrets: what was sent, and may be repeated in what the platform says.
            local_time: this machine's seconds since the epoch, for a response that says neither date nor duration.
        """
        if response.status != 200:
            raise self._refusal(response, secrets)
        document, flaw = read_object(response)
        if document is not None:
            refresh_token = document.get("refresh_token") if self.offline_access else None
            flaw = _flaw_of_token(document) or _flaw_of_refresh_token(refresh_token)
            if not flaw:
                return TokenResponse(
                    Bearer(document["access_token"]),
                    _lifetime(document, response, local_time),
                    None if refresh_token is None else Secret(refresh_token),
                )
            refresh_token = None  # no traceback with locals is to show it
        message = f"the login of {self.username!r} failed: {self.url} answered with a reply that {flaw}"
        raise LoginError(message, status=response.status, url=self.url)

    def _refusal(self, response: ControlResponse, secrets: Iterable[Secret]) -> LoginError:
        code, error, description = explanation(response, secrets)
        kind, message = meaning_of_refusal(
            response,
            code,
            f"the login of {self.username!r} at {self.data_center}",
            what_was_said(error, description, response),
            offline_access=self.offline_access,
            is_client=self.is_client,
        )
        said: dict[str, Any] = {"error": error, "error_description": description}
        return kind(message, status=response.status, url=self.url, retry_after=retry_after(response), **said)


def _form(url: str, fields: dict[str, Secret], client: Basic | None = None) -> ControlRequest:
    headers = {**_HEADERS, "Content-Type": "application/x-www-form-urlencoded"}
    if client is not None:
        headers["Authorization"] = client
    body = urlencode({name: field.value for name, field in fields.items()}).encode("ascii")
    return ControlRequest("POST", url, headers, SecretBytes(body))


def _flaw_of_token(document: Document) -> str:
    if not isinstance(document.get("access_token"), str):
        return "has no access_token that is a string"
    if len(document["access_token"]) > MAX_TOKEN:
        return "has an access_token larger than 16 KiB"
    if not _B64TOKEN.fullmatch(document["access_token"]):
        return "has an access_token with characters that RFC 6750 does not allow"
    token_type = document.get("token_type")
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        return "has a token_type other than bearer"
    for name in ("expires_on", "expires_in"):
        if document.get(name) is not None and not _is_number(document[name]):
            return f"has an {name} that is not a number"
    return ""


def _flaw_of_refresh_token(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not value or not all(" " <= character <= "~" for character in value):
        return "has a refresh_token that RFC 6749 does not allow"
    if len(value) > MAX_TOKEN:
        return "has a refresh_token larger than 16 KiB"
    return ""


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return isfinite(value)
    except OverflowError:  # an integer of hundreds of digits
        return False


def _lifetime(document: Document, response: ControlResponse, local_time: float) -> float | None:
    """Seconds the token has, by the server's own clock wherever it tells."""
    expires_on, expires_in = document.get("expires_on"), document.get("expires_in")
    date = date_of(response)
    if expires_on is not None and date is not None:
        lifetime = expires_on - date
    elif expires_in is not None:
        lifetime = expires_in
    elif expires_on is not None:
        lifetime = expires_on - local_time
    else:
        return None
    # Handed out and expired at once: nothing to plan by. It serves until the platform refuses it.
    return float(lifetime) if lifetime > 0 else None


# Logout: docs/platform.rst, "Logging out"; RFC 7009


def revoke_request(data_center: Origin, kind: str, token: Secret, client: Basic | None = None) -> ControlRequest:
    return _form(f"{data_center}{REVOKE_PATH}", {"token": token, "token_type_hint": Secret(kind)}, client)


def read_revocation(response: ControlResponse, data_center: Origin, username: str, token: Secret) -> None:
    """See to it that the token is gone, now or before.

    Raises:
        LogoutError: it is not, as far as the response tells.
    """
    if response.status == 200:
        return
    code, error, description = explanation(response, [token])
    if code != "invalid_token":  # which RFC 7009 takes for a success: there is nothing left to do
        why = f"the platform answered {what_was_said(error, description, response)}"
        raise logout_error(
            data_center, username, why, status=response.status, error=error, error_description=description
        )


def logout_error(data_center: Origin, username: str, why: str, **details: Any) -> LogoutError:
    message = (
        f"the logout of {username!r} at {data_center} failed: {why}{'' if why.endswith('?') else '.'} "
        "The tokens are forgotten here all the same."
    )
    return LogoutError(message, url=f"{data_center}{REVOKE_PATH}", **details)


# What all have in common


def retry_after(response: ControlResponse, local_time: float | None = None) -> float | None:
    """Seconds to wait as `Retry-After` has it (RFC 9110, section 10.2.3), at most 60, or None.

    Args:
        local_time: this machine's seconds since the epoch, for a moment in a response without a date.
    """
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), RETRY_AFTER_LIMIT)
    moment, date = _parsed_date(value), date_of(response)
    date = local_time if date is None else date
    if moment is None or date is None:
        return None
    return min(max(moment - date, 0.0), RETRY_AFTER_LIMIT)


def date_of(response: ControlResponse) -> float | None:
    """When the server has answered, in seconds since the epoch by its own clock; None if it does not say."""
    return _parsed_date(response.headers.get("date"))


def _parsed_date(value: str | None) -> float | None:
    """An HTTP date as seconds since the epoch, or None."""
    try:
        date = parsedate_to_datetime(value or "")
        return (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp()
    except (IndexError, OverflowError, TypeError, ValueError):
        return None


def pause_before(attempt: int, jitter: float, retry_after: float | None = None) -> float:
    """Seconds before attempt number `attempt` (2 or 3), jittered, so that a fleet does not retry at one moment.

    Args:
        jitter: from 0 to 1.
        retry_after: what the platform named: it is waited for, and up to a quarter longer.
    """
    if retry_after is not None:
        return retry_after * (1 + jitter / 4)
    return float(2 ** (attempt - 2)) * (0.5 + jitter / 2)
