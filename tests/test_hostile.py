"""Rules 4 and 5 against those who mean ill: where every client really sends what it is given."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import urllib3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .clients import DRY, Client, Requests, each
from .core import send_token_to
from .dry import session_adapter, visit
from .hostile import BETWEEN, EVIL, HOME, HOST, NAMES, OWN, PASSWORD, PORTS, HostilePlatform, tricky_urls

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture(params=each(DRY))
def client(request: pytest.FixtureRequest) -> Client:
    found: Client = request.param
    return found


def warm(client: Client) -> Any:
    """An auth that has its token already."""
    auth = client.auth_type("JohnSmith", PASSWORD)
    assert visit(client, auth, [f"{HOME}/x"], HostilePlatform()) == [200]
    return auth


def test_rule_4_of_a_thousand_tricky_urls_only_the_data_centers_own_get_the_token(client: Client) -> None:
    urls = tricky_urls()
    assert len(urls) > 1000
    platform = HostilePlatform()
    outcomes = visit(client, warm(client), urls, platform)
    assert platform.leaks() == []
    signed = [sent for sent in platform.sent if sent.authorization]
    assert signed, "some of them are the data center's after all"
    assert {sent.origin for sent in signed} == {OWN}
    assert {sent.host for sent in platform.sent} > {EVIL, HOST}
    assert len(outcomes) == len(urls)


def test_rule_5_a_redirect_to_any_of_a_thousand_tricky_urls_leads_no_token_away(client: Client) -> None:
    auth = warm(client)
    for url in tricky_urls():
        platform = HostilePlatform([url])
        visit(client, auth, [f"{HOME}/x"], platform, follow=True)
        assert platform.leaks() == [], url
        assert platform.sent[0].authorization, "the first hop is signed"


PIECES = st.sampled_from(
    [
        *BETWEEN,
        *NAMES,
        *PORTS,
        EVIL,
        "https://",
        "http://",
        "//",
        "/",
        "/x",
        "cloud.acronis.com",
        "/api/2/idp/token",
    ]
)
LOCATIONS = st.lists(PIECES, min_size=1, max_size=6).map("".join) | st.sampled_from(tricky_urls())


@pytest.mark.parametrize("client", each(client for client in DRY if not client.is_async))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chain=st.lists(LOCATIONS, min_size=1, max_size=5), status=st.sampled_from([301, 302, 303, 307, 308]))
def test_rule_5_no_chain_of_redirects_leads_the_token_away(client: Client, chain: list[str], status: int) -> None:
    platform = HostilePlatform(chain, status)
    auth = client.auth_type("JohnSmith", PASSWORD)
    visit(client, auth, [f"{HOME}/x", chain[0]], platform, follow=True)
    assert platform.leaks() == []


@pytest.mark.parametrize("client", each(client for client in DRY if isinstance(client, Requests)))
def test_a_host_that_no_connection_can_be_made_to_has_one_answer_each_time(client: Requests) -> None:
    adapter = session_adapter(client.library)(HostilePlatform())
    request = client.library.Request("GET", HOME).prepare()
    request.url = "https://a b/"
    answers: list[Any] = []

    def ask_twice() -> None:
        for _ in range(2):
            try:
                answers.append(adapter.send(request).status_code)  # urllib3 1 sees nothing wrong with a space
            except (client.error, urllib3.exceptions.HTTPError) as error:
                answers.append(type(error))

    asking = threading.Thread(target=ask_twice, daemon=True)  # the second time may take for ever
    asking.start()
    asking.join(20)
    assert len(answers) == 2, answers
    assert answers[0] == answers[1]


def test_the_search_finds_a_leak(client: Client) -> None:
    auth = warm(client)
    send_token_to(auth.account, EVIL)
    platform = HostilePlatform()
    visit(client, auth, [f"https://{EVIL}/x"], platform)
    assert [sent.host for sent in platform.leaks()] == [EVIL]
