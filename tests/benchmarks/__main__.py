"""Measure what a session costs: ``python -m tests.benchmarks``; docs/performance.md says what and why.

``cost`` measures in this process, ``server`` under uvicorn, ``report`` writes table and chart from what both left in
``--results``. Without one of them all three are done. ``compare REV`` says what changed since a commit, ``profile NAME``
where the time of one candidate of ``cost`` goes.
"""

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks import breakdown, compare, cost, report, server
from tests.benchmarks.figures import Figure, environment


def main() -> None:
    given = _arguments()
    logging.getLogger("fastapi_sessionkit").setLevel(logging.ERROR)  # most of the 1,000 rules reach no route
    blocks = 60 if given.quick else given.blocks
    if given.what == "compare":
        sys.exit(not compare.run(given.of, blocks, given.requests))
    if given.what == "profile":
        breakdown.run(given.of, blocks)
        return
    given.results.mkdir(parents=True, exist_ok=True)
    if given.what in {None, "cost"}:
        _keep(given.results / "cost.json", cost.run(blocks, given.requests))
    if given.what in {None, "server"}:
        rounds, seconds = (3, 0.3) if given.quick else (given.rounds, given.seconds)
        _keep(given.results / "server.json", server.run(rounds, seconds))
    if given.what in {None, "report"}:
        _report(given.results, given.chart)


def _arguments() -> argparse.Namespace:
    formatter = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__, formatter_class=formatter)
    what = ["cost", "server", "report", "compare", "profile"]
    parser.add_argument("what", nargs="?", choices=what, help="only this")
    parser.add_argument("of", nargs="?", help='compare: a commit; profile: a candidate, such as "role, cookie, seen"')
    parser.add_argument("--quick", action="store_true", help="less than a minute, for a first look")
    parser.add_argument("--blocks", type=int, default=400, help="cost: interleaved blocks of each candidate")
    parser.add_argument("--requests", type=int, default=50, help="cost: requests in a block")
    parser.add_argument("--rounds", type=int, default=30, help="server: turns of each application")
    parser.add_argument("--seconds", type=float, default=1.0, help="server: how long a turn is")
    parser.add_argument("--results", type=Path, default=Path("benchmark-results"), help="folder of the figures as JSON")
    parser.add_argument("--chart", type=Path, help="where the chart goes, for example docs/images/performance.svg")
    given = parser.parse_args()
    if (given.what in {"compare", "profile"}) != (given.of is not None):
        parser.error("compare needs a commit, profile a candidate, and the others nothing")
    return given


def _keep(path: Path, measured: dict[str, Any]) -> None:
    for figure in measured["figures"]:
        print(Figure(**{key: value for key, value in figure.items() if key != "met"}))
    print()
    path.write_text(json.dumps({"environment": environment(), **measured}, indent=2) + "\n")


def _report(results: Path, chart: Path | None) -> None:
    kept = {path.stem: json.loads(path.read_text()) for path in results.glob("*.json")}
    print(report.table(kept.get("cost"), kept.get("server")))
    if chart is not None:
        chart.write_text(report.chart(kept["cost"], kept.get("server")))


if __name__ == "__main__":
    main()
