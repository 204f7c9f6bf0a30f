"""Every command explains itself, and the README lists exactly the commands that there are."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from taximeter.command import main

ROOT = Path(__file__).parents[2]


def commands() -> Iterator[tuple[str, Any]]:
    """Every command by what one types, those of groups too."""
    whole: Any = get_command(main)
    for name, command in whole.commands.items():
        inner = getattr(command, "commands", {})
        yield from ((f"{name} {each}", inner[each]) for each in inner)
        if not inner:
            yield name, command


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=lambda each: each if isinstance(each, str) else "")
def test_a_command_and_each_of_its_options_has_help(name: str, command: Any) -> None:
    assert command.help, name
    assert [each.name for each in command.params if not each.help] == []


def test_the_readme_lists_every_command_and_no_other() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [row for row in page.splitlines() if row.startswith("| `taximeter ")]
    listed = [
        name.strip() for row in rows for name in re.findall(r"`taximeter ([a-z]+(?:[ -][a-z]+)*)", row.split("|")[1])
    ]
    assert sorted(listed) == sorted(name for name, _ in commands())
