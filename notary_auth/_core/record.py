"""What a login leaves for other processes in a store, and how that is written and read.

A record holds an access token or a refusal, and perhaps a refresh token. Lifetimes are
durations and no times, since clocks differ. The time of sealing only bounds them: whoever can write to the store
could keep a record there for ever. A clock that is wrong by more than the slack costs a login.
"""

import time
from typing import NamedTuple

from notary_auth._secrets import Bearer, Document, Secret
from notary_auth._wire.origin import Origin
from notary_auth.errors import CredentialsRefused

from .refusals import REFUSAL_TTL

TOKEN_TTL = 24 * 3600.0  # seconds for which a token of unknown lifetime is kept
REFRESH_TOKEN_TTL = 30 * 24 * 3600.0  # seconds for which a refresh token is kept
MACHINES_SLACK = 300.0  # seconds that the clocks of two machines may differ by, for a record to be believed
CLOCK_SLACK = 2.0  # seconds that a store's clock may seem to go backwards


class SharedRecord(NamedTuple):
    """Tokens, or a refusal in place of the access token. Seconds."""

    data_center: Origin
    authorization: Bearer | None = None
    lifetime: float | None = None  # of the token, from when it was asked for; None: not known
    age: float = 0.0  # since then
    refresh_token: Secret | None = None
    refusal: CredentialsRefused | None = None

    @property
    def ttl(self) -> float:
        """How long the record is worth keeping."""
        if self.refresh_token is not None:
            return REFRESH_TOKEN_TTL
        if self.refusal is not None:
            return REFUSAL_TTL
        return TOKEN_TTL if self.lifetime is None else self.lifetime - self.age

    def to_document(self) -> Document:
        """What is sealed: a JSON object."""
        refusal = self.refusal
        return Document(
            sealed_at=time.time(),
            ttl=self.ttl,
            age=self.age,
            data_center=str(self.data_center),
            access_token=None if self.authorization is None else self.authorization.removeprefix("Bearer "),
            lifetime=self.lifetime,
            refresh_token=None if self.refresh_token is None else self.refresh_token.value,
            refusal=None if refusal is None else {"message": refusal.args[0], **refusal.details()},
        )


def read_record(document: Document, remaining: float) -> SharedRecord | None:
    """The record, aged by what its time to live has become less; None if its times are impossible."""
    ttl, since_sealed = document["ttl"], time.time() - document["sealed_at"]
    if remaining > ttl + CLOCK_SLACK or not -MACHINES_SLACK < since_sealed < ttl + MACHINES_SLACK:
        return None
    access_token, refresh_token, refusal = (
        document[name] for name in ("access_token", "refresh_token", "refusal")
    )
    return SharedRecord(
        Origin.of_base_url(document["data_center"]),
        None if access_token is None else Bearer(access_token),
        document["lifetime"],
        document["age"] + max(0.0, ttl - remaining, since_sealed - MACHINES_SLACK),
        None if refresh_token is None else Secret(refresh_token),
        None if refusal is None else CredentialsRefused(**refusal),
    )
