"""The tokens of an account in this process: fresh, due, expired; and those that a store must not bring back."""

from __future__ import annotations

import logging
from collections.abc import Callable

from notary_auth._secrets import Secret
from notary_auth.errors import NotaryAuthError

from .caller import Login
from .effort import AHEAD, FULL, WITHOUT_WAITING, Effort
from .single_flight import SingleFlight
from .state_lock import StateLock
from .steps import Steps
from .token import NO_TOKEN, REFRESH_PAUSE, Token

MAX_REMEMBERED = 10  # rejected access tokens, and spent refresh tokens, that a store must not bring back

log = logging.getLogger("notary_auth")


class TokenCache:
    """The current tokens.

    Args:
        now: the account's clock, in seconds.
    """

    def __init__(
        self,
        username: str,
        lock: StateLock,
        now: Callable[[], float],
        single_flight: SingleFlight,
    ) -> None:
        self._username = username
        self._lock = lock
        self._now = now
        self._single_flight = single_flight
        self.forget()

    def forget(self) -> None:
        self.current: Token = NO_TOKEN
        self.refresh_token: Secret | None = None
        self._rejected: tuple[str, ...] = ()
        self._spent: tuple[Secret, ...] = ()

    def get(self, log_in: Callable[[Effort], Steps[None]]) -> Steps[Token]:
        """The current token, after a login if there is none; a new one also if it was granted expired.

        Args:
            log_in: gets a token and puts it in here.
        """

        def attempt(login: Login | None) -> Steps[None]:
            return log_in(WITHOUT_WAITING if login is None else FULL._replace(login=login))

        while True:
            token = self.current
            now = self._now()
            if now < token.refresh_at:
                return token
            if now < token.expires_at:
                if self.postpone_refresh(token, now):
                    yield from self._refresh_ahead(token, log_in)
                continue
            # Until there is another token, not until there is a fresh one: a server that grants expired ones must
            # not cause a loop.
            yield from self._single_flight.run(attempt, self._replacement_of(token))
            new = self.current  # read once: another thread may drop it
            if new is not NO_TOKEN:
                return new

    def postpone_refresh(self, token: Token, now: float) -> bool:
        """Push the refresh back, so that other callers keep using the token. Returns whether it was due."""
        with self._lock():
            is_due = self.current is token and now >= token.refresh_at
            if is_due:
                token.refresh_at = min(now + REFRESH_PAUSE, token.expires_at)
            return is_due

    def _refresh_ahead(self, token: Token, log_in: Callable[[Effort], Steps[None]]) -> Steps[None]:
        """Get a new token ahead of expiry. If that fails, the current one stays in use until it expires."""
        try:
            # Failures are not shared: callers without a good token make attempts of their own. If a login is under
            # way already, `lead` returns that at once, and the current token stays in use.
            yield from self._single_flight.lead(
                lambda login: log_in(AHEAD._replace(login=login)), self._replacement_of(token), shares_error=False
            )
        except Exception as error:  # noqa: BLE001  ours, or the client's own network error
            why = error if isinstance(error, NotaryAuthError) else type(error).__name__
            log.warning("a token of %r was not refreshed and is used until it expires: %s", self._username, why)

    def _replacement_of(self, token: Token) -> Callable[[], bool]:
        """What tells whether there is another token by now."""
        return lambda: self.current is not token

    def holds(self, authorization: str | None) -> bool:
        """Whether this header's value is that of the current token."""
        return self.current is not NO_TOKEN and self.current.authorization == authorization

    def reject(self) -> None:
        """Drop the current token, since it got a 401."""
        self._rejected = (*self._rejected, self.current.authorization)[-MAX_REMEMBERED:]
        self.current = NO_TOKEN

    def pop_tokens(self) -> tuple[Token, Secret | None]:
        """Forget the tokens, and return them: the access token, and the refresh token if there is one."""
        with self._lock():
            token, refresh_token = self.current, self.refresh_token
            self.current, self.refresh_token = NO_TOKEN, None
            return token, refresh_token

    def may_adopt(self, authorization: str) -> bool:
        """Whether a token from a store is another one than the current and the rejected ones."""
        return authorization not in (self.current.authorization, *self._rejected)

    def spend(self, refresh_token: Secret) -> None:
        """Drop a refresh token that was used, or is not good any more."""
        self._spent = (*self._spent, refresh_token)[-MAX_REMEMBERED:]
        if self.refresh_token == refresh_token:
            self.refresh_token = None

    def was_spent(self, refresh_token: Secret | None) -> bool:
        return refresh_token in self._spent
