"""With several kits on an application each audit shows what the others ask for, and real requests are answered so."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.responses import PlainTextResponse

from fastapi_sessionkit import (
    Access,
    ConfigurationError,
    CookieSettings,
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    public,
    require,
    require_role,
    role,
)
from fastapi_sessionkit.audit import Audit, Cell
from fastapi_sessionkit.audit.formulas import Atom
from fastapi_sessionkit.testing import signed_in as sign_in
from tests.audit.support import endpoint, paid, plain
from tests.audit.test_explained_and_enforced import METHODS, PATHS, TEMPLATES, guards, is_refused, requirements, socket
from tests.audit.test_explained_and_enforced import endpoint as new_endpoint
from tests.audit.test_findings import STRONG
from tests.support import client_of, new_kit

Kits = dict[str, SessionKit[Any]]
SESSIONS: dict[str, Mapping[str, Session]] = {
    "nobody": {},
    "customer": {"customers": Session(user_id="7", role="r")},
    "clerk": {"staff": Session(user_id="8", role="s", permissions=("p",))},
    "both": {
        "customers": Session(user_id="7", role="s"),
        "staff": Session(user_id="7", roles=("r", "s"), permissions=("p",)),
    },
    "partner": {"partners": Session(user_id="9", roles=("r", "s")), "customers": Session(user_id="9", role="r")},
}


class Basket(BaseModel):
    items: tuple[str, ...] = ()


def atoms_of(session: Session) -> set[str]:
    return {
        f"user:{session.user_id}",
        *(f"role:{name}" for name in session.all_roles),
        *(f"permission:{name}" for name in session.permissions),
    }


def people_for(kit: SessionKit[Any]) -> dict[str, list[str]]:
    """All of them, as the audit of a kit is told about them."""
    return {
        who: [
            f"{'' if name == kit.name else f'{name}/'}{atom}"
            for name, session in sessions.items()
            for atom in sorted(atoms_of(session))
        ]
        for who, sessions in SESSIONS.items()
    }


def sign_in_as(client: TestClient, kits: Kits, who: str) -> None:
    client.cookies.clear()
    for name, session in SESSIONS[who].items():
        if name in kits:
            sign_in(client, kits[name], session)


def two_kits() -> Kits:
    return {name: new_kit(name=name, secret_key=STRONG) for name in ("customers", "staff")}


def application() -> tuple[FastAPI, Kits]:
    """Two kits with a guard each, one with global protection; dependencies and mounted applications of either, and a third."""
    app, kits = FastAPI(), {**two_kits(), "partners": new_kit(name="partners", secret_key=STRONG)}
    customers, staff = kits["customers"], kits["staff"]
    for path in ("/", "/login", "/staff/login", "/staff/help", "/staff/orders", "/shop", "/shop/{item}"):
        app.add_api_route(path, endpoint, methods=["GET", "POST"])
    app.add_api_route("/prices", public(new_endpoint()))
    app.add_api_route("/shop/refunds/all", endpoint, dependencies=[Depends(staff.require_role("s"))])
    app.add_api_route("/mine", endpoint, dependencies=[Depends(customers.require_session)])
    app.add_api_websocket_route("/staff/ws", socket)
    app.add_route("/staff/plain", plain)
    app.mount("/staff/files", PlainTextResponse("x"))
    app.mount("/shop/files", PlainTextResponse("x"))
    router = APIRouter(dependencies=[Depends(staff.require_permission("p"))])
    router.add_api_route("/reports", endpoint, dependencies=[Depends(customers.require_role("r"))])
    app.include_router(router)
    shared, inner, deepest = (FastAPI(openapi_url=None) for _ in range(3))
    shared.add_api_route("/page", endpoint)
    app.mount("/staff/tools", shared)
    inner.add_api_route("/page", endpoint)
    inner.add_api_route("/lead", endpoint, dependencies=[Depends(staff.require_role("s"))])
    inner.add_api_route("/own", endpoint, dependencies=[Depends(customers.require_role("r"))])
    deepest.add_api_route("/page", endpoint)
    inner.mount("/deep", deepest)
    app.mount("/inner", inner)
    staff.install(inner, guard=RouterGuard([Rule("/page", role="r"), Rule("/deep/page", role="s")]))
    partners = FastAPI(openapi_url=None)
    router = APIRouter(dependencies=[Depends(RouterGuard([Rule("/list", role="r")]))])
    router.add_api_route("/list", endpoint, dependencies=[Depends(require_role("s"))])
    router.add_api_route("/help", endpoint)
    partners.include_router(router)
    app.mount("/partners", partners)
    kits["partners"].install(partners)
    customers.install(app, guard=RouterGuard([Rule("/shop/7", role="s"), Rule("/shop/**")], login_path="/login"))
    staff.install(
        app,
        guard=RouterGuard(
            [Rule("/staff/help", public=True), Rule("/staff/orders", methods=["POST"], role="r")],
            global_protect=True,
            login_path="/staff/login",
            exclude=["/", "/login", "/shop/**", "/inner/**", "/mine", "/partners/**"],
        ),
    )
    SessionKit(Basket, secret_key=STRONG, name="basket", anonymous=True).install(app)
    return app, kits


def needs(app: FastAPI, kit: SessionKit[Any]) -> dict[str, str]:
    return {f"{each.method} {each.path}": each.needs for each in kit.audit(app).operations}


def test_what_another_kit_asks_for_is_shown_as_that_kits() -> None:
    app, kits = application()
    customers, staff = (needs(app, kits[name]) for name in ("customers", "staff"))

    assert customers["GET /staff/orders"] == "staff/signed_in"
    assert customers["POST /staff/orders"] == "staff/role:r"
    assert customers["GET /reports"] == "role:r & staff/signed_in & staff/permission:p"
    assert customers["GET /mine"] == "signed_in"
    assert customers["GET /staff/help"] == customers["GET /prices"] == customers["GET /staff/login"] == "open"
    assert staff["GET /mine"] == "customers/signed_in"
    assert staff["GET /inner/own"] == "customers/role:r"
    assert customers["GET /partners/list"] == "partners/role:r & partners/role:s"
    assert customers["GET /inner/lead"] == "staff/role:s"
    assert customers["GET /inner/deep/page"] == "staff/role:s"


@pytest.mark.filterwarnings("ignore:Duplicate Operation ID")
@pytest.mark.parametrize("name", ["customers", "staff"])
def test_the_table_of_people_says_what_requests_get(name: str) -> None:
    app, kits = application()
    table = kits[name].audit(app).matrix(people_for(kits[name]))
    told, got = {}, {}
    with client_of(app) as client:
        for who in SESSIONS:
            sign_in_as(client, kits, who)
            for row in table:
                method = "PUT" if row.operation.method == "*" else row.operation.method
                for item in ("7", "8"):
                    path = row.operation.path.replace("{item}", item).replace("{path:path}", "x")
                    told[who, method, path] = access_at(path, row.access[who])
                    got[who, method, path] = "refused" if is_refused(client, method, path) else "allowed"

    assert told == got
    assert set(told.values()) == {"allowed", "refused"}


def access_at(path: str, cell: Cell) -> str:
    """What a cell says of one path: it may be ``refused at /a; allowed otherwise``."""
    if cell.access != "depends":
        return cell.access
    by_path = {where: access for access, _, where in (part.partition(" at ") for part in cell.why.split("; "))}
    return by_path.get(path) or by_path[""].removesuffix(" otherwise")


def test_a_person_is_refused_unless_they_are_signed_in_with_the_other_kit() -> None:
    app, kits = application()
    audit = kits["customers"].audit(app)
    (row,) = [each for each in audit.matrix(["role:s", "role:s,staff/role:s", "staff/role:r"])
              if (each.operation.method, each.operation.path) == ("POST", "/staff/orders")]  # fmt: skip

    assert {who: (cell.access, cell.why) for who, cell in row.access.items()} == {
        "role:s": ("refused", "nobody is signed in with staff"),
        "role:s,staff/role:s": ("refused", "staff: role:r is missing"),
        "staff/role:r": ("allowed", ""),
    }


def test_somebody_of_another_kit_alone_is_nobody_of_this_one() -> None:
    app, kits = application()
    answer = kits["customers"].audit(app).explain("GET", "/mine", "staff/role:r")

    assert (answer.allowed, answer.missing) == (False, ("nobody is signed in",))


def test_a_function_of_another_kit_depends() -> None:
    app, kits = FastAPI(openapi_url=None), two_kits()
    app.add_api_route("/a", endpoint)
    kits["customers"].install(app)
    kits["staff"].install(app, guard=RouterGuard([Rule("/a", allow=paid)]))
    (row,) = kits["customers"].audit(app).matrix(["anonymous", "staff/custom:paid"])

    assert [cell.access for cell in row.access.values()] == ["depends", "allowed"]
    assert row.access["anonymous"].why == "staff: custom:paid is a function of the application"


def test_a_check_of_another_kit_stands_for_its_rules() -> None:
    def check(rule: Any, session: Any) -> bool:
        return False

    app, customers = FastAPI(openapi_url=None), new_kit(name="customers")
    staff = new_kit(name="staff", access=Access(check=check))
    app.add_api_route("/a", endpoint)
    customers.install(app)
    staff.install(app, guard=RouterGuard([Rule("/a", role="boss")]))

    assert needs(app, customers) == {"GET /a": "staff/custom:check"}
    assert [str(each.requirement) for each in customers.audit(app).explain("GET", "/a").steps] == ["staff/custom:check"]


def test_a_kit_for_visitors_decides_nothing() -> None:
    app, inner, kit = FastAPI(openapi_url=None), FastAPI(openapi_url=None), new_kit()
    basket = SessionKit(Basket, secret_key=STRONG, name="basket", anonymous=True)
    inner.add_api_route("/a", endpoint, dependencies=[Depends(require_role("r"))])
    app.mount("/inner", inner)
    app.add_api_route("/basket", endpoint, dependencies=[Depends(basket.require_session)])
    basket.install(inner)
    kit.install(app)
    basket.install(app)

    assert needs(app, kit) == {"GET /basket": "open", "GET /inner/a": "role:r"}
    assert needs(app, basket) == {"GET /basket": "open", "GET /inner/a": "session/role:r"}


def test_the_gate_of_a_mounted_application_sees_the_path_below_itself() -> None:
    app, middle, inner, kit = FastAPI(openapi_url=None), FastAPI(openapi_url=None), FastAPI(openapi_url=None), new_kit()
    inner.add_api_route("/page", endpoint)
    middle.mount("/b", inner)
    app.mount("/a", middle)
    kit.install(middle, guard=RouterGuard([Rule("/b/page", role="r")]))
    kit.install(app)
    (operation,) = kit.audit(app).operations

    assert (operation.path, operation.needs, operation.said_by) == ("/a/b/page", "role:r", ("gate",))
    assert is_refused(client_of(app), "GET", "/a/b/page")


@st.composite
def applications(draw: st.DrawFn) -> tuple[FastAPI, Kits]:
    app, kits = FastAPI(openapi_url=None), two_kits()
    both = list(kits.values())
    for at in draw(st.lists(st.sampled_from(["", "", "/a", "/b"]), min_size=1, max_size=3)):
        target = app if not at else FastAPI(openapi_url=None)
        own = draw(st.sampled_from(both)) if at and draw(st.booleans()) else None
        for template in draw(st.lists(TEMPLATES, min_size=1, max_size=4)):
            makers = [kits["customers"].require, kits["staff"].require, *([require] if own else [])]
            asks = [
                Depends(maker(draw(requirements(template))))
                for maker in draw(st.lists(st.sampled_from(makers), max_size=2))
            ]
            page = new_endpoint() if draw(st.booleans()) else public(new_endpoint())
            methods = draw(st.sampled_from([["GET"], ["POST"], ["GET", "DELETE"]]))
            target.add_api_route(template, page, methods=methods, dependencies=asks)
        if own is not None:
            own.install(target, guard=draw(guards()), check="off")
        if at:
            app.mount(at, target)
    for kit in draw(st.permutations(both)):
        kit.install(app, guard=draw(st.none() | guards()), check="off")
    return app, kits


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(
    applications(), st.lists(st.tuples(st.sampled_from(METHODS[:4]), st.sampled_from(PATHS)), min_size=6, max_size=6)
)
def test_both_audits_explain_what_requests_get(made: tuple[FastAPI, Kits], asked: list[tuple[str, str]]) -> None:
    app, kits = made
    audits = [(kit.audit(app), people_for(kit)) for kit in kits.values()]
    with ExitStack() as entered:
        try:
            client = entered.enter_context(client_of(app))
        except ConfigurationError:
            assume(False)
        for who in SESSIONS:
            sign_in_as(client, kits, who)
            got = [not is_refused(client, *each) for each in asked]
            for audit, people in audits:
                person = ",".join(people[who]) or "anonymous"
                assert [audit.explain(*each, person).allowed for each in asked] == got


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(applications())
def test_an_application_with_two_kits_is_equal_to_its_own_lock(made: tuple[FastAPI, Kits]) -> None:
    for kit in made[1].values():
        audit = kit.audit(made[0])
        assert {each.label for each in audit.compare(audit.lock())} <= {"equal"}


def audit_beside_staff(requirement: Any) -> Audit:
    app, kits = FastAPI(openapi_url=None), two_kits()
    app.add_api_route("/a", endpoint, methods=["POST"])
    kits["customers"].install(app)
    rules = [] if requirement is None else [Rule("/a", requires=requirement)]
    kits["staff"].install(app, guard=RouterGuard(rules))
    return kits["customers"].audit(app)


def test_the_lock_shows_what_another_kit_asks_for_and_compares_it() -> None:
    lock = audit_beside_staff(role("r")).lock()

    assert lock.splitlines()[-1].split() == ["POST", "/a", "staff/role:r"]
    changes = [
        audit_beside_staff(each).compare(lock)[0] for each in (role("r"), role("r") | role("s"), None, role("s"))
    ]
    assert [(each.label, each.witness) for each in changes] == [
        ("equal", ""),
        ("loosened", "staff/role:s gains"),
        ("loosened", "everybody gains"),
        ("changed", "staff/role:s gains; staff/role:r loses"),
    ]


def test_what_one_kit_asks_for_implies_nothing_about_another() -> None:
    role_here, role_there, signed_in_there = map(Atom, ("role:r", "staff/role:r", "staff/signed_in"))

    assert role_there.entails(signed_in_there)
    assert Atom("staff/fresh:60s").entails(Atom("staff/fresh:600s"))
    assert not any(
        one.entails(other)
        for one, other in [(role_here, role_there), (role_there, role_here), (role_there, Atom("signed_in"))]
    )


def test_a_function_of_another_kit_is_known_by_its_name_and_its_source() -> None:
    function, role_there = Atom("staff/custom:paid#1f2e"), Atom("staff/role:a#1")

    assert (function.is_code, function.name) == (True, "staff/custom:paid")
    assert (role_there.is_code, role_there.name) == (False, "staff/role:a#1")


def test_a_lock_with_a_freshness_of_another_kit_that_is_no_number_is_none() -> None:
    with pytest.raises(ConfigurationError, match="fresh takes seconds"):
        audit_beside_staff(None).compare("GET  /a  staff/fresh:soon")


def test_a_kit_of_the_same_name_is_told_apart_by_its_scheme() -> None:
    app = FastAPI()
    customers, staff = (new_kit(secret_key=STRONG, cookie=CookieSettings(name=name)) for name in ("customers", "staff"))
    app.add_api_route("/mine", endpoint, dependencies=[Depends(customers.require_role("r"))])
    app.add_api_route("/theirs", endpoint, dependencies=[Depends(staff.require_role("r"))])
    customers.install(app)
    staff.install(app)

    audit = customers.audit(app)

    assert audit.explain("GET", "/mine", "role:r").allowed
    assert not audit.explain("GET", "/theirs", "role:r").allowed
    assert audit.explain("GET", "/theirs", "staff_cookie/role:r").allowed
