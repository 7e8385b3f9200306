"""Rule 9's memory alone: refused passwords by data center, for five minutes."""

from __future__ import annotations

from notary_auth import CredentialsRefused
from tests.core import CLOUD, HOME, REFUSAL_TTL, Origin, Refusal, Refusals, Secret

ERROR = CredentialsRefused("no", status=401)
AT_HOME, AT_CLOUD = Origin.of_base_url(HOME), Origin.of_base_url(CLOUD)


def refusals_of(*refusals: Refusal, now: float = 0.0) -> Refusals:
    remembered = Refusals()
    for refusal in refusals:
        remembered.add(refusal, now)
    return remembered


def test_rule_9_the_very_password_is_found_at_its_data_center_for_its_time() -> None:
    remembered = refusals_of(Refusal.of(Secret("wrong"), AT_HOME, ERROR, 0.0))
    assert remembered.find(Secret("wrong"), REFUSAL_TTL - 1, AT_HOME)
    assert not remembered.find(Secret("wrong"), REFUSAL_TTL, AT_HOME)
    assert not remembered.find(Secret("another"), 0.0, AT_HOME)
    assert not remembered.find(Secret("wrong"), 0.0, AT_CLOUD)


def test_rule_9_only_a_final_refusal_is_found_without_a_data_center() -> None:
    refusal = Refusal.of(Secret("wrong"), AT_HOME, ERROR, 0.0)
    remembered = refusals_of(refusal)
    assert not remembered.find(Secret("wrong"), 0.0)
    final = refusal._replace(is_final=True)
    remembered.add(final, 0.0)
    assert remembered.find(Secret("wrong"), 0.0) is final


def test_rule_9_the_latest_refusal_of_each_data_center_is_remembered() -> None:
    first, second = (Refusal.of(Secret(each), AT_HOME, ERROR, 0.0) for each in ("one", "two"))
    remembered = refusals_of(first, second, Refusal.of(Secret("one"), AT_CLOUD, ERROR, 0.0))
    assert not remembered.find(Secret("one"), 0.0, AT_HOME)
    assert remembered.find(Secret("two"), 0.0, AT_HOME) is second
    assert remembered.find(Secret("one"), 0.0, AT_CLOUD)


def test_rule_9_after_forget_no_stored_refusal_is_accepted_until_the_next_login() -> None:
    remembered = refusals_of(Refusal.of(Secret("wrong"), AT_HOME, ERROR, 0.0))
    remembered.forget()
    assert not remembered.find(Secret("wrong"), 0.0, AT_HOME)
    assert not remembered.accepts_stored
    remembered.clear()
    assert remembered.accepts_stored


def test_rule_18_a_refusal_keeps_no_password() -> None:
    refusal = Refusal.of(Secret("geheim"), AT_HOME, ERROR, 0.0)
    assert "geheim" not in repr([getattr(refusal, name) for name in refusal.__slots__])


def test_rule_9_a_refusal_after_forget_makes_stored_ones_accepted_again() -> None:
    remembered = Refusals()
    remembered.forget()
    remembered.add(Refusal.of(Secret("wrong"), AT_HOME, ERROR, 0.0), 0.0)
    assert remembered.accepts_stored
