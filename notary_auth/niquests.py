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
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, ClassVar, TypeVar

from ._extras import missing_extra

try:
    import niquests
    from niquests.adapters import AsyncBaseAdapter
    from niquests.auth import AsyncAuthBase, AuthBase
except ModuleNotFoundError as error:
    raise missing_extra("niquests", error) from None

from ._adapters import session_auth
from ._adapters.drivers import aperform
from ._adapters.session_auth import Hook, RequestsAuth, SessionAuth, apply, is_in_memory, lower, no_hook, received
from ._core.account import Account
from ._core.steps import Drain, SendControl, Signature, Step, Steps
from ._wire.messages import CHUNK_SIZE, ControlBody, ControlRequest, ControlResponse, is_encoded
from .errors import client_errors

__all__ = ["AsyncNotaryAuth", "NotaryAuth"]

Result = TypeVar("Result")


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


class NotaryAuth(RequestsAuth, AuthBase):
    __doc__ = SessionAuth.__doc__

    _errors = client_errors(niquests.RequestException, globals())
    _network_error = niquests.RequestException
    _library: ClassVar[Any] = niquests
    _session_type: ClassVar[type] = niquests.Session
    _request_type: ClassVar[type] = niquests.PreparedRequest
    _hook_type = _SessionHook

    @classmethod
    def _checked(cls, session: Any) -> Any:
        if isinstance(session, niquests.AsyncSession):  # which is a Session as well
            raise TypeError("session must be a niquests.Session, not AsyncSession: use AsyncNotaryAuth")
        return super()._checked(session)

    def _on_unauthorized(self, response: Any, **kwargs: Any) -> Any:
        replayed = super()._on_unauthorized(response, **_at_once(kwargs))
        return response if replayed is response else _put_in_place(replayed, response)

    def _replay(self, response: Any, signature: Signature, kwargs: dict[str, Any]) -> Any:
        replayed = super()._replay(response, signature, kwargs)
        if replayed.lazy:
            replayed.connection.gather(replayed)
        return replayed


class AsyncNotaryAuth(SessionAuth, AsyncAuthBase):
    __doc__ = SessionAuth.__doc__

    _errors = NotaryAuth._errors
    _network_error = niquests.RequestException
    _library: ClassVar[Any] = niquests
    _session_type: ClassVar[type] = niquests.AsyncSession
    _request_type: ClassVar[type] = niquests.PreparedRequest

    def _bind(self, account: Account) -> None:
        super()._bind(account)
        self._hook = _AsyncHook(_on_response, self)

    @_to_be_awaited
    def __call__(self, request: Any) -> Any:
        """Sign a request. niquests calls this; it may look the data center up and log in.

        Raises:
            TypeError: another client calls it, which would not await what comes back.
        """
        self._check_request(request)
        return self._sign(request)

    async def _sign(self, request: Any) -> Any:
        url = request.url or ""
        signature = self._account.cached_signature(url)
        if signature is None:
            signature = await self._perform(self._account.sign(url), request)
        apply(signature, request)
        request.hooks["response"].append(self._hook)
        return request

    async def _on_unauthorized(self, response: Any, **kwargs: Any) -> Any:
        """Replay a request that got a 401, if that helps."""
        original = response
        for replays in count():
            can_replay = response.status_code == 401 and await self._rewind(response.request)
            steps = self._account.reauthorize(received(response, can_replay, replays))
            signature = await self._perform(steps, response.request, response)
            if signature is None:
                break
            response = await self._replay(response, signature, _at_once(kwargs))
        return response if response is original else _put_in_place(response, original)

    async def _replay(self, response: Any, signature: Signature, kwargs: dict[str, Any]) -> Any:
        request = response.request.copy()
        apply(signature, request)
        replayed = await response.connection.send(request, **kwargs)
        if replayed.lazy:
            await replayed.connection.gather(replayed)
        replayed.history = [*response.history, response]
        replayed.request = request
        return replayed

    async def alogout(self) -> None:
        """Have the tokens revoked (RFC 7009), and forget them, here and in the store.

        The next request logs in anew. Nothing to revoke, or a token that is gone already, is a success.

        Raises:
            LogoutError: the platform did not take them back, or was not reached. They are forgotten all the same.
        """
        await self._perform(self._account.log_out())

    async def _perform(self, steps: Steps[Result], request: Any = None, response: Any = None) -> Result:
        """Perform `steps`; `response` is the one that is going to be replaced."""

        async def do(step: Step) -> Any:
            if isinstance(step, SendControl):
                return await self._send_control(step.request)
            return await (_drain(response) if isinstance(step, Drain) else aperform(step))

        return await self._arun(steps, do, request)

    async def _send_control(self, request: ControlRequest) -> ControlResponse:
        if self._session is not None:
            return await self._exchange(self._session, request)
        async with niquests.AsyncSession() as session:
            return await self._exchange(session, request)

    async def _exchange(self, session: Any, request: ControlRequest) -> ControlResponse:
        response = await self._sent(session, self._prepared(request))
        if response.lazy:  # of a session that multiplexes
            await session.gather(response)
        headers = lower(response.headers)
        body = ControlBody(session_auth.TIMEOUT[1])
        try:
            if not is_encoded(headers):
                async for chunk in await response.iter_content(CHUNK_SIZE):
                    goes_on = body.take(chunk)
                    del chunk  # no traceback with locals is to show it
                    if not goes_on:
                        break
        except Exception as error:  # noqa: BLE001  raised again
            raise self._as_client_error(error) from None
        finally:
            await response.close()
        return ControlResponse(response.status_code, headers, bytes(body), body.is_late)

    async def _sent(self, session: Any, prepared: Any) -> Any:
        settings = session.merge_environment_settings(prepared.url, {}, True, None, None)
        try:
            return await session.send(prepared, allow_redirects=False, timeout=session_auth.TIMEOUT, **settings)
        except BaseException as error:  # noqa: BLE001  raised again below
            raised = self._without_secrets(error, prepared)
        raise raised

    async def _rewind(self, request: Any) -> bool:
        """Put a body back to where it began. False: it cannot be sent again, and would go out empty."""
        if is_in_memory(request.body):
            return True
        try:
            if inspect.iscoroutinefunction(request.body.seek):
                # Where it began, niquests notes in a private attribute; its own `rewind_body` does not await.
                start = request._body_position
                return bool(await request.body.seek(start) == start)
            niquests.utils.rewind_body(request)
        except Exception:  # noqa: BLE001  whatever a user's file raises
            return False
        return True


async def _on_response(auth: AsyncNotaryAuth, response: Any, **kwargs: Any) -> Any:
    return response if response.status_code != 401 else await auth._on_unauthorized(response, **kwargs)


class _AsyncHook(partial[Any]):
    """The response hook: a coroutine function, since niquests awaits nothing else. Pickles leave its auth out."""

    def __reduce__(self) -> tuple[Any, ...]:
        return no_hook, ()

    def __deepcopy__(self, memo: dict[int, Any]) -> _AsyncHook:
        return self


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


async def _drain(response: Any) -> None:
    """Read a response to its end, so that its connection is free for others."""
    content = response.content
    if hasattr(content, "__await__"):
        await content
    closed = response.close()
    if closed is not None:
        await closed
