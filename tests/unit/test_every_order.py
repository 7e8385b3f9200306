"""An account's conversations in every order, with faults, and what must hold all the while (`world`)."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.core import CLOUD, FILES, HOME, forget_every_refusal
from tests.world import FOREIGN, Broken, World, at_random, every_order

FILES_URL = CLOUD + FILES


pytestmark = pytest.mark.usefixtures("quiet")
#: How many orders the long run goes through at most in each situation; 0: all there are, which takes hours.
ORDERS = int(os.environ.get("NOTARY_AUTH_ORDERS", "3000")) or None

SITUATIONS = {
    "cold": {},
    "logged in": {"logged_in": True},
    "due": {"refreshing": True},
    "cold, as requests does it": {"split": True},
    "due, as requests does it": {"refreshing": True, "split": True},
}


#: An adapter that opens a conversation for the answer, as that of requests does, has the same orders but for that.
IN_SHORT = [
    pytest.param(situation, id=name, marks=pytest.mark.matrix if "split" in situation else [])
    for name, situation in SITUATIONS.items()
]


@pytest.mark.parametrize("situation", IN_SHORT)
@pytest.mark.parametrize(("callers", "faults"), [(1, 2), (2, 1), (3, 0)])
def test_every_order_of_a_few_callers(situation: dict[str, bool], callers: int, faults: int) -> None:
    run = every_order(lambda: World([FILES_URL] * callers, faults=faults, **situation))
    assert run.orders > 1


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
@pytest.mark.parametrize(
    ("callers", "faults"), [pytest.param(*each, marks=pytest.mark.long) for each in ((1, 3), (2, 2), (3, 1))]
)
def test_every_order_with_more_faults(situation: dict[str, bool], callers: int, faults: int) -> None:
    run = every_order(lambda: World([FILES_URL] * callers, faults=faults, **situation), ORDERS)
    print(f"{callers} callers, {faults} faults: {run.orders:,} orders, {run.steps:,} steps")


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
@pytest.mark.parametrize("seeds", [300, pytest.param(20_000, marks=pytest.mark.long)])
def test_many_orders_of_many_callers(situation: dict[str, bool], seeds: int) -> None:
    urls = [FILES_URL, HOME + FILES, FILES_URL, FOREIGN + "/x", FILES_URL]
    steps = 0
    for seed in range(seeds):
        # With many faults, nobody need get a good answer; with few, it is known who must.
        callers, faults = 2 + seed % 4, 1 + seed % 4
        steps += at_random(partial(World, urls[:callers], faults=faults, **situation), seed).steps
    print(f"{seeds:,} random orders, {steps:,} steps")


def test_an_invariant_that_is_broken_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_every_refusal(monkeypatch)
    with pytest.raises(Broken, match="sends a refused password again"):
        every_order(lambda: World([FILES_URL] * 2, faults=1))


class Story(RuleBasedStateMachine):
    """The same, so that Hypothesis shrinks a failure to the shortest story that fails."""

    @initialize(callers=st.integers(1, 4), situation=st.sampled_from(list(SITUATIONS.values())))
    def begin(self, callers: int, situation: dict[str, bool]) -> None:
        self.world = World([FILES_URL] * callers, faults=5, **situation)

    @precondition(lambda self: hasattr(self, "world") and self.world.events())
    @rule(data=st.data())
    def next(self, data: st.DataObject) -> None:
        events = self.world.events()
        label = data.draw(st.sampled_from([event.label for event in events]))
        self.world.happen(next(event for event in events if event.label == label))

    @precondition(lambda self: hasattr(self, "world") and not self.world.events())
    @rule()
    def end(self) -> None:
        self.world.check_end()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            for person in self.world.people:
                if person.started and not person.ended:
                    person.cancel("end of the story")


class LongStory(Story):
    pass


def configured(story: type[Story], examples: int) -> Any:
    """The story as a test case that tries so many examples."""
    case = story.TestCase
    case.settings = settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    return case


TestStory = configured(Story, 60)
TestLongStory = pytest.mark.long(configured(LongStory, 300))
