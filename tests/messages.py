"""What users read, in one place: tests/messages.txt. ``python -m tests.messages`` writes it from what is observed.

Read it as a user would at two in the morning: what happened, why, and what is to be done?
"""

from __future__ import annotations

import ast
import logging
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

import notary_auth.requests
from notary_auth import Account, NotaryAuthError
from notary_auth.httpx import NotaryAuth as HttpxAuth
from notary_auth.sandbox import Sandbox
from notary_auth.stores import FileStore, MemoryStore, RedisStore

from .core import (
    Sleep,
    answered,
    begin,
    cheapen_scrypt,
    clock_of,
    complete,
    found,
    granted,
    log_out,
    logged_in,
    new_account,
    refused,
    reply,
    shorten_pauses,
)
from .paths import FILES, REVOKE, ROOT
from .shared_store import Processes
from .terminal import Ended, Terminal

SHOWN = Path(__file__).parent / "messages.txt"

PAGE = reply(200, b"<html>Log in to the guests' network", {"content-type": "text/html"})
BUSY = [reply(503, b"", {"retry-after": "0"})] * 3
EARLY, LATE = {"date": "Fri, 27 Nov 2026 12:00:00 GMT"}, {"date": "Fri, 27 Nov 2026 13:00:00 GMT"}


def _raises(name: str) -> Callable[[], str]:
    def ask() -> str:
        raise LookupError(name)

    return ask


#: A situation, an account's arguments, and what the platform answers.
ERRORS: list[tuple[str, dict[str, Any], list[Any]]] = [
    ("discovery: a captive portal answers", {}, [PAGE]),
    ("discovery: not JSON", {}, [reply(200, b"OK")]),
    ("discovery: another page answers 404", {}, [reply(404, b"<html>", {"content-type": "text/html"})]),
    ("discovery: a proxy wants credentials", {}, [reply(407, b"")]),
    ("discovery: a redirect", {}, [reply(302, b"")]),
    ("discovery: the cloud is busy", {}, BUSY),
    ("discovery: encoded", {}, [reply(200, b"x", {"content-encoding": "gzip"})]),
    ("discovery: no data center", {}, [reply(200, {})]),
    ("discovery: a data center without TLS", {}, [found("http://eu2-cloud.acronis.com")]),
    ("login: wrong password", {}, [found(), refused()]),
    ("login: wrong password, with a store", {"store": MemoryStore}, [found(), refused()]),
    ("login: refused after a cache has answered", {}, [
        found()._replace(headers=EARLY), refused()._replace(headers=LATE),
    ]),
    ("login: a code is needed", {}, [found(), refused("totp_required", "TOTP code is required")]),
    ("login: a wrong code", {"totp": lambda: "000000"}, [found(), refused("invalid_totp", "Wrong code")]),
    ("login: not enrolled", {}, [found(), refused("totp_setup_required", "MFA is mandatory")]),
    ("login: a scope is refused", {"offline_access": True}, [
        found(), refused("access_denied", "Requested scope is not allowed", 403),
    ]),
    ("login: the request is refused", {}, [found(), refused("invalid_client", "Unknown client", 400)]),
    ("login: the data center is busy", {}, [found(), *BUSY]),
    ("login: an error without a reason", {}, [found(), reply(500, b"")]),
    ("login: not JSON", {}, [found(), reply(200, b"OK")]),
    ("login: no token", {}, [found(), reply(200, {})]),
    ("login: the password function raises", {"password": _raises("no such secret")}, []),
    ("login: the password function returns nothing", {"password": lambda: None}, []),
]  # fmt: skip

