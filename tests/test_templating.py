"""What pages know of the session: who is signed in, what they have, and where a link would lead."""

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.templating import Jinja2Templates
from fastapi.testclient import TestClient
from jinja2 import DictLoader, Environment

from fastapi_sessionkit import (
    Access,
    ConfigurationError,
    RouterGuard,
    Rule,
    SessionKit,
    StoreUnavailable,
    custom,
    fresh,
    owner,
    public,
    role,
    set_session,
)
from fastapi_sessionkit.templating import context_processor
from fastapi_sessionkit.testing import signed_in
from tests.support import AppSession, RecordingStore, app_kit, client_of

ADA = AppSession(user_id="ada", role="editor", permissions=("read",))
GUARD = RouterGuard(
    [
        Rule("/admin/**", role="admin"),
        Rule("/desk/**", role="editor"),
        Rule("/stock/**", methods=["POST"], permission="stock:write"),
        Rule("/users/{user_id}/**", requires=owner("user_id") | role("admin")),
        Rule("/close", fresh=60),
        Rule("/open", public=True),
    ],
    global_protect=True,
    exclude=["/"],
)


FETCH = {"Accept": "*/*", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"}


async def asks_a_database(session: Any) -> bool:
    return session is not None


class Site:
    """One page, whose template a test gives."""

    def __init__(self, kit: SessionKit[AppSession], template: str, **options: Any) -> None:
        self.kit = kit
        self.app = FastAPI()
        environment = Environment(loader=DictLoader({"page": template}), autoescape=True)
        templates = Jinja2Templates(env=environment, context_processors=[context_processor(kit)])
        kit.install(self.app, **options)

        @self.app.get("/")
        def page(request: Request) -> Any:
            return templates.TemplateResponse(request, "page")

        @self.app.post("/")
        def sign_in_and_show(request: Request) -> Any:
            set_session(request, ADA)
            return templates.TemplateResponse(request, "page")

        @self.app.exception_handler(StoreUnavailable)
        def outage(request: Request, error: Exception) -> Any:
            return templates.TemplateResponse(request, "page", status_code=503)

        @self.app.get("/news")
        @public
        def news() -> None: ...

    def page(self, session: AppSession | None = ADA, **options: Any) -> str:
        client = client_of(self.app, **options)
        return self.get(client if session is None else signed_in(client, self.kit, session))

    def get(self, client: TestClient) -> str:
        return client.get("/").text


@pytest.fixture
def kit() -> SessionKit[AppSession]:
    return app_kit()


def shown(kit: SessionKit[AppSession], expression: str, session: AppSession | None = ADA, **options: Any) -> str:
    return Site(kit, f"{{{{ {expression} }}}}", **{"guard": GUARD, "preload": ["/"], **options}).page(session)


def test_the_session_is_there_and_none_for_visitors(kit: SessionKit[AppSession]) -> None:
    site = Site(kit, "{% if session %}Hello {{ session.user_id }}{% else %}Sign in{% endif %}", preload=["/"])

    assert site.page() == "Hello ada"
    assert site.page(None) == "Sign in"


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ('has_role("editor")', "True"),
        ('has_role("admin")', "False"),
        ('has_permission("read")', "True"),
        ('has_permission("write")', "False"),
    ],
)
def test_roles_and_permissions_are_asked(kit: SessionKit[AppSession], expression: str, answer: str) -> None:
    assert shown(kit, expression) == answer


@pytest.mark.parametrize("expression", ['has_role("editor")', 'has_permission("read")'])
def test_a_visitor_has_neither_role_nor_permission(kit: SessionKit[AppSession], expression: str) -> None:
    assert shown(kit, expression, None) == "False"


def test_access_hooks_say_which_roles_there_are() -> None:
    kit = app_kit(access=Access(get_roles=lambda session: ["hooked"]))

    assert shown(kit, 'has_role("hooked")') == "True"
    assert shown(kit, 'has_role("editor")') == "False"


LINKS = [
    "/",
    "/admin",
    "/admin/users",
    "/desk/1",
    "/users/ada",
    "/users/bob",
    "/close",
    "/open",
    "/news",
    "/other",
    "//x",
]


@pytest.mark.parametrize("session", [None, ADA, AppSession(user_id="eve", role="admin")], ids=["visitor", "ada", "eve"])
@pytest.mark.parametrize("link", LINKS)
def test_can_says_what_following_the_link_shows(
    kit: SessionKit[AppSession], link: str, session: AppSession | None
) -> None:
    site = Site(kit, f"{{{{ can('GET', '{link}') }}}}", guard=GUARD, preload=["/"])
    client = client_of(site.app, headers={"sec-fetch-mode": "cors"})
    if session is not None:
        signed_in(client, kit, session)
    told = site.get(client)

    target = f"https://testserver{link}"
    assert told == str(client.get(target).status_code in {200, 404})


