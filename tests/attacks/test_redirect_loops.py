"""Attack: a browser that is sent in circles. Whatever the rules say, each walk ends: at a page, or with 401 or 403."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Response
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from fastapi_sessionkit import RouterGuard, Rule, Session, public
from fastapi_sessionkit.testing import signed_in
from tests.support import Clock, client_of, new_kit

NAVIGATION = {"Sec-Fetch-Mode": "navigate"}
HTMX = {"HX-Request": "true"}
PEOPLE = {
    "nobody": None,
    "no role": Session(user_id="ada"),
    "user": Session(user_id="ada", role="user"),
    "admin": Session(user_id="ada", role="admin"),
}
PAGES = ("/", "/login", "/a", "/b", "/c")


def client_behind(
    guard: RouterGuard, who: Session | None, *, on_a_router: bool = False, signed_in_ago: float = 0
) -> TestClient:
    clock = Clock()
    app, kit = FastAPI(), new_kit(model=Session, clock=clock)
    kit.install(app, guard=None if on_a_router else guard)
    router = APIRouter(dependencies=[Depends(guard)] if on_a_router else [])

    @router.api_route("/{page:path}", methods=["GET", "HEAD", "POST"])
    async def serve(page: str) -> str:
        return page

    app.include_router(router)
    client = client_of(app)
    if who is not None:
        signed_in(client, kit, who)
    clock.now += signed_in_ago
    return client


def walked(client: TestClient, page: str, *, method: str = "GET") -> Iterator[tuple[str, int]]:
    """The pages that a browser comes to, each with its answer, until one is no redirect."""
    for _ in range(12):
        answer = client.request(method, page, headers=NAVIGATION)
        yield page.partition("?")[0], answer.status_code
        if not answer.is_redirect:
            return
        page, method = answer.headers["location"], "HEAD" if method == "HEAD" else "GET"
    pytest.fail("the browser goes on for ever")


def two_that_point_at_each_other() -> list[Rule]:
    return [Rule("/a", role="admin", redirect_to="/b"), Rule("/b", role="admin", redirect_to="/a")]


@pytest.mark.parametrize("on_a_router", [False, True], ids=["gate", "router"])
@pytest.mark.parametrize("who", ["nobody", "user"])
def test_attack_by_two_targets_that_point_at_each_other(who: str, on_a_router: bool) -> None:
    client = client_behind(RouterGuard(protect=two_that_point_at_each_other()), PEOPLE[who], on_a_router=on_a_router)
    refusal = 401 if who == "nobody" else 403

    for page in ("/a", "/b"):
        assert list(walked(client, page)) == [(page, refusal)]
        answer = client.get(page, headers=HTMX)
        assert answer.status_code == refusal
        assert "HX-Redirect" not in answer.headers


def test_who_may_see_one_of_two_such_pages_is_sent_there() -> None:
    rules = [Rule("/a", role="admin", redirect_to="/b"), Rule("/b", role="user", redirect_to="/a")]
    guard = RouterGuard(protect=rules)

    assert list(walked(client_behind(guard, PEOPLE["user"]), "/a")) == [("/a", 302), ("/b", 200)]
    assert list(walked(client_behind(guard, PEOPLE["admin"]), "/b")) == [("/b", 302), ("/a", 200)]
    assert list(walked(client_behind(guard, PEOPLE["no role"]), "/a")) == [("/a", 403)]


@pytest.mark.parametrize("spelling", ["/b", "/b/", "/%62", "/b?why=role", "/b#why"])
def test_attack_by_a_circle_whose_target_is_spelled_otherwise(spelling: str) -> None:
    rules = [Rule("/a", role="admin", redirect_to=spelling), Rule("/b", role="admin", redirect_to="/a")]

    assert list(walked(client_behind(RouterGuard(protect=rules), PEOPLE["user"]), "/a")) == [("/a", 403)]


def test_attack_by_a_page_that_leads_into_a_circle() -> None:
    rules = [*two_that_point_at_each_other(), Rule("/c", role="admin", redirect_to="/a")]

    assert list(walked(client_behind(RouterGuard(protect=rules), PEOPLE["user"]), "/c")) == [("/c", 403)]


def test_attack_by_a_form_into_a_circle() -> None:
    rules = [Rule("/a", role="admin", redirect_to="/b"), Rule("/b", role="admin", redirect_to="/c", methods=["GET"])]
    rules += [Rule("/c", role="admin", redirect_to="/b")]

    assert list(walked(client_behind(RouterGuard(protect=rules), PEOPLE["user"]), "/a", method="POST")) == [("/a", 403)]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_attack_by_a_page_that_sends_to_itself_spelled_otherwise(method: str) -> None:
    client = client_behind(RouterGuard(protect=[Rule("/b", role="admin", redirect_to="/%62")]), PEOPLE["user"])

    assert list(walked(client, "/b", method=method)) == [("/b", 403)]


def test_attack_by_targets_that_point_at_each_other_for_head_alone() -> None:
    rules = [Rule("/a", role="admin", redirect_to="/b", methods=["HEAD"])]
    rules += [Rule("/b", role="admin", redirect_to="/a", methods=["HEAD"])]
    client = client_behind(RouterGuard(protect=rules), PEOPLE["user"])

    assert list(walked(client, "/a", method="HEAD")) == [("/a", 403)]
    assert list(walked(client, "/a")) == [("/a", 200)]


def test_a_login_page_that_sends_nobody_home_by_head_is_an_end() -> None:
    rules = [Rule("/", role="admin", redirect_to="/login")]
    client = client_behind(RouterGuard(protect=rules, login_path="/login", global_protect=True), PEOPLE["user"])

    assert list(walked(client, "/", method="HEAD")) == [("/", 302), ("/login", 200)]
    assert list(walked(client, "/")) == [("/", 403)]


def test_a_form_that_is_refused_may_lead_back_to_its_page() -> None:
    rules = [Rule("/a", role="admin", redirect_to="/b", methods=["POST"]), Rule("/b", role="admin", redirect_to="/a")]
    client = client_behind(RouterGuard(protect=rules), PEOPLE["user"])

    assert list(walked(client, "/a", method="POST")) == [("/a", 303), ("/b", 302), ("/a", 200)]


def test_a_page_that_asks_to_sign_in_again_is_an_end() -> None:
    rules = [Rule("/a", role="admin", redirect_to="/b"), Rule("/b", fresh=60, redirect_to="/a")]
    client = client_behind(RouterGuard(protect=rules), PEOPLE["user"], signed_in_ago=600)

    assert list(walked(client, "/a")) == [("/a", 302), ("/b", 401)]


def test_attack_by_a_circle_through_the_login_page_and_home() -> None:
    """Home sends to a page that sends to the login page, which sends whoever is signed in home."""
    rules = [Rule("/", role="admin", redirect_to="/a"), Rule("/a", role="admin", redirect_to="/login")]
    guard = RouterGuard(protect=rules, login_path="/login", global_protect=True)

    for page in ("/", "/a"):
        assert list(walked(client_behind(guard, PEOPLE["user"]), page)) == [(page, 403)]


def test_attack_by_a_login_page_that_is_shut_and_sends_elsewhere() -> None:
    rules = [Rule("/login", role="admin", redirect_to="/a"), Rule("/a", role="admin")]
    guard = RouterGuard(protect=rules, login_path="/login")

    for page in ("/login", "/a"):
        assert list(walked(client_behind(guard, None), page)) == [(page, 401)]


def test_a_target_that_is_refused_itself_is_still_where_one_is_sent() -> None:
    guard = RouterGuard(protect=[Rule("/**", role="admin", redirect_to="/no")])

    assert list(walked(client_behind(guard, PEOPLE["user"]), "/x")) == [("/x", 302), ("/no", 403)]


def test_a_client_that_follows_nothing_costs_no_further_question() -> None:
    asked: list[str] = []

    def no(_: Any) -> bool:
        asked.append("")
        return False

    rules = [Rule("/a", allow=no, redirect_to="/b"), Rule("/b", allow=no, redirect_to="/a")]
    client = client_behind(RouterGuard(protect=rules), PEOPLE["user"])

    assert client.get("/a").status_code == 403
    assert len(asked) == 1


def test_a_check_that_raises_along_the_way_is_a_refusal() -> None:
    def raises(_: Any) -> bool:
        raise LookupError

    rules = [Rule("/a", role="admin", redirect_to="/b"), Rule("/b", allow=raises, redirect_to="/a")]

    assert list(walked(client_behind(RouterGuard(protect=rules), PEOPLE["user"]), "/a")) == [("/a", 403)]


def test_an_endpoint_that_is_marked_public_is_an_end() -> None:
    app, kit = FastAPI(), new_kit(model=Session)
    rules = [Rule("/a", role="admin", redirect_to="/no")]
    kit.install(app, guard=RouterGuard(protect=rules, login_path="/login", global_protect=True))

    @app.get("/no")
    @public
    async def no() -> Response:
        return Response("no")

    assert list(walked(client_of(app), "/a")) == [("/a", 302), ("/no", 200)]


conditions: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{"public": True}, {"role": "admin"}, {"role": "user"}, {"roles": ["user", "admin"]}, {"fresh": 60}]
)
targets = st.sampled_from([None, *PAGES])
methods = st.sampled_from([None, ["GET"], ["HEAD"], ["POST", "HEAD"]])


@st.composite
def guards(draw: st.DrawFn) -> RouterGuard:
    """Guards of a handful of pages that send each other's visitors around."""
    rules = []
    for page in draw(st.lists(st.sampled_from([*PAGES, "/**"]), max_size=6)):
        condition = draw(conditions)
        target = None if condition.get("public") else draw(targets)
        rules.append(Rule(page, **condition, redirect_to=target, methods=draw(methods)))
    return RouterGuard(
        protect=rules,
        login_path=draw(st.sampled_from([None, "/login", "/", "/a"])),
        reauthenticate_path=draw(st.sampled_from([None, "/c", "/b"])),
        home_path=draw(st.sampled_from(["/", "/b"])),
        global_protect=draw(st.booleans()),
        exclude=draw(st.lists(st.sampled_from(PAGES), max_size=2)),
    )


@settings(max_examples=60)
@given(guards(), st.sampled_from(sorted(PEOPLE)), st.sampled_from([0, 600]), st.sampled_from(["GET", "HEAD", "POST"]))
def test_attack_by_any_rules_that_send_people_around(
    guard: RouterGuard, who: str, signed_in_ago: float, method: str
) -> None:
    client = client_behind(guard, PEOPLE[who], signed_in_ago=signed_in_ago)

    for page in PAGES:
        *_, (_, status) = walked(client, page, method=method)
        assert status in {200, 401, 403}
