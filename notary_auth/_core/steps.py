"""The steps that the core asks an adapter to do, and what it sends back for each. Data only.

`Account.sign`, `reauthorize` and `log_out` are generators of steps. All steps but `Drain` are named tuples, to be
imported fast: `dataclasses` alone would cost requests' users 10 ms. A named tuple compiles each annotation that is
a string, so there are no postponed ones here.
"""

from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeVar

from notary_auth._wire.messages import ControlRequest

from .caller import Login

Result = TypeVar("Result")


class Signature:
    """What makes the user's request an authenticated one. No named tuple: slots are read faster.

    Attributes:
        authorization: the value of the ``Authorization`` header; None: leave the request unsigned.
        url: where the request has to be sent instead; None: where it is addressed to.
        host: what the ``Host`` header of a signed request has to be, whatever it came with; empty if unsigned.
    """

    __slots__ = ("authorization", "host", "url")

    def __init__(self, authorization: str | None, url: str | None, host: str = "") -> None:
        self.authorization = authorization
        self.url = url
        self.host = host

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Signature) and (other.authorization, other.url) == (self.authorization, self.url)

    def __hash__(self) -> int:
        return hash((self.authorization, self.url))

    def __repr__(self) -> str:  # the query may have anything in it
        where = "" if self.url is None else f", URL {self.url.partition('?')[0]}"
        return f"<Signature {'with' if self.authorization else 'without'} a token{where}>"


UNSIGNED = Signature(None, None)


class Received:
    """A response to the user's request, as far as it matters here.

    Attributes:
        status: of the response.
        url: where the response came from, which redirects may have changed.
        authorization: the value of the ``Authorization`` header that its request carried.
        can_replay: whether that request's body can be sent again whole.
        replays: how often the request was replayed before.
        passed: the URLs of the requests before this one, which redirects led on from.
    """

    __slots__ = ("authorization", "can_replay", "passed", "replays", "status", "url")

    def __init__(  # noqa: PLR0917  a class, since error reporters show a tuple item by item
        self,
        status: int,
        url: str,
        authorization: str | None,
        can_replay: bool = False,
        replays: int = 0,
        passed: tuple[str, ...] = (),
    ) -> None:
        self.status = status
        self.url = url
        self.authorization = authorization
        self.can_replay = can_replay
        self.replays = replays
        self.passed = passed

    def __repr__(self) -> str:  # the header has the token in it, the URL's query may have anything
        return f"<Received {self.status} from {self.url.partition('?')[0]}>"


class SendControl(NamedTuple):
    """Send this control request with the user's client. Send back its `ControlResponse`."""

    request: ControlRequest


class WaitForLogin(NamedTuple):
    """Wait until another caller's login is over, `seconds` at most: a thread blocks, a task awaits.

    Send back whether waiting was possible: it is not where the leader needs this very thread or task to go on.
    """

    login: Login
    seconds: float


class Sleep(NamedTuple):
    """Wait so many seconds. Send back nothing."""

    seconds: float


class Call(NamedTuple):
    """Run something that may block, off the event loop where there is one. Send back its result.

    It raises nothing but what ends a program (KeyboardInterrupt and the like).
    """

    function: Callable[[], Any]


class Drain:
    """Read the rejected response to its end, since it is going to be replaced. Send back nothing.

    Its connection may be the only one that the login can have.
    """

    __slots__ = __match_args__ = ()


Step = SendControl | WaitForLogin | Sleep | Call | Drain
Steps = Generator[Step, Any, Result]
