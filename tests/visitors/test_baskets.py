"""``anonymous=True``: every visitor has a session, and one is stored and sent once something has changed."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from fastapi_sessionkit import MemoryStore, Session, StoreBackend, set_session
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import Clock, RecordingStore, client_of, holding, new_kit
from tests.visitors.support import BASKET, Basket, Shop, basket_kit


def browser(shop: Shop, **options: Any) -> TestClient:
    return client_of(shop.app, **options)


def test_a_visitor_without_a_session_has_a_fresh_one(backend: Any) -> None:
    with browser(Shop(basket_kit(backend=backend))) as client:
        answer = client.get("/basket")

        assert answer.json() == []
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/add/tea", "/add-in-place/tea"])
def test_a_change_begins_one_and_the_next_request_has_it(backend: Any, path: str) -> None:
    with browser(Shop(basket_kit(backend=backend))) as client:
        answer = client.post(path)
        client.post("/add/bread")

        assert answer.headers["set-cookie"].startswith(f"{BASKET}=")
        assert client.get("/basket").json() == ["tea", "bread"]


@pytest.mark.parametrize("path", ["/add/jam", "/add-in-place/jam"])
def test_a_change_of_one_that_is_stored_is_saved(backend: Any, path: str) -> None:
    with browser(Shop(basket_kit(backend=backend))) as client:
        client.post("/add/tea")
        client.post(path)

        assert client.get("/basket").json() == ["tea", "jam"]


def test_a_basket_is_kept_as_nobodys() -> None:
    store = MemoryStore()
    browser(Shop(basket_kit(backend=store))).post("/add/tea")

    assert [record.user_id for record in store._records.values()] == [None]  # noqa: SLF001


def test_a_change_is_seen_by_later_reads_of_the_request() -> None:
    assert browser(Shop(basket_kit())).post("/set/hello").json() == "hello"


def test_several_changes_in_one_request_are_all_saved() -> None:
    shop = Shop(basket_kit())

    @shop.app.post("/several")
    async def several(request: Request) -> None:
        shop.basket.update_session(request, lambda now: {"items": [*now.items, "a"]})
        shop.basket.update_session(request, note="b")
        current = await shop.basket.require_session(request)
        current.items.append("c")

    client = browser(shop)
    client.post("/several")

    assert session_of(client, shop.basket) == Basket(items=["a", "c"], note="b")


def test_what_was_handed_out_first_may_be_changed_last() -> None:
    shop = Shop(basket_kit())

    @shop.app.post("/late")
    async def late(request: Request) -> None:
        first = await shop.basket.require_session(request)
        shop.basket.update_session(request, note="b")
        first.items.append("late")

    client = browser(shop)
    client.post("/late")

    assert session_of(client, shop.basket) == Basket(items=["late"], note="b")


# Nothing changed


@pytest.mark.parametrize("path", ["/set/%20", "/same", "/there-and-back"])
def test_a_change_that_changes_nothing_stores_and_sends_nothing(path: str) -> None:
    store = RecordingStore()
    shop = Shop(basket_kit(backend=StoreBackend(store)))

    @shop.app.post("/same")
    async def same(request: Request) -> None:
        shop.basket.update_session(request, items=[], note="")

    @shop.app.post("/there-and-back")
    async def there_and_back(request: Request) -> None:
        shop.basket.update_session(request, note="there")
        current = await shop.basket.require_session(request)
        current.items.append("there")
        current.items.clear()
        shop.basket.update_session(request, note="")

    answer = browser(shop).post(path)

    assert answer.status_code == 200
    assert ("set-cookie" in answer.headers) is (path == "/set/%20")
    assert (store.calls == []) is (path != "/set/%20")


@pytest.mark.anyio
async def test_ten_thousand_visitors_without_a_change_leave_the_store_untouched() -> None:
    store = RecordingStore()
    app = Shop(basket_kit(backend=StoreBackend(store))).app

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://testserver") as client:
        for _ in range(10_000):
            assert "set-cookie" not in (await client.get("/basket")).headers

    assert store.calls == []


def test_one_that_is_read_is_not_written_again() -> None:
    store = RecordingStore()
    client = browser(Shop(basket_kit(backend=StoreBackend(store))))
    client.post("/add/tea")
    store.calls.clear()

    client.get("/basket")

    assert store.calls == ["get"]


def test_an_error_begins_nothing() -> None:
    shop = Shop(basket_kit())

    @shop.app.post("/fail")
    async def fail(request: Request) -> None:
        shop.basket.update_session(request, note="x")
        raise RuntimeError

    answer = browser(shop, raise_server_exceptions=False).post("/fail")

    assert answer.status_code == 500
    assert "set-cookie" not in answer.headers


def test_a_fresh_session_is_nobody_elses() -> None:
    """Each visitor has lists of their own, whatever the default is."""
    client = browser(Shop(basket_kit()))
    client.post("/add-in-place/tea")
    client.cookies.clear()

    assert client.get("/basket").json() == []


# Ending and moving


def test_what_was_emptied_is_fresh_in_the_same_request_and_gone_after(backend: Any) -> None:
    with browser(Shop(basket_kit(backend=backend))) as client:
        client.post("/add/tea")
        answer = client.post("/empty")

        assert answer.json() == []
        assert answer.headers["set-cookie"].startswith(f"{BASKET}=;")
        assert client.get("/basket").json() == []


def test_what_is_changed_after_emptying_begins_anew_and_the_old_one_ends() -> None:
    shop = Shop(basket_kit(backend=MemoryStore()))

    @shop.app.post("/over")
    async def over(request: Request) -> None:
        shop.basket.clear_session(request)
        shop.basket.update_session(request, note="anew")

    client = browser(shop)
    client.post("/add/tea")
    old = client.cookies[BASKET]
    client.post("/over")

    assert session_of(client, shop.basket) == Basket(note="anew")
    assert session_of(holding(browser(shop), old, BASKET), shop.basket) is None


def test_a_session_that_is_set_is_begun_in_the_old_ones_place() -> None:
    shop = Shop(basket_kit(backend=MemoryStore()))
    client = browser(shop)
    client.post("/add/tea")
    client.post("/replace")

    assert client.get("/basket").json() == ["new"]


def test_moving_to_a_new_id_keeps_what_is_stored_and_begins_nothing(backend: Any) -> None:
    with browser(Shop(basket_kit(backend=backend))) as client:
        nothing = client.post("/move")
        client.post("/add/tea")
        moved = client.post("/move")

        assert (nothing.status_code, "set-cookie" in nothing.headers) == (200, False)
        assert moved.headers["set-cookie"].startswith(f"{BASKET}=")
        assert client.get("/basket").json() == ["tea"]


@pytest.mark.parametrize("token", ["", "made-up", "x" * 5_000])
def test_a_cookie_that_leads_nowhere_is_a_visitor_like_any_other(token: str) -> None:
    client = holding(browser(Shop(basket_kit())), token, BASKET)

    assert client.get("/basket").json() == []
    client.post("/add/tea")
    assert client.get("/basket").json() == ["tea"]


def test_one_that_has_expired_is_fresh_again(clock: Clock) -> None:
    client = browser(Shop(basket_kit(backend=MemoryStore(clock=clock), clock=clock, idle_timeout=100)))
    client.post("/add/tea")
    clock.advance(101)

    assert client.get("/basket").json() == []
    client.post("/add/jam")
    assert client.get("/basket").json() == ["jam"]


def test_one_that_no_longer_fits_is_removed_and_a_fresh_one_given() -> None:
    store = MemoryStore()
    old = Shop(basket_kit(backend=store))
    client = browser(old)
    client.post("/set/" + "x" * 20)

    class Short(Basket):
        note: str = ""

        def model_post_init(self, context: Any) -> None:
            if len(self.note) > 5:
                raise ValueError("too long")

    newer = client_of(Shop(basket_kit(Short, backend=store)).app, cookies=client.cookies)

    answer = newer.get("/basket")

    assert answer.json() == []
    assert answer.headers["set-cookie"].startswith(f"{BASKET}=;")


def test_clocks_are_those_of_what_is_stored(clock: Clock) -> None:
    shop = Shop(basket_kit(clock=clock))

    @shop.app.get("/since")
    async def since(request: Request) -> float | None:
        info = await shop.basket.get_session_info(request)
        return None if info is None else info.created_at.timestamp()

    client = browser(shop)

    assert client.get("/since").json() is None
    client.post("/add/tea")
    assert client.get("/since").json() == clock.now


def test_a_store_that_fails_is_a_503_and_nobody_is_told_that_it_was_saved() -> None:
    store = RecordingStore()
    client = browser(Shop(basket_kit(backend=StoreBackend(store))))
    store.broken = {"create"}

    answer = client.post("/add/tea")

    assert answer.status_code == 503
    assert "set-cookie" not in answer.headers


def test_helpers_for_tests_give_a_visitor_what_they_give_a_user() -> None:
    shop = Shop(basket_kit())
    client = signed_in(browser(shop), shop.basket, Basket(items=["tea"]))

    assert client.get("/basket").json() == ["tea"]
    assert session_of(client, shop.basket) == Basket(items=["tea"])
    assert session_of(browser(shop), shop.basket) is None


# Caches


def test_a_response_depends_on_the_cookie_and_is_private_where_there_is_one() -> None:
    client = browser(Shop(basket_kit()))

    fresh = client.get("/basket").headers
    begun = client.post("/add/tea").headers
    stored = client.get("/basket").headers
    idle = client.get("/idle").headers

    assert (fresh["vary"], fresh.get("cache-control")) == ("Cookie", None)
    assert (begun["vary"], begun["cache-control"]) == ("Cookie", "no-store")
    assert (stored["vary"], stored["cache-control"]) == ("Cookie", "private, no-cache")
    assert "vary" not in idle


# Cross-origin


ELSEWHERE = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}


@pytest.mark.parametrize("path", ["/add/tea", "/add-in-place/tea", "/set/x", "/replace"])
@pytest.mark.parametrize("with_one", [False, True])
def test_csrf_changes_no_basket_and_begins_none(path: str, with_one: bool) -> None:
    store = RecordingStore()
    client = browser(Shop(basket_kit(backend=StoreBackend(store))))
    if with_one:
        client.post("/add/jam")
    store.calls.clear()

    answer = client.post(path, headers=ELSEWHERE)

    assert answer.status_code == 403
    assert "'https://evil.example'" in answer.json()["detail"]
    assert "set-cookie" not in answer.headers
    assert store.calls == []


def test_a_trusted_origin_may_change_it() -> None:
    client = browser(Shop(basket_kit(trusted_origins=["https://evil.example"])))

    assert client.post("/add-in-place/tea", headers=ELSEWHERE).status_code == 200
    assert client.get("/basket").json() == ["tea"]


def test_a_visit_from_elsewhere_that_changes_nothing_passes() -> None:
    shop = Shop(basket_kit())

    @shop.app.post("/callback")
    async def callback(request: Request) -> list[str]:
        return (await shop.basket.require_session(request)).items

    assert browser(shop).post("/callback", headers=ELSEWHERE).json() == []


# Beside the other kit


@pytest.mark.parametrize("first", [True, False])
def test_the_basket_lives_beside_the_sign_in_and_neither_touches_the_other(backend: Any, first: bool) -> None:
    with browser(Shop(basket_kit(backend=backend), new_kit())) as client:
        if first:
            client.post("/add/tea")
        signed = client.post("/login")
        if not first:
            client.post("/add/tea")

        assert [BASKET in cookie for cookie in signed.headers.get_list("set-cookie")] == [False]
        assert (client.get("/basket").json(), client.get("/who").json()) == (["tea"], "ada")
        client.post("/logout")
        assert (client.get("/basket").json(), client.get("/who").json()) == (["tea"], None)
        client.post("/login")
        client.post("/empty")
        assert (client.get("/basket").json(), client.get("/who").json()) == ([], "ada")


def test_a_basket_signs_nobody_in_though_its_model_has_a_user() -> None:
    class Claim(Basket):
        user_id: str | None = None
        role: str | None = None

    kit = basket_kit(Claim)
    shop = Shop(kit, new_kit())
    client = signed_in(browser(shop), kit, Claim(user_id="root", role="admin"))

    assert client.get("/who").json() is None
    assert client.get("/me").status_code == 401


def test_a_token_of_a_basket_opens_no_session_of_a_user() -> None:
    user = new_kit()
    shop = Shop(basket_kit(), user)
    client = browser(shop)
    client.post("/add/tea")

    client.cookies.set(user.cookie_name, client.cookies[BASKET], domain="testserver.local", path="/")

    assert client.get("/who").json() is None


def test_both_may_change_in_one_request() -> None:
    shop = Shop(basket_kit(), new_kit())

    @shop.app.post("/both")
    async def both(request: Request) -> None:
        set_session(request, Session(user_id="ada"))
        shop.basket.update_session(request, note="welcome")

    client = browser(shop)

    assert len(client.post("/both").headers.get_list("set-cookie")) == 2
    assert client.get("/who").json() == "ada"


def test_an_application_that_mounts_another_shares_the_basket() -> None:
    outer = Shop(basket_kit(), new_kit())
    inner = FastAPI()

    @inner.post("/add/{item}")
    async def add(request: Request, item: str) -> None:
        outer.basket.update_session(request, items=[item])

    outer.app.mount("/inner", inner)
    client = browser(outer)
    client.post("/inner/add/tea")

    assert client.get("/basket").json() == ["tea"]
