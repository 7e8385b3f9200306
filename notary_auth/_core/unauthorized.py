"""What a 401 from the account's data center means for the token (rule 15): a table decides it.

Whether the request can be sent again, and how often, is decided in `Account.reauthorize`.

A 401 is about the token that the request carried, or about the request. A token that is not the current one any
more, or has expired on its way, says nothing about the request: it is replayed. A current one is replaced. If the
token that replaced it is rejected too, logging in does not help: the 401 is the caller's, and so are further ones
for a minute.
"""

from enum import Enum, auto
from math import inf

UNAUTHORIZED_BACKOFF = 60.0  # seconds that PROBATION and BACKOFF last


class State(Enum):
    TRUSTED = auto()  # the current token is taken to be good
    REPLACING = auto()  # a token was rejected and dropped; the next one replaces it
    PROBATION = auto()  # that one is here, and no replay has shown that it works
    BACKOFF = auto()  # it was rejected too


class Event(Enum):
    REJECTED = auto()  # a 401 to the current token, which has not expired
    OUTDATED = auto()  # a 401 to another token, or to one that has expired on its way
    WORKED = auto()  # a response below 500, and no 401, to a replay with the current token
    GRANTED = auto()  # the platform has granted a new token
    FOUND = auto()  # another process's token was found in the store


class Action(Enum):
    NOTHING = auto()
    REPLAY = auto()  # send the request again, with the token that is current by then
    REPLACE = auto()  # drop the token, look the data center up, log in, and send the request again
    PASS_ON = auto()  # the response is the caller's


NOTHING, REPLAY, REPLACE, PASS_ON = Action
TRUSTED, REPLACING, PROBATION, BACKOFF = State

#: What a state makes of an event: the action, and the state after it. What does not stand here changes no state,
#: and has one action in all states.
TABLE: dict[tuple[State, Event], tuple[Action, State]] = {
    (TRUSTED, Event.REJECTED): (REPLACE, REPLACING),
    (REPLACING, Event.REJECTED): (REPLACE, REPLACING),  # cannot be: there is no current token
    (REPLACING, Event.GRANTED): (NOTHING, PROBATION),
    (REPLACING, Event.FOUND): (NOTHING, TRUSTED),  # a store must not be able to cost a caller a 401
    (PROBATION, Event.REJECTED): (PASS_ON, BACKOFF),
    (PROBATION, Event.WORKED): (NOTHING, TRUSTED),
    (PROBATION, Event.FOUND): (NOTHING, TRUSTED),
    (BACKOFF, Event.REJECTED): (PASS_ON, BACKOFF),
}


class UnauthorizedPolicy:
    """The state that an account is in, by the table above."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.state = TRUSTED
        self._ends_at = inf  # seconds of the account's clock at which the state ends in TRUSTED

    def on(self, event: Event, now: float) -> Action:
        """Take note of an event, and return what to do."""
        if now >= self._ends_at:
            self.forget()
        default = REPLAY if event is Event.OUTDATED else NOTHING
        action, state = TABLE.get((self.state, event), (default, self.state))
        if state is not self.state:
            self.state = state
            self._ends_at = now + UNAUTHORIZED_BACKOFF if state in (PROBATION, BACKOFF) else inf
        return action
