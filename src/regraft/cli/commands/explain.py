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
    methods: str = "grad-cam,occlusion",
    label: str | None = None,
    stage: str | None = None,
    neighbours: int = 6,
    data: Path | None = None,
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("explanation.html"),
    overwrite: Overwrite = False,
) -> int:
    """Explain predictions on one page: where the model looks, and which training images are most similar.

    ```
    regraft explain runs/photos-mobilenetv1_100-auto new/1.jpg new/2.jpg
    regraft explain runs/photos-vit_tiny-probe new/1.jpg --methods rollout,occlusion
    regraft explain runs/photos-mobilenetv1_100-auto new/1.jpg --label daisy --stage blocks.3.5
    ```

    Args:
        run: Folder that fit has written, or a saved model, which has no training images to show.
        images: Image files to explain.
        methods: Names of one or more methods, separated by commas: grad-cam, grad-cam++, rollout (ViT),
            occlusion and integrated-gradients.
        label: Explain this label instead of the predicted one.
        stage: Stage whose activations Grad-CAM uses; by default the last one with a spatial map.
        neighbours: Number of most similar training images to show.
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
    wanted = [name.strip() for name in methods.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in METHODS]
    if unknown or not wanted:
        raise SettingsError(f"--methods {methods!r} is not understood; accepted are {', '.join(METHODS)}")
    reporter = make_reporter(json_lines=False)
    found = explain_images(
        run, images, methods=cast("list[Method]", wanted), label=label, stage=stage, neighbours=neighbours,
        data=data, reporter=reporter,
    )  # fmt: skip
    if found.remark:
        reporter.warn(found.remark)
    for row in found.rows:
        chances = [f"{printable(name)} {chance:.1%}" for name, chance in row.chances[:3]]
        said = ", ".join(chances) or printable(row.answer.text)
        print(f"{printable(row.path)}: {said}")
        if row.neighbours:
            alike = [printable(near.label) for near in row.neighbours]
            print(f"  labels of the most similar training images: {', '.join(alike)}")
    for file in found.skipped:
        print(f"skipped {printable(file.path)}: {file.reason}")
    print(f"wrote {found.write(out)}; open it in a browser, which works offline")
    return 0
