"""Fuzz one target with atheris: ``python -m fuzz TARGET [LIBFUZZER OPTIONS]``, such as ``-max_total_time=60``.

The corpus lies in ``fuzz/corpus/TARGET``; new inputs, and one that breaks a rule, go to a temporary folder. The
test suite runs every file of the corpus: a finding that is copied there stays found.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

import atheris

CORPUS = Path(__file__).parent / "corpus"


def main() -> None:
    with atheris.instrument_imports(include=["notary_auth", "fuzz"]):
        from fuzz.targets import TARGETS
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: python -m fuzz {{{','.join(TARGETS)}}} [LIBFUZZER OPTIONS]")
    name, options = sys.argv[1], sys.argv[2:]
    logging.getLogger("notary_auth").setLevel(logging.CRITICAL)
    scratch = tempfile.mkdtemp(prefix=f"fuzz-{name}-")
    atheris.Setup(
        [sys.argv[0], f"-artifact_prefix={scratch}/", *options, scratch, str(CORPUS / name)], TARGETS[name]
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
