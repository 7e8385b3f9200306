"""What people use with requests and httpx, by the real packages: none of it needs to know about notary-auth."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import hishel
import hishel.httpx
import httpx
import pytest
import requests
import requests_cache
import responses
import respx
import sentry_sdk
import sentry_sdk.transport
import vcr
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from requests.adapters import HTTPAdapter
from requests_toolbelt import MultipartEncoder, MultipartEncoderMonitor
from urllib3.util import Retry

import notary_auth.httpx
import notary_auth.requests
from notary_auth import CredentialsRefused, LoginError
from notary_auth.sandbox import Sandbox

from .clients import CLIENTS, Client, each
from .core import tokens_of
from .pages import ROOT, blocks
from .paths import FILES, LOGIN, LOOKUP

CLOUD, HOME = "https://cloud.acronis.com", "https://eu2-cloud.acronis.com"
ANSWERS: dict[str, dict[str, Any]] = {
    f"{CLOUD}{LOOKUP}": {"server_url": HOME},
    f"{HOME}{LOGIN}": {"access_token": "token-1", "token_type": "bearer", "expires_in": 7200},
    f"{HOME}{FILES}": {"files": []},
}


@pytest.fixture
def auth(notary: Sandbox) -> notary_auth.requests.NotaryAuth:
    return notary_auth.requests.NotaryAuth(notary.username, notary.password, cloud_url=notary.url)


@pytest.fixture
def httpx_auth(notary: Sandbox) -> notary_auth.httpx.NotaryAuth:
    return notary_auth.httpx.NotaryAuth(notary.username, notary.password, cloud_url=notary.url)


# requests-toolbelt: an upload with a progress bar


def upload(url: str, auth: Any) -> tuple[requests.Response, list[int]]:
    progress: list[int] = []
    fields = {"file": ("contract.pdf", io.BytesIO(b"signed" * 10_000), "application/pdf")}
    encoder = MultipartEncoder(fields)
    monitor = MultipartEncoderMonitor(encoder, lambda monitor: progress.append(monitor.bytes_read))
    headers = {"Content-Type": monitor.content_type}
    return requests.post(url, data=monitor, headers=headers, auth=auth, timeout=30), progress


def test_an_upload_with_a_progress_bar(notary: Sandbox, files: str, auth: Any) -> None:
    answer, progress = upload(files, auth)
    assert answer.status_code == 201
    assert progress[-1] > 60_000
    assert progress == sorted(progress)


def test_an_upload_with_a_progress_bar_says_why_it_is_not_sent_again(
    notary: Sandbox, files: str, auth: Any, caplog: pytest.LogCaptureFixture
) -> None:
    upload(files, auth)
    notary.revoke_tokens()
    answer, _ = upload(files, auth)
    assert answer.status_code == 401
    assert "the body cannot be sent again; the next request of 'JohnSmith' has a new token" in caplog.text
    answer, _ = upload(files, auth)
    assert answer.status_code == 201


# urllib3's retries, below requests


def test_retries_of_an_adapter_are_not_in_the_way(notary: Sandbox, files: str) -> None:
    retries = Retry(total=3, status_forcelist=[500, 503], backoff_factor=0.01, allowed_methods=None)
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=retries))
        session.auth = notary_auth.requests.NotaryAuth(
            notary.username, notary.password, cloud_url=notary.url, session=session
        )
        notary.faults.answer_next(FILES, 500, times=2)
        assert session.get(files, timeout=30).status_code == 200
        assert notary.count("login") == 1
        notary.revoke_tokens()
        notary.faults.answer_next(LOGIN, 503, times=1)
        assert session.get(files, timeout=30).status_code == 200
        assert notary.count("login") == 3, "the one that was answered by 503, and the one after it"


# Caches below a client, and an account that moves


def test_a_requests_cache_keeps_no_look_up(notary: Sandbox, files: str, tmp_path: Path) -> None:
    for _ in range(2):  # two processes, as far as a cache in a file is concerned
        with requests_cache.CachedSession(tmp_path / "cache", allowable_methods=("GET", "POST")) as session:
            auth = notary_auth.requests.NotaryAuth(
                notary.username, notary.password, cloud_url=notary.url, session=session
            )
            assert session.get(files, auth=auth, timeout=30).status_code == 200
        notary.move()
    assert (notary.count("lookup"), notary.count("login")) == (2, 2)


def test_a_cache_that_follows_the_standard_keeps_no_look_up(notary: Sandbox, files: str, tmp_path: Path) -> None:
    for _ in range(2):
        assert get_by_hishel(notary, files, tmp_path, rfc=True).status_code == 200
        notary.move()
    assert (notary.count("lookup"), notary.count("login")) == (2, 2)


def test_a_cache_that_follows_no_standard_is_named_in_the_error(
    notary: Sandbox, files: str, tmp_path: Path
) -> None:
    """hishel answers every GET from its cache, unless it is told to follow RFC 9111."""
    assert get_by_hishel(notary, files, tmp_path).status_code == 200
    notary.move()
    notary.faults.clock_offset = 3600
    with pytest.raises(LoginError, match=f"Keep {notary.url}{LOOKUP} out of the cache") as caught:
        get_by_hishel(notary, f"{files}?another", tmp_path)
    assert not isinstance(caught.value, CredentialsRefused)


def get_by_hishel(notary: Sandbox, url: str, folder: Path, **options: Any) -> httpx.Response:
    auth = notary_auth.httpx.NotaryAuth(notary.username, notary.password, cloud_url=notary.url)
    storage = hishel.SqliteStorage(database_path=folder / "cache.db")
    with hishel.httpx.CacheClient(storage=storage, auth=auth, verify=False, **options) as client:
        return client.get(url)


# FastAPI: one client for the life of the application


def test_an_application_with_one_shared_client(notary: Sandbox, files: str, httpx_auth: Any) -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with httpx.AsyncClient(auth=httpx_auth, verify=False) as client:
            yield {"notary": client}

    app = FastAPI(lifespan=lifespan)

    async def count(request: Request) -> dict[str, int]:
        client: httpx.AsyncClient = request.state.notary
        answers = await asyncio.gather(*(client.get(files) for _ in range(5)))
        return {"files": sum(len(answer.json()["files"]) for answer in answers)}

    count.__annotations__["request"] = Request
    app.get("/count")(count)
    with TestClient(app) as browser:
        for _ in range(3):
            assert browser.get("/count").json() == {"files": 0}
    assert (notary.count("lookup"), notary.count("login")) == (1, 1)


# OpenTelemetry


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentors = RequestsInstrumentor(), HTTPXClientInstrumentor()
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=provider)
    yield exporter
    for instrumentor in instrumentors:
        instrumentor.uninstrument()


def shown_in(spans: InMemorySpanExporter) -> tuple[list[str], str]:
    """The paths that were called, and all that the spans have."""
    finished = spans.get_finished_spans()
    urls = [
        str(dict(span.attributes or {}).get("http.url") or dict(span.attributes or {})["url.full"])
        for span in finished
    ]
    return [re.sub(r"^https?://[^/]+|\?.*$", "", url) for url in urls], "".join(
        span.to_json() for span in finished
    )


def test_spans_have_no_secret_requests(
    notary: Sandbox, files: str, auth: Any, spans: InMemorySpanExporter
) -> None:
    assert requests.get(files, auth=auth, timeout=30).status_code == 200
    paths, shown = shown_in(spans)
    assert sorted(paths) == sorted([LOOKUP, LOGIN, FILES]), "the control calls are seen too"
    for secret in (notary.password, *tokens_of(notary)):
        assert secret not in shown


def test_spans_have_no_secret_httpx(
    notary: Sandbox, files: str, httpx_auth: Any, spans: InMemorySpanExporter
) -> None:
    with httpx.Client(auth=httpx_auth, verify=False) as client:
        assert client.get(files).status_code == 200
    paths, shown = shown_in(spans)
    assert sorted(paths) == sorted([LOOKUP, LOGIN, FILES])
    for secret in (notary.password, *tokens_of(notary)):
        assert secret not in shown


# Sentry, which sends the local variables of all frames, unfolded


@pytest.fixture
def reports() -> Iterator[list[bytes]]:
    """What Sentry would send, with its defaults."""
    sent: list[bytes] = []

    class Kept(sentry_sdk.transport.Transport):
        def capture_envelope(self, envelope: Any) -> None:
            sent.append(envelope.serialize())

    sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", transport=Kept, default_integrations=False)
    yield sent
    sentry_sdk.init(default_integrations=False)


PASSWORD = "geheim-" + "abcdef"  # in one piece, Sentry would have it from the lines of this file
CUT_OFF = {"Content-Length": "999"}
ENDINGS: list[tuple[int, dict[str, str], str]] = [
    (401, {}, '{"error": "access_denied"}'),
    (401, {}, '{"error": "totp_required"}'),
    (403, {}, "<html>"),
    (200, {}, '{"access_token": "SECRET" "x"}'),
    (200, {}, '{"access_token": "SECRET", "refresh_token": "SECRET", "token_type": "mac"}'),
    (200, CUT_OFF, '{"access_token": "SECRET"'),
]


@pytest.mark.parametrize("client", each(CLIENTS))
@pytest.mark.parametrize(("status", "headers", "body"), ENDINGS)
@pytest.mark.parametrize("is_callable", [False, True])
def test_rule_18_a_report_to_sentry_has_no_secret(
    notary: Sandbox,
    files: str,
    client: Client,
    status: int,
    headers: dict[str, str],
    body: str,
    is_callable: bool,
    reports: list[bytes],
) -> None:
    notary.faults.answer_next(LOGIN, status, headers, body.replace("SECRET", PASSWORD))
    auth = client.auth(notary, password=(lambda: PASSWORD) if is_callable else PASSWORD, offline_access=True)
    with pytest.raises(client.error) as caught:
        client.get(files, auth)
    sentry_sdk.capture_exception(caught.value)
    (report,) = reports
    assert b"notary_auth" in report
    assert PASSWORD.encode() not in report


# What people test with


@responses.activate
def test_responses_answers_the_control_calls_too() -> None:
    responses.get(f"{CLOUD}{LOOKUP}", json=ANSWERS[f"{CLOUD}{LOOKUP}"])
    responses.post(f"{HOME}{LOGIN}", json=ANSWERS[f"{HOME}{LOGIN}"])
    responses.get(
        f"{HOME}{FILES}",
        json={"files": []},
        match=[responses.matchers.header_matcher({"Authorization": "Bearer token-1"})],
    )
    auth = notary_auth.requests.NotaryAuth("JohnSmith", "qwe123QWE")
    for _ in range(2):
        assert requests.get(f"{CLOUD}{FILES}", auth=auth, timeout=9).json() == {"files": []}
    assert [call.request.method for call in responses.calls] == ["GET", "POST", "GET", "GET"]


def test_respx_answers_the_control_calls_too() -> None:
    with respx.mock(assert_all_called=True) as router:
        router.get(f"{CLOUD}{LOOKUP}").respond(json=ANSWERS[f"{CLOUD}{LOOKUP}"])
        login = router.post(f"{HOME}{LOGIN}").respond(json=ANSWERS[f"{HOME}{LOGIN}"])
        files = router.get(f"{HOME}{FILES}", headers={"Authorization": "Bearer token-1"}).respond(
            json={"files": []}
        )
        auth = notary_auth.httpx.NotaryAuth("JohnSmith", "qwe123QWE")
        for _ in range(2):
            assert httpx.get(f"{CLOUD}{FILES}", auth=auth).json() == {"files": []}
    assert (login.call_count, files.call_count) == (1, 2)


# vcrpy: cassettes go into repositories, and must have no password and no token in them


def documented_recorder() -> vcr.VCR:
    """The one of docs/clients.rst, with the filter that keeps secrets out of cassettes."""
    (block,) = [
        block for block in blocks((ROOT / "docs" / "clients.rst").read_text(encoding="utf-8")) if "vcr" in block
    ]
    names: dict[str, Any] = {}
    exec(compile(block, "docs/clients.rst", "exec"), names)
    recorder: vcr.VCR = names["recorder"]
    return recorder


@pytest.mark.parametrize("library", ["requests", "httpx"])
def test_a_cassette_has_no_secret_and_plays_back(
    notary: Sandbox, files: str, auth: Any, httpx_auth: Any, library: str, tmp_path: Path
) -> None:
    recorder = documented_recorder()

    def get(auth: Any) -> int:
        if library == "requests":
            return requests.get(files, auth=auth, timeout=9).status_code
        return httpx.get(files, auth=auth, verify=False).status_code

    cassette = tmp_path / "cassette.yaml"
    ours = auth if library == "requests" else httpx_auth
    with recorder.use_cassette(str(cassette)):
        assert get(ours) == 200
    tape = cassette.read_text()
    for secret in (notary.password, *tokens_of(notary)):
        assert secret not in tape
    notary.clear()
    ours.account.forget()
    with recorder.use_cassette(str(cassette), record_mode="none"):
        assert get(ours) == 200
    assert notary.calls == [], "it came from the tape"
