"""What an adapter for asynchronous sessions adds to `session_auth`: its hook and its calls are awaited."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from notary_auth._core.account import Account

from .drivers import aperform
from .session_auth import SessionAuth, earlier_hops, no_hook, replace_hook


class AsyncSessionAuth(SessionAuth):
    __doc__ = SessionAuth.__doc__

    _perform_step = aperform

    def _bind(self, account: Account) -> None:
        super()._bind(account)
        self._hook = _AsyncHook(_on_response, self, ())

    async def _signed(self, request: Any) -> Any:
        await self._sign(request)
        request.hooks["response"].insert(0, self._hook)  # before hooks of the user's that raise for a 401
        return request

    async def alogout(self) -> None:
        """Have the tokens revoked (RFC 7009), and forget them, here and in the store.

        The next request logs in anew. Nothing to revoke, or a token that is gone already, is a success.

        Raises:
            LogoutError: a token was not revoked, or the store may still have it. Here all are forgotten.
        """
        await self._perform(self._account.log_out())


async def _on_response(auth: AsyncSessionAuth, redirected: Sequence[Any], response: Any, **kwargs: Any) -> Any:
    if response.status_code == 401:
        return await auth._reauthorize(response, kwargs, earlier_hops(redirected, response))
    if response.is_redirect:
        hook = next(each for each in response.request.hooks["response"] if isinstance(each, _AsyncHook))
        successor = _AsyncHook(_on_response, auth, [*earlier_hops(redirected, response), response.request])
        replace_hook(hook, successor, response)
    return response


class _AsyncHook(partial[Any]):
    """The response hook: a coroutine function, since niquests awaits nothing else. Pickles leave its auth out."""

    def __reduce__(self) -> tuple[Any, ...]:
        return no_hook, ()

    def __deepcopy__(self, memo: dict[int, Any]) -> _AsyncHook:
        return self
