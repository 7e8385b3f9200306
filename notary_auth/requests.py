"""notary-auth for requests.

    import requests
    from notary_auth.requests import NotaryAuth

    auth = NotaryAuth("JohnSmith", "qwe123QWE")
    requests.get("https://cloud.acronis.com/api/notary/v2/stored-files", auth=auth)

requests asks an auth object to sign a request before it is sent (`NotaryAuth.__call__`); a response hook sees the
answer, and replays the request if it was a 401, as requests' own HTTPDigestAuth does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

import requests
from requests.auth import AuthBase
from requests.cookies import get_cookie_header
from requests.utils import rewind_body

from . import _protocol as protocol
from ._account import CLOUD_URL, Account
from ._adapter import Adapter, refuse_request
from ._secret import drop_frames, hides_arguments
from ._steps import Answer, Forward, Reply, Request, Send, Signature, Steps
from ._waiting import perform
from .errors import in_terms_of

if TYPE_CHECKING:
    from .stores import TokenStore

__all__ = ["NotaryAuth"]

log = logging.getLogger("notary_auth")

TIMEOUT = (10.0, 30.0)  # seconds to connect; and between two bytes of a reply, and for all of its body


class NotaryAuth(Adapter, AuthBase):
    """An Account in the hands of requests.

    Args:
        username: the account's login name.
        password: the password; or a callable returning it, asked at each login, whose result is not kept.
        cloud_url: the cloud's URL, ``https://host[:port]``; plain http for hosts of this machine only.
        totp: a callable returning the current TOTP code (RFC 6238), asked at each login with the password.
        store: a token store (`notary_auth.stores`), to share logins with other processes.
        offline_access: whether to ask for a refresh token (RFC 6749, section 6), and to use it in place of the
            password and a code.
        session: a `requests.Session` that control calls go through, for its proxies, CA bundle, adapters and
            mocks; its headers, cookies and auth are not used. Without one, each control call has a session of
            its own, with the environment's proxies and CA bundle, no netrc, and time-outs of 10 s to connect
            and 30 s between two bytes. A copy of a NotaryAuth shares the session.

    Raises:
        TypeError, ValueError, InsecureUrl: as for `notary_auth.Account`. Building one does no I/O.
    """

    _errors = in_terms_of(requests.RequestException, globals())

    @hides_arguments
    def __init__(
        self,
        username: str,
        password: str | Callable[[], str],
        *,
        cloud_url: str = CLOUD_URL,
        totp: Callable[[], str] | None = None,
        store: TokenStore | None = None,
        offline_access: bool = False,
        session: requests.Session | None = None,
    ) -> None:
        super().__init__(
            username, password, cloud_url=cloud_url, totp=totp, store=store, offline_access=offline_access
        )
        self._session = _checked(session)

    @classmethod
    def from_account(cls, account: Account, *, session: requests.Session | None = None) -> NotaryAuth:
        """An adapter for an `Account` that others use as well: one login for all of them.

        Raises:
            TypeError: `account` is not an Account, or `session` not a Session.
        """
        self = super().from_account(account)
        self._session = _checked(session)
        return self

    def _adopt(self, account: Account) -> None:
        super()._adopt(account)
        self._hook = _Hook(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), **self._account.arguments(), session=self._session), ()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request. requests calls this; it may look the data center up and log in."""
        if not isinstance(request, requests.PreparedRequest):
            refuse_request(self, request)
        account = self._account
        token = account.token
        # The warm path, spelled out: one call more would cost a fifth of what all of it costs.
        url = request.url or ""
        if url.startswith(token.prefix) and account.now() < token.refresh_at:
            request.headers["Authorization"] = token.authorization
        else:
            self._sign(request, url)
        request.hooks["response"].append(self._hook)
        return request

    def _sign(self, request: requests.PreparedRequest, url: str) -> None:
        signature = self._account.signature(url)
        if signature is None:
            conversation = self._account.conversation(url)
            signature = self._proceed(conversation, None, request)
            conversation.close()  # the hook comes back with the answer, in a conversation of its own
        if signature is not None:
            _apply(signature, request)

    def respond(self, response: requests.Response, **kwargs: Any) -> requests.Response:
        """Replay a request that was answered by a 401, if that helps. The response hook calls this."""
        answer = _answer(response)
        conversation = self._account.conversation(answer.url, answer)
        signature = self._proceed(conversation, None, response.request, response)
        while signature is not None:
            response = _replay(response, signature, kwargs)
            signature = self._proceed(conversation, _answer(response), response.request, response)
        return response

    def logout(self) -> None:
        """Have the tokens revoked (RFC 7009), and forget them, here and in the store.

        The next request logs in anew. Nothing to revoke, or a token that is gone already, is a success.

        Raises:
            LogoutError: the platform did not take them back, or was not reached. They are forgotten all the same.
        """
        self._proceed(self._account.farewell())

    def __enter__(self) -> NotaryAuth:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Log out, if there was a login. An error of the block's is not hidden by one of the logout's."""
        if not self._account.is_logged_in:
            return
        try:
            self.logout()
        except requests.RequestException as failure:  # as all errors of ours are here
            if error is None:
                raise
            log.warning("%s", failure)

    def _proceed(
        self,
        conversation: Steps[None],
        result: Answer | None = None,
        request: requests.PreparedRequest | None = None,
        refused: requests.Response | None = None,
    ) -> Signature | None:
        """Perform steps up to the next Forward, and return its signature; None if there is none to come.

        With any step, `refused` is going to be replayed, and its connection is free before it is performed: a
        pool that blocks may have no other for the login.
        """
        done: Any = result
        error: Exception | None = None
        try:
            while (step := self._advance(conversation, done, request, error)) is not None:
                error = None
                if isinstance(step, Forward):
                    return step.signature
                if refused is not None:
                    _release(refused)
                if not isinstance(step, Send):
                    done = perform(step)
                    continue
                try:
                    done = self._control(step.request)
                except requests.RequestException as network_error:
                    error = network_error
            return None
        except BaseException:
            conversation.close()  # at once, not when a traceback is let go: others wait for the leader
            raise

    def _control(self, request: Request) -> Reply:
        """Make a control call."""
        if self._session is not None:
            return _send(self._session, request)
        with requests.Session() as session:
            return _send(session, request)


class _Hook:
    """The response hook. It is in every pickled Response, with the request: there it leaves its auth behind."""

    __slots__ = ("_auth",)

    def __init__(self, auth: NotaryAuth) -> None:
        self._auth = auth

    def __call__(self, response: requests.Response, **kwargs: Any) -> requests.Response:
        return response if response.status_code != 401 else self._auth.respond(response, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return _no_hook, ()

    def __deepcopy__(self, memo: dict[int, Any]) -> _Hook:
        return self


def _checked(session: requests.Session | None) -> requests.Session | None:
    if session is not None and not isinstance(session, requests.Session):
        raise TypeError(f"session must be a requests.Session, not {type(session).__name__}")
    return session


def _no_hook() -> Callable[..., None]:
    """What a pickled hook comes back as: one that leaves the response as it is."""
    return _leave


def _leave(response: requests.Response, **kwargs: Any) -> None:
    return None


def _apply(signature: Signature, request: requests.PreparedRequest) -> None:
    if signature.origin is not None:
        url = request.url or ""
        # The jar's cookies are for the host the request was addressed to; the user's own header stays.
        from_jar = _jar_cookies(request)
        request.headers.pop("Host", None)
        request.url = signature.origin.readdress(url)
        if from_jar is not None and request.headers.get("Cookie") == from_jar:
            del request.headers["Cookie"]
            request.prepare_cookies(request._cookies)
    if signature.authorization is not None:
        request.headers["Authorization"] = signature.authorization


def _jar_cookies(request: requests.PreparedRequest) -> str | None:
    """The `Cookie` header that the request's jar makes for its present URL."""
    if "Cookie" not in request.headers or request._cookies is None:
        return None
    bare = request.copy()
    del bare.headers["Cookie"]
    return get_cookie_header(request._cookies, bare)


