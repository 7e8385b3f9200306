"""What is peculiar to httpx and httpx2: flows, time-outs, hooks, transports, event loops."""

from __future__ import annotations

import asyncio
import gc
import io
import threading
import time
import warnings
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from httpx_retries import Retry, RetryTransport

from notary_auth import Account, CredentialsRefused, DiscoveryError, LoginError
from notary_auth.sandbox import Sandbox

from .badserver import BadServer, reply, send
from .clients import HTTPX, Client, HttpxAsync, HttpxAsyncio, HttpxTrio, each, leaves_sockets
from .core import (
    Origin,
    advance,
    current_login,
    look_after_leaders_every,
    make_token_due,
    readdressed,
    somebody_waits,
    tasks_that_wait,
)
from .paths import FILES, LOGIN, LOOKUP
from .waiting import auntil, until

ASYNC = [client for client in HTTPX if isinstance(client, HttpxAsync)]
SYNC = [client for client in HTTPX if not isinstance(client, HttpxAsync)]
ASYNCIO = [client for client in ASYNC if isinstance(client, HttpxAsyncio)]
TRIO = [client for client in ASYNC if isinstance(client, HttpxTrio)]


def waiting_tasks(auth: Any) -> int:
    login = current_login(auth.account)
    return 0 if login is None else tasks_that_wait(login)


def with_transport(client: Client, respond: Any, url: str, auth: Any, **options: Any) -> Any:
    """Get `url` through a MockTransport."""
    transport = client.library.MockTransport(respond)
    if not isinstance(client, HttpxAsync):
        with client.library.Client(transport=transport, auth=auth, **options) as http:
            return http.get(url)

    async def get() -> Any:
        async with client.library.AsyncClient(transport=transport, auth=auth, **options) as http:
            return await http.get(url)

    return client.run(get)


def mock_platform(client: Client, requests: list[Any]) -> Any:
    """The least that a user's own MockTransport has to answer."""

    def respond(request: Any) -> Any:
        request.form = request.read() if request.method == "POST" else b""  # it is gone when the login is over
        requests.append(request)
        replies = {
            LOOKUP: {"server_url": "https://eu2-cloud.acronis.com"},
            LOGIN: {"access_token": "token-1", "token_type": "bearer", "expires_in": 7200},
        }
        return client.library.Response(200, json=replies.get(request.url.path, {"files": []}))

    return respond


@pytest.mark.parametrize("client", each(HTTPX))
def test_rule_11_control_calls_go_through_the_users_transport_with_its_timeout(client: Client) -> None:
    requests: list[Any] = []
    auth = client.auth_type("JohnSmith", "qwe123QWE")
    url = f"https://cloud.acronis.com{FILES}"
    timeout = client.library.Timeout(1.0, read=2.0)
    response = with_transport(client, mock_platform(client, requests), url, auth, timeout=timeout)
    assert response.json() == {"files": []}
    assert [request.url.path for request in requests] == [LOOKUP, LOGIN, FILES]
    assert all(request.extensions["timeout"] == timeout.as_dict() for request in requests)
    assert requests[2].headers["authorization"] == "Bearer token-1"
    assert requests[2].headers["host"] == "eu2-cloud.acronis.com"
    assert requests[1].form.startswith(b"grant_type=password&username=JohnSmith&password=")


@pytest.mark.parametrize("client", each(HTTPX))
def test_a_request_without_a_timeout_gives_its_control_calls_none(client: Client) -> None:
    requests: list[Any] = []
    auth = client.auth_type("JohnSmith", "qwe123QWE")
    url = f"https://cloud.acronis.com{FILES}"
    with_transport(client, mock_platform(client, requests), url, auth, timeout=None)
    assert requests[0].extensions["timeout"] == requests[2].extensions["timeout"]


@pytest.mark.parametrize("client", each(HTTPX))
def test_an_event_hook_sees_control_calls_and_may_read_them(client: Client, notary: Sandbox, files: str) -> None:
    seen: list[tuple[str, bytes]] = []

    def note(response: Any) -> None:
        seen.append((response.request.url.path, response.read()))

    async def anote(response: Any) -> None:
        seen.append((response.request.url.path, await response.aread()))

    auth = client.auth(notary)
    if isinstance(client, HttpxAsync):

        async def get() -> Any:
            async with client.library.AsyncClient(event_hooks={"response": [anote]}, verify=False) as http:
                return await http.get(files, auth=auth)

        assert client.run(get).status_code == 200
    else:
        with client.library.Client(event_hooks={"response": [note]}, verify=False) as http:
            assert http.get(files, auth=auth).status_code == 200
    assert [path for path, _ in seen] == [LOOKUP, LOGIN, FILES]
    assert b"server_url" in seen[0][1]


