"""A kit over it: guards, helpers that change a session, the cross-origin check, OpenAPI, and what it refuses."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fastapi_sessionkit import ConfigurationError, CookieSettings, MemoryStore, SessionKit
from fastapi_sessionkit.backends import SessionsElsewhere
from tests.support import SECRET, AppSession, Clock, app_kit
from tests.whoami.support import COOKIE, HEADER, Service, application, helpers, new_backend, site_of
from tests.whoami.support import running_service_over_tls as over_tls

pytestmark = pytest.mark.anyio
URL = "http://127.0.0.1:1/whoami"


# Guards and dependencies


async def test_guards_and_requirements_ask_the_session_that_the_service_gave(service: Service) -> None:
    async with site_of(service) as site:
        paths = ("/mine/page", "/member", "/admin/page")
        assert [(await site.get(path)).status_code for path in paths] == [200, 200, 403]
        assert [(await site.get(path, cookie="mallory")).status_code for path in paths] == [401, 401, 401]

    assert len(service.asked) == 2


async def test_fresh_goes_by_what_the_service_says(service: Service) -> None:
    clock = Clock(datetime(2026, 11, 27, 10, 5, tzinfo=UTC).timestamp())

    def proved(answer: Any) -> datetime:
        return datetime.fromisoformat(answer["authenticated_at"])

    async with site_of(service, clock=clock, authenticated_at=proved) as site:
        assert (await site.get("/safe")).status_code == 200
        clock.advance(600)
        assert (await site.get("/safe")).status_code == 401


@pytest.mark.parametrize("authenticated_at", [None, lambda answer: None])
async def test_nobody_is_fresh_where_the_service_does_not_say(service: Service, authenticated_at: Any) -> None:
    async with site_of(service, authenticated_at=authenticated_at) as site:
        assert (await site.get("/safe")).status_code == 401


@pytest.mark.parametrize("answer", ["yesterday", True, float("nan"), datetime(2026, 11, 27)])  # noqa: DTZ001
async def test_a_time_that_is_none_is_503(service: Service, answer: object) -> None:
    async with site_of(service, authenticated_at=lambda _: answer) as site:
        assert (await site.get()).status_code == 503


async def test_the_reason_is_that_the_service_does_not_know_it(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with site_of(service) as site:
        await site.get(cookie="mallory")
        await site.get(cookie=None)

    assert [line.rpartition(" ")[2] for line in caplog.messages if "nobody is signed in: " in line] == [
        "unknown_id",
        "no_cookie",
    ]


async def test_a_session_lasts_as_long_as_the_service_says(service: Service, clock: Clock) -> None:
    options = {"idle_timeout": 60, "absolute_timeout": 120}
    async with site_of(service, clock=clock, kit_options=options) as site:
        for _ in range(5):
            assert (await site.get()).status_code == 200
            clock.advance(50)


async def test_an_answer_is_of_this_release_and_never_migrated(service: Service) -> None:
    def migrate(data: dict[str, Any], version: int) -> dict[str, Any]:
        raise AssertionError

    async with site_of(service, kit_options={"model_version": 2, "migrate": migrate}) as site:
        assert (await site.get()).status_code == 200


async def test_what_the_revalidate_hook_says_holds_and_writes_nothing(service: Service) -> None:
    answers: list[AppSession | None] = [AppSession(user_id="ada", role="admin"), None]

    async def revalidate(session: AppSession) -> AppSession | None:
        return answers.pop(0)

    async with site_of(service, kit_options={"revalidate": revalidate}) as site:
        assert (await site.get("/admin/page")).status_code == 200
        assert (await site.get("/admin/page")).status_code == 401


# Changes


@pytest.mark.parametrize("helper", helpers)
async def test_a_helper_that_changes_says_where_that_is_done(service: Service, helper: str) -> None:
    async with site_of(service) as site:
        with pytest.raises(ConfigurationError, match=f"{helper} can't be done here.*by {service.url}"):
            await _call(site.app, f"/do/{helper}")


async def test_a_change_in_place_says_where_that_is_done(service: Service) -> None:
    async with site_of(service) as site:
        with pytest.raises(ConfigurationError, match=f"A change of the session can't be done here.*by {service.url}"):
            await _call(site.app, "/cart")
        again = await site.get()

    assert again.json()["cart"] == []


async def _call(app: Any, path: str) -> None:
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "root_path": "",
        "scheme": "https",
        "query_string": b"",
        "headers": [(b"cookie", f"{COOKIE}=ada".encode())],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        assert message.get("status", 500) == 500
        assert b"set-cookie" not in dict(message.get("headers", ()))

    await app(scope, receive, send)


# Cross-origin


@pytest.mark.parametrize("site_header", [{"Origin": "https://evil.example"}, {"Sec_Fetch_Site": "cross-site"}])
async def test_a_request_that_another_site_causes_is_refused_with_a_cookie(
    service: Service, site_header: dict[str, str]
) -> None:
    async with site_of(service) as site:
        assert (await site.send("POST", "/change", **site_header)).status_code == 403
        assert (await site.send("POST", "/change", X_Session_Token="token-of-ada", **site_header)).status_code == 403
        own = await site.send("POST", "/change", Origin="https://testserver")

    assert own.status_code == 200
    assert len(service.asked) == 1


async def test_a_request_with_a_header_alone_needs_no_origin(service: Service) -> None:
    async with site_of(service) as site:
        headers = {"X_Session_Token": "token-of-ada", "Origin": "https://elsewhere.example"}
        assert (await site.send("POST", "/change", None, **headers)).status_code == 200


# What is said


async def test_openapi_shows_the_services_cookie_and_header(service: Service) -> None:
    async with site_of(service) as site:
        schema = (await site.get("/openapi.json")).json()

    schemes = schema["components"]["securitySchemes"]
    assert {name: (scheme["type"], scheme["in"], scheme["name"]) for name, scheme in schemes.items()} == {
        f"{COOKIE}_cookie": ("apiKey", "cookie", COOKIE),
        f"{HEADER}_header": ("apiKey", "header", HEADER),
    }
    assert schema["paths"]["/me"]["get"]["security"] == [{f"{COOKIE}_cookie": []}, {f"{HEADER}_header": []}]


def test_openapi_shows_a_bearer_token_where_authorization_is_named() -> None:
    app = application(app_kit(backend=new_backend(URL, cookies=[], headers=["Authorization"])))

    schemes = app.openapi()["components"]["securitySchemes"]
    assert [(scheme["type"], scheme["scheme"]) for scheme in schemes.values()] == [("http", "bearer")]


async def test_caches_are_told_of_all_that_decides(service: Service) -> None:
    async with site_of(service) as site:
        response = await site.get()

    assert response.headers["vary"] == f"Cookie, {HEADER}"
    assert response.headers["cache-control"] == "private, no-cache"


async def test_401_names_a_scheme_for_each_way_that_has_one(service: Service) -> None:
    async with site_of(service) as site:
        assert (await site.get(cookie=None)).headers.get_list("www-authenticate") == ["Cookie"]
    async with site_of(service, headers=["Authorization"]) as site:
        assert (await site.get(cookie=None)).headers.get_list("www-authenticate") == ["Cookie", "Bearer"]
    async with site_of(service, cookies=[], headers=["Authorization"]) as site:
        assert (await site.get(cookie=None)).headers.get_list("www-authenticate") == ["Bearer"]


def test_an_audit_of_such_an_application_works() -> None:
    kit = app_kit(backend=new_backend(URL))
    app = application(kit)

    assert kit.audit(app).operations


# TLS


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "certificate").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(tmp_path / "certificate"), str(tmp_path / "key")


async def test_a_service_whose_certificate_nobody_vouches_for_is_503(certificate: tuple[str, str]) -> None:
    with over_tls(*certificate) as service:
        async with site_of(service) as site:
            assert (await site.get()).status_code == 503

    assert service.asked == []


async def test_an_authority_of_ones_own_is_named_by_the_environment(
    certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certificate[0])
    with over_tls(*certificate) as service:
        async with site_of(service) as site:
            assert (await site.get()).status_code == 200


async def test_a_proxy_of_the_environment_gets_no_credential(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with site_of(service) as site:
        assert (await site.get()).status_code == 200


# What can't work


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://identity/whoami", "http or https"),
        ("file:///etc/passwd", "http or https"),
        ("/sessions/whoami", "http or https"),
        ("https://", "http or https"),
        ("https://identity/who am i", "printable ASCII"),
        ("https://identity/whoami\r\nX: y", "printable ASCII"),
        ("https://user:secret-password@identity/whoami", "without a user"),
        ("https://identity/whoami#here", "without a user"),
        ("https://identity:99999/secret-password", "this is none"),
        (b"https://identity/whoami", "not a bytes"),
    ],
)
def test_an_address_that_can_not_be_asked_is_refused_unshown(url: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as raised:
        new_backend(url)

    assert "secret-password" not in str(raised.value)


def test_the_query_of_the_address_is_not_shown() -> None:
    backend = new_backend("https://identity.example.com:4433/whoami?key=secret")

    assert repr(backend) == "WhoamiBackend('https://identity.example.com:4433/whoami')"


async def _asynchronous(answer: Any) -> None: ...


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cookies": [], "headers": []}, "needs the names of what it forwards"),
        ({"cookies": "session"}, "takes a list"),
        ({"cookies": ["a b"]}, "takes names"),
        ({"cookies": ["a", "a"]}, "twice"),
        ({"headers": ["X-A", "x-a"]}, "twice"),
        ({"headers": ["X-A\r\nY"]}, "takes names"),
        ({"headers": ["Cookie"]}, r"cookies=\[...\]"),
        ({"headers": ["Host"]}, "can't forward Host"),
        ({"headers": ["Content-Length"]}, "can't forward"),
        ({"headers": ["Transfer-Encoding"]}, "can't forward"),
        ({"session": _asynchronous}, "not async"),
        ({"session": AppSession(user_id="ada")}, "takes a plain function"),
        ({"authenticated_at": 7}, "takes a plain function"),
        ({"remember": 1, "remember_nobody": 2}, "is more than remember=1"),
        ({"remember": -1}, "zero or more"),
        ({"timeout": 0}, "more than zero"),
        ({"max_remembered": 0}, "whole number"),
    ],
)
def test_a_setting_that_can_not_work_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        new_backend(URL, **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"anonymous": True}, "visitors itself"),
        ({"bearer": True}, "the service does"),
        ({"cookie": CookieSettings(name="login")}, "the service sends the cookie"),
        ({"max_sessions_per_user": 3}, "kept on the server"),
    ],
)
def test_a_setting_of_what_the_kit_would_give_out_is_refused(options: dict[str, Any], said: str) -> None:
    class Basket(AppSession):
        user_id: str = "visitor"

    with pytest.raises(ConfigurationError, match=said):
        SessionKit(Basket, secret_key=SECRET, backend=new_backend(URL), **options)


async def test_the_limit_of_headers_is_the_kits(service: Service) -> None:
    options = {"cookie": CookieSettings(header_limit=5_000)}
    async with site_of(service, kit_options=options) as site:
        assert (await site.get(cookie="x" * 5_000)).status_code == 431


async def test_a_wrapper_that_passes_calls_on_keeps_the_services_cookie(service: Service) -> None:
    class Wrapper:
        def __init__(self, backend: Any) -> None:
            self.backend = backend

        def __getattr__(self, name: str) -> Any:
            return getattr(self.backend, name)

    kit = app_kit(backend=Wrapper(new_backend(service.url)))

    assert kit.cookie_name == COOKIE


def test_it_offers_what_sessions_elsewhere_need_and_no_other_backend_does() -> None:
    assert isinstance(new_backend(URL), SessionsElsewhere)
    assert not isinstance(MemoryStore(), SessionsElsewhere)


async def test_backends_own_calls_that_would_write_raise(service: Service) -> None:
    backend = new_backend(service.url)
    calls: list[Any] = [backend.create(None), backend.update(None, None), backend.rotate(None, None, grace=0)]  # type: ignore[arg-type]
    for call in calls:
        with pytest.raises(ConfigurationError, match=service.url):
            await call
