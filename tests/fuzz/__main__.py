"""Look for inputs that break a promise: ``python -m tests.fuzz [TARGET] [--seconds 600]``. Needs atheris.

Without a target all are fuzzed in turn, each for that long. An input that breaks a promise is printed and kept in
``--kept``; ``python -m tests.fuzz TARGET FILE`` tries it again. It becomes a test of its name, and a seed.
"""

import argparse
import importlib.util
import logging
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.targets import COVERED, target

_MOST_BYTES = 20_000


def main() -> None:
    given = _arguments()
    if given.input is not None:
        target(given.target).try_out_with_long_one(given.input.read_bytes())
    elif importlib.util.find_spec("atheris") is None:
        print("Fuzzing needs atheris: pip install -e '.[fuzz]' (Linux, Python 3.13 or older)", file=sys.stderr)
        sys.exit(2)
    elif given.target is not None:
        _fuzz(given.target, given.seconds, given.kept)
    else:
        options = ["--seconds", str(given.seconds), "--kept", str(given.kept)]
        # The engine ends its process, so each target has one of its own.
        ended = [subprocess.call([sys.executable, "-m", "tests.fuzz", name, *options]) for name in COVERED]
        sys.exit(any(ended))


def _arguments() -> argparse.Namespace:
    formatter = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__, formatter_class=formatter)
    parser.add_argument("target", nargs="?", choices=list(COVERED), help="only this")
    parser.add_argument("input", nargs="?", type=Path, help="a file to try once, instead")
    parser.add_argument("--seconds", type=int, default=600, help="how long each target is fuzzed")
    parser.add_argument("--kept", type=Path, default=Path(tempfile.gettempdir()), help="where a finding is kept")
    return parser.parse_args()


def _fuzz(name: str, seconds: int, kept: Path) -> None:
    import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore] # an extra of its own

    logging.disable()
    with atheris.instrument_imports(include=COVERED[name], enable_loader_override=False):
        found = target(name)
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(found.seeds):
            (Path(corpus) / str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", f"-max_len={_MOST_BYTES}", f"-artifact_prefix={kept}/{name}-"]
        atheris.Setup([f"tests.fuzz {name}", *options, "-timeout=300", corpus], found.try_out_with_long_one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
