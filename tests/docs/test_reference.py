"""The reference has every public name."""

import re

import fastapi_sessionkit
from fastapi_sessionkit import testing
from tests.docs.pages import ROOT

REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
SHOWN = set(re.findall(r"^::: fastapi_sessionkit\.(\S+)$", REFERENCE, re.MULTILINE))


def test_reference_has_every_public_name_of_the_package() -> None:
    assert set(fastapi_sessionkit.__all__) <= SHOWN


def test_reference_has_every_public_name_for_tests() -> None:
    assert {f"testing.{name}" for name in testing.__all__} <= SHOWN
