"""What can go wrong, and how it is told in a client's own terms.

One small hierarchy. An adapter raises each of these as a class that is also its client's own error, so that
``except requests.RequestException`` and ``except httpx.HTTPError`` go on working (`client_errors`).
Nothing in an error's text or attributes is ever a password, a code or a token.
"""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar

Error = TypeVar("Error", bound="NotaryAuthError")

#: The attributes of an error, but for those of a client.
DETAILS = "status", "error", "error_description", "url", "retry_after", "age"


class NotaryAuthError(Exception):
    """A request could not be authenticated.

    Attributes:
        status: the HTTP status of the platform's answer, or None where there was none.
        error: the platform's error code (RFC 6749, section 5.2), such as ``"access_denied"``, or None.
        error_description: the platform's explanation, made safe to show, or None.
        url: the URL of the call that failed, without its query, or None.
        retry_after: seconds after which another attempt is worth it, as far as that is known, or None.
        age: seconds since the platform gave this answer, if it is repeated from memory and nothing was sent; None
            for an answer that has just come.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        error: str | None = None,
        error_description: str | None = None,
        url: str | None = None,
        retry_after: float | None = None,
        age: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.error_description = error_description
        self.url = url
        self.retry_after = retry_after
        self.age = age

    def as_type(self, kind: type[Error], message: str | None = None, **changes: Any) -> Error:
        """The same failure as a new error of another class: without traceback, cause or context."""
        return kind(message or str(self.args[0]), **{**self.details(), **changes})

    def __reduce__(self) -> tuple[Any, ...]:
        # A client's error would pickle its request along, and with it the request's headers and body.
        return partial(type(self), **self.details()), self.args

    def details(self) -> dict[str, Any]:
        """The attributes, as the arguments that build an equal error."""
        return {name: getattr(self, name) for name in DETAILS}


class DiscoveryError(NotaryAuthError):
    """The account's data center could not be found: no answer, or not one of the platform's."""


class LoginError(NotaryAuthError):
    """The login at the data center failed: no answer, not one of the platform's, or a refusal."""


class CredentialsRefused(LoginError):
    """The platform refused user name and password. They are not sent again for five minutes."""


class TotpRequired(LoginError):
    """The account needs a TOTP code (RFC 6238) that was missing, or not accepted."""


class TotpSetupRequired(TotpRequired):
    """Two-factor authentication is mandatory, and the account has not enrolled: no code can help."""


class LogoutError(NotaryAuthError):
    """A token was not revoked, or the store may still have it. This process has forgotten all of them."""


class InsecureUrl(NotaryAuthError, ValueError):
    """A URL that would send the password in clear: plain http to a host that is not this machine."""


KINDS = tuple(kind for kind in globals().values() if isinstance(kind, type) and issubclass(kind, NotaryAuthError))


def client_errors(
    client_error: type[Exception], namespace: dict[str, Any]
) -> dict[type[NotaryAuthError], type[NotaryAuthError]]:
    """Each error of ours once more, as a subclass of `client_error` as well.

    The classes are put into `namespace`, the adapter module's globals, where pickle finds them by name.
    """
    own: dict[type[NotaryAuthError], type[NotaryAuthError]] = {}
    for kind in KINDS:
        body = {"__module__": namespace["__name__"], "__doc__": kind.__doc__}
        own[kind] = namespace[kind.__name__] = type(kind.__name__, (kind, client_error), body)
    return own
