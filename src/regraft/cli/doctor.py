"""The command `regraft doctor`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from regraft.cli.console import show_json


def doctor(*, weights: str | None = None, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """What this machine has, what is wrong, and how to mend it. Exit code 1 if something is wrong.

    ```
    regraft doctor
    regraft doctor --json
    ```

    Args:
        weights: also look for weights in this folder.
        json: print JSON lines.
    """
    from regraft.diagnosis import diagnose

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
