"""The command `regraft doctor`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from regraft.cli.terminal.console import show_json


def doctor(*, weights: str | None = None, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Check this installation, and show how to fix what is wrong. The exit code is 1 if something is wrong.

    ```
    regraft doctor
    regraft doctor --json
    ```

    Args:
        weights: Further folder in which to look for weights.
        json: Print JSON lines.
    """
    from regraft.workflow.diagnosis import diagnose

    checks = diagnose(weights)
    if json:
        for check in checks:
            show_json(asdict(check))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            mark = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}[check.state]
            print(f"{mark} {check.name:<{width}}  {check.found}")
            if check.mend:
                print(f"{'':{width + 10}}→ {check.mend}")
    return 1 if any(check.state == "problem" for check in checks) else 0
