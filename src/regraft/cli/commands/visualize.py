"""The command `regraft visualize`, which was called `regraft features`."""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from regraft.cli.terminal.console import make_reporter
from regraft.cli.terminal.parameters import Overwrite


def visualize(
    run: Path,
    image: Path | None = None,
    /,
    *,
    units: int = 6,
    steps: int = 96,
    data: Path | None = None,
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("visualization.html"),
    overwrite: Overwrite = False,
) -> int:
    """Show what the network of a run has learned, from edges to parts of objects, on one page.

    The page shows the filters of the first layer; the maps of an image after every stage; and for units of a
    low, a middle and a high stage the patches that excite them most, what of those patches reaches the unit,
    and an image made to excite it.

    ```
    regraft visualize runs/photos-mobilenetv1_100-auto
    regraft visualize runs/photos-mobilenetv1_100-auto new/1.jpg --units 10 --steps 256
    ```

    Args:
        run: A folder that fit has written, or a saved model, which needs an image.
        image: The image whose maps are shown; without it, a training image.
        units: Number of units shown for each of the three stages.
        steps: Steps of gradient ascent for the images made to excite a unit; 0 makes none and is quick.
        data: Folder in which the run's images are now, if they were moved.
        out: The page to write.
        overwrite: Replace a file that regraft did not write; never one that this command reads.
    """
    from regraft.outputs.files import VISUALIZATION, output_file
    from regraft.reports.features_page import write_features

    output_file(out, VISUALIZATION, inputs=[run, image], overwrite=overwrite)
    page = write_features(
        run, image, out, units=units, steps=steps, data=data, reporter=make_reporter(json_lines=False)
    )
    print(f"wrote {page} ({page.stat().st_size / 1e6:.1f} MB); open it in a browser, it needs no network")
    return 0


@wraps(visualize)
def features(run: Path, *rest: Any, **options: Any) -> int:
    """Do what visualize does, which is the command's new name."""
    make_reporter(json_lines=False).note(f"features is now called visualize: regraft visualize {run}")
    return visualize(run, *rest, **options)