def _answer(response: requests.Response) -> Answer:
    request = response.request
    header = request.headers.get("Authorization")
    authorization = header.decode("latin-1") if isinstance(header, bytes) else header
    replayable = response.status_code == 401 and _rewind(request)
    return Answer(response.status_code, request.url or "", authorization, replayable)


def _rewind(request: requests.PreparedRequest) -> bool:
    """Put a body back to where it began. False: it cannot be sent again, and would go out empty."""
    if request.body is None or isinstance(request.body, bytes | bytearray | memoryview | str):
        return True
    try:
        rewind_body(request)
    except Exception:  # noqa: BLE001  has no position, cannot seek, is closed: whatever a user's file raises
        return False
    return True


def _replay(response: requests.Response, signature: Signature, kwargs: dict[str, Any]) -> requests.Response:
    _release(response)
    request = response.request.copy()
    _apply(signature, request)
    replayed = response.connection.send(request, **kwargs)
    replayed.history = [*response.history, response]
    replayed.request = request
    return replayed


def _release(response: requests.Response) -> None:
    response.content  # noqa: B018  read to the end, so that the connection can be used again
    response.close()


def _send(session: requests.Session, request: Request) -> Reply:
    # Prepared without the session: no netrc, and none of its headers, cookies and auth.
    prepared = requests.Request(request.method, request.url, request.headers, data=request.body).prepare()
    prepared.register_hook("response", _keep_from_redirecting)
    settings = session.merge_environment_settings(request.url, {}, True, None, None)
    response = _sent(session, prepared, settings)
    body = protocol.Body(TIMEOUT[1])
    try:
        # A piece has to be full before it is seen, and each of its bytes may take a read time-out: so small ones.
        # (Pieces of one byte would take 20 ms of processor time for a token.)
        body.take_all(response.iter_content(16))
    except requests.exceptions.ContentDecodingError:
        body = protocol.Body()  # reads as what it is: not JSON
    finally:
        response.close()
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status_code, headers, bytes(body), body.is_late)


def _sent(
    session: requests.Session, prepared: requests.PreparedRequest, settings: dict[str, Any]
) -> requests.Response:
    """Send a control call. Whatever ends it, a time-out or an interrupt, takes no password along."""
    try:
        return session.send(prepared, allow_redirects=False, timeout=TIMEOUT, **settings)
    except BaseException as error:  # noqa: BLE001  raised again below
        raised = error
    if isinstance(raised, requests.RequestException):
        bare = prepared.copy()
        bare.body = None  # the request is pickled with the error
        raised.request = bare
    drop_frames(raised)
    # Outside of the except block: on Python 3.10, a bare raise in there brings the frames back.
    raise raised


def _keep_from_redirecting(response: requests.Response, **kwargs: Any) -> None:
    """An answer without a Location is followed by no session, whatever it is set to, nor read for one."""
    response.headers.pop("Location", None)
