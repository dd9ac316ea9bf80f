"""Whether one requirement implies another: exactly what enumerating every person says."""

import inspect
from collections.abc import Iterable
from itertools import chain, combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_sessionkit import Access, Requirement, Session, custom, fresh, owner, permission, role, signed_in
from fastapi_sessionkit.access import Subject
from fastapi_sessionkit.audit import implies
from fastapi_sessionkit.audit.formulas import formula_of
from fastapi_sessionkit.audit.implication import counterexample
from fastapi_sessionkit.audit.lock import Entry, compared, lock_text, read_lock
from fastapi_sessionkit.requirements import all_of, any_of


def paid(session: Session | None) -> bool:
    return PAID.get()


class Switch:
    on = False

    def get(self) -> bool:
        return self.on


PAID = Switch()

ATOMS = [role("admin"), role("editor"), permission("write"), fresh(60), fresh(600), custom(paid)]
TREES = st.recursive(
    st.sampled_from([*ATOMS, signed_in]),
    lambda inner: st.builds(
        lambda make, parts: make(*parts), st.sampled_from([all_of, any_of]), st.lists(inner, min_size=2, max_size=3)
    ),
    max_leaves=8,
)


def subsets(values: Iterable[Any]) -> Iterable[tuple[Any, ...]]:
    listed = list(values)
    return chain.from_iterable(combinations(listed, size) for size in range(len(listed) + 1))


PEOPLE: list[tuple[Subject, bool]] = [
    (Subject(session, Access(), age), switched)
    for switched in (False, True)
    for session, age in [
        (None, None),
        *(
            (Session(user_id="ada", roles=roles, permissions=permissions), age)
            for roles in subsets(["admin", "editor"])
            for permissions in subsets(["write"])
            for age in (30, 300, 3_000)
        ),
    ]
]
"""Everybody there can be, as far as six atoms tell people apart."""


def allowed(requirement: Requirement) -> list[bool]:
    found = []
    for subject, switched in PEOPLE:
        PAID.on = switched
        fresh_subject = Subject(subject.session, subject.access, subject.age)
        found.append(requirement.refusal_now(fresh_subject) is None)
    return found


def expected_label(before: Requirement, after: Requirement) -> str:
    pairs = list(zip(allowed(before), allowed(after), strict=True))
    gains, loses = any(new and not old for old, new in pairs), any(old and not new for old, new in pairs)
    if gains and loses:
        return "changed"
    return "loosened" if gains else "tightened" if loses else "equivalent"


@given(TREES, TREES)
def test_implies_says_what_enumerating_every_person_says(first: Requirement, second: Requirement) -> None:
    expected = all(new or not old for old, new in zip(allowed(first), allowed(second), strict=True))

    assert implies(first, second) is expected


@given(TREES, TREES)
def test_the_label_of_the_lock_is_what_enumerating_every_person_says(before: Requirement, after: Requirement) -> None:
    (change,) = compared(*([Entry("GET", "/", ((None, formula_of(requirement)),))] for requirement in (before, after)))

    label = "equivalent" if change.label == "equal" else change.label
    assert label == expected_label(before, after)
    assert (change.gains is not None, change.loses is not None) == {
        "changed": (True, True), "loosened": (True, False), "tightened": (False, True), "equivalent": (False, False)
    }[label]  # fmt: skip


@given(TREES, TREES)
def test_a_counterexample_has_the_first_and_not_the_second(first: Requirement, second: Requirement) -> None:
    found = counterexample(formula_of(first), formula_of(second))

    assert implies(first, second) is (found is None)


@given(TREES)
def test_a_formula_is_read_back_as_it_was_written(requirement: Requirement) -> None:
    entries = [Entry("GET", "/a b", ((None, formula_of(requirement)),))]

    assert read_lock(lock_text(entries)) == entries


