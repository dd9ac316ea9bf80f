"""Attack: a token that was cut, grown, unsigned or spelled in another way, on every backend and by both carriers."""

import base64
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.attacks.conftest import STORED
from tests.attacks.support import NOBODY, Site


def spellings(token: str) -> Iterator[str]:
    """The same token, as some decoder or other would still read it."""
    yield from (
        f"{token}=",
        f"{token}==",
        f"={token}",
        f"{token}.",
        f".{token}",
        f'"{token}"',
        f"'{token}'",
        f'"{token}',
    )
    yield from (f"{token}\n", f"{token}\x00", f"{token}\xa0", f"\xa0{token}", f"\x1f{token}", f"{token},", f"{token}+")
    yield from (
        quote(token).replace(".", "%2E"),
        token.replace(".", ".."),
        token.replace(".", ":"),
        token.replace(".", " "),
    )
    yield from (
        token.replace("-", "+").replace("_", "/") + "=",
        token.upper(),
        token.lower(),
        token.swapcase(),
        token[::-1],
    )
    yield from (
        f"{token[:9]} {token[9:]}",
        f"{token[:9]}\t{token[9:]}",
        f"{token[:9]}~{token[9:]}",
        f"{token[:9]}={token[9:]}",
    )
    yield from (
        f"Bearer {token}",
        f"{token}; {token}",
        f"{token} {token}",
        base64.urlsafe_b64encode(token.encode()).decode(),
    )


def pieces(token: str) -> Iterator[str]:
    """Less than the token, or more."""
    content, _, signature = token.rpartition(".")
    yield from (
        content,
        f"{content}.",
        signature,
        f".{signature}",
        f"{content}.{signature[:-1]}",
        f"{content}.{signature[:-2]}",
    )
    yield from (token[:length] for length in (0, 1, 9, 43, len(token) - 9, len(token) - 1))
    yield from (token[start:] for start in (1, 9, 43))
    yield from (
        token + "A",
        "A" + token,
        token + token,
        f"{token}.{signature}",
        f"{content}A.{signature}",
        f"{content}{token}",
    )


def is_the_token(text: str, token: str, carrier: str) -> bool:
    """Whether the header holds the token itself: blanks around a value are none of it, and a ``;`` ends a cookie."""
    text = text.partition(";")[0] if carrier == "cookie" else text
    return text.strip(" \t") == token


def test_attack_by_another_spelling_of_a_live_token(site: Site, carrier: str) -> None:
    token = site.token(carrier)

    for text in spellings(token):
        if not is_the_token(text, token, carrier):
            assert site.who(text, carrier) == NOBODY, text
    assert site.who(token, carrier) == "ada"


def test_attack_by_a_token_that_is_cut_grown_or_unsigned(site: Site, carrier: str) -> None:
    token = site.token(carrier)

    for text in set(pieces(token)) - {token}:  # an encrypted one has no signature beside it
        assert site.who(text, carrier) == NOBODY, text
    assert site.who(token, carrier) == "ada"


@pytest.mark.parametrize("engine", STORED, indirect=True)
@pytest.mark.parametrize("how", ["signing out", "revoking it", "revoking everything"])
def test_attack_by_another_spelling_of_a_token_that_was_ended(site: Site, carrier: str, how: str) -> None:
    token = site.token(carrier)
    if how == "signing out":
        site.request("POST", "/logout", token, carrier)
    else:
        site.revoke(all_of_them=how == "revoking everything")

    for text in [token, *spellings(token)]:
        assert site.who(text, carrier) == NOBODY, text


@pytest.mark.parametrize("engine", STORED, indirect=True)
def test_attack_by_another_spelling_of_an_id_that_was_rotated_away(site: Site) -> None:
    token = site.token()
    assert "set-cookie" in site.request("POST", "/rotate", token).headers
    site.clock.now += 11

    for text in [token, *spellings(token)]:
        assert site.who(text) == NOBODY, text
