"""The wire format in small: bodies on their way in, and what a token's header shows. The rules test the rest."""

from __future__ import annotations

import copy
import pickle
from math import inf
from typing import Any

import pytest

from tests.core import (
    BODY_LIMIT,
    Bearer,
    ControlBody,
    ControlResponse,
    Document,
    Origin,
    Secret,
    Token,
    clock_on,
    found,
    granted,
    login_request,
    read_login,
    read_lookup,
    strip_tracebacks,
)

HOME = Origin("https", "eu2-cloud.acronis.com", None)


def test_a_body_is_read_up_to_its_limit_and_one_chunk_more() -> None:
    body = ControlBody({})
    assert body.take(b"x" * BODY_LIMIT)
    assert not body.take(b"y")
    assert body.response(200).body == b"x" * BODY_LIMIT + b"y"
    assert not body.is_late


def test_the_frames_of_a_clients_error_are_dropped_wherever_they_are() -> None:
    def caught(error: Exception) -> Exception:
        try:
            raise error
        except Exception as raised:
            return raised

    errors = [caught(ValueError(number)) for number in range(4)]
    errors[3].reason = errors[0]  # type: ignore[attr-defined]
    error = caught(ValueError(errors[1], "text"))
    error.__cause__, error.__context__ = errors[2], errors[3]
    errors[0].__cause__ = error  # in a circle
    strip_tracebacks(error)
    assert [each.__traceback__ for each in (error, *errors)] == [None] * 5


def test_a_body_without_end_is_read_no_further_than_needed() -> None:
    taken: list[int] = []

    def chunks() -> Any:
        while True:
            taken.append(1)
            yield b" " * (BODY_LIMIT // 4)

    body = ControlBody({})
    body.take_all(chunks())
    assert len(body.response(200).body) == BODY_LIMIT * 5 // 4
    assert len(taken) == 5


def test_an_encoded_body_is_not_read() -> None:
    body = ControlBody({"Content-Encoding": "br"})
    body.take_all(iter(lambda: b"x", b""))
    assert not body.is_readable
    assert body.response(200) == ControlResponse(200, {"content-encoding": "br"}, b"")


def test_a_body_is_late_when_its_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    body, patient = ControlBody({}, 30), ControlBody({})
    now = 130.0
    assert body.take(b"{")
    now = 130.1
    assert not body.take(b"}")
    assert (body.is_late, body.response(200).body) == (True, b"{}")
    assert not ControlBody({}).is_late
    assert patient.take(b"{}")
    now = inf
    assert patient.take(b"{}")


def test_a_reply_of_just_a_mebibyte_is_read() -> None:
    document = b'{"server_url": "https://eu2-cloud.acronis.com"}'
    reply = ControlResponse(200, {}, document + b" " * (BODY_LIMIT - len(document)))
    assert read_lookup(reply, HOME, "JohnSmith") == HOME
    assert read_lookup(found(), HOME, "JohnSmith") == HOME


@pytest.mark.parametrize("lifetime", [0.25, 1, 7200])
def test_a_lifetime_may_be_short(lifetime: float) -> None:
    assert read_login(granted(lifetime=lifetime), HOME, "JohnSmith", [], 0) == (
        "Bearer token-1",
        lifetime,
        None,
    )


def test_a_document_shows_nothing() -> None:
    assert repr(Document(access_token="secret")) == "<Document>"


def test_a_login_is_a_form_in_utf_8() -> None:
    request = login_request(HOME, "Jürgen", Secret("a b&ü"), Secret("123456"))
    assert request.body == b"grant_type=password&username=J%C3%BCrgen&password=a+b%26%C3%BC&totp_code=123456"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_a_header_hides_its_token_wherever_it_is_kept() -> None:
    header: Any = Bearer("secret")
    assert (header, header.encode("latin-1")) == ("Bearer secret", b"Bearer secret")
    for each in (header, header.encode()):
        assert copy.deepcopy(each) is each
        assert pickle.loads(pickle.dumps(each)) == ("Bearer ***" if isinstance(each, str) else b"Bearer ***")
        assert "secret" not in repr(each) + repr(pickle.dumps(each))


def test_a_token_of_unknown_lifetime_is_never_due() -> None:
    token = Token.issued(Bearer("token"), HOME, 1000.0, None)
    assert (token.refresh_at, token.expires_at) == (inf, inf)


@pytest.mark.parametrize(
    ("platform", "wanted"),
    [("linux", "CLOCK_BOOTTIME"), ("darwin", "CLOCK_MONOTONIC"), ("win32", None)],
)
def test_rule_13_each_system_has_its_clock(platform: str, wanted: str | None) -> None:
    assert clock_on(platform) == (wanted, wanted is None, True)
