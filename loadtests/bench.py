"""`bin/bench NAME [--quick]`: progress on standard error, one JSON object as the last line of standard output."""

import argparse
import importlib
import json
import sys
from collections.abc import Callable
from typing import Final

from loadtests import report

HEADINGS: Final = {
    "allocate": "Allocations and look-ups over HTTP",
    "calls": "Calls through Asterisk",
    "ways": "Ways to ask a program about a call",
    "texts": "Texts through SMPP, database and agent",
    "console": "Pages of the console with a million bindings and five million texts",
    "chaos": "Texts while everything is killed",
}
RELIABILITY: Final = ("faults", "soak")  # they write docs/reliability.md themselves
NOT_BUILT: Final = ("scale",)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bin/bench", description="Compare the platform with its floors, in one run.")
    parser.add_argument("name", choices=[*HEADINGS, *RELIABILITY, *NOT_BUILT])
    parser.add_argument("--quick", action="store_true", help="shorter runs; docs/ stays as it is")
    options = parser.parse_args()
    if options.name in NOT_BUILT:
        print(f"{options.name}: not built yet", file=sys.stderr)
        sys.exit(2)
    run: Callable[[bool], report.Result] = importlib.import_module(f"loadtests.{options.name}").run
    result = run(options.quick)
    if not options.quick and options.name in HEADINGS:
        report.write(options.name, result, HEADINGS[options.name])
    print(json.dumps(result.line()))


if __name__ == "__main__":
    main()
