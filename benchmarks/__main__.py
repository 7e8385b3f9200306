"""Measure notary-auth beside what people would use in its place.

    python -m benchmarks [CASE ...] [--record FOLDER]

All cases take about ten minutes on two cores, which should have nothing else to do. Tables are printed; with
--record, what docs/benchmarks.rst shows is written to FOLDER: a record of all cases, tables, and plots. Everything
needed comes with the extra ``bench``, but for valgrind.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

from . import first, processes, record, stream, warm

CASES = {
    "signing": warm.run_signing,
    "request": warm.run_request,
    "cold_start": first.run_cold_start,
    "herd": first.run_herd,
    "lag": first.run_lag,
    "rollover": stream.run_rollover,
    "revocation": stream.run_revocation,
    "imports": processes.run_imports,
    "fleet": processes.run_fleet,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all, if there is none")
    parser.add_argument("--record", type=Path, metavar="FOLDER", help="write the record, tables and plots there")
    arguments = parser.parse_args()
    if arguments.cases and arguments.record:
        parser.error("a record is of one run of all cases")
    if unknown := set(arguments.cases).difference(CASES):
        parser.error(f"no such case: {', '.join(unknown)}")
    about = record.described()
    results = {}
    for case in arguments.cases or CASES:
        started = time.monotonic()
        results[case] = asyncio.run(CASES[case]())
        print(*(table.text() for table in results[case].tables), sep="\n\n", end="\n\n")
        print(f"{case}: {time.monotonic() - started:.0f} s", end="\n\n", flush=True)
    print(f"on {about['processor']}, at {about['commit']}")
    if arguments.record:
        record.write(arguments.record, about, results)


if __name__ == "__main__":
    main()
