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

from ._adapters.session_auth import RequestsAuth, SessionAuth
from .errors import client_errors

__all__ = ["NotaryAuth"]


class NotaryAuth(RequestsAuth, AuthBase):
    __doc__ = SessionAuth.__doc__

    _errors = client_errors(requests.RequestException, globals())
    _network_error = requests.RequestException
    _library: ClassVar[Any] = requests
    _session_type: ClassVar[type] = requests.Session
