"""Passwords that a data center has refused, so that none is sent there again (rule 9)."""

from __future__ import annotations

import os

from notary_auth._secrets import Secret, digest
from notary_auth._wire.origin import Origin
from notary_auth.errors import CredentialsRefused

REFUSAL_TTL = 300.0  # seconds for which a refused password is not sent again


class Refusal:
    """A password that a data center refused, of which only a salted digest is kept, and the platform's message.

    It is final once a look-up has named the same data center again: the account may have moved.
    """

    __slots__ = ("data_center", "digest", "error", "is_final", "salt", "until")

    def __init__(
        self,
        password: Secret,
        data_center: Origin,
        error: CredentialsRefused,
        refused_at: float,
        is_final: bool = False,
    ) -> None:
        self.salt = os.urandom(16)
        self.digest = digest(password, self.salt)
        self.data_center = data_center
        self.until = refused_at + REFUSAL_TTL
        self.error = error
        self.is_final = is_final


class Refusals:
    """The latest refusal of each data center. Times are in seconds of the account's clock."""

    def __init__(self) -> None:
        self._by_data_center: dict[Origin, Refusal] = {}  # replaced as a whole: readers take no lock
        self.accepts_stored = True

    def add(self, refusal: Refusal, now: float) -> None:
        valid = {each.data_center: each for each in self._by_data_center.values() if now < each.until}
        self._by_data_center = {**valid, refusal.data_center: refusal}
        self.accepts_stored = True

    def find(self, password: Secret, now: float, data_center: Origin | None = None) -> Refusal | None:
        """The refusal of this very password by a data center; without one, a final refusal by any."""
        for refusal in self._by_data_center.values():
            concerned = refusal.is_final if data_center is None else refusal.data_center == data_center
            if concerned and now < refusal.until and refusal.digest == digest(password, refusal.salt):
                return refusal
        return None

    def clear(self) -> None:
        self._by_data_center = {}
        self.accepts_stored = True

    def forget(self) -> None:
        """Let the next login send the password, whatever other processes have saved."""
        self._by_data_center = {}
        self.accepts_stored = False
