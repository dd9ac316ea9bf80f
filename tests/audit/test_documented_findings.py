"""Each kind of finding has its place in the documentation."""

import re
from pathlib import Path

from fastapi_sessionkit import audit

PACKAGE = Path(audit.__file__).parent
PAGE = (Path(__file__).parents[2] / "docs" / "findings.md").read_text(encoding="utf-8")


def test_each_code_is_documented_and_no_other() -> None:
    sources = [(PACKAGE / name).read_text(encoding="utf-8") for name in ("findings.py", "settings.py")]
    codes = {
        code
        for source in sources
        for code in re.findall(r'^ +(?:yield |yield Finding\()?"([a-z]+-[a-z-]+)",', source, re.MULTILINE)
    }

    assert codes
    assert set(re.findall(r"^### `([a-z-]+)`$", PAGE, re.MULTILINE)) == codes | {"start-fails", "weak-secret"}
