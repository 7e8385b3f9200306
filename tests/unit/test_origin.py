"""Origins: property tests against an independent parser. Two parsers that disagree about a host are a leak."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx
import pytest
import urllib3.util
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.core import Origin

PIECES = st.sampled_from(
    [
        "https://",
        "http://",
        "HTTPS://",
        "//",
        "/",
        "\\",
        "@",
        ":",
        "?",
        "#",
        ".",
        "..",
        "%2e",
        "%2f",
        "%00",
        "\t",
        "\n",
        " ",
        "[",
        "]",
        "::1",
        "443",
        "80",
        "0443",
        "65536",
        "user",
        "eu2-cloud.acronis.com",
        "EU2-Cloud.Acronis.com",
        "evil.example",
        "127.0.0.1",
        "0x7f.1",
        "localhost",
        "\u017f",
        "\u212a",
        "\uff45",
        "\u3002",
        "xn--bcher-kva",
        "-",
        "_",
    ]
)
URLS = st.lists(PIECES, min_size=1, max_size=9).map("".join) | st.text(max_size=40)


@settings(max_examples=1000, deadline=None)
@given(URLS)
@example("https://eu2-cloud.acronis.com\\@evil.example/")
@example("https://user@eu2-cloud.acronis.com:443/")
@example("https://[::1]:8080/")
def test_where_it_sees_an_origin_every_other_parser_sees_the_same(url: str) -> None:
    origin = Origin.of(url)
    if origin is None:
        return
    host, port = origin.host, origin.port or {"http": 80, "https": 443}[origin.scheme]
    default = {"http": 80, "https": 443}[origin.scheme]
    parsed = urlsplit(url)
    assert (parsed.scheme, (parsed.hostname or "").removesuffix("."), parsed.port or default) == (
        origin.scheme,
        host,
        port,
    )
    other = urllib3.util.parse_url(url)
    assert (other.scheme, (other.host or "").strip("[]").removesuffix("."), other.port or default) == (
        origin.scheme,
        host,
        port,
    )
    try:
        third = httpx.URL(url)
    except httpx.InvalidURL:
        return
    assert (third.scheme, third.raw_host.decode().removesuffix("."), third.port or default) == (
        origin.scheme,
        host,
        port,
    )


@settings(max_examples=1000, deadline=None)
@given(URLS)
def test_a_readdressed_url_is_at_its_new_origin_with_the_same_path_and_query(url: str) -> None:
    home = Origin("https", "eu2-cloud.acronis.com", None)
    if Origin.of(url) is None:
        return
    moved = home.readdress(url)
    assert Origin.of(moved) == home
    assert urlsplit(moved).path == (urlsplit(url).path or "/")
    assert (urlsplit(moved).query, urlsplit(moved).fragment) == (urlsplit(url).query, urlsplit(url).fragment)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://eu2-cloud.acronis.com:443/x", "https://eu2-cloud.acronis.com"),
        ("http://EXAMPLE.com.:8080?x", "http://example.com:8080"),
        ("http://[0:0::1]:80/", "http://[::1]"),
    ],
)
def test_an_origin_reads_as_its_url(url: str, text: str) -> None:
    assert str(Origin.of(url)) == text


@pytest.mark.parametrize(
    "host", ["eu2-cloud.acronis.com..", ".eu2-cloud.acronis.com", "eu2-cloud..acronis.com", "."]
)
def test_a_name_with_an_empty_label_is_nobodys(host: str) -> None:
    assert Origin.of(f"https://{host}/") is None
    with pytest.raises(ValueError, match="must be an https URL of a host"):
        Origin.of_base_url(f"https://{host}")


@pytest.mark.parametrize("label", ["x" * 64, "xn--a-\u00fc", "xn--a--", "xn--0", "eu2.xn--0"])
def test_a_base_url_has_a_name_that_can_be_looked_up(label: str) -> None:
    assert Origin.of_base_url(f"https://{'x' * 63}.example").host == f"{'x' * 63}.example"
    assert Origin.of_base_url("https://xn--bcher-kva.example").host == "xn--bcher-kva.example"
    with pytest.raises(ValueError, match="host"):
        Origin.of_base_url(f"https://{label}.example")


@pytest.mark.parametrize("rest", ["?x=1", "#y", "/", "/a?b#c", ""])
def test_a_readdressed_url_has_a_path(rest: str) -> None:
    moved = Origin("https", "home.example", None).readdress(f"https://x.example:8443{rest}")
    assert moved == f"https://home.example{'' if rest.startswith('/') else '/'}{rest}"


def test_a_port_is_from_1_to_65535() -> None:
    assert Origin.of("https://x:65535/") == ("https", "x", 65535)
    assert Origin.of("https://x:1/") == ("https", "x", 1)
    assert [Origin.of(f"https://x:{port}/") for port in (0, 65536, 99999)] == [None] * 3


@pytest.mark.parametrize("rest", ["", "/", ":8443", ":8443/"])
def test_a_base_url_in_other_than_ascii_letters_keeps_its_port(rest: str) -> None:
    assert Origin.of_base_url(f"https://b\u00fccher.example{rest}") == (
        "https",
        "xn--bcher-kva.example",
        8443 if ":" in rest else None,
    )


def test_a_base_url_that_idna_cannot_encode_is_none() -> None:
    with pytest.raises(ValueError, match="must be an https URL of a host"):
        Origin.of_base_url("https://" + 64 * "\u00fc" + ".example")
