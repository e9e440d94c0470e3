"""Writes docs/commands.md: every command with its help, as the program itself shows it.

Run: python scripts/build_command_pages.py   (a test compares the page with what this writes)
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cyclopts
from rich.console import Console

from regraft.cli.app import app, whole_help

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
_COLUMNS = 100


def commands(place: cyclopts.App, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """All commands below one, groups before their members."""
    for name in sorted(place):
        if name.startswith("-"):
            continue
        inner: Any = place[name]
        yield (*words, name)
        yield from commands(inner, (*words, name))


def page() -> str:
    """The page's text."""
    parts = [
        "# Commands",
        "",
        "As `regraft COMMAND --help` shows them. `--debug` adds a traceback to any error.",
        "",
    ]
    for words in commands(app):
        parts += [f"## regraft {' '.join(words)}", "", "```text", shown(words), "```", ""]
    return "\n".join(parts)


def shown(words: tuple[str, ...]) -> str:
    """A command's help as plain text."""
    file = io.StringIO()
    console = Console(
        file=file, width=_COLUMNS, force_terminal=False, color_system=None, legacy_windows=False
    )
    whole_help(words)
    app.help_print(list(words), console=console)
    return "\n".join(line.rstrip() for line in file.getvalue().strip().splitlines())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
