"""What an account was built with: checked there, asked for at each login, and never kept elsewhere."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from notary_auth._secrets import Secret
from notary_auth._wire.origin import Origin
from notary_auth.errors import InsecureUrl, LoginError

from .steps import Call, Steps

if TYPE_CHECKING:
    from .token_store import TokenStore

CO_COROUTINE = 0x80  # inspect's, of a code object


class Credentials(NamedTuple):
    """User name, password and the source of codes; or an API client's id and secret."""

    username: str
    password: Secret | Callable[[], str]
    totp: Callable[[], str] | None = None
    offline_access: bool = False
    is_client: bool = False  # an API client's: `username` is its id, `password` its secret

    def __repr__(self) -> str:  # the password may be in it
        return f"<Credentials of {self.username!r}>"

    def ask_password(self) -> Steps[Secret]:
        if isinstance(self.password, Secret):
            return self.password
        return (yield from _ask("client_secret" if self.is_client else "password", self.password))

    def ask_totp_code(self) -> Steps[Secret | None]:
        return None if self.totp is None else (yield from _ask("totp", self.totp))


def _ask(name: str, source: Callable[[], str]) -> Steps[Secret]:
    """A credential from the user's callable.

    Raises:
        LoginError: it raises, or returns what cannot be sent.
    """
    answer: Secret | Exception = yield Call(partial(_outcome, source))
    if type(answer) is LoginError and answer.status is None:  # of a file that cannot be read, and no other login's
        raise answer.as_type(LoginError)
    if isinstance(answer, Exception):
        raise LoginError(f"the function that was given as {name}= raised {type(answer).__name__}") from answer
    flaw = flaw_of_text(answer.value)
    if flaw is not None:
        raise LoginError(f"the result of the function that was given as {name}= {flaw}")
    return answer


def _outcome(source: Callable[[], str]) -> Secret | Exception:
    try:
        return Secret(source())
    except Exception as error:  # noqa: BLE001  whatever a vault raises: `_ask` raises a LoginError from it
        return error


def flaw_of_text(value: object) -> str | None:
    """Why `value` cannot be sent as UTF-8 text, or None. Says nothing of what is in it."""
    if not isinstance(value, str):
        return f"must be a string, not {type(value).__name__}"
    if not value:
        return "is empty"
    if "\0" in value:
        return "contains a NUL character"
    if any("\ud800" <= character <= "\udfff" for character in value):
        return "contains a lone surrogate, which UTF-8 cannot encode"
    return None


def check_credentials(
    username: str, password: str | Callable[[], str], totp: Callable[[], str] | None, offline_access: bool
) -> Credentials:
    """The credentials of an account.

    Raises:
        TypeError, ValueError: as for `Account`.
    """
    _check_text("username", username)
    checked = _checked_secret("password", password)
    if totp is not None and not callable(totp):
        raise TypeError(f"totp must be a function that returns a code, not {type(totp).__name__}")
    _check_function("totp", totp)
    if not isinstance(offline_access, bool):
        raise TypeError(f"offline_access must be True or False, not {type(offline_access).__name__}")
    return Credentials(username, checked, totp, offline_access)


def check_client_credentials(client_id: str, client_secret: str | Callable[[], str]) -> Credentials:
    """The credentials of an API client.

    Raises:
        TypeError, ValueError: as for `Account.for_client`.
    """
    _check_text("client_id", client_id)
    return Credentials(client_id, _checked_secret("client_secret", client_secret), is_client=True)


def _checked_secret(name: str, secret: str | Callable[[], str]) -> Secret | Callable[[], str]:
    _check_function(name, secret)
    if callable(secret):
        return secret
    _check_text(name, secret, "a string, or a function that returns one")
    return Secret(secret)


def _check_function(name: str, source: object) -> None:
    if _is_async(source) or _is_async(getattr(source, "__call__", None)):  # noqa: B004  async def __call__
        raise TypeError(
            f"{name} must be an ordinary function, not an async one: it is called in a thread of its own"
        )


def _is_async(function: object) -> bool:
    """Whether this was made by ``async def``. `inspect` would take longer to import than all of us."""
    return bool(getattr(getattr(function, "__code__", None), "co_flags", 0) & CO_COROUTINE)


def _check_text(name: str, value: object, wanted: str = "a string") -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be {wanted}, not {type(value).__name__}")
    flaw = flaw_of_text(value)
    if flaw is not None:
        raise ValueError(f"{name} {flaw}")


def check_url(name: str, url: object) -> Origin:
    """The origin of the cloud or of a data center; `name` is the argument's.

    Raises:
        TypeError, ValueError, InsecureUrl: as for `Account`.
    """
    if not isinstance(url, str):
        raise TypeError(f"{name} must be a string, not {type(url).__name__}")
    try:
        origin = Origin.of_base_url(url)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
    if not origin.is_secure:
        raise InsecureUrl(f"{name} must be https: {origin} would get the password in clear", url=str(origin))
    return origin


def check_store(store: "TokenStore | None") -> "TokenStore | None":
    """The token store.

    Raises:
        TypeError, ModuleNotFoundError: as for `Account`.
    """
    if store is None:
        return None
    has_all = all(callable(getattr(store, name, None)) for name in ("load", "save", "delete", "lock"))
    if isinstance(store, type) or not has_all:
        given = f"the class {store.__name__}" if isinstance(store, type) else type(store).__name__
        raise TypeError(f"store must be a notary_auth.stores.TokenStore, not {given}")
    from notary_auth._extras import needs_extra

    needs_extra("stores", "cryptography")
    return store
