"""Everything an error shows to whoever looks at it, and where a secret is found in it."""

from __future__ import annotations

import base64
import json
import pickle
import traceback
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import FunctionType, GeneratorType, MethodType, ModuleType, TracebackType
from urllib.parse import quote, quote_plus

import notary_auth
from notary_auth import Account, NotaryAuthError
from notary_auth.adapter import Adapter

LEFT_OUT = (type, ModuleType, TracebackType, Adapter, Account)
OURS = Path(notary_auth.__file__).parent


def leaks(texts: Iterable[str], secrets: Iterable[str]) -> list[str]:
    """Those of `texts` with a secret in them, in any of the forms that it is sent or shown in."""
    forms = {form for secret in secrets for form in _forms(secret)}
    return [text for text in texts if any(form in text for form in forms)]


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield repr(secret.encode())[2:-1]
    yield base64.b64encode(secret.encode()).decode()


def shown_by(error: BaseException) -> Iterator[str]:
    """Its text, arguments, attributes and notes, its pickle, its causes and contexts, the locals of our frames."""
    yield _pickled(error)
    for each in chain(error):
        yield from (str(each), repr(each), repr(each.args), repr(vars(each)), *getattr(each, "__notes__", []))
        for frame in traceback.TracebackException.from_exception(each, capture_locals=True).stack:
            if Path(frame.filename).is_relative_to(OURS):
                yield repr(frame.locals)
        for frame, _ in traceback.walk_tb(each.__traceback__):
            if Path(frame.f_code.co_filename).is_relative_to(OURS):
                yield from _unfolded(frame.f_locals)


def _unfolded(value: object, depth: int = 6) -> Iterator[str]:
    """As error reporters show it: they unfold tuples and dictionaries, whatever their repr says."""
    match value:
        case Mapping() if depth:
            for name, each in list(value.items()):
                yield from (repr(name), *_unfolded(each, depth - 1))
        case list() | tuple() | set() | frozenset() | deque() if depth:
            for each in list(value):
                yield from _unfolded(each, depth - 1)
        case _:
            yield repr(value)


def chain(error: BaseException) -> list[BaseException]:
    """An error with all its causes and contexts."""
    found: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is not None and not any(each is other for other in found):
            found.append(each)
            left += [each.__cause__, each.__context__]
    return found


def _pickled(error: BaseException) -> str:
    try:
        return repr(pickle.dumps(error))
    except (TypeError, AttributeError, pickle.PicklingError):  # some of the clients' own errors cannot be
        assert not isinstance(error, NotaryAuthError)
        return ""


def reachable(error: BaseException) -> Iterator[str]:
    """All texts that can be reached from an error: its request, and the content, stream and extensions of that.

    Frames are left out, since a test's own are among them, and so is what holds credentials by its nature: an
    Account, and the adapters that have one.
    """
    left: list[object] = [error]
    seen: dict[int, object] = {}  # which keeps them, so that no id is given out again
    while left:
        each = left.pop()
        if id(each) in seen or isinstance(each, LEFT_OUT):
            continue
        seen[id(each)] = each
        if isinstance(each, str):
            yield each
        elif isinstance(each, bytes | bytearray):
            yield each.decode("latin-1")
        elif isinstance(each, Mapping):
            left += [*each.keys(), *each.values()]
        elif isinstance(each, list | tuple | set | frozenset | deque):
            left += each
        elif isinstance(each, partial):
            left += [each.func, each.args, each.keywords]
        elif isinstance(each, MethodType):
            left += [each.__self__, each.__func__]
        elif isinstance(each, FunctionType):
            left += [cell.cell_contents for cell in each.__closure__ or ()]
        elif isinstance(each, GeneratorType):
            left += each.gi_frame.f_locals.values() if each.gi_frame else ()
        left += getattr(each, "__dict__", {}).values()
        slots = {name for kind in type(each).__mro__ for name in getattr(kind, "__slots__", ())}
        left += [getattr(each, name) for name in slots if hasattr(each, name)]
        if isinstance(each, BaseException):
            left += [each.args, each.__cause__, each.__context__]
