"""Measure notary-auth beside what people would use in its place.

    python -m benchmarks [CASE ...] [--record FOLDER]

All cases take about twelve minutes on two cores, which should have nothing else to do. Tables are printed; with
--record, what docs/benchmarks.rst shows is written to FOLDER: a record of all cases, tables, and plots. Everything
needed comes with the extra ``bench``; instructions are counted where there is a valgrind.
"""

from __future__ import annotations

import argparse
import time
from importlib import import_module
from pathlib import Path

from . import machine, record
from .table import Result

CASES = [
    "signing",
    "request",
    "cold_start",
    "herd",
    "lag",
    "rollover",
    "revocation",
    "imports",
    "fleet",
]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all, if there is none")
    parser.add_argument("--record", type=Path, metavar="FOLDER", help="write the record, tables and plots there")
    arguments = parser.parse_args()
    if arguments.cases and arguments.record:
        parser.error("a record is of one run of all cases")
    unknown = [case for case in arguments.cases if case not in CASES]
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}")
    results: dict[str, Result] = {}
    took: dict[str, float] = {}
    about = machine.described()
    for case in arguments.cases or CASES:
        started = time.monotonic()
        results[case] = import_module(f".{case}", __package__).run()
        took[case] = time.monotonic() - started
        print(*(table.text() for table in results[case].tables), sep="\n\n", end="\n\n", flush=True)
    print(", ".join(f"{case} {seconds:.0f} s" for case, seconds in took.items()))
    print(f"{sum(took.values()):.0f} seconds, on {about['processor']}, at {about['commit']}")
    if arguments.record:
        record.write(arguments.record, about, results)


if __name__ == "__main__":
    main()
