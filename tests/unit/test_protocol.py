"""The wire format in small: bodies on their way in, and what a token's header shows. The rules test the rest."""

from __future__ import annotations

import copy
import html
import json
import pickle
import time
from math import inf
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from notary_auth import DiscoveryError, LoginError
from tests.core import (
    BODY_LIMIT,
    Bearer,
    ControlBody,
    ControlResponse,
    Document,
    Origin,
    Secret,
    Token,
    TokenEndpoint,
    clock_on,
    found,
    granted,
    read_lookup,
    strip_tracebacks,
)

CLOUD = Origin("https", "cloud.acronis.com", None)
HOME = Origin("https", "eu2-cloud.acronis.com", None)


def test_a_body_is_read_up_to_its_limit_and_one_chunk_more() -> None:
    body = ControlBody(200, {})
    assert body.take(b"x" * BODY_LIMIT)
    assert not body.take(b"y")
    assert body.response().body == b"x" * BODY_LIMIT + b"y"
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

    body = ControlBody(200, {})
    body.take_all(chunks())
    assert len(body.response().body) == BODY_LIMIT * 5 // 4
    assert len(taken) == 5


def test_an_encoded_body_is_not_read() -> None:
    body = ControlBody(200, {"Content-Encoding": "br"})
    body.take_all(iter(lambda: b"x", b""))
    assert not body.is_readable
    assert body.response() == ControlResponse(200, {"content-encoding": "br"}, b"")
    redirect = ControlBody(302, {})
    redirect.take_all(iter([b"never read"]))
    assert redirect.response() == ControlResponse(302, {}, b"")


def test_a_body_is_late_when_its_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    body, patient = ControlBody(200, {}, 30), ControlBody(200, {})
    now = 130.0
    assert body.take(b"{")
    now = 130.1
    assert not body.take(b"}")
    assert (body.is_late, body.response().body) == (True, b"{}")
    assert not ControlBody(200, {}).is_late
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
    assert TokenEndpoint(HOME, "JohnSmith").read(granted(lifetime=lifetime), [], 0) == (
        "Bearer token-1",
        lifetime,
        None,
    )


def test_a_document_shows_nothing() -> None:
    assert repr(Document(access_token="secret")) == "<Document>"


def test_a_login_is_a_form_in_utf_8() -> None:
    request = TokenEndpoint(HOME, "Jürgen").password_request(Secret("a b&ü"), Secret("123456"))
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


@pytest.mark.parametrize("length", [301, 20_000, 150_000], ids=lambda length: f"{length} characters")
@pytest.mark.parametrize("piece", ["xn--a.", "\u0660", "a", "-"])
def test_rule_12_a_long_server_url_is_an_error_before_it_is_decoded(piece: str, length: int) -> None:
    server_url = "https://" + (piece * length)[: length - len("https://")]
    started = time.thread_time()
    with pytest.raises(DiscoveryError, match="server_url that is longer than 300 characters"):
        read_lookup(found(server_url), CLOUD, "JohnSmith")
    assert time.thread_time() - started < 1, "it took 3 s and more to decode"


def test_rule_12_an_https_cloud_names_no_data_center_without_tls() -> None:
    with pytest.raises(DiscoveryError, match="without TLS"):
        read_lookup(found("http://127.0.0.1:8080"), CLOUD, "JohnSmith")
    here = Origin("http", "localhost", 8000)
    assert read_lookup(found("http://127.0.0.1:8080"), here, "JohnSmith") == Origin("http", "127.0.0.1", 8080)


@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
def test_rule_12_a_token_has_16_kib_at_most(name: str) -> None:
    def read(length: int) -> None:
        reply = {"access_token": "x", "token_type": "bearer", name: "x" * length}
        response = ControlResponse(200, {}, json.dumps(reply).encode())
        TokenEndpoint(HOME, "JohnSmith", offline_access=True).read(response, [], 0.0)

    read(16 * 1024)
    with pytest.raises(LoginError, match=f"an? {name} larger than 16 KiB"):
        read(16 * 1024 + 1)


