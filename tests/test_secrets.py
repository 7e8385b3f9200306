"""Rule 18, all at once: every log at its loudest, every error raised on purpose, and all they show searched."""

from __future__ import annotations

import http.client
import logging
import pickle
import traceback
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

from notary_auth import Account, LoginError, NotaryAuthError
from notary_auth.sandbox import Sandbox

from .badserver import LOGIN as LOGIN_PATH
from .badserver import TOKEN, BadServer, reset
from .clients import CLIENTS, Client, leaves_sockets
from .core import make_token_due, parts_of, tokens_of
from .leaks import chain, leaks, shown_by
from .paths import LOGIN, LOOKUP

PASSWORD = "geheim & 9€ <"
CODE = "42424242"
ID_TOKEN, REFRESH_TOKEN = "an-id-token-that-nobody-reads", "a-refresh-token-that-nobody-asked-for"
ECHO = "password=geheim & 9€ \\\"'< and geheim%20%26%209%E2%82%AC%20%22%27%3C, code 42424242"


class Everything(logging.Handler):
    """Keeps all that any logger is told: message, arguments, traceback."""

    def __init__(self) -> None:
        super().__init__(1)
        self.texts: list[str] = []
        self.loggers: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.loggers.add(record.name.partition(".")[0])
        self.texts += [record.getMessage(), repr(record.args)]
        if record.exc_info:
            self.texts += traceback.format_exception(*record.exc_info)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Everything]:
    """All loggers at level 1, ours, the clients' and asyncio's, which is in debug mode."""
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    handler = Everything()
    names = ["", "notary_auth", "urllib3", "requests", "httpx", "httpx2", "httpcore", "httpcore2", "asyncio"]
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    logging.getLogger().addHandler(handler)
    for logger in loggers:
        logger.setLevel(1)
    yield handler
    logging.getLogger().removeHandler(handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture
def jane(notary: Sandbox) -> Sandbox:
    """The sandbox with Jane, whose password and code are worth stealing."""
    notary.add_user("Jane", PASSWORD, totp=CODE)
    notary.faults.token_overrides = {"id_token": ID_TOKEN, "refresh_token": REFRESH_TOKEN}
    return notary


def secrets_of(notary: Sandbox) -> list[str]:
    return [PASSWORD, CODE, ID_TOKEN, REFRESH_TOKEN, *tokens_of(notary)]


def auth_of_jane(client: Client, notary: Sandbox, **arguments: Any) -> Any:
    defaults = {"username": "Jane", "password": PASSWORD, "totp": lambda: CODE}
    return client.auth(notary, **{**defaults, **arguments})


def test_rule_18_a_life_of_logins_shows_no_secret(
    client: Client, jane: Sandbox, files: str, log: Everything
) -> None:
    """Login, signing, refresh that fails, revocation, a move, a 401 passed on, a foreign host."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        auth = auth_of_jane(client, jane)
        answers = [client.get(files, auth), client.get(files, auth)]
        secrets = secrets_of(jane)
        jane.revoke_tokens()
        answers.append(client.get(files, auth))
        jane.move("Jane")
        answers.append(client.get(files, auth))
        secrets += secrets_of(jane)
        make_token_due(auth.account)
        jane.faults.answer_next(LOGIN, 500, {}, ECHO)
        answers.append(client.get(files, auth))
        jane.faults.answer_next("/api/notary/v2/stored-files", 401, {}, "no", times=2)
        answers.append(client.get(files, auth))
        answers.append(client.get(f"{jane.foreign_url}/x", auth))
    secrets += secrets_of(jane)
    assert [answer.status_code for answer in answers] == [200] * 5 + [401, 200]
    assert len(set(secrets)) >= 4 + 4, "four logins, and what they are about"
    account = auth.account
    texts = [*log.texts, *(str(each.message) for each in warned)]
    texts += [parts_of(account), *map(repr, (auth, account, *answers))]
    texts += (repr(hop.headers) + repr(hop) for answer in answers for hop in (answer, *answer.history))
    texts += (repr(pickle.dumps(answer)) for answer in answers)
    assert "notary_auth" in log.loggers
    assert log.loggers & {"urllib3", "httpcore", "httpcore2", "asyncio"}, "the clients' own are on as well"
    assert leaks(texts, secrets) == []


REPLIES: list[tuple[str, int, str]] = [
    (LOOKUP, 500, ECHO),
    (LOOKUP, 200, f'{{"server_url": "https://Jane:{PASSWORD[:6]}@cloud.example"}}'),
    (LOGIN, 401, f'{{"error": "access_denied", "error_description": "{ECHO}"}}'),
    (LOGIN, 403, f'{{"error": "{ECHO}", "error_description": "{ECHO}"}}'),
    (LOGIN, 401, f'{{"error": "totp_required", "error_description": "{ECHO}"}}'),
    (LOGIN, 400, f'{{"error": "invalid_totp", "error_description": "{ECHO}"}}'),
    (LOGIN, 200, f'{{"access_token": "{ID_TOKEN} {REFRESH_TOKEN}", "token_type": "bearer"}}'),
    (LOGIN, 200, f'{{"access_token": "{ID_TOKEN}", "token_type": "mac"}}'),
    (LOGIN, 200, f'{{"access_token": "{ID_TOKEN}", "token_type": "bearer", "expires_on": "{REFRESH_TOKEN}"}}'),
    (LOGIN, 200, f"<html>{ECHO}"),
    (LOGIN, 200, f'["{ID_TOKEN}"]'),
    (LOGIN, 302, ECHO),
    (LOGIN, 500, ECHO),
]


@pytest.mark.parametrize(
    ("path", "status", "body"), REPLIES, ids=[f"{r[0][5:]} {r[1]} {r[2][:12]}" for r in REPLIES]
)
def test_rule_18_no_reply_makes_an_error_or_a_log_show_a_secret(
    client: Client, jane: Sandbox, files: str, log: Everything, path: str, status: int, body: str
) -> None:
    jane.faults.answer_next(path, status, {"Location": "/elsewhere"} if status == 302 else {}, body)
    with pytest.raises(NotaryAuthError) as caught:
        client.get(files, auth_of_jane(client, jane))
    assert leaks([*shown_by(caught.value), *log.texts], secrets_of(jane)) == []


def test_rule_18_a_clients_network_error_has_no_frames_with_the_password(client: Client) -> None:
    """Error reporters send the locals of all frames home, urllib3's with the form in them as well."""
    with BadServer() as server:
        server.faults[LOGIN_PATH] = reset(b"")
        auth: Any = client.auth_type("Jane", PASSWORD, cloud_url=server.url, totp=lambda: CODE)
        with pytest.raises(client.error) as caught:
            client.get(f"{server.url}/api/notary/v2/stored-files", auth)
    own = Path(__file__).parent
    shown = [
        repr(frame.locals)
        for each in chain(caught.value)
        for frame in traceback.TracebackException.from_exception(each, capture_locals=True).stack
        if not Path(frame.filename).is_relative_to(own)
    ]
    assert leaks(shown, [PASSWORD, CODE]) == []


class VaultError(Exception):
    pass


def break_down() -> str:
    raise VaultError("the vault is sealed")


@pytest.mark.parametrize(
    "arguments",
    [
        {"password": break_down},
        {"totp": break_down},
        {"password": lambda: PASSWORD + "\0"},
        {"password": PASSWORD.encode},
        {"totp": lambda: int(CODE)},
        {"password": PASSWORD + "!", "totp": None},
        {"totp": None},
    ],
    ids=["vault", "totp device", "a NUL", "bytes", "an int", "wrong", "no code"],
)
def test_rule_18_no_credential_that_is_no_good_is_shown(
    client: Client, jane: Sandbox, files: str, log: Everything, arguments: dict[str, Any]
) -> None:
    for _ in range(2):  # the second time, what was remembered is told again
        with pytest.raises(NotaryAuthError) as caught:
            client.get(files, auth_of_jane(client, jane, **arguments))
        assert leaks([*shown_by(caught.value), *log.texts], secrets_of(jane)) == []


def test_rule_18_an_error_of_the_network_in_mid_login_shows_no_secret(client: Client, log: Everything) -> None:
    with BadServer() as server:
        server.faults[LOGIN_PATH] = reset(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
        auth: Any = client.auth_type("Jane", PASSWORD, cloud_url=server.url, totp=lambda: CODE)
        with pytest.raises(client.error) as caught:
            client.get(f"{server.url}/api/notary/v2/stored-files", auth)
        assert leaks([*shown_by(caught.value), *log.texts], [PASSWORD, CODE, TOKEN]) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"username": ""},
        {"username": 5},
        {"password": PASSWORD + "\0"},
        {"cloud_url": "http://cloud.example"},
        {"cloud_url": f"https://Jane:{CODE}@cloud.example"},
        {"totp": CODE},
        {"colour": "blue"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_rule_18_arguments_that_are_wrong_show_no_secret(client: Client, wrong: dict[str, Any]) -> None:
    arguments = {"username": "Jane", "password": PASSWORD, **wrong}
    for build in (client.auth_type, Account):
        with pytest.raises((TypeError, ValueError)) as caught:
            build(**arguments)
        assert leaks(shown_by(caught.value), [PASSWORD, CODE]) == []


@leaves_sockets  # httpx leaves its answer open
def test_rule_18_a_logging_filter_that_raises_is_shown_no_secret(
    client: Client, jane: Sandbox, files: str, log: Everything
) -> None:
    """Filters are the users' own code, run in the middle of ours; error reporters then send our locals home."""

    def fail(record: logging.LogRecord) -> bool:
        if record.getMessage() != message:
            seen.append(record.getMessage())
            return True
        raise VaultError

    seen: list[str] = []
    message = ""
    logger = logging.getLogger("notary_auth")
    logger.addFilter(fail)
    try:
        auth = auth_of_jane(client, jane)
        client.get(files, auth)
        jane.revoke_tokens()
        client.get(files, auth)
        messages = list(dict.fromkeys(seen))
        assert len(messages) >= 4
        for message in messages:  # noqa: B007  `fail` looks at it
            auth.account.forget()
            with pytest.raises(VaultError) as caught:  # noqa: PT012  whichever of them comes to it
                for _ in range(2):
                    client.get(files, auth)
                    jane.revoke_tokens()
            assert leaks(shown_by(caught.value), secrets_of(jane)) == []
    finally:
        logger.removeFilter(fail)


def test_the_search_finds_what_there_is_to_be_found(log: Everything, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(error: Exception, password: str | None) -> None:
        raise ValueError("outer") from error

    logging.getLogger("httpcore").log(1, "%s", PASSWORD)
    assert leaks(log.texts, [PASSWORD])
    shown = [ValueError(PASSWORD), ValueError({"form": quote_plus(PASSWORD)}), ValueError(PASSWORD.encode())]
    for error in shown:
        with pytest.raises(ValueError, match="outer") as caught:
            fail(error, None)
        assert leaks(shown_by(caught.value), [PASSWORD])
    with pytest.raises(ValueError, match="outer") as caught:
        fail(ValueError(), PASSWORD)
    assert not leaks(shown_by(caught.value), [PASSWORD]), "frames of others are theirs"
    monkeypatch.setattr("tests.leaks.OURS", Path(__file__).parent)
    assert leaks(shown_by(caught.value), [PASSWORD])


class Alarm(Exception):
    """What a signal handler raises, whatever the main thread is doing."""


@pytest.mark.skipif(find_spec("niquests") is not None, reason="its fork of urllib3 has no http.client to stop in")
@pytest.mark.parametrize("ending", [Alarm, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("where", ["send", "getresponse"])
def test_rule_18_whatever_ends_a_login_takes_no_password_along(
    jane: Sandbox, files: str, monkeypatch: pytest.MonkeyPatch, ending: type[BaseException], where: str
) -> None:
    """urllib3's frames have the form in their locals, and error reporters show all frames there are."""
    client = next(each for each in CLIENTS if each.name == "requests")
    method = getattr(http.client.HTTPConnection, where)

    def interrupted(self: Any, *arguments: Any, **options: Any) -> Any:
        if any("urlencoded" in repr(frame.f_locals) for frame, _ in traceback.walk_stack(None)):
            raise ending  # the login is on its way, and its form in the frames
        return method(self, *arguments, **options)

    monkeypatch.setattr(http.client.HTTPConnection, where, interrupted)
    with pytest.raises(ending) as caught:
        client.get(files, auth_of_jane(client, jane))
    monkeypatch.undo()
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    names = {Path(frame.filename).name for frame in shown.stack}
    assert "connectionpool.py" not in names
    ours = [repr(frame.locals) for frame in shown.stack if "tests" not in frame.filename]
    assert leaks(ours, [PASSWORD, CODE]) == []


def test_rule_18_the_context_of_an_error_has_no_frames(client: Client, notary: Sandbox, files: str) -> None:
    """Error reporters expand what they find in frames: credentials are in those of the core."""

    def fail() -> str:
        raise KeyError("the vault is sealed")

    with pytest.raises(LoginError) as caught:
        client.get(files, client.auth(notary, totp=fail))
    assert isinstance(caught.value.__cause__, KeyError)
    context = caught.value.__context__
    while context is not None and context is not caught.value.__cause__:
        assert context.__traceback__ is None
        context = context.__context__