@pytest.mark.parametrize("client", each(HTTPX))
def test_the_token_reply_is_not_kept(client: Client, notary: Sandbox, files: str) -> None:
    responses: list[Any] = []

    async def akeep(response: Any) -> None:
        responses.append(response)

    auth = client.auth(notary)
    if isinstance(client, HttpxAsync):

        async def get() -> Any:
            async with client.library.AsyncClient(event_hooks={"response": [akeep]}, verify=False) as http:
                return await http.get(files, auth=auth)

        client.run(get)
    else:
        with client.library.Client(event_hooks={"response": [responses.append]}, verify=False) as http:
            http.get(files, auth=auth)
    assert [response.content for response in responses[:2]] == [b"", b""]


@pytest.mark.parametrize("client", each(HTTPX))
def test_cookies_of_the_cloud_do_not_come_along(client: Client) -> None:
    requests: list[Any] = []
    auth = client.auth_type("JohnSmith", "qwe123QWE")
    jar = client.library.Cookies()
    jar.set("cloud", "1", domain="cloud.acronis.com")
    url = f"https://cloud.acronis.com{FILES}"
    for _ in range(2):
        with_transport(client, mock_platform(client, requests), url, auth, cookies=jar)
        assert "cookie" not in requests[-1].headers
    with_transport(client, mock_platform(client, requests), url, None, cookies=jar)
    assert requests[-1].headers["cookie"] == "cloud=1"


@pytest.mark.parametrize("client", each(HTTPX))
def test_a_network_error_is_httpx_own_and_frees_the_leadership(client: Client, own_notary: Sandbox) -> None:
    auth = client.auth(own_notary)
    url = f"{own_notary.api_url}/stored-files"
    own_notary.stop()
    for _ in range(2):
        with pytest.raises(client.library.ConnectError):
            client.get(url, auth)
    assert current_login(auth.account) is None


@pytest.mark.parametrize("client", each(HTTPX))
@pytest.mark.parametrize("looks_like", [{}, {"fields": []}, {"_stream": b""}])
def test_rule_16_a_body_of_the_users_own_making_is_not_sent_twice(
    client: Client, notary: Sandbox, files: str, looks_like: dict[str, Any]
) -> None:
    auth = client.auth(notary)
    client.get(files, auth)
    notary.revoke_tokens()

    class Stream(client.library.SyncByteStream, client.library.AsyncByteStream):  # type: ignore[misc,name-defined]
        def __iter__(self) -> Any:
            yield b"x"

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"x"

    stream = Stream()
    vars(stream).update(looks_like)
    url = notary.data_center_urls[0] + FILES
    request = client.library.Request("POST", url, stream=stream, headers={"Host": "x", "Content-Length": "1"})
    if isinstance(client, HttpxAsync):

        async def send() -> Any:
            async with client.library.AsyncClient(verify=False) as http:
                return await http.send(request, auth=auth)

        assert client.run(send).status_code == 401
    else:
        with client.library.Client(verify=False) as http:
            assert http.send(request, auth=auth).status_code == 401


@pytest.mark.parametrize("client", each(ASYNCIO))
@leaves_sockets
def test_rule_7_a_cancelled_leader_hands_over(client: HttpxAsync, notary: Sandbox, files: str) -> None:
    notary.faults.held.add(LOGIN)
    auth = client.auth(notary)

    async def main() -> list[Any]:
        async with client.library.AsyncClient(auth=auth, verify=False) as http:
            leader = asyncio.create_task(http.get(files))
            await auntil(lambda: LOGIN in notary.pending)
            others = [asyncio.create_task(http.get(files)) for _ in range(5)]
            await auntil(lambda: waiting_tasks(auth) == 5)
            leader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leader
            notary.faults.held.clear()
            return await asyncio.gather(*others)

    assert [response.status_code for response in client.run(main)] == [200] * 5
    assert notary.count("login") <= 2


@pytest.mark.parametrize("client", each(ASYNC))
@leaves_sockets
def test_rule_7_a_leader_out_of_time_hands_over(client: HttpxAsync, notary: Sandbox, files: str) -> None:
    notary.faults.held.add(LOGIN)
    auth = client.auth(notary)
    answers: list[int] = []

    async def main() -> None:
        async with client.library.AsyncClient(auth=auth, verify=False) as http, anyio.create_task_group() as tasks:
            its_time = anyio.CancelScope()

            async def lead() -> None:
                with its_time:
                    await http.get(files)

            async def follow() -> None:
                answers.append((await http.get(files)).status_code)

            tasks.start_soon(lead)
            await auntil(lambda: LOGIN in notary.pending)
            for _ in range(5):
                tasks.start_soon(follow)
            await auntil(lambda: somebody_waits(auth.account))
            its_time.deadline = anyio.current_time()
            await auntil(lambda: its_time.cancelled_caught)
            notary.faults.held.clear()

    client.run(main)
    assert answers == [200] * 5


