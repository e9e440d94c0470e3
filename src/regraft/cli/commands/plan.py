"""The command `regraft plan`, an earlier name of `regraft advise`."""

from __future__ import annotations

from functools import wraps
from typing import Any

from regraft.cli.commands.advise import advise
from regraft.cli.terminal.console import make_reporter
from regraft.cli.terminal.parameters import FIT, advise_command


@wraps(advise)
def plan(data: str, **options: Any) -> int:
    """Do what advise does."""
    reporter = make_reporter(json_lines=options.get("json", False))
    reporter.note(f"plan is now a part of advise: {advise_command(data, options.get('settings', FIT))}")
    return advise(data, **options)
