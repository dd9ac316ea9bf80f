"""The command line, ``sessionkit`` or ``python -m fastapi_sessionkit``. It needs the extra ``cli``."""

import sys


def main() -> None:
    """Run the command that the arguments name."""
    try:
        from .commands import app
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich"}:
            raise
        print('The command line needs Typer and Rich: pip install "fastapi-sessionkit[cli]"', file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None
    app(prog_name="sessionkit")


__all__ = ["main"]
