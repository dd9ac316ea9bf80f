"""``python -m examples.shop``: start the shop on this machine."""

import sys

import uvicorn

from examples.shop.people import PEOPLE
from examples.shop.settings import Settings, settings
from examples.shop.storage import described
from fastapi_sessionkit import ConfigurationError

HOST = "127.0.0.1"


def welcome(settings: Settings) -> str:
    """Where to look, with whom to sign in, and where that is kept."""
    address = f"{'https' if settings.https else 'http'}://{HOST}:{settings.port}"
    people = [f"    {person.username:<6}{person.password:<10}{person.role}" for person in PEOPLE.values()]
    lines = ["", f"Furrow is open:  {address}", f"Its API:         {address}/docs", "", "Sign in as", *people, ""]
    lines += [f"Sessions are kept in {described(settings.store)}.", ""]
    if settings.forgetful:
        lines += [
            "No SESSIONKIT_SECRET_KEY is set: this run made a key of its own, and stopping signs everybody out.",
            "",
        ]
    return "\n".join(lines)


def main() -> None:
    """Serve until interrupted."""
    try:
        from examples.shop.app import app
    except ConfigurationError as error:
        sys.exit(f"The shop can't open. {error}")
    print(welcome(settings), flush=True)
    uvicorn.run(app, host=HOST, port=settings.port, log_level="warning")


if __name__ == "__main__":
    main()
