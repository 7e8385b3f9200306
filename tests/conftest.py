from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from notary_auth.sandbox import Sandbox

from . import grants
from .clients import CLIENTS, Client, each
from .core import cheapen_scrypt, forget_seals, quicken_conformance
from .grants import Grant


def pytest_configure(config: pytest.Config) -> None:
    if find_spec("niquests") is not None:  # its fork of urllib3 leaves sockets to the garbage collector
        for warning in ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning"):
            config.addinivalue_line("filterwarnings", f"ignore::{warning}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    if "both_grants" in marks and "users_only" not in marks:
        metafunc.parametrize("grant", list(Grant), indirect=True, ids=lambda grant: grant.value)


@pytest.fixture(autouse=True)
def grant(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The grant that the test's accounts log in with: each in its turn where the module says ``both_grants``."""
    monkeypatch.setattr(grants, "current", getattr(request, "param", Grant.USER))


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """For tests that try thousands of things, and would log as many warnings."""
    caplog.set_level(logging.CRITICAL, "notary_auth")


@pytest.fixture
def garbage() -> Iterator[None]:
    """For tests that leave sockets to the garbage collector: let it find them before the next test begins."""
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def cheap_scrypt(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """scrypt costs its real price only where that is the subject."""
    forget_seals()
    if "real_scrypt" not in request.keywords:
        cheapen_scrypt(monkeypatch)


@pytest.fixture(params=["quick", pytest.param("at its own pace", marks=pytest.mark.long)])
def pace(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the checks wait for: a tenth of a second, or as long as they make a user's own store wait."""
    if request.param == "quick":
        quicken_conformance(monkeypatch)


@pytest.fixture
def notary(notary_session: Sandbox) -> Sandbox:
    """The platform of the whole run, as new."""
    notary_session.reset()
    return notary_session


@pytest.fixture
def own_notary() -> Iterator[Sandbox]:
    """A platform of the test's own, for tests that stop it."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def files(notary: Sandbox) -> str:
    """The URL that users write for their stored files."""
    return f"{notary.api_url}/stored-files"


@pytest.fixture(params=each(CLIENTS))
def client(request: pytest.FixtureRequest) -> Client:
    """Each client, in each of the ways it is used: three of them by default, the others with ``-m matrix``."""
    return request.param  # type: ignore[no-any-return]
