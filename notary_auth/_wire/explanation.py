"""What the platform says in a reply, read with suspicion and made safe to show.

`read_object` returns a flaw and raises nothing: a JSONDecodeError holds the whole reply, and would become the
context of the caller's error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import unquote, unquote_plus

from notary_auth._secrets import Document, Secret
from notary_auth.errors import CredentialsRefused, LoginError, TotpRequired, TotpSetupRequired

from .messages import BODY_LIMIT, ControlResponse, is_encoded, is_redirect

WRONG_PLACE = "is cloud_url right? Does a proxy answer in its place?"
#: Advice to a program. The commands replace it by advice to their user.
CHECK_TOTP = "Check the secret and the clock behind totp=."
CHECK_SERVER_URL = "The data center is the one given as server_url=: has the account moved?"
PASS_TOTP = "Pass totp=, a function that returns the current code, or use a service account."
_ABOUT_THE_REQUEST = frozenset(
    {"invalid_request", "invalid_scope", "unsupported_grant_type", "invalid_client", "unauthorized_client"}
)
#: By whether it is an API client that is refused.
_REFUSED_AS = {False: frozenset({"access_denied", "invalid_grant"}), True: frozenset({"invalid_client"})}
_HIDDEN = "***"  # in place of a secret
RETRIED = frozenset({429, 502, 503, 504})  # statuses of a platform that is busy: it may answer otherwise later
_SHOWN = 200  # characters of what the platform says that are worth showing
_SEARCHED = 32 * 1024  # characters of it that are searched for secrets
_JSON_ESCAPES = r'(?:\\u[0-9a-fA-F]{4})+|\\["\\/bfnrt]'  # of a character, or of its two surrogates


def read_object(response: ControlResponse) -> tuple[Document | None, str]:
    """The JSON object in the response; or None, and what is wrong."""
    if is_encoded(response.headers):
        return None, "has a Content-Encoding, which was not accepted"
    if len(response.body) > BODY_LIMIT:
        return None, "is larger than 1 MiB"
    if response.is_late:
        return None, "takes too long"
    try:
        document = json.loads(response.body, object_hook=Document)
    except (ValueError, RecursionError):  # ValueError: no JSON, no UTF-8, a number of too many digits
        if _is_html(response):
            return None, f"is a page (text/html) and not JSON: {WRONG_PLACE}"
        return None, f"is not JSON: {WRONG_PLACE}"
    return (document, "") if isinstance(document, Document) else (None, f"is not a JSON object: {WRONG_PLACE}")


def explanation(response: ControlResponse, secrets: Iterable[Secret]) -> tuple[str | None, str | None, str | None]:
    """`error` (RFC 6749, section 5.2) as it came; and this and `error_description`, made safe to show."""
    document = read_object(response)[0] or Document()
    texts = (document.get(name) for name in ("error", "error_description"))
    code, description = (text if isinstance(text, str) and text else None for text in texts)
    return code, code and _shown(code, secrets), description and _shown(description, secrets)


def meaning_of_refusal(
    response: ControlResponse, code: str | None, who: str, said: str, *, offline_access: bool, is_client: bool
) -> tuple[type[LoginError], str]:
    """What a login's response other than 200 means (rule 25): the class of its error, and the message.

    Args:
        code: `error` as it came.
        who: the login, in words.
        said: what the platform said, in words.
    """
    message = f"{who} failed: the platform answered {said}"
    if code == "totp_setup_required":
        return TotpSetupRequired, (
            f"{who} needs two-factor authentication, and the account has not set it up: {said}. No code can help: "
            "enrol the account in the console, or have an administrator turn it into a service account."
        )
    if code == "totp_required":
        return TotpRequired, f"{who} needs a TOTP code: {said}. {PASS_TOTP}"
    if code == "invalid_totp":
        return TotpRequired, f"{who} failed: {said}. {CHECK_TOTP}"
    if code in _ABOUT_THE_REQUEST and not (is_client and code == "invalid_client"):
        return LoginError, f"{message}, which is about the request and not about the password"
    # A 401 is about the credentials, also without a readable code. Count a hidden 400 as a refusal too: sending a
    # refused password again is the worse mistake.
    is_refused = response.status == 400 and (code in _REFUSED_AS[is_client] or response.is_hidden)
    if response.status == 401 or is_refused:
        return CredentialsRefused, f"the platform refused {who}: {said}."
    if response.status == 403 and offline_access:
        message = f"{message}, which may be about offline_access=True and is not about the password"
    return LoginError, message


def what_was_said(error: str | None, description: str | None, response: ControlResponse) -> str:
    if not error:
        return described(response)
    return (f"{error} ({description})" if description else error) + _after_tries(response)


def described(response: ControlResponse) -> str:
    if response.is_hidden:
        return f"{response.status}, and cannot be read, since an event hook or a retry policy raised for it"
    if is_redirect(response.status):
        return f"{response.status}, a redirect, which is not followed with credentials: {WRONG_PLACE}"
    if response.status == 407:
        return (
            "407: a proxy wants credentials of its own; put them into HTTPS_PROXY, or into your client's proxies"
        )
    if _is_html(response):
        return f"{response.status} and a page (text/html){_after_tries(response)}: {WRONG_PLACE}"
    if response.status in RETRIED:
        return f"{response.status}{_after_tries(response)}: it is busy, try again later"
    return f"{response.status} without an explanation{': try again later' if response.status >= 500 else ''}"


def _after_tries(response: ControlResponse) -> str:
    return f", after {response.tries} tries" if response.tries > 1 else ""


def _is_html(response: ControlResponse) -> bool:
    return response.headers.get("content-type", "").lower().startswith("text/html")


def _shown(text: str, secrets: Iterable[Secret]) -> str:
    """What the platform said, without any secret of ours, on one line and of a sane length.

    Nothing of it is shown where a secret may stand in it with characters escaped: as in a URL, HTML or JSON.
    """
    searched = shown = text[:_SEARCHED]
    for secret in secrets:
        shown = shown.replace(secret.value, _HIDDEN)
        if _is_escaped_in(secret, shown):
            return _HIDDEN
    if len(text) > _SEARCHED and shown != searched:  # half a secret may stand at its end
        return _HIDDEN
    shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in shown)


def _is_escaped_in(secret: Secret, text: str) -> bool:
    try:
        return any(secret.value in unescape(text) for unescape in (unquote, unquote_plus, _html_text, _json_text))
    except ValueError:  # a reference of thousands of digits, which Python does not read
        return True


def _html_text(text: str) -> str:
    from html import unescape  # its table of entities is large

    return unescape(text)


def _json_text(text: str) -> str:
    return re.sub(_JSON_ESCAPES, lambda escapes: str(json.loads(f'"{escapes[0]}"')), text)
