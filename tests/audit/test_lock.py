"""The access lock: what became of each operation, and who gains or loses by it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from fastapi_sessionkit import ConfigurationError, RouterGuard, Rule, custom, fresh, permission, role, signed_in
from fastapi_sessionkit.audit import Audit, Change
from tests.audit.support import audit_of, endpoint
from tests.support import new_kit


def audit(*rules: Rule, path: str = "/x", **settings: Any) -> Audit:
    app, kit = FastAPI(openapi_url=None), new_kit()
    app.add_api_route(path, endpoint if "{" not in path else parametrized)
    kit.install(app, guard=RouterGuard(rules, **settings))
    return kit.audit(app)


async def parametrized(x: str) -> None: ...


def change(before: Audit, after: Audit) -> Change:
    (found,) = after.compare(before.lock())
    return found


def test_the_lock_is_readable_and_sorted(tmp_path: Path) -> None:
    lines = audit_of(tmp_path).lock().splitlines()

    assert "GET       /admin/users                             role:admin" in lines
    assert "POST      /reports                                 permission:write & role:editor | role:admin" in lines
    at = lines.index("GET       /items/{item}")
    assert lines[at + 1 : at + 3] == ['    at "/items/7": role:editor', "    otherwise: signed_in"]


def test_a_lock_is_equal_to_itself(tmp_path: Path) -> None:
    found = audit_of(tmp_path)

    assert {each.label for each in found.compare(found.lock())} == {"equal"}
    assert audit_of(tmp_path).lock() == found.lock()


@pytest.mark.parametrize(
    ("before", "after", "label", "witness"),
    [
        (role("a"), role("a", "b"), "loosened", "role:b gains"),
        (role("a", "b"), role("a"), "tightened", "role:b loses"),
        (role("a"), role("b"), "changed", "role:b gains; role:a loses"),
        (role("a"), role("a") & signed_in, "equivalent", ""),
        (role("a"), signed_in, "loosened", "signed_in gains"),
        (fresh(60), fresh(600), "loosened", "fresh:600s gains"),
        (role("a") & permission("p"), role("a"), "loosened", "role:a gains"),
        (role("a"), role("a"), "equal", ""),
        (role("a b", "c|d"), role("c|d"), "tightened", '"role:a b" loses'),
    ],
)
def test_a_change_has_a_label_and_a_witness(before: Any, after: Any, label: str, witness: str) -> None:
    found = change(audit(Rule("/x", requires=before)), audit(Rule("/x", requires=after)))

    assert (found.label, found.witness) == (label, witness)
    assert found.is_harmless is (label in {"equal", "equivalent"})


def test_what_is_opened_is_loosened_for_everybody() -> None:
    found = change(audit(Rule("/x")), audit())

    assert (found.label, found.witness, found.before, found.after) == (
        "loosened",
        "everybody gains",
        "signed_in",
        "open",
    )


def test_new_and_removed_operations_have_labels_of_their_own() -> None:
    found = audit(Rule("/y", role="a"), path="/y").compare(audit().lock())

    assert [(each.label, each.path, each.before, each.after) for each in found] == [
        ("removed", "/x", "open", None),
        ("new", "/y", None, "role:a"),
    ]


def check_a(session: Any) -> bool:
    return session is not None


def make(answer: str) -> Callable[[Any], bool]:
    def check(session: Any) -> bool:
        return bool(session.email == answer)

    return check


def test_a_function_that_changed_is_unknown() -> None:
    found = change(audit(Rule("/x", allow=make("a"))), audit(Rule("/x", allow=make("b"))))

    assert found.label == "unknown"


def test_a_function_that_did_not_change_is_equal() -> None:
    assert change(audit(Rule("/x", allow=make("a"))), audit(Rule("/x", allow=make("a")))).label == "equal"


def test_a_condition_beside_a_function_is_decided_all_the_same() -> None:
    found = change(audit(Rule("/x", role="a", allow=check_a)), audit(Rule("/x", allow=check_a)))
    assert found.label == "loosened"

    with_new_function = change(
        audit(Rule("/x", requires=role("a") & custom(make("a")))),
        audit(Rule("/x", requires=role("a") | custom(make("b")))),
    )
    assert with_new_function.label == "loosened"


def test_a_rule_that_moved_into_another_place_is_equal() -> None:
    assert change(audit(Rule("/x", role="a")), audit(Rule("/**", role="a"))).label == "equal"


# Operations that need something else on some of their paths


def users(*rules: Rule) -> Audit:
    return audit(*rules, path="/users/{x}")


@pytest.mark.parametrize(
    ("before", "after", "label"),
    [
        ([Rule("/users/1", role="a")], [Rule("/users/1", role="a")], "equal"),
        ([Rule("/users/1", role="a")], [], "loosened"),
        ([], [Rule("/users/1", role="a")], "tightened"),
        ([Rule("/users/1", role="a")], [Rule("/users/1", role="b")], "changed"),
        ([Rule("/users/1", role="a")], [Rule("/users/1", role="a"), Rule("/users/2", role="b")], "tightened"),
        ([Rule("/users/1", role="a"), Rule("/**", role="a")], [Rule("/**", role="a")], "equivalent"),
        ([Rule("/users/1", role="a"), Rule("/users/2", role="b")], [Rule("/users/2", role="b"), Rule("/users/1", role="a")], "equivalent"),
    ],
)  # fmt: skip
def test_paths_are_compared_one_by_one(before: list[Rule], after: list[Rule], label: str) -> None:
    assert change(users(*before), users(*after)).label == label


# Files that are none


@pytest.mark.parametrize(
    "text", ["GET", "nonsense here now (", "GET /x role:a |", "GET /x (role:a", "    otherwise: open", "GET /x fresh:soon", "GET /x a )"]
)  # fmt: skip
def test_a_file_that_is_no_lock_says_in_which_line(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"Line 2 of the lock can't be read: .*sessionkit lock"):
        audit().compare(f"# version: 1\n{text}\n")
