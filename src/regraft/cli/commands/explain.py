"""The command `regraft explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from regraft.cli.terminal.console import make_reporter
from regraft.cli.terminal.parameters import Overwrite
from regraft.storage.tables import printable


def explain(
    run: Path,
    /,
    *images: str,
    methods: str | None = None,
    label: str | None = None,
    stage: str | None = None,
    boxes: int | None = None,
    neighbours: int = 6,
    data: Path | None = None,
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("explanation.html"),
    overwrite: Overwrite = False,
) -> int:
    """Explain predictions on one page: where the model looks, and which training images are most similar.

    For a detector: on which parts of the picture each found box rests, which training boxes are most similar,
    and, in pictures of the run, which annotated boxes were missed.

    ```
    regraft explain runs/photos-mobilenetv1_100-auto new/1.jpg new/2.jpg
    regraft explain runs/photos-vit_tiny-probe new/1.jpg --methods rollout,occlusion
    regraft explain runs/photos-mobilenetv1_100-auto new/1.jpg --label daisy --stage blocks.3.5
    regraft explain runs/cells new/1.jpg --boxes 3
    ```

    Args:
        run: Folder that fit has written, or a saved model, which has no training images to show.
        images: Image files to explain.
        methods: Names of one or more methods, separated by commas: grad-cam, grad-cam++, rollout (ViT),
            occlusion and integrated-gradients. By default grad-cam,occlusion; boxes are always explained by
            occlusion.
        label: Explain this label instead of the predicted one, or only the boxes of this class.
        stage: Stage whose activations Grad-CAM uses; by default the last one with a spatial map.
        boxes: Largest number of boxes to explain in a picture, the most probable first; by default 6 (runs of
            detectors).
        neighbours: Number of most similar training images, or boxes, to show.
        data: Folder in which the run's images are now, if they were moved.
        out: HTML file to write.
        overwrite: Replace a file that regraft did not write; never one that this command reads.
    """
    from typing import cast

    from regraft.errors import SettingsError
    from regraft.explanation.maps import METHODS, Method
    from regraft.outputs.files import EXPLANATION, output_file
    from regraft.reports.explanation_page import explain_images

    output_file(out, EXPLANATION, inputs=[run, *images], overwrite=overwrite)
    wanted = None if methods is None else [name.strip() for name in methods.split(",") if name.strip()]
    if wanted is not None and not (wanted and set(wanted) <= set(METHODS)):
        raise SettingsError(f"--methods {methods!r} is not understood; accepted are {', '.join(METHODS)}")
    reporter = make_reporter(json_lines=False)
    found = explain_images(
        run, images, methods=cast("list[Method] | None", wanted), label=label, stage=stage, boxes=boxes,
        neighbours=neighbours, data=data, reporter=reporter,
    )  # fmt: skip
    if found.remark:
        reporter.warn(found.remark)
    for line in found.lines:
        print(line)
    for file in found.skipped:
        print(f"skipped {printable(file.path)}: {file.reason}")
    print(f"wrote {found.write(out)}; open it in a browser, which works offline")
    return 0
