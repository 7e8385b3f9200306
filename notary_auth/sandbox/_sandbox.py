"""A platform of a test's own: who may log in, what goes wrong, what arrived."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ._model import FIRST, KINDS, SECOND, Account, Call, Client, Faults
from ._server import Served


class Sandbox(Served):
    """A platform of one's own, from `start` to `stop`, or for a ``with`` block.

    Args:
        users: the accounts, as passwords by user name.
        port: where the cloud listens; data centers and the foreign host take the three ports above it.
            0: any free ports.
        tls: serve https, with certificates of a CA of its own (`ca_file`).

    Attributes:
        faults: what can be made to go wrong.
    """

    def __init__(
        self,
        users: Mapping[str, str] | None = None,
        *,
        port: int = 0,
        tls: bool = False,
    ) -> None:
        super().__init__(port=port, tls=tls)
        self._users = {"JohnSmith": "qwe123QWE"} if users is None else dict(users)
        self._add_users()

    @property
    def username(self) -> str:
        """The first account's user name."""
        return next(iter(self._platform.identity.accounts))

    @property
    def password(self) -> str:
        """The first account's password."""
        return self._platform.identity.accounts[self.username].password

    def add_user(self, username: str, password: str, *, totp: str | Callable[[], str] | None = None) -> Account:
        """Add an account. With `totp`, a code or what returns the current one, it has two factors."""
        account = self._platform.identity.accounts[username] = Account(
            username, password, totp=totp, now=self._platform.now
        )
        return account

    def add_client(self, client_id: str, client_secret: str) -> Client:
        """Add an API client at the first data center. A new secret revokes the tokens of the old one."""
        identity = self._platform.identity
        identity.tokens = {name: each for name, each in identity.tokens.items() if each.username != client_id}
        client = identity.clients[client_id] = Client(client_id, client_secret)
        return client

    def account(self, username: str | None = None) -> Account:
        """An account, the first if none is named: to change its password, or see whether it is locked."""
        return self._platform.identity.accounts[username or self.username]

    # What happens to it

    @property
    def faults(self) -> Faults:
        return self._platform.faults

    def revoke_tokens(self) -> None:
        """Make all tokens that were handed out worthless, refresh tokens too."""
        self._platform.identity.tokens.clear()
        self._platform.identity.refresh_tokens.clear()

    def move(self, username: str | None = None) -> None:
        """Move an account to the other data center."""
        account = self.account(username)
        account.data_center = SECOND if account.data_center == FIRST else FIRST

    def reset(self) -> None:
        """Make it as it was at first: its accounts, no tokens and files, no faults, and nothing on record.

        Calls that were sent before and are not answered yet get a 503, and change nothing any more.
        """
        self._settle()
        self._platform.reset()
        self._add_users()

    def _add_users(self) -> None:
        for username, password in self._users.items():
            self.add_user(username, password)

    # What arrived

    @property
    def calls(self) -> list[Call]:
        """The calls so far, in the order of their answers."""
        return list(self._platform.calls)

    def count(self, kind: str) -> int:
        """How many calls of a kind came: ``"lookup"``, ``"login"``, ``"refresh"``, ``"revoke"``, ``"request"``.

        Raises:
            ValueError: there is no such kind.
        """
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is none of {', '.join(KINDS)}")
        return sum(call.kind == kind for call in self.calls)

    @property
    def pending(self) -> list[str]:
        """The paths of the calls that have arrived and are not answered yet, such as those that a fault holds."""
        return list(self._platform.pending)

    def clear(self) -> None:
        """Forget the calls so far."""
        self._platform.calls.clear()
