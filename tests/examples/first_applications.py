"""The applications that somebody new writes down first: README's, the quickstart's, and the smallest example."""

from tests.docs.pages import README, ROOT, blocks


def code_of(page: str) -> str:
    """What a reader puts into ``main.py``: the page's Python blocks, without the one that is a test."""
    file = ROOT / page
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        return text
    code = [block.code for block in blocks(text) if block.language == "python" and "TestClient" not in block.code]
    return "\n\n".join(code[:1] if file == README else code)


# What one signs in with there: the form's fields, as somebody who may go everywhere, and as somebody who may not.
FORMS = {
    "README.md": ({"name": "ada"}, {"name": "bob"}),
    "docs/quickstart.md": (
        {"username": "ada", "password": "correct horse"},
        {"username": "bob", "password": "battery"},
    ),
    "examples/quickstart.py": (
        {"username": "ada", "password": "demo"},
        {"username": "grace", "password": "demo"},
    ),
}

# Where the rules and the dependencies of each let nobody in who is not signed in.
PROTECTED = {
    "README.md": {"/", "/admin/users"},
    "docs/quickstart.md": {"/dashboard", "/premium", "/admin/users"},
    "examples/quickstart.py": {"/", "/admin/health"},
}

# Of the three, which protect what they don't name, those that don't name the documentation.
PROTECTED_DOCUMENTATION = {"README.md", "examples/quickstart.py"}
