"""Every interleaving of an account's conversations: a scheduler, a platform that means ill, and invariants.

A `World` holds one Account, some callers with a conversation each, and the platform as far as they can tell. What
can happen next is a list of `Event`s: a caller goes on, the platform answers it (well or badly), it is cancelled,
its thread dies, the clock jumps, the token is revoked, the account moves. Whoever picks among them is the
scheduler: `every_order` picks in every way there is, `at_random` by a seed, and a Hypothesis state machine so
that a failure shrinks.
After each event the invariants are looked at (`World.check`), and at the end `World.check_end`.

An event has a cost: nothing for what happens on a good day, 1 for a fault. A world has so many faults to spend,
which keeps the number of all orders finite and puts the simplest stories first.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import NamedTuple

from notary_auth import Account, NotaryAuthError

from .core import (
    CLOUD,
    FILES,
    HOME,
    LEADER_TIMEOUT,
    LIVENESS_INTERVAL,
    MAX_ATTEMPTS,
    MAX_LOST_LEADERS,
    MAX_REPLAYS,
    NEW_HOME,
    REFUSAL_TTL,
    Call,
    Caller,
    ControlResponse,
    Forward,
    Login,
    Origin,
    Received,
    SendControl,
    Signature,
    Sleep,
    Step,
    Steps,
    WaitForLogin,
    calling_as,
    clock_of,
    current_login,
    found,
    granted,
    is_lock_held,
    new_account,
    refused,
    reply,
    steps_of,
)

FOREIGN = "https://elsewhere.example"
LIFETIME = 7200.0
TIMEOUT = 30.0  # seconds that a client waits for an answer
HOMES = (HOME, NEW_HOME)


class NetworkError(Exception):
    """The client's own, as the requests adapter throws it into a conversation."""


class Broken(AssertionError):
    """An invariant does not hold."""


class Event(NamedTuple):
    label: str
    cost: int
    happen: Callable[[], None]


class _Thread:
    """As much of a thread as a login looks at."""

    def __init__(self) -> None:
        self.alive = True

    def is_alive(self) -> bool:
        return self.alive


class Person:
    """A caller: one request, its conversation, and what came of it."""

    def __init__(
        self, world: World, name: str, url: str, *, split: bool = False, outer: Person | None = None
    ) -> None:
        self.name = name
        self.url = url
        self.outer = outer  # whose event hook this is called from, on the same thread
        self.inner: Person | None = None
        self.thread = _Thread() if outer is None else outer.thread
        self.caller = Caller(self.thread, None)  # type: ignore[arg-type]
        self.step: Step | None = None
        self.started = self.ended = self.silent = self.gone = False
        self.spoiled = False  # whether it may get no good answer, whatever the others get
        self.outcome: object = None
        self.since = 0.0  # when the step was yielded
        self.led_since = 0.0  # when it began to make control calls
        self.sends = self.forwards = 0
        self.lost: set[Login] = set()  # that it has waited for since its last request
        self.waited: Login | None = None
        self._context = copy_context() if outer is None else outer._context
        self._world = world
        self._split = split  # as requests does it: the answer opens a conversation of its own
        self._steps: Steps[None] | None = None

    @property
    def is_waiting(self) -> bool:
        return isinstance(self.step, WaitForLogin) and not self.step.login.is_over

    @property
    def may_run(self) -> bool:
        return not self.ended and not self.gone and (self.inner is None or self.inner.ended)

    def start(self) -> None:
        self.started = True
        self._open(None)

    def _open(self, answer: Received | None) -> None:
        self._steps = steps_of(self._world.account, self.url, answer)
        self.send(None)

    def answered(self, answer: Received) -> None:
        self.outcome, self.url = answer.status, answer.url  # a replay starts from where the answer came from
        if not self._split:
            self.send(answer)
            return
        self._close()
        self._split = False  # that one sees to all further answers
        if answer.status == 401:
            self._open(answer)
        else:
            self.end(answer.status)

    def send(self, result: object) -> None:
        self._advance(lambda steps: steps.send(result))

    def throw(self, error: Exception) -> None:
        self._advance(lambda steps: steps.throw(error))

    def cancel(self, outcome: object) -> None:
        self._close()
        self.end(outcome)

    def end(self, outcome: object) -> None:
        self.ended, self.step, self.outcome = True, None, outcome

    def _close(self) -> None:
        assert self._steps is not None
        with self._world.running(self):
            self._context.run(self._steps.close)

    def _advance(self, go: Callable[[Steps[None]], Step]) -> None:
        assert self._steps is not None
        world = self._world
        if self.waited is not None and self.waited.is_over and self.waited.is_lost:
            self.lost.add(self.waited)
        self.waited = None
        with world.running(self):
            before = self.step
            try:
                self.step = self._context.run(go, self._steps)
            except StopIteration:
                self.end(self.outcome)
                return
            except (NotaryAuthError, NetworkError) as error:
                self.end(error)
                return
        self.since = world.now
        if not isinstance(before, SendControl | Sleep | Call):
            self.led_since = self.since
        world.yielded(self, self.step)

    def __repr__(self) -> str:
        return f"{self.name}: {self.outcome if self.ended else self.step and type(self.step).__name__}"