WRONG: list[tuple[str, Callable[[], object]]] = [
    ("no user name", lambda: Account("", "x")),
    ("a password that is a number", lambda: Account("JohnSmith", 5)),  # type: ignore[arg-type]
    ("an async password function", lambda: Account("JohnSmith", _ask_async)),  # type: ignore[arg-type]
    ("a code in place of a function", lambda: Account("JohnSmith", "x", totp="123456")),  # type: ignore[arg-type]
    ("a cloud_url without a scheme", lambda: Account("JohnSmith", "x", cloud_url="cloud.acronis.com")),
    ("a cloud_url with a path", lambda: Account("JohnSmith", "x", cloud_url="https://cloud.acronis.com/api")),
    ("a cloud_url that is a number", lambda: Account("JohnSmith", "x", cloud_url=5)),  # type: ignore[arg-type]
    ("a cloud_url with a password", lambda: Account("JohnSmith", "x", cloud_url="https://John:x@cloud.example")),
    ("a cloud_url with an odd port", lambda: Account("JohnSmith", "x", cloud_url="https://cloud.example:0")),
    ("a cloud_url without TLS", lambda: Account("JohnSmith", "x", cloud_url="http://cloud.acronis.com")),
    ("a server_url without TLS", lambda: Account("JohnSmith", "x", server_url="http://eu2-cloud.acronis.com")),
    ("offline_access as text", lambda: Account("JohnSmith", "x", offline_access="yes")),  # type: ignore[arg-type]
    ("from_account of something else", lambda: notary_auth.requests.NotaryAuth.from_account("JohnSmith")),  # type: ignore[arg-type]
    ("an Account as auth=", lambda: new_account()(None)),
    ("a session that is none", lambda: notary_auth.requests.NotaryAuth("JohnSmith", "x", session=5)),
    ("requests' NotaryAuth in other hands", lambda: notary_auth.requests.NotaryAuth("JohnSmith", "x")(object())),
    ("the first guess at the import", lambda: getattr(notary_auth, "NotaryAuth")),  # noqa: B009
    ("httpx: a logout without a client", lambda: HttpxAuth("JohnSmith", "x").logout(None)),
    ("httpx: another flow", lambda: HttpxAuth("JohnSmith", "x").auth_flow(None)),
    ("RedisStore of a number", lambda: RedisStore(5)),  # type: ignore[arg-type]
    ("RedisStore with another URL", lambda: RedisStore("http://127.0.0.1")),
    ("RedisStore with a URL that decodes", lambda: RedisStore("redis://127.0.0.1?decode_responses=1")),
    ("RedisStore with a client that decodes", lambda: RedisStore(redis.Redis(decode_responses=True))),
    ("FileStore without a name", lambda: FileStore("")),
    ("a store's class", lambda: Account("JohnSmith", "x", store=MemoryStore)),  # type: ignore[arg-type]
]

COMMANDS: list[tuple[str, list[str], dict[str, str | None]]] = [
    ("all well", ["check"], {}),
    ("no user", ["token"], {"NOTARY_USERNAME": None}),
    ("no password, no terminal", ["token"], {"NOTARY_PASSWORD": None}),
    ("two passwords", ["token"], {"NOTARY_PASSWORD_FILE": "/run/secrets/notary"}),
    ("no such password file", ["token"], {"NOTARY_PASSWORD": None, "NOTARY_PASSWORD_FILE": "/nowhere/secret"}),
    ("a cloud URL without a scheme", ["token"], {"NOTARY_CLOUD_URL": "cloud.acronis.com"}),
    ("a cloud URL without TLS", ["token"], {"NOTARY_CLOUD_URL": "http://cloud.acronis.com"}),
    ("a user and a client", ["token"], {"NOTARY_CLIENT_ID": "client-1"}),
    ("a client without a secret", ["token"], {"NOTARY_USERNAME": None, "NOTARY_CLIENT_ID": "client-1"}),
    (
        "a client without a data center",
        ["token"],
        {
            "NOTARY_USERNAME": None,
            "NOTARY_CLIENT_ID": "client-1",
            "NOTARY_CLIENT_SECRET": "x",
        },
    ),
    ("a wrong password", ["token"], {"NOTARY_PASSWORD": "wrong"}),
    ("a wrong password", ["check"], {"NOTARY_PASSWORD": "another wrong one"}),
    ("nobody there", ["token", "--cloud-url", "http://127.0.0.1:1"], {}),
    ("nobody there", ["check", "--cloud-url", "http://127.0.0.1:1"], {}),
    ("no such host", ["check", "--cloud-url", "https://cloud.invalid"], {}),
    ("logout", ["logout"], {}),
    ("nothing to log out", ["logout"], {}),
]


async def _ask_async() -> str:
    return "x"


def _warn(listen: Callable[[], list[str]]) -> Iterator[tuple[str, list[str]]]:
    """A situation, and what the log says in it, at INFO and above."""
    account = new_account()
    complete(account, found(), granted())
    yield "the first request", listen()
    complete(account, url="https://files.example.com/x")
    yield "a request to another host", listen()
    complete(account, answered(401, "token-1", can_replay=False))
    yield "a 401, and the body cannot be sent again", listen()
    account = logged_in()
    listen()
    complete(account, 401, found(), granted("token-2"), 401)
    yield "a new token is rejected too", listen()
    account = logged_in()
    clock_of(account).advance(7200 - 100)
    listen()
    complete(account, reply(500, b""))
    yield "a refresh fails", listen()
    account = logged_in()
    clock_of(account).advance(7200 - 100)
    listen()
    complete(account, granted("token-4"))
    yield "a refresh", listen()
    log_out(account, reply(200, {}))
    yield "a logout", listen()
    log_out(account)
    yield "a second logout", listen()
    begin(new_account()).go_on(*BUSY)
    yield "the cloud is busy", listen()
    processes = Processes()
    processes.store.load = _no_permission  # type: ignore[method-assign,assignment]
    complete(processes.account(), found(), granted())
    yield "a store that refuses", listen()
    processes = Processes()
    complete(processes.account(), found(), granted())
    ((name, (record, end)),) = processes.store.records.items()
    processes.store.records[name] = record[:-1], end
    listen()
    complete(processes.account(), found(), granted())
    yield "a record that is torn", listen()
    processes = Processes()
    leader = begin(processes.account())
    leader.perform_calls()
    waiting = begin(processes.account())
    while isinstance(waiting.perform_calls(), Sleep):
        processes.clock.advance(waiting.pauses[-1])
        waiting.send(None)
    yield "another process holds the store's lock", listen()
    leader.close()


