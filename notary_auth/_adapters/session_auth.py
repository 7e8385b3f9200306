"""What the adapters for requests and niquests share: both ask an auth object to sign, and show hooks the answer.

Neither client is imported here; each adapter brings its module along (`_library`). A request is signed before it
is sent; a response hook sees the answer, and replays the request if it was a 401, as the clients' own digest
authentication does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from notary_auth._core.account import CLOUD_URL, Account
from notary_auth._core.steps import Forward, Received, SendControl, Signature, Step, Steps
from notary_auth._secrets import hides_arguments, strip_tracebacks
from notary_auth._wire import messages
from notary_auth._wire.messages import ControlRequest, ControlResponse

from .auth import Adapter, refuse_request
from .drivers import drive, perform

if TYPE_CHECKING:
    from notary_auth._core.token_store import TokenStore

Self = TypeVar("Self", bound="SessionAdapter")

log = logging.getLogger("notary_auth")

TIMEOUT = (10.0, 30.0)  # seconds to connect; and between two bytes of a reply, and for all of its body


class Release:
    """Read this refused answer to its end, so that its connection is free for others."""

    __slots__ = ("response",)

    def __init__(self, response: Any) -> None:
        self.response = response


class SessionAdapter(Adapter):
    """An Account in the hands of a client that has sessions, hooks and prepared requests.

    Args:
        username: the account's login name.
        password: the password; or a callable returning it, asked at each login, whose result is not kept.
        cloud_url: the cloud's URL, ``https://host[:port]``; plain http for hosts of this machine only.
        totp: a callable returning the current TOTP code (RFC 6238), asked at each login with the password.
        store: a token store (`notary_auth.stores`), to share logins with other processes.
        offline_access: whether to ask for a refresh token (RFC 6749, section 6), and to use it in place of the
            password and a code.
        session: a session of the client's that control calls go through, for its proxies, CA bundle, adapters and
            mocks; its headers, cookies and auth are not used. Without one, each control call has a session of
            its own, with the environment's proxies and CA bundle, no netrc, and time-outs of 10 s to connect
            and 30 s between two bytes. A copy of a NotaryAuth shares the session.

    Raises:
        TypeError, ValueError, InsecureUrl: as for `notary_auth.Account`. Building one does no I/O.
    """

    _library: ClassVar[Any]
    _session_type: ClassVar[type]

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
        session: Any = None,
    ) -> None:
        super().__init__(
            username, password, cloud_url=cloud_url, totp=totp, store=store, offline_access=offline_access
        )
        self._session = self._checked(session)

    @classmethod
    def from_account(cls: type[Self], account: Account, *, session: Any = None) -> Self:
        """An adapter for an `Account` that others use as well: one login for all of them.

        Raises:
            TypeError: `account` is not an Account, or `session` not a session of the client's.
        """
        self = super().from_account(account)
        self._session = self._checked(session)
        return self

    @classmethod
    def _checked(cls, session: Any) -> Any:
        if session is not None and not isinstance(session, cls._session_type):
            name = f"{cls._session_type.__module__.partition('.')[0]}.{cls._session_type.__name__}"
            raise TypeError(f"session must be a {name}, not {type(session).__name__}")
        return session

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), **self._account.arguments(), session=self._session), ()

    def _check_request(self, request: Any) -> None:
        if not isinstance(request, self._library.PreparedRequest):
            refuse_request(self, request)

    def _is_warm(self, request: Any) -> bool:
        """Sign a request that needs nothing else. False: it takes a conversation."""
        signature = self._account.signature(request.url or "")
        if signature is not None:
            self._apply(signature, request)
        return signature is not None

    def _steps(
        self, conversation: Steps[None], result: Received | None, request: Any, refused: Any
    ) -> Generator[Step | Release, Any, Signature | None]:
        """What is to be done up to the next Forward. Returns its signature, or None if there is none to come.

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
                    yield Release(refused)
                try:
                    done = yield step
                except self._library.RequestException as network_error:
                    error = network_error
            return None
        except BaseException:
            conversation.close()
            raise

    def _apply(self, signature: Signature, request: Any) -> None:
        if signature.origin is not None:
            request.url = signature.origin.readdress(request.url or "")
            request.headers.pop("Host", None)
            # Cookies are for the host that the request was addressed to. The jar fills in the new host's: requests
            # keeps it in a private attribute for just that, after a redirect; without it there are no cookies.
            request.headers.pop("Cookie", None)
            jar = getattr(request, "_cookies", None)
            if jar is not None:
                request.prepare_cookies(jar)
        if signature.authorization is not None:
            request.headers["Authorization"] = signature.authorization

    def _prepared(self, request: ControlRequest) -> Any:
        """A control call. Prepared without a session: no netrc, and none of its headers, cookies and auth."""
        prepared = self._library.Request(request.method, request.url, request.headers, data=request.body).prepare()
        prepared.register_hook("response", _keep_from_redirecting)
        return prepared

    def _in_own_terms(self, error: Exception) -> Exception:
        """An error of a body's reading, as the client's own.

        niquests' fork of urllib3, which requests runs on as well where it is installed, raises its own for chunks
        that are none.
        """
        if not type(error).__module__.startswith("urllib3"):
            return error
        own: Exception = self._library.exceptions.ChunkedEncodingError(type(error).__name__)
        return own

    def _without_secrets(self, error: BaseException, prepared: Any) -> BaseException:
        """What ended a control call, a time-out or an interrupt, so that it takes no password along."""
        if isinstance(error, self._library.RequestException):
            bare = prepared.copy()
            bare.body = None  # the request is pickled with the error
            vars(error)["request"] = bare
        strip_tracebacks(error)
        return error