class World:
    """One account, its callers and its platform.

    Args:
        urls: what the callers ask for, one each.
        faults: how many there may be.
        refreshing: begin with a token that is due for refresh.
        logged_in: begin with a good token.
    """

    def __init__(
        self,
        urls: list[str],
        *,
        faults: int,
        logged_in: bool = False,
        refreshing: bool = False,
        split: bool = False,
    ) -> None:
        self.account: Account = new_account()
        self.home = HOME
        self.tokens: dict[str, str] = {}  # the good ones, and where
        self.issued: dict[str, str] = {}  # all of them
        self.refusals: dict[str, float] = {}  # by data center: when the password was refused there
        self.renewed_at = 0.0
        self.budget = faults
        self.steps = 0
        self.logins = 0
        self._revoked = False
        self._busy = self._losses = 0  # how often the platform was busy, and how many leaders may have been lost
        self.spoiled = False  # whether anything happened after which nobody need get a good answer
        self.story: list[str] = []
        if logged_in or refreshing:
            self._log_in_first()
        if refreshing:
            clock_of(self.account).advance(LIFETIME - 100)
        self.people = [
            Person(self, chr(ord("A") + index), url, split=split and index % 2 == 0)
            for index, url in enumerate(urls)
        ]

    def _log_in_first(self) -> None:
        first = Person(self, "first", CLOUD + FILES)
        first.start()
        while not first.ended:
            next(event for event in self._platform(first) if event.cost == 0).happen()

    @property
    def now(self) -> float:
        return clock_of(self.account).seconds

    @contextmanager
    def running(self, person: Person) -> Iterator[None]:
        """This person is who calls, and nothing is left to chance: an order happens the same way each time."""
        with calling_as(person.caller):
            yield

    # What can happen

    def events(self) -> list[Event]:
        """All that can happen next, first what happens on a good day. None: it is over."""
        events = [event for person in self.people if person.may_run for event in self._of(person)]
        if not any(event.cost == 0 for event in events):
            events += self._time_goes_by()
        if any(not person.ended and not person.gone for person in self.people):
            events += self._of_the_world()
        return sorted((each for each in events if each.cost <= self.budget), key=lambda each: each.cost)

    def happen(self, event: Event) -> None:
        self.budget -= event.cost
        self.steps += 1
        self.story.append(event.label)
        event.happen()
        self.check()

    def _of(self, person: Person) -> Iterator[Event]:
        name = person.name
        if not person.started:
            yield Event(f"{name} asks", 0, person.start)
            return
        yield from self._platform(person)
        yield Event(f"{name} is cancelled", 1, partial(self._lose, person, person.cancel, "cancelled"))
        yield Event(f"{name}'s thread dies", 1, lambda: self._die(person))
        if isinstance(person.step, SendControl) and person.outer is None and person.inner is None:
            yield Event(f"{name}'s event hook asks as well", 1, lambda: self._ask_inside(person))

    def _platform(self, person: Person) -> Iterator[Event]:
        name = person.name
        match person.step:
            case SendControl(request):
                if person.silent:
                    return
                is_login = request.method == "POST"
                answer = self._login if is_login else self._lookup
                yield Event(f"{name} is answered", 0, lambda: person.send(answer(request.url)))
                if is_login:
                    yield Event(f"{name} is refused", 1, lambda: self._refuse(person, request.url))
                yield Event(f"{name} gets 503", 1, lambda: self._put_off(person))
                yield Event(f"{name} gets HTML", 1, partial(self._spoil, person.send, reply(500, b"<html>")))
                for text, fail in (("thrown", person.throw), ("closed", person.cancel)):
                    yield Event(
                        f"{name}'s call fails ({text})", 1, partial(self._lose, person, fail, NetworkError())
                    )
                yield Event(f"{name} hears nothing", 1, partial(self._lose, person, self._silence, person))
            case Forward(signature):
                yield Event(
                    f"{name}'s request is answered", 0, lambda: person.answered(self._answer(person, signature))
                )
                if signature.authorization:
                    url, header = self._answer(person, signature).url, signature.authorization
                    for text, bad_answer in (
                        ("gets 401", Received(401, url, header, True)),
                        ("gets 401, cannot be sent again", Received(401, url, header, False)),
                        ("is led away to a 401", Received(401, FOREIGN + "/x", header, True)),
                    ):
                        yield Event(f"{name} {text}", 1, partial(self._spoil, person.answered, bad_answer))
            case Sleep(seconds):
                yield Event(f"{name} has slept", 0, lambda: self._slept(person, seconds))
            case Call(function):
                yield Event(f"{name} has called", 0, lambda: person.send(function()))
            case WaitForLogin(login):
                if login.leader.thread is person.thread:
                    yield Event(f"{name} cannot wait", 0, lambda: person.send(False))
                elif login.is_over:
                    yield Event(f"{name} is woken", 0, lambda: person.send(True))
                else:
                    yield Event(f"{name} looks up", 1, lambda: self._look_up(person))

    def _time_goes_by(self) -> Iterator[Event]:
        """Where nobody else can go on: the next time-out, or look at whether the leader is still there."""
        coming: list[tuple[float, Event]] = []
        for person in self.people:
            if not person.may_run:
                continue
            name = person.name
            if person.silent:
                event = Event(f"{name} times out", 0, partial(self._time_out, person))
                coming.append((person.since + TIMEOUT, event))
            elif person.is_waiting:
                event = Event(f"{name} looks up", 0, partial(self._look_up, person))
                coming.append((person.since + LIVENESS_INTERVAL, event))
        first = min((due for due, _ in coming), default=0.0)
        yield from (event for due, event in coming if due == first)

    def _of_the_world(self) -> Iterator[Event]:
        yield Event("the token is revoked", 1, self._revoke)
        yield Event("the account moves", 1, self._move)
        yield Event("an hour goes by", 1, self._an_hour)
        yield Event("the token runs out", 1, self._run_out)
        yield Event("all is forgotten", 1, self._forget)

    # How it happens

    def _spoil(self, do: Callable[..., None], *arguments: object) -> None:
        self.spoiled = True
        do(*arguments)

    def _lose(self, person: Person, do: Callable[..., None], *arguments: object) -> None:
        """What ends one caller's request: the others go on, if it does not happen to the next leader as well."""
        person.spoiled = True
        self._losses += 1
        self.spoiled = self.spoiled or self._losses >= MAX_LOST_LEADERS
        do(*arguments)

    def _silence(self, person: Person) -> None:
        person.silent = True

    def _put_off(self, person: Person) -> None:
        self._busy += 1
        self.spoiled = self.spoiled or self._busy >= MAX_ATTEMPTS
        person.send(reply(503, None))

    def _lookup(self, _: str) -> ControlResponse:
        return found(self.home)

    def _login(self, url: str) -> ControlResponse:
        server = url.partition("/api/")[0]
        if server != self.home:
            self.refusals[server] = self.now
            return refused()
        self.refusals.clear()  # the password is good after all
        token = f"token-{len(self.issued) + 1}"
        self.tokens[token] = self.issued[token] = server
        return granted(token, LIFETIME)

    def _refuse(self, person: Person, url: str) -> None:
        self.spoiled = True
        self.refusals[url.partition("/api/")[0]] = self.now
        person.send(refused())

    def _answer(self, person: Person, signature: Signature) -> Received:
        url = person.url if signature.url is None else signature.url
        if signature.authorization is None:  # nobody's business, as far as the account knows
            return Received(200, url, None, True)
        server = str(Origin.of(url))
        token = (signature.authorization or "").removeprefix("Bearer ")
        good = self.tokens.get(token) == server == self.home
        return Received(200 if good else 401, url, signature.authorization, True)

    def _slept(self, person: Person, seconds: float) -> None:
        clock_of(self.account).seconds = max(self.now, person.since + seconds)
        person.send(None)

    def _look_up(self, person: Person) -> None:
        clock_of(self.account).seconds = max(self.now, person.since + LIVENESS_INTERVAL)
        person.send(True)

    def _time_out(self, person: Person) -> None:
        clock_of(self.account).seconds = max(self.now, person.since + TIMEOUT)
        person.silent = False
        person.throw(NetworkError())

    def _die(self, person: Person) -> None:
        self.spoiled = True  # it may die with its hook's request, too
        for each in (person, person.outer, person.inner):
            if each is not None and not each.ended:
                each.gone = True
        person.thread.alive = False

    def _ask_inside(self, person: Person) -> None:
        inner = Person(self, f"{person.name}'s hook", CLOUD + FILES, outer=person)
        person.inner = inner
        self.people.append(inner)

    def _revoke(self) -> None:
        # The second time, it may be the fresh token of a caller whose 401 is its own then (rule 15).
        self.spoiled = self.spoiled or bool(self._revoked)
        self._revoked = True
        self.tokens.clear()

    def _move(self) -> None:
        # In the middle of a login, the data center that was just looked up refuses the password.
        self.spoiled = self.spoiled or any(isinstance(person.step, SendControl | Sleep) for person in self.people)
        self.home = HOMES[self.home == HOME]
        self._revoke()

    def _an_hour(self) -> None:
        # Nobody is waited for as long as that.
        self.spoiled = self.spoiled or any(person.is_waiting for person in self.people)
        clock_of(self.account).advance(3600)

    def _run_out(self) -> None:
        self._an_hour()
        self._an_hour()
        self._revoke()

    def _forget(self) -> None:
        self.refusals.clear()
        self.account.forget()

    # What must hold

    def yielded(self, person: Person, step: Step) -> None:
        """Invariants of a step as it is yielded."""
        match step:
            case SendControl(request):
                person.sends += 1
                if request.method == "POST":
                    self.logins += 1
                    server = request.url.partition("/api/")[0]
                    self._require(server in HOMES, f"the password goes to {server}")
                    refused_at = self.refusals.get(server)
                    again = refused_at is not None and self.now < refused_at + REFUSAL_TTL
                    self._require(not again, f"{person.name} sends a refused password again")
                else:
                    self._require(request.url.startswith(CLOUD + "/"), "a look-up goes astray")
            case Forward(signature):
                person.forwards += 1
                person.lost.clear()
                self._require(
                    person.forwards <= 1 + MAX_REPLAYS, f"{person.name}'s request is sent again and again"
                )
                if signature.authorization is not None:
                    url = person.url if signature.url is None else signature.url
                    token = signature.authorization.removeprefix("Bearer ")
                    self._require(str(Origin.of(url)) == self.issued[token], f"{token} goes to {url}")
            case WaitForLogin(login):
                person.waited = login
        self._require(person.sends <= 3 * 4 * MAX_ATTEMPTS, f"{person.name} asks the platform again and again")

    def check(self) -> None:
        """Invariants that hold at any moment."""
        leading = [
            person
            for person in self.people
            if isinstance(person.step, SendControl | Sleep)
            and not person.gone
            and self.now - person.led_since < LEADER_TIMEOUT
        ]
        allowed = 1 + sum(person.outer is not None and not person.ended for person in self.people)
        self._require(len(leading) <= allowed, f"{leading} log in at the same time")
        self._require(not is_lock_held(self.account), "the lock is held over a step")
        for person in self.people:
            self._require(len(person.lost) <= MAX_LOST_LEADERS, f"{person.name} has waited for {len(person.lost)}")
            if person.is_waiting and person.may_run:
                assert isinstance(person.step, WaitForLogin)
                leader = person.step.login.leader
                leads = [each for each in self.people if each.caller is leader and not each.ended]
                self._require(bool(leads), f"{person.name} waits, and nobody leads")
                self._require(
                    not any(each.is_waiting for each in leads), f"{person.name} waits for one that waits"
                )

    def check_end(self) -> None:
        """Invariants of a world in which nothing can happen any more."""
        for person in self.people:
            self._require(person.ended or person.gone, f"{person.name} is stuck")
            if not self.spoiled and not person.spoiled and person.ended:
                self._require(person.outcome == 200, f"{person.name} got {person.outcome!r} on a good day")
        login = current_login(self.account)
        if login is not None:
            leaders = [person for person in self.people if person.caller is login.leader]
            self._require(all(person.gone for person in leaders), "a login is left, and nobody leads it")

    def _require(self, holds: bool, what: str) -> None:
        if not holds:
            raise Broken(f"{what}\n" + "\n".join(self.story))


