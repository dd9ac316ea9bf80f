"""Measure: ``python -m tests.benchmarks``; see docs/performance.md."""

import argparse
import json
import logging
from pathlib import Path

from tests.benchmarks import cost
from tests.benchmarks.figures import Figure, environment


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--blocks", type=int, default=400, help="interleaved blocks of each candidate")
    parser.add_argument("--requests", type=int, default=50, help="requests in a block")
    parser.add_argument("--quick", action="store_true", help="a few seconds, for a first look")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    given = parser.parse_args()
    logging.getLogger("fastapi_sessionkit").setLevel(logging.ERROR)  # most of the 1,000 rules reach no route
    blocks, requests = (60, 50) if given.quick else (given.blocks, given.requests)
    measured = {"environment": environment(), **cost.run(blocks, requests)}
    for figure in measured["figures"]:
        print(Figure(**{key: value for key, value in figure.items() if key != "met"}))
    print(measured["microseconds_a_request"])
    if given.json:
        given.json.write_text(json.dumps(measured, indent=2) + "\n")


if __name__ == "__main__":
    main()