@pytest.mark.parametrize("client", each(ASYNCIO))
@leaves_sockets
def test_rule_7_a_leader_that_wait_for_gives_up_hands_over(
    client: HttpxAsync, notary: Sandbox, files: str
) -> None:
    notary.faults.held.add(LOGIN)
    auth = client.auth(notary)

    async def main() -> list[Any]:
        async with client.library.AsyncClient(auth=auth, verify=False) as http:
            leader = asyncio.create_task(asyncio.wait_for(http.get(files), 0.2))
            others = [asyncio.create_task(http.get(files)) for _ in range(5)]
            with pytest.raises(asyncio.TimeoutError):
                await leader
            notary.faults.held.clear()
            return await asyncio.gather(*others)

    assert [response.status_code for response in client.run(main)] == [200] * 5


@pytest.mark.parametrize("client", each(ASYNC))
@leaves_sockets
def test_rule_7_a_waiting_task_that_is_cancelled_leaves_the_others_waiting(
    client: HttpxAsync, notary: Sandbox, files: str
) -> None:
    notary.faults.held.add(LOGIN)
    auth = client.auth(notary)
    answers: list[int] = []
    given_up: list[float] = []

    async def main() -> None:
        async with client.library.AsyncClient(auth=auth, verify=False) as http, anyio.create_task_group() as tasks:

            async def get(limit: float) -> None:
                with anyio.move_on_after(limit) as scope:
                    answers.append((await http.get(files)).status_code)
                if scope.cancelled_caught:
                    given_up.append(limit)

            tasks.start_soon(get, 30)
            await auntil(lambda: LOGIN in notary.pending)
            for limit in (0.05, 0.05, 30):
                tasks.start_soon(get, limit)
            await auntil(lambda: len(given_up) == 2)
            notary.faults.held.clear()

    client.run(main)
    assert answers == [200, 200]
    assert notary.count("login") == 1


@pytest.mark.parametrize("client", each(ASYNCIO))
@leaves_sockets
def test_rule_7_a_leader_whose_loop_was_closed_is_found_out(
    client: HttpxAsync, notary: Sandbox, files: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_after_leaders_every(monkeypatch, 0.2)
    notary.faults.held.add(LOGIN)
    auth = client.auth(notary)
    loop = asyncio.new_event_loop()
    http = client.library.AsyncClient(auth=auth, verify=False)
    leader = loop.create_task(http.get(files))

    loop.run_until_complete(auntil(lambda: LOGIN in notary.pending))
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(client.get, files, auth) for _ in range(2)]
        until(lambda: somebody_waits(auth.account))
        loop.close()  # with the leader in it, which is held on to
        notary.faults.held.clear()
        assert client.get(files, auth).status_code == 200
        assert [each.result().status_code for each in waiting] == [200, 200]
    del leader, http


