"""The command `regraft report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from regraft.cli.terminal.console import make_reporter
from regraft.cli.terminal.parameters import Overwrite


def report(
    run: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    explain: bool = True,
    data: Path | None = None,
    overwrite: Overwrite = False,
) -> int:
    """Write a page about a run: how good the model is, why it was chosen and where it fails; works offline.

    ```
    regraft report runs/photos-mobilenetv1_100-auto
    regraft report runs/photos-mobilenetv1_100-auto --out photos.html --no-explain
    ```

    Args:
        run: Folder that fit has written.
        out: HTML file to write; by default report.html in the run folder.
        explain: Show where the network looks (Grad-CAM), for the most confident mistakes and some correct
            predictions.
        data: Folder in which the run's images are now, if they were moved.
        overwrite: Replace a file that regraft did not write; never one that this command reads.
    """
    from regraft.outputs.files import REPORT, output_file
    from regraft.reports.run_report import write_report

    output_file(out or run / "report.html", REPORT, inputs=[run], overwrite=overwrite)
    page = write_report(run, out, explain=explain, data=data, reporter=make_reporter(json_lines=False))
    print(f"wrote {page} ({page.stat().st_size / 1e6:.1f} MB); open it in a browser, which works offline")
    return 0