class Run(NamedTuple):
    """What a scheduler went through."""

    orders: int
    steps: int


def play(world: World, choose: Callable[[list[Event]], int]) -> World:
    """Let a world happen to its end."""
    while events := world.events():
        world.happen(events[choose(events)])
    world.check_end()
    return world


def every_order(new_world: Callable[[], World], limit: int | None = None) -> Run:
    """Let a world happen in every order there is, each from the beginning: the last choice that has an
    alternative takes it the next time."""
    path: list[int] = []
    widths: list[int] = []
    orders = steps = 0
    while limit is None or orders < limit:
        depth = 0

        def choose(events: list[Event]) -> int:
            nonlocal depth
            if depth == len(path):
                path.append(0)
                widths.append(len(events))
            depth += 1
            return path[depth - 1]

        steps += play(new_world(), choose).steps
        orders += 1
        while path and path[-1] + 1 == widths[-1]:
            path.pop()
            widths.pop()
        if not path:
            break
        path[-1] += 1
    return Run(orders, steps)


def at_random(new_world: Callable[[], World], seed: int, fault_rate: float = 0.3) -> World:
    """Let a world happen in an order that the seed decides. Faults are rarer than good days."""
    dice = random.Random(seed)

    def choose(events: list[Event]) -> int:
        good = sum(event.cost == 0 for event in events)
        if good and (good == len(events) or dice.random() > fault_rate):
            return dice.randrange(good)
        return dice.randrange(good, len(events))

    return play(new_world(), choose)
