"""Attack: content that no application wrote, under the real key. Nobody is there, it is no error, and it takes no time."""

import asyncio
import itertools
import math
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from itsdangerous import Signer
from pydantic import ConfigDict, ValidationError

from fastapi_sessionkit import CookieBackend, MemoryStore, SessionRecord
from fastapi_sessionkit.backends import BackendContext
from fastapi_sessionkit.backends.keys import encode
from tests.attacks.support import NOBODY, Site
from tests.support import COOKIE, SECRET, AppSession, Clock

Times = tuple[float, float, float, float]
"""When a session was made, its user signed in, it was last used, and it ends."""

HEAD = struct.Struct(">4dI")
START = b'{"user_id":"ada"'
NOTE = b'"__sessionkit__":'


class Measured(AppSession):
    count: int = 0
    weight: float = 0.0


class Strict(Measured):
    model_config = ConfigDict(strict=True, extra="forbid")


NOBODYS: dict[str, bytes] = {
    "NaN in a field": START + b',"weight":NaN}',
    "infinity in a field": START + b',"weight":-Infinity}',
    "NaN in an extra field": START + b',"extra":NaN}',
    "infinity deep in an extra field": START + b',"extra":{"a":[1,Infinity]}}',
    "a number beyond all numbers": START + b',"weight":1e999}',
    "a whole number of thousands of digits as a float": START + b',"weight":' + b"9" * 2_700 + b"}",
    "lists in lists": START + b',"extra":' + b"[" * 1_300 + b"]" * 1_300 + b"}",
    "objects in objects": START + b',"extra":' + b'{"a":' * 400 + b"1" + b"}" * 400 + b"}",
    "lists that do not close": START + b',"extra":' + b"[" * 2_700,
    "a user that is a number": b'{"user_id":1}',
    "a user that is a list": b'{"user_id":["ada"]}',
    "no user": b'{"role":"admin"}',
    "a blank user": b'{"user_id":" "}',
    "a user with NUL": b'{"user_id":"a\\u0000"}',
    "half of a surrogate pair": b'{"user_id":"\\ud800"}',
    "half of a surrogate pair in an extra field": START + b',"extra":"\\ud800"}',
    "roles in one text": START + b',"roles":"admin"}',
    "roles that are granted by their names": START + b',"roles":{"admin":true}}',
    "a role that is a number": START + b',"role":1}',
    "too many roles": START + b',"roles":[' + b",".join([b'"r"'] * 101) + b"]}",
    "a list": b'["ada"]',
    "null": b"null",
    "nothing": b"",
    "two objects": START + b"} {}",
    "a byte order mark": b"\xef\xbb\xbf" + START + b"}",
    "what is no UTF-8": b'{"user_id":"\xff"}',
    "UTF-16": (START + b"}").decode().encode("utf-16"),
    "a note that does not end": b"{" + NOTE + b'["moves"',
    "a note that is nothing but a note": b"{" + NOTE + b'["moves","switches"]}',
    "a note behind a note": b"{" + NOTE + b"[2]," + NOTE + b'["transient"],"user_id":"ada"}',
    "a note that stands somewhere else": START + b"," + NOTE + b'["moves"]}',
    "compressed": zlib.compress(START + b"}"),
    "compressed a thousandfold": zlib.compress(START + b',"extra":"' + b"A" * 2_000_000 + b'"}'),
}

ONLY_STRICTLY: dict[str, bytes] = {
    "a number as text": START + b',"count":"1"}',
    "a whole number with a fraction": START + b',"count":1.0}',
    "a truth value as a number": START + b',"count":true}',
    "a literal that there is not": START + b',"tier":"gold"}',
    "a field that there is not": START + b',"is_admin":true}',
    "a list as an object": START + b',"cart":{"0":"x"}}',
}

SOMEBODYS: dict[str, bytes] = {
    "a whole number of thousands of digits": START + b',"count":' + b"9" * 2_700 + b"}",
    "a list of a thousand": START + b',"extra":[' + b",".join([b"0"] * 1_000) + b"]}",
    "lists in lists that end soon": START + b',"extra":' + b"[" * 100 + b"]" * 100 + b"}",
    "the word NaN": START + b',"note":"NaN and Infinity"}',
    "a release with thousands of digits": b"{" + NOTE + b"[" + b"9" * 2_500 + b'],"user_id":"ada"}',
    "a number beyond all numbers in an extra field": START + b',"extra":1e999}',
    "a key twice": b'{"user_id":"eve","user_id":"ada"}',
}


def sealed(site: Site, data: bytes, times: Times, carrier: str) -> str:
    """A token under the site's own key."""
    if carrier == "bearer" and data.startswith(START):
        data = b"{" + NOTE + b'["issued"],' + data[1:]
    record = SessionRecord(data, "ada", 1, *times)
    return asyncio.run(site.kit.backend.create(record))


def signed_site(engine: str, clock: Clock, model: type[AppSession] = Measured) -> Site:
    return Site(CookieBackend(encrypt=engine == "encrypted"), model=model, clock=clock)


def alive(clock: Clock) -> Times:
    return clock.now, clock.now, clock.now, clock.now + 600


on_both_kinds = pytest.mark.parametrize("kind", ["cookie", "encrypted"])