@pytest.mark.parametrize("client", each(ASYNCIO))
@pytest.mark.parametrize("where", ["in this thread", "in another thread"])
@leaves_sockets
def test_rule_8_a_leader_whose_loop_is_stopped_is_not_waited_for(
    client: HttpxAsync, notary: Sandbox, files: str, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """As of a script that leaves a task behind in a loop that it goes on with later, or never."""
    look_after_leaders_every(monkeypatch, 0.2)
    notary.faults.held.add(LOGIN)
    auth = client.auth(notary)
    loop = asyncio.new_event_loop()
    http = client.library.AsyncClient(auth=auth, verify=False)
    leader = loop.create_task(http.get(files))
    loop.run_until_complete(auntil(lambda: LOGIN in notary.pending))
    notary.faults.held.clear()
    if where == "in this thread":
        answers = client.at_once([files] * 10, auth)
    else:
        with ThreadPoolExecutor(1) as pool:
            answers = pool.submit(client.at_once, [files] * 10, auth).result(20)
    assert [answer.status_code for answer in answers] == [200] * 10
    assert notary.count("login") == 2, "the leader's, and one for all others"
    assert loop.run_until_complete(leader).status_code == 200, "it may go on"
    loop.run_until_complete(http.aclose())
    loop.close()
    assert notary.count("login") == 2


@pytest.mark.parametrize("leads", each(client for client in HTTPX if client.is_async))
def test_rule_8_a_leader_whose_loop_answers_is_waited_for(
    leads: HttpxAsync, notary: Sandbox, files: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_after_leaders_every(monkeypatch, 0.05)
    notary.faults.held.add(LOGIN)
    auth = leads.auth(notary)
    with ThreadPoolExecutor(3) as pool:
        leader = pool.submit(leads.get, files, auth)
        until(lambda: LOGIN in notary.pending)
        waiting = [pool.submit(leads.get, files, auth) for _ in range(2)]
        until(lambda: somebody_waits(auth.account))
        time.sleep(0.6)  # far longer than a loop may leave a question unanswered
        notary.faults.held.clear()
        assert [each.result(20).status_code for each in (leader, *waiting)] == [200] * 3
    assert notary.count("login") == 1


@pytest.mark.parametrize("client", each(ASYNCIO))
def test_rule_8_a_leader_whose_loop_waits_for_another_loop_is_not_waited_for(
    client: HttpxAsync, notary: Sandbox, files: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a cell of a notebook that runs a coroutine in a worker thread and waits for its result."""
    look_after_leaders_every(monkeypatch, 0.2)
    notary.faults.held.add(LOGIN)
    auth = client.auth(notary)

    async def main() -> list[int]:
        async with client.library.AsyncClient(auth=auth, verify=False) as http:
            leader = asyncio.create_task(http.get(files))
            await auntil(lambda: LOGIN in notary.pending)
            notary.faults.held.clear()
            with ThreadPoolExecutor(1) as pool:
                blocking = pool.submit(client.get, files, auth).result(20).status_code
            return [blocking, (await leader).status_code]

    assert asyncio.run(main()) == [200, 200]
    assert notary.count("login") == 2


def test_rule_8_a_synchronous_call_on_the_leaders_own_loop_logs_in_by_itself(notary: Sandbox, files: str) -> None:
    import requests

    import notary_auth.requests

    notary.faults.held.add(LOGIN)
    account = Account(notary.username, notary.password, cloud_url=notary.url)
    auth = notary_auth.httpx.NotaryAuth.from_account(account)
    sync_auth = notary_auth.requests.NotaryAuth.from_account(account)

    def let_go_when_both_are_there() -> None:
        until(lambda: notary.pending.count(LOGIN) == 2)
        notary.faults.held.clear()

    async def main() -> tuple[int, int, int]:
        async with httpx.AsyncClient(auth=auth, verify=False) as http:
            leader = asyncio.create_task(http.get(files))
            await auntil(lambda: LOGIN in notary.pending)
            threading.Thread(target=let_go_when_both_are_there, daemon=True).start()
            blocking = requests.get(files, auth=sync_auth, timeout=10).status_code
            with httpx.Client(auth=auth, verify=False) as sync_http:
                also_blocking = sync_http.get(files).status_code
            return blocking, also_blocking, (await leader).status_code

    assert asyncio.run(main()) == (200, 200, 200)
    assert notary.count("login") == 2


@pytest.mark.parametrize("client", each(ASYNC))
def test_a_hook_that_uses_the_same_auth_does_not_wait_for_itself(
    client: HttpxAsync, notary: Sandbox, files: str
) -> None:
    auth = client.auth(notary)
    inner: list[int] = []

    async def main() -> int:
        async def ask_as_well(request: Any) -> None:
            if request.url.path == LOGIN and not inner:
                inner.append(0)
                async with client.library.AsyncClient(auth=auth, verify=False) as other:
                    inner.append((await other.get(files)).status_code)

        async with client.library.AsyncClient(
            auth=auth, event_hooks={"request": [ask_as_well]}, verify=False
        ) as http:
            return int((await http.get(files)).status_code)

    assert client.run(main) == 200
    assert inner == [0, 200]


@pytest.mark.parametrize("client", each(ASYNC))
def test_rule_8_a_hook_that_asks_in_another_task_does_not_wait_for_itself(
    client: HttpxAsync, notary: Sandbox, files: str
) -> None:
    auth = client.auth(notary)
    inner: list[int] = []

    async def ask_as_well(request: Any) -> None:
        if request.url.path != LOGIN or inner:
            return
        inner.append(0)

        async def ask() -> None:
            async with client.library.AsyncClient(auth=auth, verify=False) as other:
                inner.append((await other.get(files)).status_code)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)

    async def main() -> int:
        async with client.library.AsyncClient(
            auth=auth, event_hooks={"request": [ask_as_well]}, verify=False
        ) as http:
            return int((await http.get(files)).status_code)

    assert client.run(main) == 200
    assert inner == [0, 200]


@pytest.mark.parametrize("client", each(HTTPX))
def test_rule_8_a_password_callable_that_uses_the_same_account_does_not_wait_for_itself(
    client: Client, notary: Sandbox, files: str
) -> None:
    """It asks a vault, with a client that has ``auth=`` set for all it does."""
    import requests

    import notary_auth.requests

    def password() -> str:
        vault_auth = notary_auth.requests.NotaryAuth.from_account(auth.account)
        assert requests.get(f"{notary.foreign_url}/vault", auth=vault_auth).status_code == 200
        return notary.password

    auth = client.auth(notary, password=password)
    assert client.get(files, auth).status_code == 200


@pytest.mark.parametrize("client", each(SYNC))
def test_rule_8_a_hook_that_uses_the_same_auth_does_not_wait_for_its_own_thread(
    client: Client, notary: Sandbox, files: str
) -> None:
    auth = client.auth(notary)
    inner: list[int] = []

    def ask_as_well(request: Any) -> None:
        if request.url.path == LOGIN and not inner:
            inner.append(0)
            inner.append(client.get(files, auth).status_code)

    with client.library.Client(auth=auth, event_hooks={"request": [ask_as_well]}, verify=False) as http:
        assert http.get(files).status_code == 200
    assert inner == [0, 200]


@pytest.mark.parametrize("client", each(ASYNC))
def test_rule_6_the_event_loop_is_not_blocked_by_a_login(client: HttpxAsync, notary: Sandbox, files: str) -> None:
    """What the login waits for is done by the loop itself: a loop that waited for the login would never do it."""
    notary.faults.held.add(LOGIN)
    loop_goes_on = threading.Event()

    def slow_password() -> str:
        assert loop_goes_on.wait(20)
        return notary.password

    auth = client.auth(notary, password=slow_password)

    async def main() -> None:
        async with client.library.AsyncClient(auth=auth, verify=False) as http, anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(http.get, files)
            await anyio.sleep(0.01)
            loop_goes_on.set()
            await auntil(lambda: LOGIN in notary.pending)
            notary.faults.held.clear()

    client.run(main)
    assert (notary.count("login"), notary.count("request")) == (1, 20)


@pytest.mark.parametrize("client", each(HTTPX))
@pytest.mark.parametrize("status", [307, 308])
def test_rule_5_a_hook_that_reads_the_login_does_not_make_it_repeatable(
    client: Client, notary: Sandbox, files: str, status: int
) -> None:
    read: list[bytes] = []

    async def aread(request: Any) -> None:
        read.append(await request.aread())

    auth = client.auth(notary)

    def get() -> None:
        if isinstance(client, HttpxAsync):
            client.run(partial(_get_async, client, files, auth, {"request": [aread]}))
            return
        hooks = {"request": [lambda request: read.append(request.read())]}
        with client.library.Client(follow_redirects=True, event_hooks=hooks, verify=False) as http:
            http.get(files, auth=auth)

    for _ in range(2):  # for a login, and for a refresh
        notary.faults.answer_next(LOGIN, status, {"Location": f"{notary.foreign_url}/steal"})
        with pytest.raises(client.error, match="redirect"):
            get()
        assert client.get(files, auth).status_code == 200
        advance(auth.account, 7200 - 100)
    assert any(b"password=" in body for body in read)
    assert [call.body_size for call in notary.calls if call.host == "foreign host"] in ([], [0], [0, 0])


class RetryingTransport:
    """What many a program has around its transport: repeats whatever is answered by a 503, and POST as well."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def handle_request(self, request: Any) -> Any:
        for _ in range(3):
            response = self._transport.handle_request(request)
            if response.status_code != 503:
                break
            response.close()
        return response

    async def handle_async_request(self, request: Any) -> Any:
        for _ in range(3):
            response = await self._transport.handle_async_request(request)
            if response.status_code != 503:
                break
            await response.aclose()
        return response

    def close(self) -> None:
        self._transport.close()

    async def aclose(self) -> None:
        await self._transport.aclose()

    def __enter__(self) -> RetryingTransport:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    async def __aenter__(self) -> RetryingTransport:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()


def get_with(client: Client, transport: Any, url: str, auth: Any, **options: Any) -> Any:
    """Get `url` through a transport of the user's."""
    if not isinstance(client, HttpxAsync):
        with client.library.Client(transport=transport, auth=auth, **options) as http:
            return http.get(url)

    async def get() -> Any:
        async with client.library.AsyncClient(transport=transport, auth=auth, **options) as http:
            return await http.get(url)

    return client.run(get)


@pytest.mark.parametrize("client", each(HTTPX))
@pytest.mark.parametrize("path", [LOOKUP, LOGIN])
def test_rule_25_a_transport_may_repeat_a_control_request(client: Client, path: str) -> None:
    with BadServer() as server:
        server.once[path] = send(reply(status=503))
        kind = client.library.AsyncHTTPTransport if client.is_async else client.library.HTTPTransport
        auth = client.auth_type("JohnSmith", "qwe123QWE", cloud_url=server.url)
        response = get_with(client, RetryingTransport(kind()), f"{server.url}{FILES}", auth)
        assert response.status_code == 200
        assert sorted(server.paths) == sorted([LOOKUP, LOGIN, FILES, path])


@leaves_sockets  # old versions of httpx-retries leave the answer open that they do not take
@pytest.mark.parametrize("client", each(client for client in HTTPX if client.name in ("httpx", "httpx-asyncio")))
def test_rule_25_httpx_retries_may_repeat_a_login(client: Client) -> None:
    with BadServer() as server:
        server.once[LOGIN] = send(reply(status=503))
        retry = Retry(total=3, allowed_methods=["GET", "POST"], backoff_factor=0.01)
        auth = client.auth_type("JohnSmith", "qwe123QWE", cloud_url=server.url)
        response = get_with(client, RetryTransport(retry=retry), f"{server.url}{FILES}", auth)
        assert response.status_code == 200
        assert server.paths == [LOOKUP, LOGIN, LOGIN, FILES]


@pytest.mark.parametrize("client", each(HTTPX))
@pytest.mark.parametrize("status", [307, 308])
def test_rule_5_a_login_is_sent_nowhere_else_by_a_transport_that_tells_nothing(
    client: Client, status: int
) -> None:
    posted: list[str] = []

    def respond(request: Any) -> Any:
        if b"qwe123QWE" in request.read():
            posted.append(request.url.host)
        if request.url.path == LOGIN:
            return client.library.Response(status, headers={"Location": "https://evil.example/steal"})
        return client.library.Response(200, json={"server_url": "https://eu2-cloud.acronis.com"})

    auth = client.auth_type("JohnSmith", "qwe123QWE")
    with pytest.raises(LoginError, match="redirect"):
        with_transport(client, respond, f"https://cloud.acronis.com{FILES}", auth, follow_redirects=True)
    assert set(posted) <= {"eu2-cloud.acronis.com"}


async def _get_async(client: Client, url: str, auth: Any, hooks: dict[str, Any]) -> Any:
    async with client.library.AsyncClient(follow_redirects=True, event_hooks=hooks, verify=False) as http:
        return await http.get(url, auth=auth)


@pytest.mark.parametrize("client", each(HTTPX))
@pytest.mark.parametrize(
    ("status", "kind", "sent"), [(400, CredentialsRefused, 1), (401, CredentialsRefused, 1), (403, LoginError, 3)]
)
def test_rule_9_a_hook_that_raises_at_the_refusal_does_not_hide_it(
    client: Client, notary: Sandbox, files: str, status: int, kind: type[LoginError], sent: int
) -> None:
    """A 403 is not about the password, but it counts as an answer."""
    notary.faults.answer_next(LOGIN, status, {}, '{"error": "access_denied"}', times=9)

    async def araise(response: Any) -> None:
        response.raise_for_status()

    auth = client.auth(notary, password="wrong")

    def get() -> None:
        if isinstance(client, HttpxAsync):
            client.run(partial(_get_async, client, files, auth, {"response": [araise]}))
            return
        hooks = {"response": [lambda response: response.raise_for_status()]}
        with client.library.Client(event_hooks=hooks, verify=False) as http:
            http.get(files, auth=auth)

    for _ in range(sent):
        with pytest.raises(client.library.HTTPStatusError):
            get()
    for _ in range(6):
        with pytest.raises(kind):
            get()
    assert notary.count("login") == sent


@pytest.mark.parametrize("client", each(HTTPX))
@pytest.mark.parametrize("status", [400, 401, 403, 407])
def test_rule_9_a_proxy_that_refuses_a_connection_has_not_refused_the_password(
    client: Client, status: int
) -> None:
    """Its answer to CONNECT is traced like one of the platform's, which was not even reached."""
    with BadServer() as cloud, BadServer() as proxy:
        cloud.faults[LOOKUP] = send(reply({"server_url": "https://dc.example"}))
        proxy.faults["dc.example:443"] = send(reply(status=status))
        auth = client.auth_type("JohnSmith", "qwe123QWE", cloud_url=cloud.url)
        kind = client.library.AsyncHTTPTransport if client.is_async else client.library.HTTPTransport

        async def get() -> None:
            mounts = {"https://": kind(proxy=client.library.Proxy(proxy.url), verify=False)}
            async with client.library.AsyncClient(mounts=mounts, auth=auth) as http:
                await http.get(cloud.url + FILES)

        def get_sync() -> None:
            mounts = {"https://": kind(proxy=client.library.Proxy(proxy.url), verify=False)}
            with client.library.Client(mounts=mounts, auth=auth) as http:
                http.get(cloud.url + FILES)

        for _ in range(2):
            with pytest.raises(client.library.ProxyError):
                client.run(get) if isinstance(client, HttpxAsync) else get_sync()


@pytest.mark.parametrize("client", each(HTTPX))
@pytest.mark.parametrize("traces", [True, False])
def test_a_hook_that_replaces_the_extensions_does_not_hide_a_network_error(
    client: Client, own_notary: Sandbox, traces: bool
) -> None:
    def trace(request: Any) -> None:
        request.extensions = {"trace": lambda *_: None} if traces else {}

    async def ignore(*_: Any) -> None:
        pass

    async def atrace(request: Any) -> None:
        request.extensions = {"trace": ignore} if traces else {}

    auth = client.auth(own_notary)
    url = own_notary.api_url
    own_notary.stop()

    def get() -> None:
        if isinstance(client, HttpxAsync):
            client.run(partial(_get_async, client, url, auth, {"request": [atrace]}))
            return
        with client.library.Client(event_hooks={"request": [trace]}, verify=False) as http:
            http.get(url, auth=auth)

    with pytest.raises(client.library.ConnectError):
        get()


@pytest.mark.parametrize("client", each(SYNC))
def test_rule_12_no_more_of_a_reply_is_read_than_it_takes(client: Client) -> None:
    taken: list[int] = []

    class Endless(client.library.SyncByteStream):  # type: ignore[misc,name-defined]
        def __iter__(self) -> Any:
            while len(taken) < 1000:
                taken.append(1)
                yield b" " * 65536

    auth = client.auth_type("JohnSmith", "qwe123QWE")
    url = f"https://cloud.acronis.com{FILES}"
    with pytest.raises(DiscoveryError, match="larger than 1 MiB"):
        with_transport(client, lambda _: client.library.Response(200, stream=Endless()), url, auth)
    assert len(taken) <= 18


@pytest.mark.parametrize("client", each(SYNC))
def test_rule_16_a_file_sent_in_part_is_not_sent_from_its_start(
    client: Client, notary: Sandbox, files: str
) -> None:
    auth = client.auth(notary)
    client.get(files, auth)
    notary.revoke_tokens()
    content = io.BytesIO(b"A" * 1000 + b"B" * 1000)
    content.seek(1000)
    response = client.send("POST", files, auth=auth, content=content, headers={"Content-Length": "1000"})
    assert response.status_code == 401
    assert notary.count("login") == 1


@pytest.mark.parametrize("client", each(HTTPX))
def test_a_flow_that_cannot_wait_is_refused(client: Client, notary: Sandbox) -> None:
    with pytest.raises(TypeError, match="sync_auth_flow or async_auth_flow"):
        client.auth(notary).auth_flow(client.library.Request("GET", notary.url))


@pytest.mark.parametrize("client", each(ASYNC))
def test_rule_16_an_asynchronous_file_is_not_sent_again(
    client: HttpxAsync, notary: Sandbox, files: str, tmp_path: Path
) -> None:
    (tmp_path / "content").write_bytes(b"x" * 1000)
    auth = client.auth(notary)

    async def upload() -> int:
        async with client.library.AsyncClient(auth=auth, verify=False) as http:
            assert (await http.get(files)).status_code == 200
            notary.revoke_tokens()
            async with await anyio.open_file(tmp_path / "content", "rb") as content:
                answer = await http.post(files, content=content, headers={"Content-Length": "1000"})
                return int(answer.status_code)

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert client.run(upload) == 401
        gc.collect()
    assert [each for each in warned if "never awaited" in str(each.message)] == []


@pytest.mark.parametrize("client", each(SYNC))
def test_a_flow_works_by_hand_as_other_libraries_drive_it(client: Client, notary: Sandbox, files: str) -> None:
    library = client.library
    flow = client.auth(notary).sync_auth_flow(library.Request("GET", files))
    with library.Client(verify=False) as http:
        request = next(flow)
        paths = []
        while True:
            paths.append(request.url.path)
            response = http.send(request, auth=None, stream=True)
            try:
                request = flow.send(response)
            except StopIteration:
                break
            response.close()
        response.close()
    assert paths == [LOOKUP, LOGIN, FILES]


@pytest.mark.parametrize("client", each(HTTPX))
def test_a_busy_platform_under_each_event_loop_is_waited_for(client: Client, notary: Sandbox, files: str) -> None:
    notary.faults.answer_next(LOOKUP, 503, {"Retry-After": "0"}, times=3)
    with pytest.raises(DiscoveryError, match="503"):
        client.get(files, client.auth(notary))
    notary.faults.answer_next(LOGIN, 429, {"Retry-After": "0"}, times=3)
    with pytest.raises(LoginError, match="429"):
        client.get(files, client.auth(notary))


@pytest.mark.parametrize("client", each(SYNC))
def test_an_event_hooks_own_error_is_raised_where_a_refresh_ahead_is_hidden_by_it(
    client: Client, notary: Sandbox, files: str
) -> None:
    auth = client.auth(notary)
    client.get(files, auth)
    make_token_due(auth.account)
    notary.faults.answer_next(LOGIN, 500, {}, b"")  # the next login looks up again
    assert client.get(files, auth).status_code == 200
    make_token_due(auth.account)
    notary.faults.answer_next(LOOKUP, 403, {}, b"")
    hooks = {"response": [lambda response: response.raise_for_status()]}
    with (
        client.library.Client(auth=auth, event_hooks=hooks, verify=False) as http,
        pytest.raises(client.library.HTTPStatusError),
    ):
        http.get(files)


@pytest.mark.parametrize("client", each(HTTPX))
def test_an_event_hook_may_replace_the_body_of_a_login(client: Client) -> None:
    requests: list[Any] = []
    library: Any = client.library

    def add_a_field(request: Any) -> None:
        if request.method == "POST":
            body = request.read() + b"&device=1"
            request.stream = library.ByteStream(body)
            request.headers["Content-Length"] = str(len(body))

    async def aadd_a_field(request: Any) -> None:
        add_a_field(request)

    def respond(request: Any) -> Any:
        if request.method == "POST":
            requests.append(b"".join(request.stream))
        return mock_platform(client, [])(request)

    hook = aadd_a_field if isinstance(client, HttpxAsync) else add_a_field
    auth = client.auth_type("JohnSmith", "qwe123QWE")
    url = f"https://cloud.acronis.com{FILES}"
    with_transport(client, respond, url, auth, event_hooks={"request": [hook]})
    assert [form.endswith(b"&device=1") for form in requests] == [True]


@pytest.mark.parametrize("client", each(HTTPX))
def test_rule_18_a_login_that_failed_can_not_be_sent_again(client: Client) -> None:
    """An error has its request, from which the password is gone; and an API client's secret too."""
    library: Any = client.library

    def fail(request: Any) -> Any:
        if request.method == "POST":
            raise library.ConnectError("no route", request=request)
        return mock_platform(client, [])(request)

    url = f"https://cloud.acronis.com{FILES}"
    for auth in (
        client.auth_type("JohnSmith", "qwe123QWE"),
        client.auth_type.for_client("client-1", "qwe123QWE", server_url="https://eu2-cloud.acronis.com"),
    ):
        with pytest.raises(library.ConnectError) as caught:
            with_transport(client, fail, url, auth)
        request = caught.value.request
        assert "authorization" not in request.headers
        assert request.read() == b""
        with pytest.raises(RuntimeError, match="this control request is over"):
            list(request.stream)


@pytest.mark.parametrize("client", each(HTTPX))
@pytest.mark.parametrize("home", ["https://eu2-cloud.acronis.com", "http://127.0.0.1:8080", "https://[::1]:1"])
@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/a%2Fb/c d?x=%20+ü&y#f g",
        "/?",
        "/#",
        "//evil.example/x",
        "/a/../b;c=d",
        "/ü%C3%BC%zz?a=b?c",
        "/x:y@z",
    ],
)
def test_rule_3_a_readdressed_url_is_what_reading_it_gives(client: Client, home: str, path: str) -> None:
    library: Any = client.library
    url = library.URL("https://user:secret@cloud.acronis.com:444" + path)
    to = Origin.of_base_url(home).readdress(str(url))
    quick, public = readdressed(url, to), library.URL(to)
    assert (quick, str(quick), repr(quick), hash(quick)) == (public, to, repr(public), hash(public))
    for part in ("raw_scheme", "userinfo", "raw_host", "port", "netloc", "raw_path", "fragment"):
        assert getattr(quick, part) == getattr(public, part)


@pytest.mark.parametrize("client", each(HTTPX))
def test_a_url_without_the_private_attribute_is_read(client: Client) -> None:
    class Other(str):
        """Another kind of URL than today's."""

    assert readdressed(Other("https://cloud.example/x"), "https://eu2.example/x") == "https://eu2.example/x"
