"""Logging out: forget the tokens, here and in the store, and have the platform revoke them (RFC 7009)."""

from __future__ import annotations

import logging
from typing import NamedTuple

from notary_auth._secrets import Basic, Secret
from notary_auth._wire import protocol
from notary_auth._wire.origin import Origin
from notary_auth.errors import LoginError, LogoutError, NotaryAuthError

from . import control
from .credentials import Credentials
from .parts import Parts
from .shared_tokens import NO_TRANSACTION, StoreTransaction
from .steps import Steps

log = logging.getLogger("notary_auth")


class Revocable(NamedTuple):
    """A token to be revoked."""

    data_center: Origin
    token_type_hint: str  # RFC 7009, section 2.1
    token: Secret


def log_out(parts: Parts) -> Steps[None]:
    """Forget and revoke all tokens.

    Raises:
        LogoutError: the platform or the store did not do its part. The tokens are forgotten here all the same.
    """
    token, refresh_token = parts.cache.pop_tokens()
    username, data_center = parts.credentials.username, token.data_center or parts.data_center.current
    tokens = _revocable(data_center, refresh_token, token.authorization)
    failure: LogoutError | None = None
    if parts.shared_tokens.store is not None:
        stored, failure = yield from _forget_stored(parts)
        tokens += stored
    for each in dict.fromkeys(tokens):
        try:
            yield from _revoke(each, parts.credentials)
        except LogoutError as error:
            failure = failure or error
    if failure is not None:
        raise failure
    if tokens:
        log.info("logged out %r", username)
    else:
        log.info("no tokens of %r were kept under this password: nothing was revoked", username)


def _forget_stored(parts: Parts) -> Steps[tuple[list[Revocable], LogoutError | None]]:
    """Delete the record. Its tokens are to be revoked, also where it could not be deleted."""
    transaction = parts.shared_tokens.begin_again()
    if transaction is NO_TRANSACTION:  # a process that only logs out
        try:
            password = yield from _ask_password(parts.credentials)
        except LogoutError as failure:
            return [], failure
        transaction = yield from parts.shared_tokens.begin(password)
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
    return tokens, LogoutError(f"the logout of {parts.credentials.username!r} is not complete: {reason}")


def _delete_record(transaction: StoreTransaction) -> Steps[list[Revocable]]:
    yield from transaction.try_lock()  # if another process has it, it logs in: that token is not this logout's
    record = yield from transaction.read()
    tokens: list[Revocable] = []
    if record is not None:
        tokens = _revocable(record.data_center, record.refresh_token, record.authorization)
    if tokens or transaction.is_corrupt:
        yield from transaction.delete()
    return tokens


def _revocable(
    data_center: Origin | None, refresh_token: Secret | None, authorization: str | None
) -> list[Revocable]:
    """The tokens to be revoked, the refresh token first: access tokens are made from it."""
    if data_center is None:
        return []
    access_token = Secret(authorization.removeprefix("Bearer ")) if authorization else None
    both = (("refresh_token", refresh_token), ("access_token", access_token))
    return [Revocable(data_center, hint, token) for hint, token in both if token is not None]


def _ask_password(credentials: Credentials) -> Steps[Secret]:
    try:
        return (yield from credentials.ask_password())
    except LoginError as error:
        failure = error.as_type(LogoutError)
        raise failure from error.__cause__


def _revoke(revocable: Revocable, credentials: Credentials) -> Steps[None]:
    username = credentials.username
    client = Basic(username, (yield from _ask_password(credentials))) if credentials.is_client else None
    request = protocol.revoke_request(*revocable, client)
    try:
        response, _ = yield from control.send(request)
    except Exception as error:  # the client's own, as a rule
        why = str(error) if isinstance(error, NotaryAuthError) else type(error).__name__
        raise protocol.logout_error(revocable.data_center, username, why) from error
    protocol.read_revocation(response, revocable.data_center, username, revocable.token)