class Hook:
    """The response hook. It is in every pickled Response, with the request: there it leaves its auth behind."""

    __slots__ = ("_auth",)

    def __init__(self, auth: RequestsAdapter) -> None:
        self._auth = auth

    def __call__(self, response: Any, **kwargs: Any) -> Any:
        return response if response.status_code != 401 else self._auth.respond(response, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return no_hook, ()

    def __deepcopy__(self, memo: dict[int, Any]) -> Hook:
        return self


class RequestsAdapter(SessionAdapter):
    __doc__ = SessionAdapter.__doc__

    _hook_type: ClassVar[type[Hook]] = Hook
    _hook: Hook

    def _bind(self, account: Account) -> None:
        super()._bind(account)
        self._hook = self._hook_type(self)

    def __call__(self, request: Any) -> Any:
        """Sign a request. The client calls this; it may look the data center up and log in."""
        self._check_request(request)
        if not self._is_warm(request):
            conversation = self._account.conversation(request.url or "")
            signature = self._proceed(conversation, None, request)
            conversation.close()  # the hook comes back with the answer, in a conversation of its own
            if signature is not None:
                self._apply(signature, request)
        request.hooks["response"].append(self._hook)
        return request

    def respond(self, response: Any, **kwargs: Any) -> Any:
        """Replay a request that was answered by a 401, if that helps. The response hook calls this."""
        answer = self._answer(response)
        conversation = self._account.conversation(answer.url, answer)
        signature = self._proceed(conversation, None, response.request, response)
        while signature is not None:
            response = self._replay(response, signature, kwargs)
            signature = self._proceed(conversation, self._answer(response), response.request, response)
        return response

    def logout(self) -> None:
        """Have the tokens revoked (RFC 7009), and forget them, here and in the store.

        The next request logs in anew. Nothing to revoke, or a token that is gone already, is a success.

        Raises:
            LogoutError: the platform did not take them back, or was not reached. They are forgotten all the same.
        """
        self._proceed(self._account.farewell())

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Log out, if there was a login. An error of the block's is not hidden by one of the logout's."""
        if not self._account.is_logged_in:
            return
        try:
            self.logout()
        except self._library.RequestException as failure:  # as all errors of ours are here
            if error is None:
                raise
            log.warning("%s", failure)

    def _proceed(
        self,
        conversation: Steps[None],
        result: Received | None = None,
        request: Any = None,
        refused: Any = None,
    ) -> Signature | None:
        """Perform steps up to the next Forward, and return its signature; None if there is none to come."""
        steps = self._steps(conversation, result, request, refused)
        return drive(steps, self._do, self._library.RequestException)

    def _do(self, action: Step | Release) -> Any:
        if isinstance(action, Release):
            action.response.content  # noqa: B018  read to the end, so that the connection can be used again
            return action.response.close()
        return self._control(action.request) if isinstance(action, SendControl) else perform(action)

    def _control(self, request: ControlRequest) -> ControlResponse:
        """Make a control call."""
        if self._session is not None:
            return self._send(self._session, request)
        with self._session_type() as session:
            return self._send(session, request)

    def _send(self, session: Any, request: ControlRequest) -> ControlResponse:
        prepared = self._prepared(request)
        settings = session.merge_environment_settings(request.url, {}, True, None, None)
        response = self._sent(session, prepared, settings)
        headers = lower(response.headers)
        body = messages.Body(TIMEOUT[1])
        try:
            if not messages.is_encoded(headers):
                body.take_all(response.iter_content(messages.CHUNK_SIZE))
        except Exception as error:  # noqa: BLE001  raised again
            raise self._in_own_terms(error) from None
        finally:
            response.close()
        return ControlResponse(response.status_code, headers, bytes(body), body.is_late)

    def _sent(self, session: Any, prepared: Any, settings: dict[str, Any]) -> Any:
        try:
            return session.send(prepared, allow_redirects=False, timeout=TIMEOUT, **settings)
        except BaseException as error:  # noqa: BLE001  raised again below
            raised = self._without_secrets(error, prepared)
        # Outside of the except block: on Python 3.10, a bare raise in there brings the frames back.
        raise raised

    def _answer(self, response: Any) -> Received:
        request = response.request
        replayable = response.status_code == 401 and self._rewind(request)
        return Received(response.status_code, request.url or "", authorization_of(request), replayable)

    def _rewind(self, request: Any) -> bool:
        """Put a body back to where it began. False: it cannot be sent again, and would go out empty."""
        if is_in_memory(request.body):
            return True
        try:
            self._library.utils.rewind_body(request)
        except Exception:  # noqa: BLE001  has no position, cannot seek, is closed: whatever a user's file raises
            return False
        return True

    def _replay(self, response: Any, signature: Signature, kwargs: dict[str, Any]) -> Any:
        self._do(Release(response))
        request = response.request.copy()
        self._apply(signature, request)
        replayed = response.connection.send(request, **kwargs)
        replayed.history = [*response.history, response]
        replayed.request = request
        return replayed


def no_hook() -> Callable[..., None]:
    """What a pickled hook comes back as: one that leaves the response as it is."""
    return _leave


def _leave(response: Any, **kwargs: Any) -> None:
    return None


def is_in_memory(body: object) -> bool:
    return body is None or isinstance(body, bytes | bytearray | memoryview | str)


def authorization_of(request: Any) -> str | None:
    """The header's value that a request carries."""
    header = request.headers.get("Authorization")
    return header.decode("latin-1") if isinstance(header, bytes) else header


def lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _keep_from_redirecting(response: Any, **kwargs: Any) -> None:
    """An answer without a Location is followed by no session, whatever it is set to, nor read for one."""
    response.headers.pop("Location", None)