@pytest.mark.parametrize(
    ("first", "second", "holds"),
    [
        (fresh(60), fresh(600), True),
        (fresh(600), fresh(60), False),
        (role("admin"), signed_in, True),
        (owner("user_id"), signed_in, True),
        (owner("user_id"), owner("user_id", "teams"), False),
        (owner("a"), owner("b"), False),
        (custom(paid), signed_in, False),
        (custom(paid), custom(paid), True),
        (role("admin"), None, True),
        (None, signed_in, False),
        (None, None, True),
        (role("a") & role("b"), role("b") & role("a"), True),
        (role("a") & (role("b") | role("c")), role("a") & role("b") | role("a") & role("c"), True),
        (role("a") & role("b") | role("a") & role("c"), role("a") & (role("b") | role("c")), True),
        (role("a | b"), role("a") | role("b"), False),
    ],
)
def test_some_implications(first: Requirement | None, second: Requirement | None, holds: bool) -> None:
    assert implies(first, second) is holds


def test_many_alternatives_take_no_time() -> None:
    """Spelled out these are a million conjunctions."""
    wide = all_of(*(any_of(role(f"a{number}"), role(f"b{number}")) for number in range(20)))
    turned = all_of(*(any_of(role(f"b{number}"), role(f"a{number}")) for number in reversed(range(20))))

    assert implies(wide, turned)
    assert implies(wide & role("c"), turned | role("d"))
    assert not implies(wide, turned & role("c"))


def test_many_conjunctions_take_no_time() -> None:
    names = [any_of(*(role(f"{letter}{number}") for number in range(3))) for letter in "abcdefghijklmnop"]
    given = all_of(*(role(f"{letter}0") & role(f"{letter}1") for letter in "abcdefghijklmnop"))
    wanted = any_of(*(role(f"{letter}0") & role(f"{letter}1") & role(f"{letter}2") for letter in "abcdefghijklmnop"))

    assert not implies(given, wanted)
    assert implies(given & role("p2"), wanted)
    assert implies(given, all_of(*names))
    assert not implies(all_of(*names), wanted)


def test_functions_of_one_source_are_one() -> None:
    def make() -> Requirement:
        return custom(lambda session: session is not None and session.email == "a@b.c")

    assert implies(make(), make())


def test_functions_that_close_over_something_else_are_two() -> None:
    def make(email: str) -> Requirement:
        return custom(lambda session: session is not None and session.email == email)

    assert implies(make("a@b.c"), make("a@b.c"))
    assert not implies(make("a@b.c"), make("b@b.c"))


def test_functions_of_one_name_are_told_apart_by_their_place() -> None:
    def check(session: Any) -> bool:
        return session is not None

    first = custom(check)

    def check(session: Any) -> bool:  # type: ignore[no-redef]
        return session is None

    assert not implies(first, custom(check))


def test_a_docstring_and_a_comment_change_nothing() -> None:
    def plain() -> Any:
        def check(session: Any) -> bool:
            return session is not None

        return check

    def told() -> Any:
        def check(session: Any) -> bool:
            """Somebody."""
            # whoever it is
            return session is not None

        return check

    assert implies(custom(plain()), custom(told()))


def test_functions_with_other_defaults_are_two() -> None:
    def make(limit: int) -> Requirement:
        return custom(lambda session, limit=limit: session is not None and limit > 1)

    def make_named(limit: int) -> Requirement:
        return custom(lambda session, *, limit=limit: session is not None and limit > 1)

    for each in (make, make_named):
        assert implies(each(1), each(1))
        assert not implies(each(1), each(2))


def test_lambdas_on_one_line_are_told_apart() -> None:
    first, second = custom(lambda session: session is not None), custom(lambda session: session is None)

    assert not implies(first, second)
    assert not implies(second, first)


def test_a_requirement_of_one_s_own_is_what_its_class_and_its_fields_are() -> None:
    class Named(Requirement):
        def __init__(self, word: str) -> None:
            self.word = word

        @property
        def name(self) -> str:
            return "role:admin"

        async def refusal(self, subject: Subject) -> str | None:
            return None

    assert implies(Named("a"), Named("a"))
    assert not implies(Named("a"), Named("b"))
    assert not implies(Named("a"), role("admin"))
    assert not implies(Named("a"), signed_in)


def test_the_module_of_this_test_has_its_source() -> None:
    assert inspect.getsource(paid)
