"""notary-auth for httpx, synchronous and asynchronous (asyncio and trio).

import httpx
from notary_auth.httpx import NotaryAuth

auth = NotaryAuth("JohnSmith", "qwe123QWE")
httpx.get("https://cloud.acronis.com/api/notary/v2/stored-files", auth=auth)
"""

from __future__ import annotations

from typing import Any, ClassVar

import httpx

from ._adapters.auth import Adapter
from ._adapters.httpx_auth import HttpxAuth
from ._adapters.httpx_control import control_type
from .errors import client_errors

__all__ = ["NotaryAuth"]


class NotaryAuth(HttpxAuth, httpx.Auth):
    __doc__ = Adapter.__doc__

    _errors = client_errors(httpx.HTTPError, globals())
    _network_error = httpx.RequestError
    _library: ClassVar[Any] = httpx
    _control_type = control_type(httpx)