def _giving_up(is_lost: bool) -> NotaryAuthError | None:
    account = new_account()
    leaders, waiting = [begin(account)], begin(account)
    for _ in range(2):
        if is_lost:
            leaders[-1].close()
            leaders.append(begin(account))
        else:
            clock_of(account).advance(60)
        if waiting.error is None:
            waiting.send(True)
    return waiting.error


def _of_files(folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    folder.mkdir()
    folder.chmod(0o777)
    yield "a folder that others may write to", lambda: FileStore(folder).load("x")
    link = folder.with_name("link")
    link.symlink_to(folder)
    yield "a folder that is a link", lambda: FileStore(link).load("x")


def _of_the_environment(patch: pytest.MonkeyPatch) -> Iterator[tuple[str, Callable[[], object]]]:
    for name in ("NOTARY_USERNAME", "NOTARY_PASSWORD", "NOTARY_PASSWORD_FILE"):
        patch.delenv(name, raising=False)
    yield "from_env() without a user", notary_auth.requests.NotaryAuth.from_env
    patch.setenv("NOTARY_USERNAME", "JohnSmith")
    yield "from_env() without a password", notary_auth.requests.NotaryAuth.from_env
    patch.delenv("NOTARY_USERNAME")
    patch.setenv("NOTARY_CLIENT_ID", "client-1")
    yield "from_env() of a client without a data center", notary_auth.requests.NotaryAuth.from_env
    patch.delenv("NOTARY_CLIENT_ID")


def _no_permission(*_: object) -> None:
    raise redis.exceptions.NoPermissionError("User notary has no permissions to run the 'pttl' command")


def _error_of(build: Callable[[], object]) -> str:
    try:
        build()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    raise AssertionError("no error")


class _Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")

    def take(self) -> list[str]:
        lines, self.lines = self.lines, []
        return lines


@contextmanager
def _listening() -> Iterator[_Listener]:
    log, listener = logging.getLogger("notary_auth"), _Listener()
    level = log.level
    log.addHandler(listener)
    log.setLevel(logging.INFO)
    try:
        yield listener
    finally:
        log.removeHandler(listener)
        log.setLevel(level)


def _of_the_core(patch: pytest.MonkeyPatch, home: Path) -> Iterator[str]:
    yield "ERRORS OF A LOGIN\n"
    for situation, arguments, answers in ERRORS:
        own = {name: value() if value is MemoryStore else value for name, value in arguments.items()}
        error = begin(new_account(**own)).go_on(*answers).error
        yield f"{situation}\n    {type(error).__name__}: {error}\n"
    for is_lost, situation in ((True, "two leaders are lost"), (False, "a leader does not come to an end")):
        error = _giving_up(is_lost)
        yield f"{situation}\n    {type(error).__name__}: {error}\n"
    yield "WRONG ARGUMENTS\n"
    for situation, build in chain(WRONG, _of_the_environment(patch), _of_files(home / "store")):
        yield f"{situation}\n    {_error_of(build)}\n"
    yield "THE LOG, FROM INFO ON\n"
    with _listening() as listener:
        for situation, lines in _warn(listener.take):
            yield "\n".join([situation, *(f"    {line}" for line in lines), ""])


def _of_the_clients(notary: Sandbox, patch: pytest.MonkeyPatch) -> Iterator[str]:
    yield "REQUESTS\n"
    url = "https://cloud.invalid/api/notary/v2/stored-files"
    auth = notary_auth.requests.NotaryAuth("JohnSmith", "qwe123QWE", cloud_url="https://cloud.invalid")
    yield f"no such host\n    {_error_of(lambda: requests.get(url, auth=auth, timeout=9))}\n"
    notary.faults.answer_next(REVOKE, 400, body='{"error": "invalid_client"}', times=2)
    with notary_auth.requests.NotaryAuth(notary.username, notary.password, cloud_url=notary.url) as ours:
        requests.get(notary.url + FILES, auth=ours, timeout=9)
        yield f"a logout that is refused\n    {_error_of(ours.logout)}\n"


def _of_the_commands(notary: Sandbox, home: Path) -> Iterator[str]:
    yield "COMMANDS\n"
    terminal = Terminal(notary, home)
    terminal.run("token")
    for situation, arguments, variables in COMMANDS:
        yield _shown(situation, arguments, terminal.run(*arguments, **variables))
    for status in (401, 500):
        notary.faults.answer_next(FILES, status, times=9)
        yield _shown(f"the API answers {status}", ["check"], terminal.run("check"))
        notary.reset()
    notary.add_user("JohnSmith", "qwe123QWE", totp="123456")
    arguments = ["check", "--no-store"]
    yield _shown("a code is needed", arguments, terminal.run(*arguments))


def _shown(situation: str, arguments: list[str], ended: Ended) -> str:
    lines = [f"$ notary-auth {' '.join(arguments)}", *(ended.error + ended.out).splitlines()]
    return "\n    ".join([situation, *lines, f"(exit status {ended.status})"]) + "\n"


def _made_plain(text: str, notary: Sandbox) -> str:
    """The same at each run: ports, times and objects' addresses are left out."""
    for name, url in (("cloud", notary.url), ("data center", notary.data_center_urls[0])):
        port = url.rpartition(":")[2]
        text = text.replace(f"127.0.0.1:{port}", f"<{name}>").replace(f"port {port}", f"<{name}>")
    text = re.sub(r"does not resolve: .*", "does not resolve: the system's own words", text)
    text = re.sub(r"HTTPSConnectionPool.*(?= \(this was)", "the client's own words", text)
    text = re.sub(r"\d+ ms\b", "N ms", text)
    text = re.sub(r"good for 7\d{3} s", "good for 7200 s", text)
    return re.sub(r"in \d+\.\d s\b", "in N s", text)


def texts() -> list[str]:
    """What is raised, or logged from INFO on, by the longest part of each message that is always the same."""
    found = set()
    for path in sorted((ROOT / "notary_auth").rglob("*.py")):
        if not path.is_relative_to(ROOT / "notary_auth" / "sandbox"):
            found |= {text for node in ast.walk(ast.parse(path.read_text("utf-8"))) for text in _texts_of(node)}
    return sorted(found - _ELSEWHERE)


def _texts_of(node: ast.AST) -> list[str]:
    match node:
        case ast.Raise(exc=ast.Call(func=ast.Name(name) | ast.Attribute(attr=name), args=[_, *_] as arguments)):
            if name in _INTERNAL:
                return []
        case ast.Call(func=ast.Attribute(ast.Name("log"), "info" | "warning"), args=[first, *_]):
            arguments = [first]
        case _:
            return []
    constants = [
        each.value for argument in arguments for each in ast.walk(argument) if isinstance(each, ast.Constant)
    ]
    parts = [part for text in constants if isinstance(text, str) for part in re.split("%[rsd]|`", text)]
    return [part.strip() for part in [max(parts, key=len, default="")] if len(part) > 15]


#: What no user of the library meets: slips of an adapter's or a test's author.
_INTERNAL = {"RuntimeError", "AttributeError", "AssertionError", "ArgumentTypeError", "RecordError"}
#: What it takes niquests, another client's parser, a terminal or a user without a home to see; and slips.
_ELSEWHERE = {
    "an AsyncSession takes an AsyncNotaryAuth",
    "session must be a niquests.Session, not AsyncSession: use AsyncNotaryAuth",
    "the client cannot send a request to",
    "no password was given",
    "no code was given",
    "there is nothing to log out from: no tokens are kept (no extra 'stores', or no home)",
    "no tokens are kept between runs:",
    "an adapter sends and drains by itself",
    "no password is needed here",
}


def observe() -> str:
    with (
        pytest.MonkeyPatch.context() as patch,
        Sandbox() as notary,
        tempfile.TemporaryDirectory() as home,
    ):
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
            patch.delenv(name, raising=False)
            patch.delenv(name.lower(), raising=False)
        cheapen_scrypt(patch)
        shorten_pauses(patch)
        parts = [
            *_of_the_core(patch, Path(home)),
            *_of_the_clients(notary, patch),
            *_of_the_commands(notary, Path(home)),
        ]
        return _made_plain("\n".join(parts), notary).replace(home, "<home>")


if __name__ == "__main__":
    SHOWN.write_text(observe(), "utf-8")
