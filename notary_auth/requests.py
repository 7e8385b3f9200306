"""notary-auth for requests.

import requests
from notary_auth.requests import NotaryAuth

auth = NotaryAuth("JohnSmith", "qwe123QWE")
requests.get("https://cloud.acronis.com/api/notary/v2/stored-files", auth=auth)
"""

from __future__ import annotations

from typing import Any, ClassVar

import requests
from requests.auth import AuthBase

from ._adapters.session_auth import RequestsAdapter, SessionAdapter
from .errors import client_errors

__all__ = ["NotaryAuth"]


class NotaryAuth(RequestsAdapter, AuthBase):
    __doc__ = SessionAdapter.__doc__

    _errors = client_errors(requests.RequestException, globals())
    _library: ClassVar[Any] = requests
    _session_type: ClassVar[type] = requests.Session

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request. requests calls this; it may look the data center up and log in."""
        account = self._account
        token = account.token
        # The warm path, spelled out: one call more would cost a fifth of what all of it costs.
        if (
            type(request) is requests.PreparedRequest
            and (request.url or "").startswith(token.prefix)
            and account.now() < token.refresh_at
        ):
            request.headers["Authorization"] = token.authorization
            request.hooks["response"].append(self._hook)
            return request
        signed: Any = super().__call__(request)
        return signed  # type: ignore[no-any-return]
