"""What is imported when, and what a repository has beside its code: release notes, workflows, one version."""

from __future__ import annotations

import configparser
import re
import runpy
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from notary_auth import __version__

from .paths import ROOT

CLIENTS = {"requests", "httpx", "httpx2", "niquests"}


def modules_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_imports_no_client_and_no_event_loop() -> None:
    assert not modules_after("import notary_auth") & {*CLIENTS, "asyncio", "trio", "dataclasses", "idna"}


@pytest.mark.parametrize("client", ["requests", "httpx", "httpx2", "niquests"])
def test_rule_24_an_adapter_adds_little_to_its_client(client: str) -> None:
    pytest.importorskip(client)
    added = modules_after(f"import notary_auth.{client}") - modules_after(f"import {client}")
    assert not added & {"asyncio", "trio", "dataclasses"}
    assert not {f"notary_auth.{other}" for other in CLIENTS - {client}} & added


@pytest.mark.parametrize(
    ("module", "extra"), [("httpx2", "httpx2"), ("niquests", "niquests"), ("starlette", "sandbox")]
)
def test_a_missing_module_names_its_extra(module: str, extra: str) -> None:
    code = f"import sys; sys.modules[{module!r}] = None; import notary_auth.{extra}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"pip install 'notary-auth[{extra}]'" in done.stderr


NOTES = ROOT / ".github" / "release_notes.py"


def test_the_release_notes_are_the_changelogs() -> None:
    done = subprocess.run(
        [sys.executable, str(NOTES), "0.1.0"], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    assert done.stdout.startswith("* ``NotaryAuth`` for requests")
    assert "unreleased" not in done.stdout


def test_each_version_has_its_own_notes() -> None:
    notes = runpy.run_path(str(NOTES))["notes"]
    changelog = (
        "Changelog\n=========\n\n0.2.0\n-----\n\n* new\n\n0.1.0 (2026-11-25)\n------------------\n\n* old\n"
    )
    assert (notes(changelog, "0.2.0"), notes(changelog, "0.1.0")) == ("* new\n", "* old\n")
    with pytest.raises(KeyError):
        notes(changelog, "0.3.0")


def test_the_version_stands_in_one_place() -> None:
    assert version("notary-auth") == __version__
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not in a checkout")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    holds = [
        name
        for name in listed.stdout.split()
        if name.endswith((".py", ".cfg", ".toml"))
        and re.search(rf"^__?version.*{re.escape(__version__)}", (ROOT / name).read_text(), re.MULTILINE)
    ]
    assert holds == ["notary_auth/_version.py"]


def setup_cfg() -> configparser.RawConfigParser:
    config = configparser.RawConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


def test_the_metadata_says_where_to_turn() -> None:
    assert {"project_urls", "author_email"} & set(setup_cfg()["metadata"])


@pytest.mark.parametrize("page", ["SECURITY.md", "docs/security.rst"])
def test_a_vulnerability_is_reported_in_a_way_that_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert '"Report a vulnerability" on the Security tab' in text
    assert "author_email" in setup_cfg()["metadata"] or "package's metadata" not in text


#: The version of a package that fixed a hole, and the hole.
FIXED_IN = {
    "cryptography": ("42.0.4", "CVE-2024-26130"),
    "h11": ("0.16.0", "CVE-2025-43859"),
    "idna": ("3.7", "CVE-2024-3651"),
    "python-multipart": ("0.0.22", "CVE-2026-24486"),
    "requests": ("2.32.4", "CVE-2024-47081"),
    "starlette": ("0.47.2", "CVE-2025-54121"),
}


def as_numbers(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))


@pytest.mark.parametrize("package", FIXED_IN)
def test_a_lower_bound_excludes_a_known_hole(package: str) -> None:
    config = setup_cfg()
    required = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    bounds = re.findall(rf"^{package} >= ([\d.]+)$", "\n".join(required), re.MULTILINE)
    release, hole = FIXED_IN[package]
    assert bounds, f"setup.cfg has no lower bound for {package}"
    assert all(as_numbers(bound) >= as_numbers(release) for bound in bounds), hole


def test_the_workflows_are_valid() -> None:
    actionlint = shutil.which("actionlint", path=str(Path(sys.executable).parent)) or shutil.which("actionlint")
    if actionlint is None:
        pytest.skip("actionlint comes with the extra 'dev'")
    done = subprocess.run([actionlint], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == ""


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit(workflow: Path) -> None:
    used = re.findall(r"\buses:\s*(.+)", workflow.read_text(encoding="utf-8"))
    assert used
    assert [each for each in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)] == []


def test_the_job_that_publishes_may_only_get_its_token() -> None:
    release = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8"))
    assert release["permissions"] == {"contents": "read"}
    granted = {name: job["permissions"] for name, job in release["jobs"].items() if "permissions" in job}
    assert granted == {"publish": {"id-token": "write"}, "github-release": {"contents": "write"}}


def test_each_tool_of_a_workflow_has_a_version() -> None:
    lines = (ROOT / ".github" / "tools.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0] for line in lines if re.fullmatch(r"[\w-]+==[\d.]+", line)}
    assert "setuptools" in pinned
    for workflow in WORKFLOWS:
        for arguments in re.findall(r"\bpip install (.+)", workflow.read_text(encoding="utf-8")):
            assert arguments.startswith("--constraint .github/tools.txt ")
            assert set(arguments.split()[2:]) <= pinned


def test_dependabot_looks_after_actions_tools_and_bounds() -> None:
    config = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8"))
    looked_after = {
        (update["package-ecosystem"], directory)
        for update in config["updates"]
        for directory in update.get("directories", [update.get("directory")])
    }
    assert looked_after == {("github-actions", "/"), ("pip", "/"), ("pip", "/.github")}


ADAPTER = {"account", "for_client", "from_account", "from_env"}
PUBLIC = {
    "notary_auth.Account": {
        *("for_client", "username", "cloud_url", "server_url", "base_url", "forget"),
        *("cached_signature", "cached_signature_at", "sign", "reauthorize", "log_out"),
    },
    "notary_auth.requests.NotaryAuth": {*ADAPTER, "logout"},
    "notary_auth.niquests.NotaryAuth": {*ADAPTER, "logout"},
    "notary_auth.niquests.AsyncNotaryAuth": {*ADAPTER, "alogout"},
    "notary_auth.aiohttp.NotaryAuth": {*ADAPTER, "alogout"},
    "notary_auth.httpx.NotaryAuth": {
        *ADAPTER,
        *("logout", "alogout", "auth_flow", "sync_auth_flow", "async_auth_flow"),
        *("requires_request_body", "requires_response_body"),  # httpx's own
    },
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_objects_show_public_names_only(name: str) -> None:
    module, _, kind = name.rpartition(".")
    found = getattr(pytest.importorskip(module), kind)
    assert {each for each in dir(found) if not each.startswith("_")} == PUBLIC[name]
