"""What is peculiar to aiohttp: how it follows redirects, sends requests again, and waits for a 100."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from notary_auth.aiohttp import NotaryAuth
from notary_auth.sandbox import Sandbox

from .badserver import BadServer, send

CHOSEN = "/api/notary/v2/chosen-by-another-host"


async def plainly(request: Any, handler: Any) -> Any:
    return await handler(request)


async def sent_twice(request: Any, handler: Any) -> Any:
    """A middleware that sends again what got a server's error."""
    response = await handler(request)
    return await handler(request) if response.status == 503 else response


async def in_a_task(request: Any, handler: Any) -> Any:
    return await asyncio.create_task(handler(request))


def get(auth: NotaryAuth, *urls: str, outer: Any = plainly, session: Any = None, **options: Any) -> list[int]:
    """The statuses that one task gets for these URLs, one after the other."""

    async def get_all() -> list[int]:
        statuses = []
        async with aiohttp.ClientSession(middlewares=(outer, auth), **(session or {})) as http:
            for url in urls:
                async with http.get(url, **options) as response:
                    await response.read()
                    statuses.append(response.status)
        return statuses

    return asyncio.run(get_all())


def auth_of(notary: Sandbox) -> NotaryAuth:
    return NotaryAuth(notary.username, notary.password, cloud_url=notary.url)


# Redirects of another host (rule 5)


@pytest.mark.parametrize("header", ["Location", "URI"])
@pytest.mark.parametrize("outer", [plainly, sent_twice, in_a_task], ids=lambda each: each.__name__)
def test_rule_5_nothing_is_signed_that_another_host_has_led_to(
    outer: Callable[..., Awaitable[Any]], header: str, notary: Sandbox, files: str
) -> None:
    auth = auth_of(notary)
    target = f"{notary.data_center_urls[0]}{CHOSEN}"
    notary.faults.answer_next("/x", 302, {header: target}, host="foreign host")
    notary.faults.answer_next(CHOSEN, 503)
    assert get(auth, files, f"{notary.foreign_url}/x", files, outer=outer)[::2] == [200, 200]
    assert [call.is_signed for call in notary.calls if call.path == CHOSEN] == [False] * (
        1 + (outer is sent_twice)
    )


def test_rule_5_what_another_host_has_led_to_is_not_signed_when_aiohttp_sends_it_again(notary: Sandbox) -> None:
    with BadServer() as platform:
        auth = NotaryAuth("u", "p", cloud_url=platform.url)
        notary.faults.answer_next("/x", 302, {"Location": platform.url + CHOSEN})
        platform.once[CHOSEN] = send(b"")  # as a connection that has been closed meanwhile
        assert get(auth, f"{platform.url}/files", f"{notary.foreign_url}/x") == [200, 200]
        heads = [head for head in platform.heads if CHOSEN.encode() in head]
    assert len(heads) == 2
    assert not any(b"uthorization" in head for head in heads)


def test_rule_5_what_another_host_has_led_to_is_not_signed_in_another_spelling(own_notary: Sandbox) -> None:
    home = own_notary.url.replace("127.0.0.1", "localhost")
    auth = NotaryAuth(own_notary.username, own_notary.password, cloud_url=home)
    own_notary.faults.answer_next("/x", 302, {"Location": home.replace("localhost", "LOCALHOST") + CHOSEN})
    urls = f"{home}/api/notary/v2/stored-files", f"{own_notary.foreign_url}/x"
    assert get(auth, *urls, session={"requote_redirect_url": False})[0] == 200
    assert [call.is_signed for call in own_notary.calls if call.path == CHOSEN] == [False]


def test_a_redirect_that_is_not_followed_says_nothing_about_the_next_request(notary: Sandbox, files: str) -> None:
    notary.faults.answer_next("/x", 302, {"Location": files})
    auth = auth_of(notary)
    assert get(auth, files, f"{notary.foreign_url}/x", files, allow_redirects=False) == [200, 302, 200]


def test_an_account_says_that_it_is_no_middleware(notary: Sandbox, files: str) -> None:
    account: Any = auth_of(notary).account
    with pytest.raises(TypeError, match="from_account"):
        get(account, files)


# Uploads that wait for a 100 (RFC 9110, section 10.1.1)


def test_rule_15_an_upload_that_waits_for_a_100_is_replayed(notary: Sandbox, files: str) -> None:
    """aiohttp gives up the rejected one's wait, and the replay must not wait for the same 100."""
    auth = auth_of(notary)

    async def put() -> list[int]:
        statuses = []
        # aiohttp 3.12 reuses the connection of a request whose body was not sent, and hangs.
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector, middlewares=(auth,)) as http:
            for _ in range(2):
                form = aiohttp.FormData()
                form.add_field("file", b"x" * 100_000, filename="contract.pdf")
                options = {"expect100": True, "timeout": aiohttp.ClientTimeout(total=20)}
                async with http.post(files, data=form, **options) as response:
                    statuses.append(response.status)
                notary.revoke_tokens()
        return statuses

    assert asyncio.run(put()) == [201, 201]
