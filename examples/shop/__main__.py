"""``python -m examples.shop``: start the shop on this machine."""

import argparse
import os
import sys

from fastapi_sessionkit import ConfigurationError

ENVIRONMENT = """\
in the environment:
  SHOP_PORT    the port, where --port does not say it
  SHOP_STORE   where sessions are kept: shop.sqlite3 by default; another file, memory, cookie, or the URL of a database
  SHOP_HTTPS   1 when the shop is reached over https
  SESSIONKIT_SECRET_KEY
               what signs the sessions; without it SQLite's key is kept beside its file, in shop.secret
"""


def port(text: str) -> int:
    """A port as somebody typed it."""
    if text.isdecimal() and len(text) <= 5 and int(text) <= 65_535:
        return int(text)
    raise argparse.ArgumentTypeError(f"--port or SHOP_PORT is a number from 0 to 65535, not {text!r}")


def arguments() -> argparse.Namespace:
    """What the command line says, and the environment where it doesn't."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.shop",
        description="Furrow, a small seed shop: what fastapi_sessionkit is for, to be tried out.",
        epilog=ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at, 127.0.0.1 by default")
    parser.add_argument(
        "--port",
        type=port,
        default=os.environ.get("SHOP_PORT") or "8000",
        help="the port, 8000 by default; 0 takes a free one",
    )
    return parser.parse_args()


def main() -> None:
    """Serve until interrupted."""
    options = arguments()
    try:
        from examples.shop.server import serve, shown_address, taken_address

        door = taken_address(options.host, options.port)
        from examples.shop.app import app
        from examples.shop.settings import settings
        from examples.shop.welcome import welcome
    except ModuleNotFoundError as error:
        sys.exit(f"The shop can't open. It needs {error.name}, which is not installed: pip install -e '.[demo]'")
    except ConfigurationError as error:
        sys.exit(f"The shop can't open. {error}")
    serve(app, door, welcome(settings, shown_address(door)))


if __name__ == "__main__":
    main()
