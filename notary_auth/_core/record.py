"""What a login leaves for other processes in a store, and how that is written and read.

A record holds tokens, or that the password was refused. Lifetimes are durations and no times, since clocks differ.
"""

import time
from typing import NamedTuple

from notary_auth._secrets import Bearer, Document, Secret
from notary_auth._wire.origin import Origin
from notary_auth.errors import CredentialsRefused

from .refusals import REFUSAL_TTL

TOKEN_TTL = 24 * 3600.0  # seconds for which a token of unknown lifetime is kept
REFRESH_TOKEN_TTL = 30 * 24 * 3600.0  # seconds for which a refresh token is kept
REFUSAL_SLACK = 3600.0  # seconds that the clocks of two machines may differ by, for a refusal to be believed
CLOCK_SLACK = 2.0  # seconds that a store's clock may seem to go backwards


class SharedRecord(NamedTuple):
    """Tokens, or a refusal in place of them. Seconds."""

    data_center: Origin
    authorization: Bearer | None = None
    lifetime: float | None = None  # of the token, from when it was asked for; None: not known
    age: float = 0.0  # since then
    refresh_token: Secret | None = None
    refusal: CredentialsRefused | None = None

    @property
    def ttl(self) -> float:
        """How long the record is worth keeping."""
        if self.refusal is not None:
            return REFUSAL_TTL
        if self.refresh_token is not None:
            return REFRESH_TOKEN_TTL
        return TOKEN_TTL if self.lifetime is None else self.lifetime - self.age

    def to_document(self) -> Document:
        """What is sealed: a JSON object."""
        document = Document(ttl=self.ttl, age=self.age, data_center=str(self.data_center))
        if self.refusal is not None:
            document.update(message=self.refusal.args[0], refusal=self.refusal.details(), refused_at=time.time())
        else:
            document.update(
                authorization=str(self.authorization),
                lifetime=self.lifetime,
                refresh_token=None if self.refresh_token is None else self.refresh_token.value,
            )
        return document


def read_record(document: Document, remaining: float) -> SharedRecord | None:
    """The record, so much older as it has less remaining to live; None where the store's clock was set back."""
    ttl = document["ttl"]
    if remaining > ttl + CLOCK_SLACK:
        return None
    age = document["age"] + max(0.0, ttl - remaining)
    data_center = Origin.of_base_url(document["data_center"])
    if "refusal" in document:
        # Whoever can write to the store could keep a refusal there for ever. A wrong clock costs another attempt.
        if abs(time.time() - document["refused_at"]) > ttl + REFUSAL_SLACK:
            return None
        refusal = CredentialsRefused(document["message"], **document["refusal"])
        return SharedRecord(data_center, age=age, refusal=refusal)
    refresh_token = document["refresh_token"]
    return SharedRecord(
        data_center,
        Bearer(document["authorization"].removeprefix("Bearer ")),
        document["lifetime"],
        age,
        None if refresh_token is None else Secret(refresh_token),
    )
