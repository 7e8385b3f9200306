"""Everything an error shows to whoever looks at it, and where a secret is found in it."""

from __future__ import annotations

import base64
import json
import pickle
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import notary_auth
from notary_auth import NotaryAuthError

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
