"""How a leader gets a token: from the store, for the refresh token, or for the password.

The order: another process's token, if there is a store and a good one in it; the refresh token, if there is one;
the password. The data center is looked up first if it is not known, or if the last login there failed, and again
if a known one refuses the password: the account may have moved. `is_lookup_due` is set before credentials are
sent. A discovery, a login or a refused refresh token clears it.
"""

from __future__ import annotations

import logging
import time
from random import random

from notary_auth._secrets import Secret
from notary_auth._wire import protocol
from notary_auth._wire.explanation import CHECK_SERVER_URL, RETRIED, explanation
from notary_auth._wire.messages import ControlRequest, ControlResponse
from notary_auth._wire.origin import Origin
from notary_auth.errors import CredentialsRefused, LoginError, TotpRequired

from . import control
from .caller import Login
from .data_center import MAX_LOOKUP_AGE
from .effort import FULL, Effort
from .parts import Parts
from .record import SharedRecord
from .refusals import REFUSAL_TTL, Refusal
from .shared_tokens import NO_TRANSACTION, StoreTransaction
from .steps import Sleep, Steps
from .token import Token
from .unauthorized import Event

STORE_LOCK_PAUSES = 0.05, 0.5  # seconds between two looks at another process's lock: from, to; before jitter

log = logging.getLogger("notary_auth")


def discover(parts: Parts) -> Steps[None]:
    """Find the data center, if it is not known.

    Raises:
        DiscoveryError: the response does not tell.
    """

    def attempt(login: Login | None) -> Steps[Origin]:
        parts.failed_attempts.check(parts.now())
        discovery = _look_up(parts, FULL._replace(login=login))
        return parts.failed_attempts.count(discovery, parts.now)

    return parts.single_flight.run(attempt, lambda: parts.data_center.current is not None)


def _look_up(parts: Parts, effort: Effort) -> Steps[Origin]:
    data_center, username = parts.data_center, parts.credentials.username
    if data_center.given is not None:
        return data_center.given
    request = protocol.lookup_request(data_center.cloud, username)
    response, sent_at = yield from control.send(request, effort, parts.now)
    origin = protocol.read_lookup(response, data_center.cloud, username)
    data_center.learn(origin, protocol.date_of(response), sent_at)
    return origin


def log_in(parts: Parts, effort: Effort) -> Steps[None]:
    """Get a token.

    Raises:
        CredentialsRefused: the password is refused, now or before.
        DiscoveryError, LoginError: a response is not the platform's; or a callable failed.
    """
    if effort.gives_way:  # ahead of expiry: one attempt in a while, which is not paced
        yield from _log_in_once(parts, effort)
        return
    if parts.shared_tokens.store is None:
        parts.failed_attempts.check(parts.now())
    yield from parts.failed_attempts.count(_log_in_once(parts, effort), parts.now)


def _log_in_once(parts: Parts, effort: Effort) -> Steps[None]:
    has_store = parts.shared_tokens.store is not None  # its key needs the password, so that is asked for first
    if not has_store and (yield from _refresh(parts, NO_TRANSACTION, effort)):
        return
    password = yield from parts.credentials.ask_password()
    parts.refusals.check(password, parts.now())
    transaction = yield from parts.shared_tokens.begin(password)
    try:
        if (yield from _consult_store(parts, transaction, password, effort)):
            if has_store and not effort.gives_way:  # another process may have had more success
                parts.failed_attempts.check(parts.now())
            if not (has_store and (yield from _refresh(parts, transaction, effort))):
                yield from _log_in_anew(parts, transaction, password, effort)
        yield from transaction.commit()
    finally:
        transaction.finish_in_background()


# From the store


def _consult_store(parts: Parts, transaction: StoreTransaction, password: Secret, effort: Effort) -> Steps[bool]:
    """Read the store, and acquire its lock. Returns whether this process has to log in."""
    deadline = parts.now() + effort.store_timeout
    pause, longest = STORE_LOCK_PAUSES
    while True:
        record = yield from transaction.read()
        if record is not None and _adopt(parts, transaction, record, password, effort):
            return False
        if transaction.may_log_in:  # the lock is ours, and the record was read under it
            return True
        if (yield from transaction.try_lock()):
            continue
        if effort.gives_way:
            return False
        if parts.now() >= deadline:
            if effort.store_timeout:
                log.warning(
                    "%r logs in after %d s of waiting for a process that holds the store's lock",
                    parts.credentials.username,
                    effort.store_timeout,
                )
            return True
        yield Sleep(pause * (0.5 + random() / 2))
        pause = min(2 * pause, longest)


