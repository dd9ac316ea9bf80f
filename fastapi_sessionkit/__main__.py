"""``python -m fastapi_sessionkit`` is the command ``sessionkit``."""

from .cli import main

main()
