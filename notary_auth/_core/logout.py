"""Logging out: forget the tokens, here and in the store, and have the platform revoke them (RFC 7009)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

from notary_auth._secrets import Secret
from notary_auth._wire import protocol
from notary_auth._wire.origin import Origin
from notary_auth.errors import LoginError, LogoutError

from . import control
from .credentials import Credentials
from .shared_tokens import NO_TRANSACTION, SharedTokens, StoreTransaction
from .steps import Steps

log = logging.getLogger("notary_auth")


class Revocable(NamedTuple):
    """A token to be revoked: where, of which kind (`token_type_hint`), and its value."""

    data_center: Origin
    kind: str
    token: Secret


def revocable_tokens(
    data_center: Origin | None,
    authorization: str | None,
    refresh_token: Secret | None,
    refresh_token_at: Origin | None,
) -> list[Revocable]:
    """The tokens to be revoked, a refresh token first: access tokens are made from it."""
    found: list[Revocable] = []
    if refresh_token_at is not None and refresh_token is not None:
        found.append(Revocable(refresh_token_at, "refresh_token", refresh_token))
    if data_center is not None and authorization is not None:
        found.append(Revocable(data_center, "access_token", Secret(authorization.removeprefix("Bearer "))))
    return found


def log_out(
    credentials: Credentials,
    shared_tokens: SharedTokens,
    forget_tokens: Callable[[], list[Revocable]],
    now: Callable[[], float],
) -> Steps[None]:
    """Forget and revoke all tokens.

    Args:
        forget_tokens: forgets those of this process, and returns them.
        now: the account's clock, in seconds.

    Raises:
        LogoutError: the platform or the store did not do its part. The tokens are forgotten here all the same.
    """
    tokens = forget_tokens()
    failure: LogoutError | None = None
    if shared_tokens.store is not None:
        stored, failure = yield from _forget_stored(credentials, shared_tokens)
        tokens += stored
    for each in dict.fromkeys(tokens):
        try:
            yield from _revoke(each, credentials.username, now)
        except LogoutError as error:
            failure = failure or error
    log.info("logged out %r", credentials.username)
    if failure is not None:
        raise failure


def _forget_stored(
    credentials: Credentials, shared_tokens: SharedTokens
) -> Steps[tuple[list[Revocable], LogoutError | None]]:
    """Delete the record. Its tokens are to be revoked, also where it could not be deleted."""
    transaction = shared_tokens.begin_again()
    if transaction is NO_TRANSACTION:  # a process that only logs out
        try:
            password = yield from credentials.ask_password()
        except LoginError as error:
            failure = error.as_type(LogoutError)
            failure.__cause__ = error.__cause__
            return [], failure
        transaction = yield from shared_tokens.begin(password)
    try:
        tokens = yield from _delete_record(transaction)
        yield from transaction.commit()
    finally:
        transaction.finish_in_background()
    reason = ""
    if transaction.has_failed:
        reason = "the store failed, and may still have the tokens"
    elif transaction.is_corrupt:
        reason = "the record in the store could not be read, and was removed without being revoked"
    if not reason:
        return tokens, None
    return tokens, LogoutError(f"the logout of {credentials.username!r} is not complete: {reason}")


def _delete_record(transaction: StoreTransaction) -> Steps[list[Revocable]]:
    yield from transaction.try_lock()  # if another process has it, it logs in: that token is not this logout's
    record = yield from transaction.read()
    tokens: list[Revocable] = []
    if record is not None and record.refusal is None:
        tokens = revocable_tokens(
            record.data_center, record.authorization, record.refresh_token, record.data_center
        )
    if tokens or transaction.is_corrupt:
        yield from transaction.delete()
    return tokens


def _revoke(revocable: Revocable, username: str, now: Callable[[], float]) -> Steps[None]:
    data_center, kind, token = revocable
    request = protocol.revoke_request(data_center, kind, token)
    try:
        response, _ = yield from control.send(control.ready(request), now)
    except Exception as error:  # the client's own
        raise protocol.logout_error(data_center, username, type(error).__name__) from error
    protocol.read_revocation(response, data_center, username, token)
