"""notary-auth for httpx2, synchronous and asynchronous (asyncio and trio).

import httpx2
from notary_auth.httpx2 import NotaryAuth

auth = NotaryAuth("JohnSmith", "qwe123QWE")
httpx2.get("https://cloud.acronis.com/api/notary/v2/stored-files", auth=auth)
"""

from __future__ import annotations

from typing import Any, ClassVar

from ._extras import missing_extra

try:
    import httpx2
except ModuleNotFoundError as error:
    raise missing_extra("httpx2", error) from None

from ._adapters.auth import Adapter
from ._adapters.httpx_auth import HttpxAuth
from ._adapters.httpx_control import control_type
from .errors import client_errors

__all__ = ["NotaryAuth"]


class NotaryAuth(HttpxAuth, httpx2.Auth):
    __doc__ = Adapter.__doc__

    _errors = client_errors(httpx2.HTTPError, globals())
    _network_error = httpx2.RequestError
    _library: ClassVar[Any] = httpx2
    _control_type = control_type(httpx2)