def _adopt(
    parts: Parts, transaction: StoreTransaction, record: SharedRecord, password: Secret, effort: Effort
) -> bool:
    """Use another process's token in place of a login. Returns whether it is of use.

    Raises:
        CredentialsRefused: the password was refused there.
    """
    now = parts.now()
    if record.refusal is not None and parts.refusals.accepts_stored:
        can_refresh = _refresh_token(parts, transaction) is not None
        refusal = Refusal.of(password, record.data_center, record.refusal, now - record.age)
        _remember(parts, refusal._replace(is_final=not can_refresh))
        if now < refusal.until and not can_refresh:
            raise refusal.recalled(now)
    if record.authorization is None or not effort.takes_stored:
        return False
    token = Token.issued(record.authorization, record.data_center, now - record.age, record.lifetime)
    if now >= token.expires_at or not parts.cache.may_adopt(token.authorization):
        return False
    _install(parts, token, record.data_center, record.refresh_token, Event.FOUND)
    log.debug("a token of %r was found in the store", parts.credentials.username)
    return True


# From the platform


def _log_in_anew(parts: Parts, transaction: StoreTransaction, password: Secret, effort: Effort) -> Steps[None]:
    """Get a token from the data center that holds the account now."""
    started = parts.now()
    known = None if parts.data_center.is_lookup_due else parts.data_center.current
    data_center = known or (yield from _look_up(parts, effort))
    refusal = yield from _log_in_at(parts, data_center, transaction, password, effort)
    if refusal is not None and known is not None and not isinstance(refusal.error, TotpRequired):
        # The account may have moved since it was looked up, and its old data center does not know it any more.
        data_center = yield from _look_up(parts, effort)
        refusal = yield from _log_in_at(parts, data_center, transaction, password, effort)
    if refusal is not None:
        is_refused = isinstance(refusal.error, CredentialsRefused | TotpRequired)
        _remember(parts, refusal._replace(is_final=is_refused))
        if isinstance(refusal.error, CredentialsRefused):  # not a missing code: other processes may have one
            refresh_token = _stored_refresh_token(parts, transaction)  # another process may use it
            age = parts.now() - refusal.refused_at
            transaction.publish(
                SharedRecord(data_center, age=age, refresh_token=refresh_token, refusal=refusal.error)
            )
            yield from transaction.commit()  # before anybody is told of it
        if refusal.refused_at < started:  # it was remembered, and nothing was sent now
            raise refusal.recalled(parts.now())
        raise refusal.error.as_type(type(refusal.error))


def _log_in_at(
    parts: Parts, data_center: Origin, transaction: StoreTransaction, password: Secret, effort: Effort
) -> Steps[Refusal | None]:
    """Send the password or client secret. A refusal is returned, so that the caller can look up again."""
    known = parts.refusals.find(password, parts.now(), data_center)
    if known is not None:
        return known
    endpoint, secrets = _endpoint(parts, data_center), [password]

    def build() -> Steps[ControlRequest]:
        code = yield from parts.credentials.ask_totp_code()
        if code is not None:
            secrets.append(code)
        # Once more: during a pause or a prompt, a caller that could not wait may have had it refused.
        parts.refusals.check(password, parts.now(), data_center)
        if endpoint.is_client:
            return endpoint.client_request(password)
        return endpoint.password_request(password, code)

    parts.data_center.is_lookup_due = True
    response, sent_at = yield from control.send(build, effort, parts.now)
    try:
        granted = endpoint.read(response, secrets, time.time())
    except LoginError as error:
        code, _, _ = explanation(
            response, secrets
        )  # as it came: the error's is hidden where the password is in it
        needs_code = code == "totp_required" and parts.credentials.totp is None
        if not isinstance(error, CredentialsRefused) and not needs_code:
            raise
        # Remember it now: if the next discovery fails, this password still must not be sent here again.
        refusal = Refusal.of(password, data_center, _explained(parts, error, response, sent_at), parts.now())
        _remember(parts, refusal)
        return refusal
    _use(parts, granted, data_center, sent_at, transaction)
    return None


