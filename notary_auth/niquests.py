"""notary-auth for niquests, synchronous and asynchronous, multiplexed as well.

    import niquests
    from notary_auth.niquests import AsyncNotaryAuth, NotaryAuth

    niquests.get("https://cloud.acronis.com/api/notary/v2/stored-files", auth=NotaryAuth("JohnSmith", "qwe123QWE"))

    async with niquests.AsyncSession(auth=AsyncNotaryAuth("JohnSmith", "qwe123QWE")) as session:
        await session.get("https://cloud.acronis.com/api/notary/v2/stored-files")

An `AsyncSession` takes an `AsyncNotaryAuth`. Over a multiplexed connection an answer is lazy: it is looked at, and
the request replayed if need be, when the program looks at it or gathers.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ._extras import missing_extra

try:
    import niquests
    from niquests.adapters import AsyncBaseAdapter
    from niquests.auth import AsyncAuthBase, AuthBase
except ModuleNotFoundError as error:
    raise missing_extra("niquests", error) from None

from ._adapters.async_session_auth import AsyncSessionAuth
from ._adapters.session_auth import Hook, RequestsAuth, SessionAuth
from .errors import client_errors

__all__ = ["AsyncNotaryAuth", "NotaryAuth"]


def _to_be_awaited(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let an ordinary function pass for a coroutine function, which is how niquests tells what to await."""
    mark = getattr(inspect, "markcoroutinefunction", None)
    if mark is not None:  # since Python 3.12
        return mark(function)  # type: ignore[no-any-return]
    # Before that, asyncio's own mark is the only one, and private. Python 3.10 and 3.11 do not change any more.
    function._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]
    return function


class _SessionHook(Hook):
    """The response hook. An AsyncSession signs with any auth, and would stumble over the first 401 only."""

    __slots__ = ()

    def __call__(self, response: Any, **kwargs: Any) -> Any:
        if isinstance(getattr(response, "connection", None), AsyncBaseAdapter):  # a WSGI application's has none
            raise TypeError("an AsyncSession takes an AsyncNotaryAuth")
        return super().__call__(response, **kwargs)


class _NiquestsAuth(SessionAuth):
    """What sessions of both kinds have that requests' have not: lazy responses, and asynchronous files."""

    _network_error = niquests.RequestException
    _library: ClassVar[Any] = niquests

    async def _reauthorize(self, response: Any, kwargs: dict[str, Any], redirected: Sequence[Any]) -> Any:
        replayed = await super()._reauthorize(response, _at_once(kwargs), redirected)
        return response if replayed is response else _put_in_place(replayed, response)

    async def _rewind(self, request: Any) -> bool:
        seek = getattr(request.body, "seek", None)
        if not inspect.iscoroutinefunction(seek):
            return await super()._rewind(request)
        # Where it began, niquests notes in a private attribute; its own `rewind_body` does not await.
        start = getattr(request, "_body_position", None)
        try:
            return bool(await seek(start) == start)
        except Exception:  # noqa: BLE001  whatever a user's file raises
            return False


class NotaryAuth(_NiquestsAuth, RequestsAuth, AuthBase):
    __doc__ = SessionAuth.__doc__

    _errors = client_errors(niquests.RequestException, globals())
    _session_type: ClassVar[type] = niquests.Session
    _hook_type = _SessionHook

    @classmethod
    def _checked(cls, session: Any) -> Any:
        if isinstance(session, niquests.AsyncSession):  # which is a Session as well
            raise TypeError("session must be a niquests.Session, not AsyncSession: use AsyncNotaryAuth")
        return super()._checked(session)


class AsyncNotaryAuth(_NiquestsAuth, AsyncSessionAuth, AsyncAuthBase):
    __doc__ = SessionAuth.__doc__

    _errors = NotaryAuth._errors
    _session_type: ClassVar[type] = niquests.AsyncSession

    @_to_be_awaited
    def __call__(self, request: Any, *_: object) -> Any:
        """Sign a request. niquests calls this; it may look the data center up and log in.

        Raises:
            TypeError: another client calls it, which would not await what comes back.
        """
        self._check_request(request)
        return self._signed(request)


def _at_once(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The options of a replay: not multiplexed, since its response is looked at here and now."""
    return {**kwargs, "multiplexed": False} if "multiplexed" in kwargs else kwargs


def _put_in_place(replayed: Any, response: Any) -> Any:
    """Make `response` what was replayed.

    Over a multiplexed connection the program has the lazy response in its hands already, and niquests has no
    public way to give it another content.
    """
    rejected = copy.copy(response)
    rejected.__dict__ = dict(response.__dict__)
    history = [rejected if each is response else each for each in replayed.history]
    response.__dict__ = {**replayed.__dict__, "history": history}
    return response
