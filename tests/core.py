"""For tests of the bare core: conversations performed by hand, without sockets, on a clock that the test moves.

This is no double of the platform (the sandbox is the one there is): a test says itself what each control call is
answered with, reply by reply.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any

from notary_auth import Account, NotaryAuthError
from notary_auth._steps import Answer, Call, Forward, Reply, Request, Send, Signature, Sleep, Step, Steps, Wait

CLOUD = "https://cloud.acronis.com"
HOME = "https://eu2-cloud.acronis.com"
NEW_HOME = "https://us5-cloud.acronis.com"
FILES = "/api/notary/v2/stored-files"
PASSWORD = "qwe123QWE"


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


def new_account(**arguments: Any) -> Account:
    """JohnSmith's account, on a `Clock` (`clock_of`)."""
    account = Account(**{"username": "JohnSmith", "password": PASSWORD, **arguments})
    account.now = Clock()
    return account


def clock_of(account: Account) -> Clock:
    clock = account.now
    assert isinstance(clock, Clock)
    return clock


def reply(status: int = 200, document: object = None, headers: Mapping[str, str] | None = None) -> Reply:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Reply(status, dict(headers or {}), body)


def found(server_url: object = HOME) -> Reply:
    return reply(200, {"login": "JohnSmith", "id": 0, "server_url": server_url})


def granted(token: str = "token-1", lifetime: float | None = 7200, **fields: object) -> Reply:
    document: dict[str, object] = {"access_token": token, "token_type": "bearer"}
    if lifetime is not None:
        document["expires_in"] = lifetime
    document.update(fields)
    return reply(200, {name: value for name, value in document.items() if value is not ...})


def refused(
    error: str = "access_denied", description: str = "Wrong login or password", status: int = 401
) -> Reply:
    return reply(status, {"error": error, "error_description": description})


@dataclass
class Conversation:
    """A conversation under way, and what came of it so far."""

    steps: Steps[None]
    context: Context = field(default_factory=copy_context)  # each caller is a task of its own
    sent: list[Request] = field(default_factory=list)
    signatures: list[Signature] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    step: Step | None = None
    error: NotaryAuthError | None = None

    def start(self) -> Step | None:
        return self.send(None)

    def send(self, result: object) -> Step | None:
        """Send a result in. Returns the next step; None when it is over, with or without an `error`."""
        try:
            self.step = self.context.run(self.steps.send, result)
        except StopIteration:
            self.step = None
        except NotaryAuthError as error:
            self.step = None
            self.error = error
        match self.step:
            case Send(request):
                self.sent.append(request)
            case Forward(signature):
                self.signatures.append(signature)
            case Sleep(seconds):
                self.pauses.append(seconds)
        return self.step

    def close(self) -> None:
        self.context.run(self.steps.close)
        self.step = None

    def go_on(self, *results: Any) -> Conversation:
        """Perform steps to the end, with `results` for control calls and answers to the user's request.

        An int stands for an answer of that status to the request as it was signed. A request that nothing is
        left for is answered by 200; a control call that nothing is left for is a failure of the test.
        """
        left = list(results)
        step = self.step
        while step is not None:
            match step:
                case Send(request):
                    assert left, f"unexpected control call: {request}"
                    step = self.send(left.pop(0))
                case Forward(signature):
                    step = self.send(self._answer(signature, left.pop(0) if left else 200))
                case Sleep():
                    step = self.send(None)
                case Call(function):
                    step = self.send(function())
                case Wait():
                    raise AssertionError("has to wait for another caller")
        assert not left, f"not asked for: {left}"
        return self

    def _answer(self, signature: Signature, result: Any) -> Answer:
        if isinstance(result, Answer):
            return result
        url = f"{signature.origin or HOME}{FILES}"
        return Answer(result, url, signature.authorization, replayable=True)

    @property
    def authorizations(self) -> list[str | None]:
        return [signature.authorization for signature in self.signatures]

    @property
    def paths(self) -> list[str]:
        """The paths of the control calls."""
        return [request.url.split("/", 3)[3].partition("?")[0] for request in self.sent]


def begin(account: Account, url: str = CLOUD + FILES, answer: Answer | None = None) -> Conversation:
    conversation = Conversation(account.conversation(url, answer))
    conversation.start()
    return conversation


def hold(account: Account, *results: Any, url: str = CLOUD + FILES, answer: Answer | None = None) -> Conversation:
    """A whole conversation. Raises what it raises."""
    conversation = begin(account, url, answer).go_on(*results)
    if conversation.error is not None:
        raise conversation.error
    return conversation


def logged_in(**arguments: Any) -> Account:
    """An account with the token "token-1", good for two hours."""
    account = new_account(**arguments)
    hold(account, found(), granted())
    return account


def answered(status: int, token: str | None, url: str = HOME + FILES, replayable: bool = True) -> Answer:
    return Answer(status, url, token and f"Bearer {token}", replayable)