SECRET = "p<w&\"'/\\ ü😀+1%"
SPELLINGS = {
    "as it is": SECRET,
    "percent": quote(SECRET, safe=""),
    "percent, in lower case": quote(SECRET, safe="").lower(),
    "form": quote_plus(SECRET),
    "all percent": "".join(f"%{byte:02X}" for byte in SECRET.encode()),
    "HTML": html.escape(SECRET),
    "HTML, by numbers": "".join(f"&#{ord(character)};" for character in SECRET),
    "HTML, by hexadecimal numbers": "".join(f"&#x{ord(character):X};" for character in SECRET),
    "JSON": json.dumps(SECRET)[1:-1],
    "JSON, for HTML": json.dumps(SECRET)[1:-1].replace("<", "\\u003c").replace("&", "\\u0026"),
    "JSON, with slashes escaped": json.dumps(SECRET)[1:-1].replace("/", "\\/"),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_rule_18_a_password_is_not_shown_however_the_platform_spells_it(spelling: str) -> None:
    reply = {"error": "access_denied", "error_description": f"no {spelling} here"}
    response = ControlResponse(401, {}, json.dumps(reply).encode())
    with pytest.raises(LoginError) as caught:
        TokenEndpoint(HOME, "JohnSmith").read(response, [Secret(SECRET)], 0.0)
    assert caught.value.error_description == ("no *** here" if spelling == SECRET else "***")


def test_rule_18_a_long_secret_is_not_shown_and_takes_no_time_to_find() -> None:
    token = "".join(chr(65 + index * index % 57) for index in range(16 * 1024))
    reply = {"error": "access_denied", "error_description": f"no {token} here"}
    response = ControlResponse(401, {}, json.dumps(reply).encode())
    started = time.thread_time()
    with pytest.raises(LoginError) as caught:
        TokenEndpoint(HOME, "JohnSmith").read(response, [Secret(token)], 0.0)
    assert caught.value.error_description == "no *** here"
    assert time.thread_time() - started < 1, "all its spellings take seconds to compile"


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("\\" * 30 + "x", "\\" * 500),
        (";" * 30 + "x", "&#59;" * 500),
        ("&" * 30 + "x", "&amp;" * 500),
        ("%" * 30 + "x", "%25" * 500),
        (" " * 30 + "x", "+%20" * 500),
        ("a", "a" * 32_000),
        ("%41", "%25%41 %41 %2541" * 1000),
    ],
    ids=lambda text: text[:5],
)
def test_rule_18_no_secret_takes_long_to_search_for(secret: str, said: str) -> None:
    """A data center may hand out a refresh token and repeat it, and so chooses both."""
    response = ControlResponse(401, {}, json.dumps({"error": "access_denied", "error_description": said}).encode())
    started = time.thread_time()
    with pytest.raises(LoginError):
        TokenEndpoint(HOME, "JohnSmith").read(response, [Secret(secret)], 0.0)
    assert time.thread_time() - started < 1


def test_rule_18_half_a_secret_is_not_shown_where_the_text_is_cut() -> None:
    said = "hunter2-hunter2" * 3000
    response = ControlResponse(401, {}, json.dumps({"error": "access_denied", "error_description": said}).encode())
    for secret in ("hunter2-hunter2", "hunter2-hunter2" * 1000):
        with pytest.raises(LoginError) as caught:
            TokenEndpoint(HOME, "JohnSmith").read(response, [Secret(secret)], 0.0)
        assert "hunter" not in str(caught.value)


def test_rule_18_a_text_that_nearly_has_a_secret_in_it_everywhere_takes_no_time() -> None:
    secret = "a" * 64
    reply = {"error": "access_denied", "error_description": (secret[1:] + "b") * 15_000}
    response = ControlResponse(401, {}, json.dumps(reply).encode())
    started = time.thread_time()
    with pytest.raises(LoginError):
        TokenEndpoint(HOME, "JohnSmith").read(response, [Secret(secret)], 0.0)
    assert time.thread_time() - started < 0.25, "all of it takes half a second, of an event loop as well"
