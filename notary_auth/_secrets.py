"""Values that show themselves to nobody: not in a repr, and so not in a traceback that shows local variables.

The arguments and locals of a function are in the tracebacks of all that it raises, and error reporters send them
home. So no password, code or token is a plain string in a frame of this library while anything is raised there.
Nor is it in a tuple or dictionary there, unless it hides by itself: these are unfolded, whatever their repr says.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote_plus

P = ParamSpec("P")
Result = TypeVar("Result")
Self = TypeVar("Self", bound="Authorization")


class Secret:
    """A password, a code or a token on its way to the platform. Two of the same value are equal."""

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.value == self.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return "<Secret>"


def digest(password: Secret, salt: bytes) -> bytes:
    """What tells a password from another one without keeping it."""
    from hashlib import blake2b  # only needed where a password was refused, or with a store

    return SecretBytes(blake2b(password.value.encode(), key=salt).digest())


class SecretBytes(bytes):
    """The body of a control request or response, or a digest of a password."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<SecretBytes>"


class Document:
    """A JSON object of the platform's or of a store's, perhaps with a token in it."""

    __slots__ = ("fields",)

    def __init__(self, fields: dict[str, Any] | None = None, /, **more: Any) -> None:
        self.fields = {**(fields or {}), **more}

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def get(self, name: str) -> Any:
        return self.fields.get(name)

    def keys(self) -> Iterable[str]:
        return self.fields.keys()

    def __repr__(self) -> str:
        return "<Document>"


class Authorization(str):
    """The value of an ``Authorization`` header. What is behind its scheme stays out of reprs and pickles.

    Responses are pickled with their requests, and these with their headers. httpx keeps headers as bytes, which
    it has from `encode`.
    """

    _encoded: bytes
    _shown: str

    def __new__(cls: type[Self], scheme: str, credentials: str) -> Self:
        self = str.__new__(cls, f"{scheme} {credentials}")
        self._shown = f"{scheme} ***"
        self._encoded = _AuthorizationBytes(str.encode(self, "ascii"))
        return self

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return self._encoded  # all encodings of headers agree on ASCII

    def __repr__(self) -> str:
        return repr(self._shown)

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (self._shown,)

    def __deepcopy__(self, memo: dict[int, Any]) -> Authorization:
        return self


class _AuthorizationBytes(bytes):
    def __repr__(self) -> str:
        return repr(self._shown())

    def _shown(self) -> bytes:
        return self.partition(b" ")[0] + b" ***"

    def __reduce__(self) -> tuple[Any, ...]:
        return bytes, (self._shown(),)

    def __deepcopy__(self, memo: dict[int, Any]) -> _AuthorizationBytes:
        return self


class Bearer(Authorization):
    """RFC 6750, section 2.1."""

    def __new__(cls, access_token: str) -> Bearer:
        return super().__new__(cls, "Bearer", access_token)


class Basic(Authorization):
    """RFC 6749, section 2.3.1: both parts are form-encoded first, so that a colon or an umlaut is no trouble."""

    def __new__(cls, name: str, secret: Secret) -> Basic:
        both = f"{quote_plus(name)}:{quote_plus(secret.value)}"
        return super().__new__(cls, "Basic", b64encode(both.encode("ascii")).decode("ascii"))


def strip_tracebacks(error: BaseException) -> None:
    """Take the tracebacks from an error of a client's, its causes, contexts, and what it wraps: the locals of its
    frames have the request in them, and a login's with it."""
    left: list[object] = [error]
    seen: set[int] = set()
    while left:
        each = left.pop()
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            each.__traceback__ = None
            left += [each.__cause__, each.__context__, *each.args, *vars(each).values()]


def hides_arguments(function: Callable[P, Result]) -> Callable[P, Result]:
    """Let no traceback of what `function` raises show its arguments, a password among them."""

    @wraps(function)
    def hiding(*args: P.args, **kwargs: P.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  raised again below, without the frames that it came from
            raised = error
        del args, kwargs
        raised.__context__ = None
        raise raised.with_traceback(None)

    return hiding
