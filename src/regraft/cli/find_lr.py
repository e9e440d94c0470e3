"""The command `regraft find-lr`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from regraft.cli.console import make_reporter, show_table
from regraft.settings import DataSettings, FitSettings, TrainSettings


def find_lr(
    data: str,
    /,
    *,
    settings: Annotated[FitSettings, Parameter(name="*")] = FitSettings(strategy="full"),  # noqa: B008 (frozen)
    reading: Annotated[DataSettings, Parameter(name="*", group="Reading images")] = DataSettings(),  # noqa: B008 (frozen)
    training: Annotated[
        TrainSettings, Parameter(name="*", group="Training (last-blocks, full, scratch)")
    ] = TrainSettings(),  # noqa: B008 (frozen)
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    steps: int = 80,
    out: Annotated[str, Parameter(name=["--out", "-o"])] = "find-lr.svg",
) -> int:
    """The training loss while the learning rate rises: where it falls fastest is a good largest rate.

    A solved head starts near its optimum, where the loss can hardly fall: the default rates suit it. For
    `--strategy scratch` or `--head-start zero` the search says most.

    ```
    regraft find-lr photos/ --strategy full --head-start zero
    ```

    Args:
        data: as in fit.
        settings: of a strategy that trains.
        reading: how images are found and read.
        training: how the tail would be trained.
        from_: an earlier run or bundle to start from.
        steps: optimizer steps to take; nothing of them is kept.
        out: a .svg, .png or .pdf file for the plot.
    """
    from regraft import workflow
    from regraft.plots import Axes, line_plot

    found = workflow.find_lr(
        data, settings, training=training, data=reading, from_run=from_, steps=steps,
        reporter=make_reporter(json_lines=False),
    )  # fmt: skip
    axes = Axes("learning-rate search", "learning rate", "smoothed training loss, nats", is_log_x=True)
    path = line_plot(Path(out), axes, {"loss": (found.rates, found.losses)}, marked_x=found.suggested)
    shown = range(0, len(found.rates), max(1, len(found.rates) // 12))
    rows = [[f"{found.rates[place]:.1e}", f"{found.losses[place]:.3f}"] for place in shown]
    show_table("smoothed loss", ["learning rate", "loss"], rows, right=(0, 1))
    print(f"falls fastest at --lr {found.suggested:.1e}; drawn in {path}")
    return 0
