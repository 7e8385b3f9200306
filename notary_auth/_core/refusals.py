"""Passwords that a data center has refused, so that none is sent there again (rule 9)."""

from __future__ import annotations

import os
from typing import NamedTuple

from notary_auth._secrets import Secret, digest
from notary_auth._wire.origin import Origin
from notary_auth.errors import CredentialsRefused

REFUSAL_TTL = 300.0  # seconds for which a refused password is not sent again


class Refusal(NamedTuple):
    """A password that a data center refused, of which only a salted digest is kept, and the platform's message.

    It is final once a look-up has named the same data center again: the account may have moved.
    """

    data_center: Origin
    salt: bytes
    digest: bytes
    error: CredentialsRefused
    until: float
    is_final: bool = False

    @classmethod
    def of(cls, password: Secret, data_center: Origin, error: CredentialsRefused, refused_at: float) -> Refusal:
        salt = os.urandom(16)
        return cls(data_center, salt, digest(password, salt), error, refused_at + REFUSAL_TTL)

    def __repr__(self) -> str:  # the digest is quick to make, so passwords could be tried against it
        return f"<Refusal by {self.data_center}>"


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
