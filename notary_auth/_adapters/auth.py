"""What the adapters of all clients share: how a NotaryAuth is built, copied and shown, and its errors.

Nothing here sends anything. An adapter performs the steps of `Account.sign`, `reauthorize` and `log_out` in its
client's way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

from notary_auth._core.account import CLOUD_URL, Account, rebuilding
from notary_auth._core.steps import Steps
from notary_auth._secrets import hides_arguments
from notary_auth.errors import NotaryAuthError

from .drivers import Errors, arun, run_to_end

if TYPE_CHECKING:
    from notary_auth._core.token_store import TokenStore

Self = TypeVar("Self", bound="Adapter")
Result = TypeVar("Result")

_CLIENTS = ("requests", "niquests", "httpx", "httpx2", "aiohttp")


class Adapter:
    """An Account in the hands of one HTTP client.

    Args:
        username: the account's login name.
        password: the password; or a callable returning it, asked at each login, whose result is not kept.
        cloud_url: the cloud's URL, ``https://host[:port]``; plain http for hosts of this machine only.
        server_url: the data center's URL, in the same form, where it is known: nothing is looked up then.
        totp: a callable returning the current TOTP code (RFC 6238), asked at each login with the password.
        store: a token store (`notary_auth.stores`), to share logins with other processes.
        offline_access: whether to ask for a refresh token (RFC 6749, section 6), and to use it in place of the
            password and a code.

    Raises:
        TypeError, ValueError, InsecureUrl: as for `notary_auth.Account`. Building one does no I/O.
    """

    #: Errors of ours as the client's own, as `notary_auth.errors.client_errors` makes them.
    _errors: ClassVar[dict[type[NotaryAuthError], type[NotaryAuthError]]]
    #: What the client raises where the platform could not be reached: one class, or several.
    _network_error: ClassVar[Errors]

    @hides_arguments
    def __init__(
        self,
        username: str,
        password: str | Callable[[], str],
        *,
        cloud_url: str = CLOUD_URL,
        server_url: str | None = None,
        totp: Callable[[], str] | None = None,
        store: TokenStore | None = None,
        offline_access: bool = False,
    ) -> None:
        try:
            account = Account(
                username,
                password,
                cloud_url=cloud_url,
                server_url=server_url,
                totp=totp,
                store=store,
                offline_access=offline_access,
            )
        except NotaryAuthError as error:
            raise self._to_client_error(error) from None
        self._bind(account)

    def _bind(self, account: Account) -> None:
        self._account = account

    @classmethod
    def from_account(cls: type[Self], account: Account) -> Self:
        """An adapter for an `Account` that others use as well: one login for all of them.

        Raises:
            TypeError: `account` is not an Account.
        """
        if not isinstance(account, Account):
            raise TypeError(f"account must be a notary_auth.Account, not {type(account).__name__}")
        self = cls.__new__(cls)
        self._bind(account)
        return self

    @classmethod
    @hides_arguments
    def for_client(
        cls: type[Self],
        client_id: str,
        client_secret: str | Callable[[], str],
        *,
        server_url: str,
        cloud_url: str = CLOUD_URL,
        store: TokenStore | None = None,
        **options: Any,
    ) -> Self:
        """An adapter for an API client of the platform's (RFC 6749, section 4.4), in place of a user.

        Args:
            client_id, client_secret, server_url, cloud_url, store: as for `notary_auth.Account.for_client`.
            options: as for `from_account`.

        Raises:
            TypeError, ValueError, InsecureUrl: as for `notary_auth.Account.for_client`.
        """
        try:
            account = Account.for_client(
                client_id, client_secret, server_url=server_url, cloud_url=cloud_url, store=store
            )
        except NotaryAuthError as error:
            raise cls._to_client_error(error) from None
        return cls.from_account(account, **options)

    @classmethod
    def from_env(cls: type[Self], **options: Any) -> Self:
        """An adapter with its credentials from the environment, for containers and scripts.

        ``NOTARY_USERNAME``; ``NOTARY_PASSWORD``, or ``NOTARY_PASSWORD_FILE``, the path of a file that each login
        reads; ``NOTARY_CLOUD_URL`` for another cloud than Acronis' own; ``NOTARY_SERVER_URL`` for the data center,
        where it is known. Or an API client's ``NOTARY_CLIENT_ID``, ``NOTARY_CLIENT_SECRET`` or
        ``NOTARY_CLIENT_SECRET_FILE``, and ``NOTARY_SERVER_URL``.

        Args:
            options: arguments of the class or of `for_client` but for the credentials, such as `store`.

        Raises:
            ValueError: a variable is missing, or empty, or two exclude each other. Says which.
            TypeError, InsecureUrl: as for the class.
        """
        from notary_auth._environment import from_environment

        arguments = {**from_environment(), **options}
        return cls.for_client(**arguments) if "client_id" in arguments else cls(**arguments)

    @property
    def account(self) -> Account:
        """The account: what is known of it, and `forget`."""
        return self._account

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuilding(type(self), self._account), ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._account.username!r}, cloud_url={self._account.cloud_url!r})"

    async def _arun(self, steps: Steps[Result], do: Callable[[Any], Any], request: Any = None) -> Result:
        """Perform `steps` with `do`. Errors of ours are raised as the client's own, about this request."""
        try:
            return await arun(steps, do, self._network_error)
        except NotaryAuthError as error:
            raise self._to_client_error(error, request) from error.__cause__

    def _run(self, steps: Steps[Result], do: Callable[[Any], Any], request: Any = None) -> Result:
        """The same where `do` returns nothing that has to be awaited."""
        return run_to_end(self._arun(steps, do, request))

    @classmethod
    def _to_client_error(cls, error: NotaryAuthError, request: Any = None) -> NotaryAuthError:
        """The same error as one that is the client's as well (rule 22)."""
        error.__traceback__ = None  # it becomes the context of the new one, and credentials are in its frames
        own = error.as_type(cls._errors.get(type(error), type(error)))
        own.request = request  # type: ignore[attr-defined]  # of the client's error that it also is
        return own


def refuse_request(auth: object, request: object) -> NoReturn:
    """Say which NotaryAuth is the right one for the client that `request` is of.

    Raises:
        TypeError: always.
    """
    client = type(request).__module__.partition(".")[0]
    given = f"{type(auth).__module__}.{type(auth).__name__} does not work with {type(request)!r}"
    if client not in _CLIENTS:
        raise TypeError(f"{given}: notary-auth has adapters for {', '.join(_CLIENTS)}")
    raise TypeError(f"{given}: use `from notary_auth.{client} import NotaryAuth`")
