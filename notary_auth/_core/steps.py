"""The steps of a conversation, and what an adapter sends back for each. Data only.

`Account.conversation` yields steps; an adapter performs them with its client and sends the results in. These are
classes by hand and a few named tuples, to be imported fast: `dataclasses` alone would cost requests' users 10 ms,
and a named tuple compiles each annotation that is a string, so there are no postponed ones here.
"""

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from notary_auth._wire.messages import ControlRequest
from notary_auth._wire.origin import Origin

if TYPE_CHECKING:
    from .single_flight import Login

Result = TypeVar("Result")


class Signature(NamedTuple):
    """What makes the user's request an authenticated one."""

    authorization: str | None  # the header's value; None: leave the request unsigned
    origin: Origin | None  # where the request has to go instead; None: where it is addressed to

    def __repr__(self) -> str:
        return f"<Signature {'with' if self.authorization else 'without'} a token, origin {self.origin}>"


UNSIGNED = Signature(None, None)


class Received:
    """What the user's request was answered with."""

    __slots__ = ("authorization", "replayable", "status", "url")

    def __init__(self, status: int, url: str, authorization: str | None, replayable: bool) -> None:
        self.status = status
        self.url = url  # where the answer comes from, which redirects may have changed
        self.authorization = authorization  # the header's value that the answered request carried
        self.replayable = replayable  # whether that request's body can be sent once more

    def __repr__(self) -> str:
        return f"<Received {self.status} from {self.url.partition('?')[0]}>"


class SendControl:
    """Make this control call with the user's client. Send back its `ControlResponse`."""

    __slots__ = __match_args__ = ("request",)

    def __init__(self, request: ControlRequest) -> None:
        self.request = request


class WaitForLogin:
    """Wait until another caller's login is over, `seconds` at most: a thread blocks, a task awaits.

    Send back whether waiting was possible: it is not where the leader needs this very thread or task to go on.
    """

    __slots__ = __match_args__ = ("flight", "seconds")

    def __init__(self, flight: "Login", seconds: float) -> None:
        self.flight = flight
        self.seconds = seconds


class Sleep:
    """Wait out a pause that the platform asked for. Send back nothing."""

    __slots__ = __match_args__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Call:
    """Run something that may block, off the event loop where there is one. Send back its result.

    It raises nothing but what ends a program (KeyboardInterrupt and the like).
    """

    __slots__ = __match_args__ = ("function",)

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function


class Forward:
    """Send the user's own request, addressed and signed so. Send back the `Received`."""

    __slots__ = __match_args__ = ("signature",)

    def __init__(self, signature: Signature) -> None:
        self.signature = signature


Step = SendControl | WaitForLogin | Sleep | Call | Forward
Steps = Generator[Step, Any, Result]
