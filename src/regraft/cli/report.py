"""The command `regraft report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from regraft.cli.console import make_reporter


def report(
    run: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    explain: bool = True,
) -> int:
    """One page about a run: how good it is, why it was chosen, where it fails. Opens offline in any browser.

    ```
    regraft report runs/photos-mobilenetv1_100-auto
    regraft report runs/photos-mobilenetv1_100-auto --out photos.html --no-explain
    ```

    Args:
        run: a folder that fit left behind.
        out: the file to write; without it, report.html in the run folder.
        explain: draw where the network looks (Grad-CAM), for the surest mistakes and some right answers.
    """
    from regraft.reports.run_report import write_report

    page = write_report(run, out, explain=explain, reporter=make_reporter(json_lines=False))
    print(f"wrote {page} ({page.stat().st_size / 1e6:.1f} MB); open it in a browser, it needs no network")
    return 0
