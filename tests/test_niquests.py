"""What is peculiar to niquests: multiplexed answers over real HTTP/2, asynchronous sessions, hooks and files."""

from __future__ import annotations

import asyncio
import copy
import io
import pickle
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

pytest.importorskip("niquests", reason="the extra test-niquests is not installed: it replaces urllib3 for all")

import niquests
from niquests.extensions.sgi import WebServerGatewayInterface

from notary_auth import Account, CredentialsRefused
from notary_auth.niquests import AsyncNotaryAuth, NotaryAuth
from notary_auth.sandbox import Sandbox

from .core import stored_sizes, token_of, tokens_of
from .http2 import Http2Sandbox


@pytest.fixture
def http2(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    with Http2Sandbox() as sandbox:
        yield sandbox


def session_of(notary: Sandbox, **options: Any) -> niquests.Session:
    session = niquests.Session(**options)
    session.verify = notary.ca_file  # type: ignore[assignment]
    return session


def auth_of(notary: Sandbox, kind: Any = NotaryAuth, **arguments: Any) -> Any:
    return kind(notary.username, notary.password, cloud_url=notary.url, **arguments)


def files_of(notary: Sandbox) -> str:
    return f"{notary.api_url}/stored-files"


def test_it_is_http_2(http2: Sandbox) -> None:
    with session_of(http2) as session:
        answer = session.get(files_of(http2), auth=auth_of(http2, session=session))
    assert (answer.status_code, answer.http_version) == (200, 20)


def test_lazy_answers_are_signed_and_repaired(http2: Sandbox) -> None:
    """The program has its answer in hand before it is there: what was replayed becomes that."""
    with session_of(http2, multiplexed=True) as session:
        auth = auth_of(http2, session=session)
        answers = [session.get(files_of(http2), auth=auth) for _ in range(5)]
        assert all(answer.lazy for answer in answers)
        session.gather()
        assert [answer.status_code for answer in answers] == [200] * 5
        assert http2.count("login") == 1
        http2.revoke_tokens()
        answers = [session.get(files_of(http2), auth=auth) for _ in range(5)]
        session.gather()
        assert [answer.status_code for answer in answers] == [200] * 5
        assert [answer.json()["files"] for answer in answers] == [[]] * 5
        assert {hop.status_code for answer in answers for hop in answer.history} == {401}
        assert http2.count("login") == 2


def test_lazy_answers_of_an_asynchronous_session_are_repaired(http2: Sandbox) -> None:
    async def main() -> None:
        async with niquests.AsyncSession(multiplexed=True) as session:
            session.verify = http2.ca_file  # type: ignore[assignment]
            auth = auth_of(http2, AsyncNotaryAuth, session=session)
            for logins in (1, 2):
                answers = [await session.get(files_of(http2), auth=auth) for _ in range(5)]
                await session.gather()
                assert [answer.status_code for answer in answers] == [200] * 5
                assert http2.count("login") == logins
                http2.revoke_tokens()

    asyncio.run(main())


def test_an_asynchronous_file_is_sent_again_from_its_start(notary: Sandbox, files: str) -> None:
    class AsyncFile:
        def __init__(self, content: bytes) -> None:
            self._file = io.BytesIO(content)

        async def read(self, size: int = -1) -> bytes:
            return self._file.read(size)

        async def __aiter__(self) -> AsyncIterator[bytes]:
            while chunk := self._file.read(16):
                yield chunk

        async def seek(self, *where: int) -> int:
            return self._file.seek(*where)

        async def tell(self) -> int:
            return self._file.tell()

    class HalfAsyncFile(AsyncFile):
        def seek(self, *where: int) -> int:  # type: ignore[override]
            return self._file.seek(*where)

    async def main(file: Any) -> list[int]:
        async with niquests.AsyncSession() as session:
            session.auth = auth_of(notary, AsyncNotaryAuth)
            await session.get(files)
            notary.revoke_tokens()
            body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nsigned\r\n--x--\r\n'
            headers = {"Content-Type": "multipart/form-data; boundary=x"}
            first = await session.post(files, data=file(body), headers=headers)
            second = await session.post(files, data=file(body), headers=headers)
            return [first.status_code, second.status_code]

    for kind in (AsyncFile, HalfAsyncFile):
        first, second = asyncio.run(main(kind))
        assert first in (201, 401), "it is sent whole, or not at all"
        assert second == 201
    assert stored_sizes(notary) == {len(b"signed")}, "nothing went out empty"


def test_an_asynchronous_response_pickles_without_credentials(notary: Sandbox, files: str) -> None:
    async def main() -> Any:
        async with niquests.AsyncSession() as session:
            session.auth = auth_of(notary, AsyncNotaryAuth)
            return await session.get(files)

    pickled = pickle.dumps(asyncio.run(main()))
    for secret in (notary.password, *tokens_of(notary)):
        assert secret.encode() not in pickled
    assert pickle.loads(pickled).status_code == 200


def test_one_account_for_both(notary: Sandbox, files: str) -> None:
    account = Account(notary.username, notary.password, cloud_url=notary.url)
    assert niquests.get(files, auth=NotaryAuth.from_account(account)).status_code == 200

    async def main() -> int:
        async with niquests.AsyncSession() as session:
            session.auth = AsyncNotaryAuth.from_account(account)
            return int((await session.get(files)).status_code)  # type: ignore[arg-type]

    assert asyncio.run(main()) == 200
    assert notary.count("login") == 1


def test_users_hooks_go_on(notary: Sandbox, files: str) -> None:
    seen: list[int] = []
    auth = auth_of(notary)
    niquests.get(files, auth=auth)
    notary.revoke_tokens()
    niquests.get(files, auth=auth, hooks={"response": [lambda answer, **_: seen.append(answer.status_code)]})
    assert seen in ([200], [401]), "once"


def test_the_wrong_session_is_refused() -> None:
    with pytest.raises(TypeError, match=r"session must be a niquests\.Session, not AsyncSession"):
        NotaryAuth("JohnSmith", "x", session=niquests.AsyncSession())
    with pytest.raises(TypeError, match=r"session must be a niquests\.AsyncSession, not Session"):
        AsyncNotaryAuth("JohnSmith", "x", session=niquests.Session())


def test_a_refused_password_is_the_clients_error(notary: Sandbox, files: str) -> None:
    async def main() -> None:
        auth = AsyncNotaryAuth(notary.username, "wrong", cloud_url=notary.url)
        async with niquests.AsyncSession() as session:
            session.auth = auth
            await session.get(files)

    with pytest.raises(CredentialsRefused) as caught:
        asyncio.run(main())
    assert isinstance(caught.value, niquests.RequestException)


def test_copies_share_nothing_but_values(notary: Sandbox) -> None:
    auth = auth_of(notary, AsyncNotaryAuth)
    for other in (copy.copy(auth), copy.deepcopy(auth), pickle.loads(pickle.dumps(auth))):
        assert type(other) is AsyncNotaryAuth
        assert other.account is not auth.account


def test_an_application_in_process_is_signed_for(notary: Sandbox) -> None:
    """Its answers have no connection."""

    def application(environ: dict[str, str], start: Any) -> list[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])
        return [environ.get("HTTP_AUTHORIZATION", "").encode()]

    auth = auth_of(notary)
    with niquests.Session() as session:
        assert session.get(files_of(notary), auth=auth).status_code == 200
        session.mount(f"{notary.data_center_urls[0]}/", WebServerGatewayInterface(application))
        answer = session.get(files_of(notary), auth=auth)
    assert answer.text == token_of(auth.account).authorization


def test_a_synchronous_auth_in_an_asynchronous_session_is_refused_at_the_first_answer(notary: Sandbox) -> None:
    async def main() -> None:
        async with niquests.AsyncSession() as session:
            with pytest.raises(TypeError, match="an AsyncSession takes an AsyncNotaryAuth"):
                await session.get(files_of(notary), auth=auth_of(notary))

    asyncio.run(main())
