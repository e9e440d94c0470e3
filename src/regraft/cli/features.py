"""The command `regraft features`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from regraft.cli.console import make_reporter


def features(
    run: Path,
    image: Path | None = None,
    /,
    *,
    units: int = 6,
    steps: int = 96,
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("features.html"),
) -> int:
    """What the network of a run has learned, from edges to parts of things, on one page.

    First-layer filters; the maps of an image after every stage; for units of a low, a middle and a high
    stage the patches that excite them most, the same taken back to the pixels, and an image made for each.

    ```
    regraft features runs/photos-mobilenetv1_100-auto
    regraft features runs/photos-mobilenetv1_100-auto new/1.jpg --units 10 --steps 256
    ```

    Args:
        run: a folder that fit left behind.
        image: whose maps are shown; without it, a training image.
        units: how many units of each level.
        steps: of gradient ascent for the images made for units; 0 makes none and is quick.
        out: the page.
    """
    from regraft.reports.features_page import write_features

    page = write_features(run, image, out, units=units, steps=steps, reporter=make_reporter(json_lines=False))
    print(f"wrote {page} ({page.stat().st_size / 1e6:.1f} MB); open it in a browser, it needs no network")
    return 0