def assert_quick(site: Site, token: str, carrier: str, whose: str, what: str) -> None:
    """Whose a token is, and that nobody can change anything by it but its owner, by a cookie."""
    began = time.perf_counter()
    assert site.who(token, carrier) == whose, what
    assert site.request("POST", "/change", token, carrier).status_code == (401 if whose == NOBODY else 200), what
    assert time.perf_counter() - began < 5, what


@on_both_kinds
@pytest.mark.parametrize("model", [Measured, Strict])
def test_attack_by_content_that_is_no_session(kind: str, model: type[AppSession], carrier: str, clock: Clock) -> None:
    site = signed_site(kind, clock, model)

    with site.client:
        for what, data in (NOBODYS | (ONLY_STRICTLY if model is Strict else {})).items():
            assert_quick(site, sealed(site, data, alive(clock), carrier), carrier, NOBODY, what)


@on_both_kinds
def test_content_that_is_merely_odd_is_a_session_that_can_be_changed(kind: str, clock: Clock) -> None:
    site = signed_site(kind, clock)

    with site.client:
        for what, data in SOMEBODYS.items():
            assert_quick(site, sealed(site, data, alive(clock), "cookie"), "cookie", "ada", what)


@on_both_kinds
def test_a_session_that_is_merely_odd_is_still_one_after_a_change(kind: str, clock: Clock) -> None:
    site = signed_site(kind, clock)

    with site.client:
        for what, data in SOMEBODYS.items():
            changed = site.request("POST", "/change", sealed(site, data, alive(clock), "cookie"))
            token = changed.headers["set-cookie"].partition("=")[2].partition(";")[0]
            assert site.who(token) == "ada", what


NO_TIMES = [math.nan, math.inf, -math.inf, 1e300, -1e300, -1.0, 253_402_300_800.0]


@on_both_kinds
def test_attack_by_times_that_no_clock_says(kind: str, carrier: str, clock: Clock) -> None:
    site = signed_site(kind, clock)

    with site.client:
        for place, time_of_none in itertools.product(range(4), NO_TIMES):
            times = [*alive(clock)]
            times[place] = time_of_none
            token = sealed(site, START + b"}", (times[0], times[1], times[2], times[3]), carrier)
            assert_quick(site, token, carrier, NOBODY, f"{time_of_none} at {place}")


def real_signer(clock: Clock) -> Signer:
    """What signs the site's own signed cookies."""
    context = BackendContext((SECRET,), f"fastapi_sessionkit:session:{COOKIE}", clock, lambda: "", 4_096)
    return context.signer("session")


def test_attack_by_a_token_with_less_than_its_times(carrier: str, clock: Clock) -> None:
    site = signed_site("cookie", clock)
    packed, signer = HEAD.pack(*alive(clock), 1), real_signer(clock)

    assert site.who(signer.sign(encode(packed + START + b"}")).decode()) == "ada"
    for length in range(HEAD.size):
        assert site.who(signer.sign(encode(packed[:length])).decode(), carrier) == NOBODY


def test_attack_by_a_compressed_token_of_the_right_purpose(carrier: str, clock: Clock) -> None:
    """itsdangerous and Django inflate what begins with a dot; nothing here does."""
    site = signed_site("cookie", clock)
    content = HEAD.pack(*alive(clock), 1) + START + b',"extra":"' + b"A" * 2_000_000 + b'"}'
    token = real_signer(clock).sign(b"." + encode(zlib.compress(content))).decode()

    assert len(token) < 4_096
    site.assert_opens_nothing(token, carrier)


def write_row(site: Site, store: MemoryStore, data: Callable[[SessionRecord], bytes]) -> None:
    """Change what is stored of Ada's only session."""
    portal = site.client.portal
    assert portal is not None
    ((key, record),) = portal.call(store.list_user, "ada")
    changed = replace(record, data=data(record), version=record.version + 1)
    assert portal.call(lambda: store.replace(key, changed, version=record.version))


def test_attack_by_such_content_in_a_row_of_the_store(clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    site = Site(store, model=Measured, clock=clock)

    with site.client:
        for what, data in NOBODYS.items():
            token = site.token()
            write_row(site, store, lambda _, data=data: data)  # type: ignore[misc]
            assert_quick(site, token, "cookie", NOBODY, what)


def test_a_release_of_thousands_of_digits_in_a_row_is_the_first(clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    site = Site(store, model=Measured, clock=clock)

    with site.client:
        token = site.token()
        write_row(site, store, lambda record: b"{" + NOTE + b"[" + b"9" * 6_000 + b"]," + record.data[1:])
        assert_quick(site, token, "cookie", "ada", "thousands of digits")


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_session_holds_no_number_that_json_has_not(number: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        Measured(user_id="ada", weight=number)


def test_a_model_that_writes_such_numbers_keeps_them(clock: Clock) -> None:
    class Odd(AppSession):
        model_config = ConfigDict(ser_json_inf_nan="constants", allow_inf_nan=True)
        weight: float = math.inf

    site = signed_site("cookie", clock, Odd)

    with site.client:
        data = START + b',"weight":Infinity}'
        assert site.request("POST", "/change", sealed(site, data, alive(clock), "cookie")).status_code == 200
