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
from inspect import iscoroutinefunction
from typing import Any, ClassVar

from ._extras import missing_extra

try:
    import niquests
    from niquests.adapters import AsyncBaseAdapter
    from niquests.auth import AsyncAuthBase, AuthBase
except ModuleNotFoundError as error:
    raise missing_extra("niquests", error) from None

from ._adapters import session_auth as family
from ._adapters.drivers import adrive, aperform
from ._adapters.session_auth import (
    Hook,
    Release,
    RequestsAdapter,
    SessionAdapter,
    authorization_of,
    is_in_memory,
    lower,
    no_hook,
)
from ._core.account import Account
from ._core.steps import Received, SendControl, Signature, Step, Steps
from ._wire import messages
from ._wire.messages import ControlRequest, ControlResponse
from .errors import client_errors

__all__ = ["AsyncNotaryAuth", "NotaryAuth"]


def _to_be_awaited(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let an ordinary function pass for a coroutine function, which is how niquests tells what to await."""
    mark = getattr(inspect, "markcoroutinefunction", None)
    if mark is not None:  # since Python 3.12
        return mark(function)  # type: ignore[no-any-return]
    function._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]
    return function


class _SessionHook(Hook):
    """The response hook. An AsyncSession signs with any auth, and would stumble over the first 401 only."""

    __slots__ = ()

    def __call__(self, response: Any, **kwargs: Any) -> Any:
        if isinstance(getattr(response, "connection", None), AsyncBaseAdapter):  # a WSGI application's has none
            raise TypeError("an AsyncSession takes an AsyncNotaryAuth")
        return super().__call__(response, **kwargs)


class NotaryAuth(RequestsAdapter, AuthBase):
    __doc__ = SessionAdapter.__doc__

    _errors = client_errors(niquests.RequestException, globals())
    _library: ClassVar[Any] = niquests
    _session_type: ClassVar[type] = niquests.Session
    _hook_type = _SessionHook

    @classmethod
    def _checked(cls, session: Any) -> Any:
        if isinstance(session, niquests.AsyncSession):  # which is a Session as well
            raise TypeError("session must be a niquests.Session, not AsyncSession: use AsyncNotaryAuth")
        return super()._checked(session)

    def respond(self, response: Any, **kwargs: Any) -> Any:
        """Replay a request that was answered by a 401, if that helps. The response hook calls this."""
        replayed = super().respond(response, **_at_once(kwargs))
        return response if replayed is response else _put_in_place(replayed, response)

    def _replay(self, response: Any, signature: Signature, kwargs: dict[str, Any]) -> Any:
        replayed = super()._replay(response, signature, kwargs)
        if replayed.lazy:
            replayed.connection.gather(replayed)
        return replayed


class AsyncNotaryAuth(SessionAdapter, AsyncAuthBase):
    __doc__ = SessionAdapter.__doc__

    _errors = NotaryAuth._errors
    _library: ClassVar[Any] = niquests
    _session_type: ClassVar[type] = niquests.AsyncSession

    def _bind(self, account: Account) -> None:
        super()._bind(account)
        self._hook = _AsyncHook(_look, self)

    @_to_be_awaited
    def __call__(self, request: Any) -> Any:
        """Sign a request. niquests calls this; it may look the data center up and log in.

        Raises:
            TypeError: another client calls it, which would not await what comes back.
        """
        self._check_request(request)
        return self._sign(request)

    async def _sign(self, request: Any) -> Any:
        if not self._is_warm(request):
            conversation = self._account.conversation(request.url or "")
            signature = await self._proceed(conversation, None, request)
            conversation.close()  # the hook comes back with the answer, in a conversation of its own
            if signature is not None:
                self._apply(signature, request)
        request.hooks["response"].append(self._hook)
        return request

    async def respond(self, response: Any, **kwargs: Any) -> Any:
        """Replay a request that was answered by a 401, if that helps. The response hook calls this."""
        original = response
        answer = await self._answer(response)
        conversation = self._account.conversation(answer.url, answer)
        signature = await self._proceed(conversation, None, response.request, response)
        while signature is not None:
            response = await self._replay(response, signature, _at_once(kwargs))
            answer = await self._answer(response)
            signature = await self._proceed(conversation, answer, response.request, response)
        return response if response is original else _put_in_place(response, original)

    async def alogout(self) -> None:
        """Have the tokens revoked (RFC 7009), and forget them, here and in the store.

        The next request logs in anew. Nothing to revoke, or a token that is gone already, is a success.

        Raises:
            LogoutError: the platform did not take them back, or was not reached. They are forgotten all the same.
        """
        await self._proceed(self._account.farewell())

    async def _proceed(
        self, conversation: Steps[None], result: Received | None = None, request: Any = None, refused: Any = None
    ) -> Signature | None:
        """Perform steps up to the next Forward, and return its signature; None if there is none to come."""
        steps = self._steps(conversation, result, request, refused)
        return await adrive(steps, self._do, niquests.RequestException)

    async def _do(self, action: Step | Release) -> Any:
        if isinstance(action, Release):
            return await _release(action.response)
        return await (self._control(action.request) if isinstance(action, SendControl) else aperform(action))

    async def _control(self, request: ControlRequest) -> ControlResponse:
        if self._session is not None:
            return await self._send(self._session, request)
        async with niquests.AsyncSession() as session:
            return await self._send(session, request)

    async def _send(self, session: Any, request: ControlRequest) -> ControlResponse:
        prepared = self._prepared(request)
        settings = session.merge_environment_settings(request.url, {}, True, None, None)
        response = await self._sent(session, prepared, settings)
        headers = lower(response.headers)
        body = messages.Body(family.TIMEOUT[1])
        try:
            if not messages.is_encoded(headers):
                async for chunk in await response.iter_content(messages.CHUNK_SIZE):
                    goes_on = body.take(chunk)
                    del chunk  # no traceback with locals is to show it
                    if not goes_on:
                        break
        except Exception as error:  # noqa: BLE001  raised again
            raise self._in_own_terms(error) from None
        finally:
            await response.close()
        return ControlResponse(response.status_code, headers, bytes(body), body.is_late)

    async def _sent(self, session: Any, prepared: Any, settings: dict[str, Any]) -> Any:
        try:
            return await session.send(prepared, allow_redirects=False, timeout=family.TIMEOUT, **settings)
        except BaseException as error:  # noqa: BLE001  raised again below
            raised = self._without_secrets(error, prepared)
        raise raised

    async def _answer(self, response: Any) -> Received:
        request = response.request
        replayable = response.status_code == 401 and await self._rewind(request)
        return Received(response.status_code, request.url or "", authorization_of(request), replayable)

    async def _rewind(self, request: Any) -> bool:
        """Put a body back to where it began. False: it cannot be sent again, and would go out empty."""
        if is_in_memory(request.body):
            return True
        try:
            if iscoroutinefunction(request.body.seek):
                if await request.body.seek(request._body_position) != request._body_position:
                    return False
            else:
                niquests.utils.rewind_body(request)
        except Exception:  # noqa: BLE001  whatever a user's file raises
            return False
        return True

    async def _replay(self, response: Any, signature: Signature, kwargs: dict[str, Any]) -> Any:
        await _release(response)
        request = response.request.copy()
        self._apply(signature, request)
        replayed = await response.connection.send(request, **kwargs)
        if replayed.lazy:
            await replayed.connection.gather(replayed)
        replayed.history = [*response.history, response]
        replayed.request = request
        return replayed


async def _look(auth: AsyncNotaryAuth, response: Any, **kwargs: Any) -> Any:
    return response if response.status_code != 401 else await auth.respond(response, **kwargs)


class _AsyncHook(partial[Any]):
    """The response hook: a coroutine function, since niquests awaits nothing else. Pickles leave its auth out."""

    def __reduce__(self) -> tuple[Any, ...]:
        return no_hook, ()

    def __deepcopy__(self, memo: dict[int, Any]) -> _AsyncHook:
        return self


def _at_once(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The options of a replay: not multiplexed, since it is looked at here and now."""
    return {**kwargs, "multiplexed": False} if "multiplexed" in kwargs else kwargs


def _put_in_place(replayed: Any, response: Any) -> Any:
    """Make `response` what was replayed: over a multiplexed connection the program has it in its hands already."""
    refused = copy.copy(response)
    refused.__dict__ = dict(response.__dict__)
    history = [refused if each is response else each for each in replayed.history]
    response.__dict__ = {**replayed.__dict__, "history": history}
    return response


async def _release(response: Any) -> None:
    """Read an answer to its end, so that its connection is free for others."""
    content = response.content
    if hasattr(content, "__await__"):
        await content
    closed = response.close()
    if closed is not None:
        await closed
