"""Rule 15's table alone: what each state makes of each event."""

from __future__ import annotations

import pytest

from tests.core import UNAUTHORIZED_BACKOFF, Action, Event, State, UnauthorizedPolicy

#: How a policy gets into a state.
WAYS: dict[State, list[Event]] = {
    State.TRUSTED: [],
    State.REPLACING: [Event.REJECTED],
    State.PROBATION: [Event.REJECTED, Event.GRANTED],
    State.BACKOFF: [Event.REJECTED, Event.GRANTED, Event.REJECTED],
}

#: By state: the action after REJECTED, and the states after REJECTED, WORKED, GRANTED, FOUND, and a minute.
TABLE = {
    "TRUSTED": ("REPLACE", "REPLACING", "TRUSTED", "TRUSTED", "TRUSTED", "TRUSTED"),
    "REPLACING": ("REPLACE", "REPLACING", "REPLACING", "PROBATION", "TRUSTED", "REPLACING"),
    "PROBATION": ("PASS_ON", "BACKOFF", "TRUSTED", "PROBATION", "TRUSTED", "TRUSTED"),
    "BACKOFF": ("PASS_ON", "BACKOFF", "BACKOFF", "BACKOFF", "BACKOFF", "TRUSTED"),
}


def policy_in(state: State) -> UnauthorizedPolicy:
    policy = UnauthorizedPolicy()
    for event in WAYS[state]:
        policy.on(event, 0.0)
    assert policy.state is state
    return policy


@pytest.mark.parametrize("state", State, ids=lambda state: state.name)
@pytest.mark.parametrize("event", Event, ids=lambda event: event.name)
def test_rule_15_each_event_in_each_state(state: State, event: Event) -> None:
    action, *states = TABLE[state.name]
    after = dict(zip([Event.REJECTED, Event.WORKED, Event.GRANTED, Event.FOUND], states, strict=False))
    actions = {Event.REJECTED: action, Event.OUTDATED: "REPLAY"}
    policy = policy_in(state)
    assert policy.on(event, 1.0) is Action[actions.get(event, "NOTHING")]
    assert policy.state.name == after.get(event, state.name)


@pytest.mark.parametrize("state", State, ids=lambda state: state.name)
def test_rule_15_probation_and_backoff_end_after_a_minute(state: State) -> None:
    for seconds, expected in (
        (UNAUTHORIZED_BACKOFF - 0.1, state.name),
        (UNAUTHORIZED_BACKOFF, TABLE[state.name][-1]),
    ):
        policy = policy_in(state)
        policy.on(Event.OUTDATED, seconds)
        assert policy.state.name == expected


def test_rule_15_further_events_do_not_prolong_a_minute() -> None:
    policy = policy_in(State.BACKOFF)
    for seconds in range(0, 60, 10):
        assert policy.on(Event.REJECTED, float(seconds)) is Action.PASS_ON
    assert policy.on(Event.REJECTED, 60.0) is Action.REPLACE


def test_what_is_forgotten_leaves_a_policy_that_trusts() -> None:
    policy = policy_in(State.BACKOFF)
    policy.forget()
    assert policy.state is State.TRUSTED
