"""README's two commands: one line each, on a machine that has nothing but Python."""

from tests.docs.pages import README, ROOT, blocks

COMMANDS = [block.code for block in blocks(README.read_text(encoding="utf-8")) if block.language == "sh"][:2]


def test_readme_starts_with_two_commands_of_one_line_each() -> None:
    assert [command.count("\n") for command in COMMANDS] == [1, 1]


def test_each_command_makes_a_virtual_environment_and_uses_only_that() -> None:
    for command in COMMANDS:
        make, *use = command.split(" && ")

        assert make.startswith("python3 -m venv ")
        environment = make.split()[-1]
        assert use
        assert all(step.startswith(f"{environment}/bin/") for step in use)


def test_continuous_integration_runs_the_test_command_of_readme() -> None:
    assert COMMANDS[1].strip() in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
