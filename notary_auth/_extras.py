"""Packages that only an extra brings, and what to say where one is missing."""

from __future__ import annotations

from importlib.util import find_spec


def needs_extra(extra: str, *modules: str) -> None:
    """See to it that the modules of an extra are there, without importing them.

    Raises:
        ModuleNotFoundError: one is not; says what to install.
    """
    for module in modules:
        if find_spec(module) is None:
            raise missing_extra(extra, ModuleNotFoundError(name=module))


def missing_extra(extra: str, error: ModuleNotFoundError) -> ModuleNotFoundError:
    """The error of a missing module, with what to install."""
    return ModuleNotFoundError(
        f"no module named {error.name!r}: pip install 'notary-auth[{extra}]'", name=error.name
    )
