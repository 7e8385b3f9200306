"""The fuzz targets (`fuzz.targets`), on every file of their corpora, and on what Hypothesis makes up."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.targets import TARGETS

pytestmark = pytest.mark.usefixtures("quiet")
CORPUS = Path(__file__).parent.parent / "fuzz" / "corpus"


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_found_once_stays_fixed(name: str) -> None:
    files = sorted((CORPUS / name).iterdir())
    assert len(files) > 20
    for file in files:
        TARGETS[name](file.read_bytes())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "server_url": JSON
        | st.sampled_from(["https://eu2-cloud.acronis.com", "http://x", "https://a/b", "https://"]),
        "access_token": JSON | st.from_regex(r"[A-Za-z0-9._~+/-]{1,20}=*", fullmatch=True),
        "token_type": JSON | st.sampled_from(["bearer", "Bearer", "mac"]),
        "expires_on": JSON,
        "expires_in": JSON,
        "error": JSON | st.sampled_from(["access_denied", "invalid_totp", "invalid_request"]),
        "error_description": JSON | st.from_regex(r"(\\.|\\u....|&#?\w+;?|%..|[a-z ]){1,20}", fullmatch=True),
    },
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "date": st.text(max_size=30) | st.just("Fri, 12 Jul 2019 03:56:04 GMT"),
        "retry-after": st.text(max_size=30) | st.integers().map(str),
        "Content-Encoding": st.text(max_size=10)
        | st.sampled_from(["gzip", "gzip, br", "identity", " Identity", ""]),
        "location": st.text(max_size=30) | st.just("https://elsewhere.example/"),
        "content-length": st.integers().map(str),
    },
) | st.dictionaries(st.text(max_size=20), st.text(max_size=30), max_size=4)


@st.composite
def replies(draw: st.DrawFn) -> bytes:
    import json

    head, body = json.dumps(draw(HEADERS)), json.dumps(draw(FIELDS | JSON))
    return bytes([draw(st.integers(1, 255))]) + f"{head}\n{body}".encode()


def no_reply_does_more_than_fail_the_login(replies: list[bytes]) -> None:
    TARGETS["replies"](b"\0".join(replies))


@pytest.mark.parametrize("examples", [100, pytest.param(1000, marks=pytest.mark.long)])
def test_rule_12_no_reply_does_more_than_fail_the_login(examples: int) -> None:
    configured = settings(max_examples=examples, deadline=None)
    configured(given(st.lists(replies(), max_size=6))(no_reply_does_more_than_fail_the_login))()
