"""What an adapter for asynchronous sessions is, as niquests has them: `session_auth` with every call awaited."""

from __future__ import annotations

import inspect
from functools import partial
from itertools import count
from typing import Any, TypeVar

from notary_auth._core.account import Account
from notary_auth._core.steps import Drain, SendControl, Signature, Step, Steps
from notary_auth._wire.messages import CHUNK_SIZE, ControlBody, ControlRequest, ControlResponse

from . import session_auth
from .drivers import aperform
from .session_auth import SessionAuth, apply, is_in_memory, no_hook, received

Result = TypeVar("Result")


class AsyncSessionAuth(SessionAuth):
    __doc__ = SessionAuth.__doc__

    def _bind(self, account: Account) -> None:
        super()._bind(account)
        self._hook = _AsyncHook(_on_response, self)

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
        for replays in count():
            can_replay = response.status_code == 401 and await self._rewind(response.request)
            steps = self._account.reauthorize(received(response, can_replay, replays))
            signature = await self._perform(steps, response.request, response)
            if signature is None:
                break
            response = await self._replay(response, signature, kwargs)
        return response

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
        async with self._session_type() as session:
            return await self._exchange(session, request)

    async def _exchange(self, session: Any, request: ControlRequest) -> ControlResponse:
        response = await self._sent(session, self._prepared(request))
        if response.lazy:  # of a session that multiplexes
            await session.gather(response)
        body = ControlBody(response.headers, session_auth.TIMEOUT[1])
        try:
            if body.is_read:
                async for chunk in await response.iter_content(CHUNK_SIZE):
                    goes_on = body.take(chunk)
                    del chunk  # no traceback with locals is to show it
                    if not goes_on:
                        break
        except Exception as error:  # noqa: BLE001  raised again
            raise self._as_client_error(error) from None
        finally:
            await response.close()
        return body.response(response.status_code)

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
            self._library.utils.rewind_body(request)
        except Exception:  # noqa: BLE001  whatever a user's file raises
            return False
        return True


async def _on_response(auth: AsyncSessionAuth, response: Any, **kwargs: Any) -> Any:
    return response if response.status_code != 401 else await auth._on_unauthorized(response, **kwargs)


class _AsyncHook(partial[Any]):
    """The response hook: a coroutine function, since niquests awaits nothing else. Pickles leave its auth out."""

    def __reduce__(self) -> tuple[Any, ...]:
        return no_hook, ()

    def __deepcopy__(self, memo: dict[int, Any]) -> _AsyncHook:
        return self


async def _drain(response: Any) -> None:
    """Read a response to its end, so that its connection is free for others."""
    content = response.content
    if hasattr(content, "__await__"):
        await content
    closed = response.close()
    if closed is not None:
        await closed
