"""Three people who may sign in: a stand-in for a user table.

The passwords are printed on the sign-in page. A real table keeps only their hashes (argon2 or bcrypt).
"""

import hmac
from dataclasses import dataclass
from typing import Literal

Tier = Literal["free", "premium"]


@dataclass(frozen=True)
class Person:
    """Somebody who may sign in, and what they may do."""

    username: str
    name: str
    password: str
    role: str
    tier: Tier
    permissions: tuple[str, ...]
    may: str

    @property
    def email(self) -> str:
        """An address nobody has: example.com is reserved for this."""
        return f"{self.username}@example.com"


PEOPLE = {
    person.username: person
    for person in (
        Person(
            username="ada",
            name="Ada Moreau",
            password="orchard",
            role="admin",
            tier="premium",
            permissions=("journal:publish", "settings:write", "stock:write"),
            may="Runs the shop, so every door is open.",
        ),
        Person(
            username="emil",
            name="Emil Sørensen",
            password="trellis",
            role="editor",
            tier="premium",
            permissions=("journal:publish", "settings:write"),
            may="Writes the journal and the notice on the front page.",
        ),
        Person(
            username="cleo",
            name="Cleo Adeyemi",
            password="radish",
            role="customer",
            tier="free",
            permissions=(),
            may="Buys seeds, and may join the Almanac.",
        ),
    )
}


def who_is(username: str, password: str) -> Person | None:
    """The person with that name and password, or ``None``. Takes the same time for every wrong password."""
    person = PEOPLE.get(username.strip().lower())
    if person is None or not hmac.compare_digest(password.encode(errors="replace"), person.password.encode()):
        return None
    return person
