"""What the shop says once it is open."""

from examples.shop.people import PEOPLE
from examples.shop.settings import Settings
from examples.shop.storage import described, key_file


def welcome(settings: Settings, address: str) -> str:
    """Where to look, with whom to sign in, and where that is kept."""
    people = [f"    {person.username:<6}{person.password:<10}{person.role}" for person in PEOPLE.values()]
    lines = ["", f"Furrow is open:  {address}", f"Its API:         {address}/docs", "", "Sign in as", *people, ""]
    lines.append(f"Sessions are kept in {described(settings.store)}.")
    if settings.secret_key is None and (file := key_file(settings.store)):
        lines.append(f"The key that signs them is kept in {file}.")
    elif settings.secret_key is None:
        lines.append("No SESSIONKIT_SECRET_KEY is set: this run made its own, and stopping signs everybody out.")
    if settings.https:
        lines.append("SHOP_HTTPS is 1: browsers keep the cookie only where a proxy before this address speaks https.")
    return "\n".join([*lines, ""])
