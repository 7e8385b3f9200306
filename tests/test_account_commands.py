"""``check``, ``token``, ``data-center`` and ``logout``, run as users run them, against the sandbox."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from notary_auth.sandbox import Sandbox
from notary_auth.stores import users_store

from .badserver import BadServer, reply, send
from .core import hide_modules, keep_no_tokens, tokens_of
from .paths import FILES, LOGIN, LOOKUP, REVOKE
from .terminal import ROOT, Terminal


@pytest.fixture
def terminal(notary: Sandbox, tmp_path: Path) -> Terminal:
    return Terminal(notary, tmp_path)


@pytest.mark.parametrize("command", ["check", "token", "data-center"])
def test_each_command_is_found_by_a_process_of_its_own(terminal: Terminal, command: str) -> None:
    ended = terminal.run_process(command)
    assert (ended.status, ended.error) == (0, "")


# token


def test_a_token_is_printed_and_works(terminal: Terminal) -> None:
    notary = terminal.notary
    ended = terminal.run("token")
    assert (ended.status, ended.error) == (0, "")
    token = ended.out.strip()
    home = notary.data_center_urls[0] + FILES
    assert requests.get(home, headers={"Authorization": f"Bearer {token}"}, timeout=9).status_code == 200
    assert terminal.run("token", "--header").out == f"Authorization: Bearer {token}\n"
    assert notary.count("login") == 1, "the second one is out of the store"


def test_a_fresh_token_replaces_that_of_earlier_runs(terminal: Terminal) -> None:
    first = terminal.run("token").out
    terminal.notary.revoke_tokens()
    assert terminal.run("token").out == first, "a command cannot know that it was revoked"
    fresh = terminal.run("token", "--fresh").out
    assert fresh != first
    assert terminal.run("token").out == fresh
    assert terminal.notary.count("login") == 2


def test_a_check_replaces_the_token_of_earlier_runs(terminal: Terminal) -> None:
    first = terminal.run("token").out
    terminal.notary.revoke_tokens()
    assert terminal.run("check").status == 0
    assert terminal.run("token").out != first
    assert terminal.notary.count("login") == 2


def test_a_token_as_json_has_its_end_and_data_center(terminal: Terminal) -> None:
    document = json.loads(terminal.run("token", "--json").out)
    assert document["access_token"] in tokens_of(terminal.notary)
    assert 0 < document["expires_in"] <= 7200
    left = datetime.fromisoformat(document["expires_at"]) - datetime.now(timezone.utc)
    assert abs(left.total_seconds() - document["expires_in"]) < 60
    assert document["data_center"] == terminal.notary.data_center_urls[0]
    terminal.notary.faults.token_overrides = {"expires_on": None, "expires_in": None}
    document = json.loads(terminal.run("token", "--json", "--fresh").out)
    assert (document["expires_in"], document["expires_at"]) == (None, None)
    assert terminal.run("token", "--json", "--header").status == 2


def test_an_empty_password_file_is_told_by_its_name(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    ended = terminal.run("token", NOTARY_PASSWORD=None, NOTARY_PASSWORD_FILE=str(tmp_path / "empty"))
    assert ended.status == 2
    assert f"NOTARY_PASSWORD_FILE: {tmp_path / 'empty'} is empty" in ended.error
    assert "callable" not in ended.error


def test_without_a_store_each_run_logs_in(terminal: Terminal) -> None:
    for _ in range(2):
        assert terminal.run("token", "--no-store").status == 0
    assert terminal.notary.count("login") == 2
    assert not (Path(terminal.variables["XDG_CACHE_HOME"]) / "notary-auth").exists()


def test_user_and_cloud_may_be_options(terminal: Terminal) -> None:
    nowhere = {"NOTARY_USERNAME": None, "NOTARY_CLOUD_URL": None}
    ended = terminal.run("token", "--user", "JohnSmith", "--cloud-url", terminal.notary.url, **nowhere)
    assert ended.status == 0


def test_a_password_may_be_in_a_file(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("qwe123QWE\n")
    ended = terminal.run("token", NOTARY_PASSWORD=None, NOTARY_PASSWORD_FILE=str(tmp_path / "secret"))
    assert ended.status == 0


def test_a_password_may_be_in_the_keyring_under_the_clouds_host(terminal: Terminal, tmp_path: Path) -> None:
    service = f"notary-auth@{urlsplit(terminal.notary.url).netloc}"
    (tmp_path / "somekeyring.py").write_text(
        "from keyring.backend import KeyringBackend\n"
        "class Keyring(KeyringBackend):\n"
        "    priority = 1\n"
        "    def get_password(self, service, username):\n"
        f"        return 'qwe123QWE' if (service, username) == ('{service}', 'JohnSmith') else None\n"
        "    set_password = delete_password = None\n"
    )
    own = {"PYTHON_KEYRING_BACKEND": "somekeyring.Keyring", "PYTHONPATH": str(tmp_path)}
    assert terminal.run_process("token", NOTARY_PASSWORD=None, **own).status == 0


def test_another_cloud_does_not_get_the_default_clouds_password_from_the_keyring(
    terminal: Terminal, tmp_path: Path
) -> None:
    asked = tmp_path / "asked"
    (tmp_path / "somekeyring.py").write_text(
        "from keyring.backend import KeyringBackend\n"
        "class Keyring(KeyringBackend):\n"
        "    priority = 1\n"
        "    def get_password(self, service, username):\n"
        f"        with open({str(asked)!r}, 'a') as file:\n"
        "            print(service, file=file)\n"
        "        return 'qwe123QWE' if service == 'notary-auth' else None\n"
        "    set_password = delete_password = None\n"
    )
    own = {"PYTHON_KEYRING_BACKEND": "somekeyring.Keyring", "PYTHONPATH": str(tmp_path), "NOTARY_PASSWORD": None}
    ended = terminal.run_process("token", **own)
    assert ended.status == 2
    assert "no password" in ended.error
    assert terminal.notary.count("login") == 0
    cloud = {**own, "NOTARY_CLOUD_URL": None, "HTTPS_PROXY": "http://127.0.0.1:1"}
    terminal.run_process("token", **cloud)
    other, default = asked.read_text().split()
    assert other == f"notary-auth@{urlsplit(terminal.notary.url).netloc}"
    assert default == "notary-auth"


def test_a_keyring_that_fails_is_told_and_asked_no_more(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "badkeyring.py").write_text(
        "from keyring.backend import KeyringBackend\n"
        "class Keyring(KeyringBackend):\n"
        "    priority = 1\n"
        "    def get_password(self, service, username):\n"
        "        raise RuntimeError('geheim')\n"
        "    set_password = delete_password = None\n"
    )
    own = {"PYTHON_KEYRING_BACKEND": "badkeyring.Keyring", "PYTHONPATH": str(tmp_path)}
    ended = terminal.run_process("token", NOTARY_PASSWORD=None, **own)
    assert ended.status == 2
    assert "the keyring failed (RuntimeError)" in ended.error
    assert "geheim" not in ended.error


def test_a_password_is_asked_for_at_a_terminal_and_not_shown(terminal: Terminal) -> None:
    status, seen = terminal.type(["qwe123QWE"], "token", "--header", NOTARY_PASSWORD=None)
    assert status == 0
    assert "Password of JohnSmith: " in seen
    assert "Authorization: Bearer " in seen
    assert "qwe123QWE" not in seen


def test_a_code_is_asked_for_where_it_is_needed(terminal: Terminal) -> None:
    terminal.notary.add_user("JohnSmith", "qwe123QWE", totp="424242")
    status, seen = terminal.type(["qwe123QWE", "424242"], "token", "--offline-access", NOTARY_PASSWORD=None)
    assert status == 0
    assert seen.count("Password") == 1
    assert seen.count("TOTP code: ") == 1
    status, seen = terminal.type([], "token", "--offline-access")
    assert (status, "TOTP" in seen) == (0, False)


def test_a_code_may_have_blanks_and_none_at_all_is_wrong_usage(terminal: Terminal) -> None:
    terminal.notary.add_user("JohnSmith", "qwe123QWE", totp="424242")
    assert terminal.type([""], "token", "--no-store")[0] == 2
    assert terminal.type(["424 242"], "token", "--no-store")[0] == 0


def test_no_password_at_a_prompt_is_wrong_usage(terminal: Terminal) -> None:
    for answer in ("", "\x04"):  # Enter; and Ctrl-D, with which a terminal says that nothing more comes
        status, seen = terminal.type([answer], "token", NOTARY_PASSWORD=None)
        assert status == 2
        assert "no password was given" in seen


def test_an_api_client_that_needs_a_code_is_told_so(terminal: Terminal) -> None:
    terminal.notary.add_client("id", "secret")
    terminal.notary.faults.answer_next(LOGIN, 401, {}, '{"error": "totp_required"}')
    home = terminal.notary.data_center_urls[0]
    client = {"NOTARY_CLIENT_ID": "id", "NOTARY_CLIENT_SECRET": "secret", "NOTARY_SERVER_URL": home}
    status, seen = terminal.type([], "token", NOTARY_USERNAME=None, NOTARY_PASSWORD=None, **client)
    assert status == 4
    assert "Traceback" not in seen


def test_a_check_goes_past_the_proxy_of_plain_http_where_logins_do(terminal: Terminal) -> None:
    ended = terminal.run("check", HTTP_PROXY="http://127.0.0.1:1", NO_PROXY=None, no_proxy=None)
    assert ended.status == 7
    *steps, failed, advice = ended.out.splitlines()
    assert [line.split(":")[0][2:] for line in steps] == ["name", "connection", "data center", "login"]
    assert "the proxy on the way" in failed, "the user's own request"
    assert "HTTP_PROXY" in advice


def test_a_refusal_at_a_given_data_center_asks_whether_the_account_has_moved(terminal: Terminal) -> None:
    ended = terminal.run("token", "--server-url", terminal.notary.data_center_urls[1])
    assert ended.status == 3
    assert "--server-url: has the account moved?" in ended.error


def test_an_api_client_finds_its_data_center_without_a_secret(terminal: Terminal) -> None:
    home = terminal.notary.data_center_urls[0]
    client = {
        "NOTARY_USERNAME": None,
        "NOTARY_PASSWORD": None,
        "NOTARY_CLIENT_ID": "id",
        "NOTARY_SERVER_URL": home,
    }
    assert terminal.run("data-center", **client).out == f"{home}\n"


def test_without_a_terminal_a_missing_code_is_an_error(terminal: Terminal) -> None:
    terminal.notary.add_user("JohnSmith", "qwe123QWE", totp="424242")
    ended = terminal.run("token")
    assert ended.status == 4
    assert "needs a TOTP code" in ended.error


# Errors are one sentence, and a status of their own


def test_a_refused_password(terminal: Terminal) -> None:
    ended = terminal.run("token", NOTARY_PASSWORD="wrong")
    assert (ended.status, ended.out) == (3, "")
    assert ended.error.startswith("notary-auth: the platform refused the login of 'JohnSmith'")
    assert ended.error.count("\n") == 1


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"NOTARY_USERNAME": None}, "which user? Give --user, or set NOTARY_USERNAME"),
        (
            {"NOTARY_PASSWORD": None},
            "no password: set NOTARY_PASSWORD or NOTARY_PASSWORD_FILE, keep it with `keyring set notary-auth@",
        ),
        ({"NOTARY_PASSWORD_FILE": "x"}, "both NOTARY_PASSWORD and NOTARY_PASSWORD_FILE are set"),
        ({"NOTARY_CLOUD_URL": "cloud"}, "NOTARY_CLOUD_URL must be an https URL of a host"),
        ({"NOTARY_CLOUD_URL": "http://cloud.example"}, "NOTARY_CLOUD_URL must be https"),
    ],
)
def test_wrong_usage(terminal: Terminal, variables: dict[str, str | None], text: str) -> None:
    ended = terminal.run("token", **variables)
    assert (ended.status, ended.out) == (2, "")
    assert ended.error.startswith(f"notary-auth: {text}")
    assert ended.error.count("\n") == 1


def test_a_data_center_that_is_not_found(terminal: Terminal) -> None:
    terminal.notary.faults.answer_next(LOOKUP, 404)
    ended = terminal.run("data-center")
    assert ended.status == 5
    assert "answered 404" in ended.error


def test_a_login_that_fails(terminal: Terminal) -> None:
    terminal.notary.faults.answer_next(LOGIN, 500)
    assert terminal.run("token").status == 6


@pytest.mark.parametrize("command", ["token", "data-center"])
def test_a_platform_that_is_not_reached(terminal: Terminal, command: str) -> None:
    ended = terminal.run(command, NOTARY_CLOUD_URL="https://127.0.0.1:1")
    assert (ended.status, ended.error) == (7, "notary-auth: cannot connect to https://127.0.0.1:1\n")


def test_a_reader_that_has_seen_enough_is_no_error(terminal: Terminal) -> None:
    command = f"{sys.executable} -m notary_auth token | true"
    done = subprocess.run(
        ["/bin/sh", "-c", command], env=terminal.variables, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["token", "check", "logout"])
def test_a_password_file_that_cannot_be_read_is_named(terminal: Terminal, command: str) -> None:
    ended = terminal.run(command, NOTARY_PASSWORD=None, NOTARY_PASSWORD_FILE="/nope")
    assert ended.status == 2
    assert "NOTARY_PASSWORD_FILE: cannot read /nope: No such file or directory" in ended.error + ended.out
    assert "support" not in ended.out


def test_a_logout_without_a_password_says_so(terminal: Terminal) -> None:
    ended = terminal.run("logout", NOTARY_PASSWORD=None)
    assert ended.status == 2
    assert ended.error.startswith("notary-auth: no password: set NOTARY_PASSWORD")


def test_a_store_that_fails_is_told(terminal: Terminal) -> None:
    Path(terminal.variables["XDG_CACHE_HOME"]).write_text("a file in place of the folder")
    ended = terminal.run("token")
    assert ended.status == 0
    assert "notary-auth: the store of 'JohnSmith' failed" in ended.error
    assert terminal.run("logout").status == 6


# data-center, logout


def test_the_data_center_needs_no_password(terminal: Terminal) -> None:
    ended = terminal.run("data-center", NOTARY_PASSWORD=None)
    assert (ended.status, ended.out) == (0, f"{terminal.notary.data_center_urls[0]}\n")
    assert [call.kind for call in terminal.notary.calls] == ["lookup"]


def test_a_logout_revokes_what_earlier_runs_have_stored(terminal: Terminal) -> None:
    token = terminal.run("token").out.strip()
    ended = terminal.run("logout")
    assert ended == (0, "", "notary-auth: logged out 'JohnSmith'\n")
    assert terminal.notary.count("revoke") == 1
    assert token not in tokens_of(terminal.notary)
    ended = terminal.run("logout")
    assert ended == (
        0, "", "notary-auth: no tokens of 'JohnSmith' were kept under this password: nothing was revoked\n",
    )  # fmt: skip
    assert terminal.notary.count("revoke") == 1


@pytest.mark.parametrize("by", ["option", "variable"])
def test_rule_26_a_data_center_that_is_given_is_not_looked_up(terminal: Terminal, by: str) -> None:
    first = terminal.notary.data_center_urls[0]
    arguments, variables = (["--server-url", first], {}) if by == "option" else ([], {"NOTARY_SERVER_URL": first})
    nowhere = {"NOTARY_CLOUD_URL": "http://127.0.0.1:1"}  # which nobody asks
    ended = terminal.run("check", *arguments, **variables, **nowhere)
    assert ended.status == 0, ended.out
    assert f"data center: {first}, as it was given: nothing was looked up" in ended.out
    assert terminal.run("token", *arguments, **variables, **nowhere).status == 0
    assert terminal.run("data-center", *arguments, **variables, **nowhere).out == f"{first}\n"
    assert terminal.notary.count("lookup") == 0
    ended = terminal.run("token", "--server-url", "eu2-cloud.acronis.com")
    assert ended.error.startswith("notary-auth: --server-url must be an https URL of a host")


def test_a_logout_that_fails(terminal: Terminal) -> None:
    terminal.run("token")
    terminal.notary.faults.answer_next(REVOKE, 400, {}, '{"error": "invalid_client"}')
    ended = terminal.run("logout")
    assert ended.status == 6
    assert "invalid_client" in ended.error


def test_a_logout_without_a_store_is_wrong_usage(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_no_tokens(monkeypatch)
    ended = terminal.run("logout")
    assert ended.status == 2
    assert "nothing to log out from" in ended.error


# check


def test_a_check_goes_all_the_way(terminal: Terminal) -> None:
    ended = terminal.run("check", PYTHONIOENCODING="utf-8")
    assert (ended.status, ended.error) == (0, "")
    marks = [line.partition(":")[0] for line in ended.out.splitlines()]
    steps = ["name", "connection", "data center", "login", "signed call", "clocks"]
    assert marks == [f"✓ {step}" for step in steps]
    assert terminal.notary.count("login") == 1


def test_a_terminal_without_such_letters_gets_words(terminal: Terminal) -> None:
    assert terminal.run("check", PYTHONIOENCODING="ascii").out.startswith("ok name: ")


def test_a_check_says_where_the_way_ends_and_what_to_try(terminal: Terminal) -> None:
    ended = terminal.run("check", NOTARY_PASSWORD="wrong", PYTHONIOENCODING="utf-8")
    assert ended.status == 3
    *_, failed, advice = ended.out.splitlines()
    assert failed.startswith("✗ login: the platform refused the login")
    assert advice == "  Check user name and password, or id and secret. Further failures lock a user's account."


@pytest.mark.parametrize(
    ("url", "step", "said"),
    [
        ("https://nowhere.invalid", "name", "nowhere.invalid does not resolve"),
        ("https://127.0.0.1:1", "connection", "cannot connect to https://127.0.0.1:1"),
    ],
)
def test_a_check_of_what_is_not_there(terminal: Terminal, url: str, step: str, said: str) -> None:
    ended = terminal.run("check", "--json", NOTARY_CLOUD_URL=url)
    assert ended.status == 7
    document = json.loads(ended.out)
    assert document["ok"] is False
    assert [each["name"] for each in document["steps"] if not each["ok"]] == [step]
    assert document["steps"][-1]["said"].startswith(said)
    assert document["steps"][-1]["advice"]


def test_a_check_knows_a_certificate_that_is_not_trusted(tmp_path: Path) -> None:
    with Sandbox(tls=True) as notary:
        terminal = Terminal(notary, tmp_path)
        ended = terminal.run("check", "--json", REQUESTS_CA_BUNDLE=None, CURL_CA_BUNDLE=None)
        assert ended.status == 7
        assert "is not trusted" in json.loads(ended.out)["steps"][-1]["said"]
        assert terminal.run("check", REQUESTS_CA_BUNDLE=notary.ca_file).status == 0


@pytest.mark.parametrize(
    ("status", "expected", "said"),
    [
        (200, 0, ": 200"),
        (402, 0, "no quota or no right"),
        (403, 0, "no quota"),
        (404, 1, ": 404"),
        (401, 1, ": 401"),
    ],
)
def test_a_check_judges_the_signed_call(terminal: Terminal, status: int, expected: int, said: str) -> None:
    if status != 200:
        terminal.notary.faults.answer_next(FILES, status, times=3)
    ended = terminal.run("check", "--json")
    assert ended.status == expected
    (step,) = [each for each in json.loads(ended.out)["steps"] if each["name"] == "signed call"]
    assert said in step["said"]


@pytest.mark.parametrize(("offset", "which"), [(3600, "behind"), (-3600, "ahead of")])
def test_a_check_compares_the_clocks(terminal: Terminal, offset: float, which: str) -> None:
    terminal.notary.faults.clock_offset = offset
    ended = terminal.run("check")
    assert ended.status == 0
    assert f"s {which} the server's" in ended.out


def test_a_check_without_a_date_goes_without(terminal: Terminal) -> None:
    terminal.notary.faults.send_date = False
    assert "the server does not tell its time" in terminal.run("check").out


@pytest.mark.parametrize(
    "date", ["Fri, 31 Dec 99999999999 23:59:59 GMT", "Fri, 31 Dec 2026 23:59:59 -99999999999", "99999999"]
)
def test_a_check_goes_without_a_date_that_no_clock_shows(terminal: Terminal, date: str) -> None:
    with BadServer() as server:
        server.faults[FILES] = send(reply({}, headers=[f"Date: {date}"]))
        ended = terminal.run("check", NOTARY_CLOUD_URL=server.url)
    assert ended.status == 0
    assert "the server does not tell its time" in ended.out


def test_the_help_has_the_statuses_and_an_example(terminal: Terminal) -> None:
    assert "exit status:" in terminal.run("--help").out
    for command in ("check", "token", "data-center", "logout"):
        assert "example:" in terminal.run(command, "--help").out
    assert '"$(notary-auth data-center)/' in terminal.run("token", "--help", COLUMNS="80").out, "it can be copied"


@pytest.mark.parametrize("command", ["token", "check"])
def test_a_ca_bundle_that_is_not_there_is_named(terminal: Terminal, command: str) -> None:
    variables = {"REQUESTS_CA_BUNDLE": "/not/there.pem", "NOTARY_CLOUD_URL": "https://127.0.0.1:9"}
    ended = terminal.run(command, **variables)
    assert ended.status == 1
    assert "/not/there.pem" in ended.out + ended.error


@pytest.mark.parametrize("command", ["token", "check"])
def test_a_disk_without_room_for_the_output_is_told(terminal: Terminal, command: str) -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", terminal.module, command],
            env=terminal.environment({}),
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith("notary-auth: [Errno 28]")
    assert "Traceback" not in ended.stderr


def test_an_output_without_the_letters_of_a_name_is_no_error(tmp_path: Path) -> None:
    with Sandbox(users={"Ганс": "geheim"}) as notary:
        terminal = Terminal(notary, tmp_path)
        ended = terminal.run("check", "--user", "Ганс", NOTARY_PASSWORD="geheim", PYTHONIOENCODING="cp1252")
    assert ended.status == 0
    assert "login: \\u0413" in ended.out


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
def test_a_check_leaves_the_name_to_the_proxy(terminal: Terminal, variable: str) -> None:
    variables = {"NOTARY_CLOUD_URL": "https://cloud.invalid", variable: "http://127.0.0.1:9"}
    ended = terminal.run("check", **variables)
    assert "name: left to the proxy of the environment" in ended.out
    assert ended.status == 7


def test_without_a_home_nothing_is_kept(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container, with a user that the system does not know."""

    def fail(*_: object, **__: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("platformdirs.user_cache_path", fail)
    for _ in range(2):
        ended = terminal.run("token")
        assert ended.status == 0
        assert "no tokens are kept" in ended.error
    assert terminal.notary.count("login") == 2


@pytest.mark.parametrize("missing", ["cryptography", "filelock", "platformdirs"])
def test_without_one_part_of_the_extra_there_is_no_store(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    hide_modules(monkeypatch, missing)
    assert users_store() is None