def _explained(parts: Parts, error: LoginError, response: ControlResponse, sent_at: float) -> LoginError:
    """A refusal as the caller gets it: it says who will not send the password again, or why it is in doubt."""
    if parts.data_center.is_from_cache(protocol.date_of(response), sent_at):
        message = (
            f"{error} But a cache named that data center: it kept the discovery for more than "
            f"{MAX_LOOKUP_AGE / 60:.0f} minutes, although it was asked not to. The account may have "
            f"moved. Keep {parts.data_center.lookup_url} out of the cache."
        )
        return error.as_type(LoginError, message)
    doubt = "" if parts.data_center.given is None else f" {CHECK_SERVER_URL}"
    is_shared = parts.shared_tokens.store is not None and isinstance(error, CredentialsRefused)
    who = "No process that shares the store will" if is_shared else "This auth object will not"
    what = "client secret" if parts.credentials.is_client else "password"
    message = f"{error}{doubt} {who} send the {what} again for {REFUSAL_TTL / 60:.0f} minutes, unless it changes."
    return error.as_type(type(error), message)


def _refresh(parts: Parts, transaction: StoreTransaction, effort: Effort) -> Steps[bool]:
    """Send the refresh grant. False: there is no refresh token, or it is not good any more."""
    refresh_token = _refresh_token(parts, transaction)
    if refresh_token is None:
        return False
    data_center = None if parts.data_center.is_lookup_due else parts.data_center.current
    if data_center is None:
        data_center = yield from _look_up(parts, effort)
    endpoint = _endpoint(parts, data_center)
    parts.data_center.is_lookup_due = True
    request = endpoint.refresh_request(refresh_token)
    response, sent_at = yield from control.send(request, effort, parts.now)
    try:
        granted = endpoint.read(response, [refresh_token], time.time())
    except LoginError as error:
        if response.status in RETRIED:
            raise
        parts.cache.spend(refresh_token)
        parts.data_center.is_lookup_due = False  # it has answered, so it is the right one
        log.debug("the refresh token of %r was refused, and is dropped: %s", parts.credentials.username, error)
        if transaction.record is not None and transaction.record.refresh_token == refresh_token:
            yield from transaction.delete()  # or each process would try it while the password does not help
        return False
    if granted.refresh_token is None:  # this one stays valid
        granted = granted._replace(refresh_token=refresh_token)
    elif granted.refresh_token != refresh_token:
        parts.cache.spend(refresh_token)
    _use(parts, granted, data_center, sent_at, transaction, message="refreshed the token of %r at %s, good for %s")
    return True


def _endpoint(parts: Parts, data_center: Origin) -> protocol.TokenEndpoint:
    credentials = parts.credentials
    return protocol.TokenEndpoint(
        data_center, credentials.username, credentials.offline_access, credentials.is_client
    )


def _refresh_token(parts: Parts, transaction: StoreTransaction) -> Secret | None:
    """The refresh token to be used, if any may be."""
    stored = _stored_refresh_token(parts, transaction)
    return (stored or parts.cache.refresh_token) if parts.credentials.offline_access else None


def _stored_refresh_token(parts: Parts, transaction: StoreTransaction) -> Secret | None:
    stored = None if transaction.record is None else transaction.record.refresh_token
    return None if parts.cache.was_spent(stored) else stored


# Results


def _use(
    parts: Parts,
    granted: protocol.TokenResponse,
    data_center: Origin,
    sent_at: float,
    transaction: StoreTransaction,
    *,
    message: str = "logged in %r at %s, token good for %s",
) -> None:
    """Use what the platform has granted, and publish it for other processes."""
    # A process that asks for no refresh token leaves that of another process in the record.
    refresh_token = granted.refresh_token or _stored_refresh_token(parts, transaction)
    transaction.publish(
        SharedRecord(data_center, granted.authorization, granted.lifetime, parts.now() - sent_at, refresh_token)
    )
    token = Token.issued(granted.authorization, data_center, sent_at, granted.lifetime)
    _install(parts, token, data_center, granted.refresh_token, Event.GRANTED)
    lifetime = "an unknown time" if granted.lifetime is None else f"{granted.lifetime:.0f} s"
    log.info(message, parts.credentials.username, data_center, lifetime)


def _install(parts: Parts, token: Token, data_center: Origin, refresh_token: Secret | None, event: Event) -> None:
    with parts.lock():
        parts.cache.current = token
        parts.cache.refresh_token = refresh_token or parts.cache.refresh_token
        parts.policy.on(event, parts.now())
        parts.data_center.confirm(data_center)
        parts.refusals.clear()


def _remember(parts: Parts, refusal: Refusal) -> None:
    with parts.lock():
        parts.refusals.add(refusal, parts.now())
