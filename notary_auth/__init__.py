"""Authentication for the Acronis Notary API, as one ``auth=`` argument of the HTTP client in use.

The adapters are imported by the client's name: ``from notary_auth.requests import NotaryAuth``, likewise
``notary_auth.httpx`` and ``notary_auth.httpx2``. Here is what they share: the account and the errors. No HTTP
client is imported by this module.
"""

from ._account import Account
from ._version import __version__
from .errors import (
    CredentialsRefused,
    DiscoveryError,
    InsecureUrl,
    LoginError,
    LogoutError,
    NotaryAuthError,
    TotpRequired,
)

__all__ = [
    "Account",
    "CredentialsRefused",
    "DiscoveryError",
    "InsecureUrl",
    "LoginError",
    "LogoutError",
    "NotaryAuthError",
    "TotpRequired",
    "__version__",
]
