"""Records of a store, sealed: whoever has the store but not the password can read none and forge none.

The key comes from the password by scrypt (RFC 7914), salted with the user's name and the account's place: the
cloud's URL, the data center's where the user names it, and whether it is an API client's. So does the record's
name: who has another password finds nothing, and a changed password begins anew. The seal is AES-256-GCM (NIST
SP 800-38D). Each name has its own key, so no record passes for another one.
"""

from __future__ import annotations

import json
import os

from notary_auth._secrets import Document, Secret

VERSION = b"\x03"  # of the sealed form; a record of another one counts as absent
NONCE_SIZE = 12

# 32 MiB for a third of a second: what one guess costs whoever has the store, and a process once.
SCRYPT_COST, SCRYPT_BLOCK, SCRYPT_PASSES = 2**15, 8, 3
SCRYPT_MEMORY = 64 * 1024 * 1024


class RecordError(ValueError):
    """A record is torn, or somebody has changed it."""


class Seal:
    """The name of an account's record, and the key to it. Building one takes scrypt's time."""

    __slots__ = ("_cipher", "name")

    def __init__(self, username: str, password: Secret, place: str) -> None:
        import hashlib

        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # only where there is a store

        derived = hashlib.scrypt(
            password.value.encode(),
            salt=hashlib.sha256(f"notary-auth\0{place}\0{username}".encode()).digest(),
            n=SCRYPT_COST,
            r=SCRYPT_BLOCK,
            p=SCRYPT_PASSES,
            maxmem=SCRYPT_MEMORY,
            dklen=48,
        )
        self._cipher = AESGCM(derived[:32])
        self.name = derived[32:].hex()

    def __repr__(self) -> str:
        return f"<Seal of {self.name}>"

    def close(self, document: Document) -> bytes:
        """The document as a sealed record."""
        nonce = os.urandom(NONCE_SIZE)
        return VERSION + nonce + self._cipher.encrypt(nonce, json.dumps(document.fields).encode(), VERSION)

    def open(self, sealed: bytes) -> Document | None:
        """The document in a record, or None for a record of another version.

        Raises:
            RecordError: it is torn, or somebody has changed it.
        """
        if not sealed.startswith(VERSION):
            return None
        from cryptography.exceptions import InvalidTag

        nonce, rest = sealed[1 : 1 + NONCE_SIZE], sealed[1 + NONCE_SIZE :]
        try:
            document = json.loads(self._cipher.decrypt(nonce, rest, VERSION), object_hook=Document)
        except (InvalidTag, ValueError):
            document = None
        if not isinstance(document, Document):
            raise RecordError("the record is torn, or was changed")
        return document
