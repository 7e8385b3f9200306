"""The fixtures, in runs of pytest of their own, in a folder that knows nothing of this project."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from notary_auth import pytest_plugin

TESTS = """
import requests
from notary_auth.requests import NotaryAuth

def files_of(notary):
    auth = NotaryAuth(notary.username, notary.password, cloud_url=notary.url)
    return requests.get(f"{notary.api_url}/stored-files", auth=auth)

def test_a_platform_of_ones_own(notary):
    notary.faults.answer_next("/api/2/idp/token", 503, {"Retry-After": "0"})
    assert files_of(notary).json() == {"files": [], "paging": {"cursors": {}}}
    assert notary.count("login") == 2

def test_another_one(notary):
    assert notary.calls == []

def test_one_for_all(notary_session):
    notary_session.account().password = "changed"
    notary_session.add_user("bob", "builder")
    notary_session.faults.latency = 0.01
    assert files_of(notary_session).status_code == 200

def test_one_for_all_made_new(notary_session):
    assert len(notary_session.calls) == 3
    notary_session.reset()
    assert notary_session.calls == []
    assert notary_session.faults.latency == 0
    assert notary_session.password == "qwe123QWE"
    assert files_of(notary_session).status_code == 200
"""


def run(folder: Path, *options: str) -> str:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120).stdout


def test_the_fixtures_serve_a_users_tests(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    shown = run(tmp_path, "--setup-show")
    assert "4 passed" in shown, shown
    assert shown.count("SETUP    S notary_session") == 1
    assert shown.count("SETUP    F notary\n") == 2


@pytest.mark.matrix
def test_the_fixtures_are_listed(tmp_path: Path) -> None:
    shown = run(tmp_path, "--fixtures", "-v")
    assert "A Notary platform of the test's own" in shown
    assert "One Notary platform for all tests of the run" in shown


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("import sys\nsys.modules['starlette'] = None\n")
    (tmp_path / "test_it.py").write_text("def test_it(notary):\n    pass\n")
    shown = run(tmp_path)
    assert "pip install 'notary-auth[sandbox]'" in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("fixture", [pytest_plugin.notary, pytest_plugin.notary_session])
def test_the_fixtures_say_what_they_are(fixture: Any) -> None:
    """``pytest --fixtures`` shows the first line."""
    assert "Notary platform" in fixture.__doc__.partition("\n")[0]


def test_pytest_knows_the_plugin_by_its_entry_point() -> None:
    (entry,) = [each for each in entry_points(group="pytest11") if each.name == "notary_auth"]
    assert entry.value == "notary_auth.pytest_plugin"


def test_loading_the_plugin_imports_nothing_else_of_ours() -> None:
    code = "import pytest, sys; before = set(sys.modules); import notary_auth.pytest_plugin; "
    code += "print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert {"notary_auth", "notary_auth.pytest_plugin"} <= set(loaded)
    assert len(loaded) == 3, "these two, and where the version stands"


@pytest.mark.parametrize("name", ["Account", "CredentialsRefused", "__version__"])
def test_the_names_of_the_package_are_there_when_asked_for(name: str) -> None:
    import notary_auth

    assert getattr(notary_auth, name)
    assert name in dir(notary_auth)
    assert set(notary_auth.__all__) <= set(dir(notary_auth))


def test_a_name_that_is_not_there_is_an_error_as_ever() -> None:
    import notary_auth

    with pytest.raises(AttributeError, match="module 'notary_auth' has no attribute 'Nonsense'"):
        notary_auth.Nonsense  # type: ignore[attr-defined]
