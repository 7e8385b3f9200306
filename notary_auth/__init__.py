"""Authentication for the Acronis Notary API, as one argument of the HTTP client in use.

The adapters are imported by the client's name: ``from notary_auth.requests import NotaryAuth``, likewise
``notary_auth.httpx``, ``notary_auth.httpx2``, ``notary_auth.niquests`` and ``notary_auth.aiohttp``. Here is what
they share: the account and the errors. No HTTP client is imported by this module, and nothing else before it is
used, since every run of pytest imports it.
"""

from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from ._core.account import Account
    from .errors import (
        CredentialsRefused,
        DiscoveryError,
        InsecureUrl,
        LoginError,
        LogoutError,
        NotaryAuthError,
        TotpRequired,
        TotpSetupRequired,
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
    "TotpSetupRequired",
    "__version__",
]


def __getattr__(name: str) -> object:
    """What is asked for by name is imported then (PEP 562), and found directly from then on."""
    if name == "NotaryAuth":
        raise ImportError(
            "there is a NotaryAuth for each HTTP client: from notary_auth.requests import NotaryAuth, "
            "likewise .httpx, .httpx2, .niquests and .aiohttp"
        )
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module("._core.account" if name == "Account" else ".errors", __name__)
    globals()[name] = getattr(module, name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