def test_can_goes_by_the_method(kit: SessionKit[AppSession]) -> None:
    assert (
        shown(kit, 'can("GET", "/stock/1"), can("POST", "/stock/1"), can("post", "/stock/1")') == "(True, False, False)"
    )


@pytest.mark.parametrize(
    "target", ["/desk/1?next=/x", "/desk/1#top", "https://testserver/desk/1", "/desk/%31", "/prefix/desk/1"]
)
def test_can_takes_a_link_as_it_stands_in_the_page(kit: SessionKit[AppSession], target: str) -> None:
    site = Site(kit, f"{{{{ can('GET', '{target}') }}}} {{{{ can('GET', '{target}'.replace('desk', 'admin')) }}}}",
                guard=GUARD, preload=["/"])  # fmt: skip

    assert site.page(root_path="/prefix") == "True False"


def test_can_takes_what_url_for_gives(kit: SessionKit[AppSession]) -> None:
    assert shown(kit, "can('GET', url_for('page')), can('GET', request.url_for('news').path)", None) == "(True, True)"


def test_a_sign_in_of_the_same_request_counts(kit: SessionKit[AppSession]) -> None:
    site = Site(kit, "{{ session.user_id }} {{ can('GET', '/desk') }} {{ can('GET', '/close') }}",
                guard=RouterGuard(GUARD.rules))  # fmt: skip

    assert client_of(site.app).post("/").text == "ada True True"


# What can't be told


@pytest.mark.parametrize(
    ("template", "caller"),
    [
        ("{{ session }}", "session"),
        ("{% if session %}{% endif %}", "session"),
        ('{{ has_role("a") }}', "has_role"),
        ('{{ can("GET", "/admin") }}', "can"),
    ],
)
def test_a_page_that_a_script_fetches_says_what_to_write(
    kit: SessionKit[AppSession], template: str, caller: str
) -> None:
    site = Site(kit, template, guard=GUARD)

    with pytest.raises(ConfigurationError, match=rf"^{caller}\b.* was called in a request .*preload=\["):
        client_of(site.app).get("/", headers=FETCH)


@pytest.mark.parametrize("requires", [custom(asks_a_database), role("admin") | custom(asks_a_database)], ids=str)
def test_an_asynchronous_check_cannot_be_asked_and_the_error_says_so(
    kit: SessionKit[AppSession], requires: Any
) -> None:
    guard = RouterGuard([Rule("/there", requires=requires)])

    with pytest.raises(ConfigurationError, match=r"can\('GET', \.\.\.\) can't wait for custom:asks_a_database"):
        shown(kit, 'can("GET", "/there")', guard=guard)


def test_an_asynchronous_hook_cannot_be_asked_either() -> None:
    async def get_roles(session: Any) -> list[str]:
        return ["admin"]

    async def check(rule: Rule, session: Any) -> bool:
        return True

    for access, expression in [
        (Access(get_roles=get_roles), 'can("GET", "/admin")'),
        (Access(get_roles=get_roles), 'has_role("admin")'),
        (Access(check=check), 'can("GET", "/admin")'),
    ]:
        with pytest.raises(ConfigurationError, match="can't wait for"):
            shown(app_kit(access=access), expression)


def test_without_a_guard_can_says_so(kit: SessionKit[AppSession]) -> None:
    with pytest.raises(ConfigurationError, match=r"kit\.install\(app, guard=RouterGuard"):
        shown(kit, 'can("GET", "/")', guard=None)


def test_the_page_of_an_outage_is_a_visitors() -> None:
    store = RecordingStore()
    kit = app_kit(backend=store)
    site = Site(kit, '{{ session }} {{ has_role("editor") }} {{ can("GET", "/desk") }}', guard=GUARD, preload=["/"])
    client = signed_in(client_of(site.app), kit, ADA)
    store.broken.add("get")
    answer = client.get("/")

    assert (answer.status_code, answer.text) == (503, "None False False")


def test_a_fresh_sign_in_is_needed_where_a_rule_says_so(kit: SessionKit[AppSession]) -> None:
    assert shown(kit, "can('GET', '/close')") == "True"
    assert str(fresh(60)) == "fresh:60s"


def test_two_kits_have_a_processor_each() -> None:
    staff, customers = app_kit(name="staff"), app_kit(name="customers")
    site = Site(staff, "{{ session.user_id }}", preload=["/"])
    customers.install(site.app)

    assert site.page() == "ada"


def test_it_is_in_a_module_of_its_own() -> None:
    assert Path(context_processor.__code__.co_filename).name == "templating.py"
