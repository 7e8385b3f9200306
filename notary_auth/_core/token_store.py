"""What a token store is to the rules: all that a new one has to be. `notary_auth.stores` shows it to users."""

from __future__ import annotations

from typing import Protocol


class StoreLock(Protocol):
    """A lock that only one holder in the whole fleet has at a time.

    `acquire` and `release` may be called in different threads.
    """

    def acquire(self) -> bool:
        """Take the lock if nobody has it. Returns whether it is ours now, at once: it is never waited for here."""
        ...

    def release(self) -> None:
        """Give the lock back. If it has lapsed, and may be somebody else's by now, do nothing."""
        ...


class TokenStore(Protocol):
    """Where sealed records are kept for a fleet.

    Names are 32 hexadecimal digits. Records are bytes, a few kilobytes as a rule and 64 KiB at most, and tell
    nobody anything: seal, key and meaning are notary-auth's. Each call runs in a thread of its own. One that takes
    longer than 4 s counts as failed, and goes on in its thread. Whatever a call raises costs a warning in the log
    and a login of this process's own, never a request.

    A store that is to be pickled, copied or sent to other processes together with its NotaryAuth has to see to
    that by itself.
    """

    def load(self, name: str) -> tuple[bytes, float] | None:
        """The record of this name and the seconds it has left to live, or None where there is none.

        The seconds left are by the store's own clock where it has one, so that the clocks of two machines need not
        agree.
        """
        ...

    def save(self, name: str, record: bytes, seconds: float) -> None:
        """Keep a record in place of the one before, to be gone after so many seconds.

        Who loads meanwhile gets the old one or the new one, whole.
        """
        ...

    def delete(self, name: str) -> None:
        """Remove a record. It is no error if there is none."""
        ...

    def lock(self, name: str, seconds: float) -> StoreLock:
        """A lock of this name, not taken yet. Each call makes another holder.

        It is a lease: if its holder dies, it is free after so many seconds at the latest. The lock of a name has
        nothing to do with the record of that name.
        """
        ...
