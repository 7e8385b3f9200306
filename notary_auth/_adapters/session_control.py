"""Control requests for requests and niquests: sent by a session, never redirected, read with suspicion.

Neither client is imported here; the adapter brings its module along as `library`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from math import inf
from typing import Any

from notary_auth._secrets import strip_tracebacks
from notary_auth._wire.messages import CHUNK_SIZE, ControlBody, ControlRequest, ControlResponse

from .drivers import awaited

TIMEOUT = (10.0, 30.0)  # seconds to connect; and between two bytes of a response, and for all of its body


async def send_control(
    request: ControlRequest, session: Any, library: Any, options: Mapping[str, Any] | None = None
) -> ControlResponse:
    """Send a control request by a session, and read the response.

    Args:
        options: what the user's request was sent with, as far as it is known; of use are ``verify``, ``cert``,
            ``proxies`` and ``timeout``.
    """
    prepared = _prepared(request, library)
    try:
        response = await _sent(prepared, session, library, options or {})
    except library.HTTPError as error:  # from a Session subclass whose `send` calls raise_for_status()
        response = error.response
        answered = getattr(response, "request", None)
        if getattr(answered, "url", None) != prepared.url:  # another request, which that session has made
            raise
    except library.exceptions.RetryError as error:
        status = _status_retried(error)
        if status is None:
            raise
        return ControlResponse(status, {}, b"", is_hidden=True)
    if getattr(response, "lazy", False):  # niquests', where it multiplexes
        await awaited(session.gather(response))
    body = ControlBody(response.status_code, response.headers, TIMEOUT[1])
    try:
        await _read(response, body)
    except Exception as error:  # noqa: BLE001  raised again
        raise _as_client_error(error, library) from None
    finally:
        await awaited(response.close())
    return body.response()


def _prepared(request: ControlRequest, library: Any) -> Any:
    """A control request. Prepared without a session: no netrc, and none of its headers, cookies and auth."""
    prepared = library.Request(request.method, request.url, request.headers, data=request.body).prepare()
    prepared.register_hook("response", _drop_location)
    return prepared


async def _sent(prepared: Any, session: Any, library: Any, options: Mapping[str, Any]) -> Any:
    # The environment's proxies are among the request's already; NO_PROXY may except this host and not that one.
    environment = library.utils.getproxies()
    given = options.get("proxies") or {}
    proxies = {name: proxy for name, proxy in given.items() if proxy != environment.get(name)}
    verify = options.get("verify") or None  # verify=False is not taken over: the password needs verified TLS
    settings = session.merge_environment_settings(prepared.url, proxies, True, verify, options.get("cert"))
    settings["timeout"] = _shorter_of(options.get("timeout"))
    if prepared.url.startswith("http:"):  # it is for this machine: no proxy is to read the password
        settings["proxies"] = {}
    try:
        return await awaited(session.send(prepared, allow_redirects=False, **settings))
    except BaseException as error:  # noqa: BLE001  raised again below
        raised = _without_secrets(error, prepared, library.RequestException)
    # Outside of the except block: on Python 3.10, a bare raise in there brings the frames back.
    raise raised


async def _read(response: Any, body: ControlBody) -> None:
    if not body.is_readable:
        return
    chunks = await awaited(response.iter_content(CHUNK_SIZE))
    if hasattr(chunks, "__aiter__"):
        await body.atake_all(chunks)
    else:
        body.take_all(chunks)


def _without_secrets(error: BaseException, prepared: Any, request_error: type[Exception]) -> BaseException:
    """What ended a control request, a time-out or an interrupt, so that it takes no password along."""
    if isinstance(error, request_error):
        bare = prepared.copy()
        bare.body = None  # the request is pickled with the error
        bare.headers.pop("Authorization", None)
        vars(error)["request"] = bare
    strip_tracebacks(error)
    return error


def _as_client_error(error: Exception, library: Any) -> Exception:
    """An error from reading a body, as the client's own.

    niquests' fork of urllib3, which requests runs on as well where it is installed, raises its own for invalid
    chunks.
    """
    if not type(error).__module__.startswith("urllib3"):
        return error
    own: Exception = library.exceptions.ChunkedEncodingError(type(error).__name__)
    return own


def _shorter_of(timeout: Any) -> tuple[float, float]:
    """Our time-outs, or those of the request where they are numbers and shorter."""
    both = timeout if isinstance(timeout, tuple) and len(timeout) == 2 else (timeout, timeout)
    connect, read = (each if isinstance(each, int | float) else inf for each in both)
    return min(TIMEOUT[0], connect), min(TIMEOUT[1], read)


def _status_retried(error: Exception) -> int | None:
    """The status for which the session's retry policy gave up; None if it gave up for another reason.

    urllib3 says it in its message alone.
    """
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    found = re.search(r"too many (\d{3}) error responses", str(reason))
    return int(found[1]) if found else None


def explained(error: Exception) -> Exception:
    """A network error that also says that notary-auth's own request failed, and not the user's."""
    try:
        own = copy.copy(error)
    except TypeError:  # a user's own class, which cannot be copied
        return error
    own.args = (
        f"{error} (this was notary-auth's own discovery, login or logout: verify=, proxies= and timeout= of your"
        " request do not apply to it; give NotaryAuth a session=, or set REQUESTS_CA_BUNDLE and HTTPS_PROXY)",
    )
    own.__cause__ = error
    return own


def _drop_location(response: Any, **kwargs: Any) -> None:
    """A response without a Location is followed by no session, whatever it is set to, nor read for one."""
    response.headers.pop("Location", None)
