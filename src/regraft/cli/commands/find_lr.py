"""The command `regraft find-lr`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from regraft.cli.terminal.console import make_reporter, show_table
from regraft.cli.terminal.parameters import DATA, FIT, TRAIN, DataFlags, FitFlags, From, Overwrite, TrainFlags


def find_lr(
    data: str,
    /,
    *,
    settings: FitFlags = FIT,
    data_settings: DataFlags = DATA,
    training: TrainFlags = TRAIN,
    from_: From = None,
    steps: int = 80,
    out: Annotated[str, Parameter(name=["--out", "-o"])] = "find-lr.svg",
    overwrite: Overwrite = False,
) -> int:
    """Plot the training loss while the learning rate rises; the rate where it falls fastest is suggested.

    Without --strategy the whole network is trained (full). A solved head starts near its optimum, where the
    loss can hardly fall and the default rates are good. The search is most useful for `--strategy scratch`
    and `--head-start zero`.

    ```
    regraft find-lr photos/ --strategy full --head-start zero
    ```

    Args:
        data: The images, as in fit.
        settings: The network and the strategy, which must be one that trains.
        data_settings: How images are found and read.
        training: How the tail would be trained.
        from_: An earlier run or bundle to start from.
        steps: Optimizer steps to take; the weights are put back afterwards.
        out: A .svg, .png or .pdf file for the plot.
        overwrite: Replace a file that regraft did not write; never one that this command reads.
    """
    from regraft.outputs.files import DRAWING, output_file
    from regraft.outputs.plots import Axes, line_plot
    from regraft.workflow import find_lr as verb

    output_file(
        out, DRAWING, inputs=[data, data_settings.corrections, settings.weights, from_], overwrite=overwrite
    )
    if settings.strategy == "auto":
        settings = replace(settings, strategy="full")
    found = verb.find_lr(
        data, settings, training=training, data=data_settings, from_run=from_, steps=steps,
        reporter=make_reporter(json_lines=False),
    )  # fmt: skip
    axes = Axes("learning-rate search", "learning rate", "smoothed training loss, nats", is_log_x=True)
    path = line_plot(Path(out), axes, {"loss": (found.rates, found.losses)}, marked_x=found.suggested)
    shown = range(0, len(found.rates), max(1, len(found.rates) // 12))
    rows = [[f"{found.rates[place]:.1e}", f"{found.losses[place]:.3f}"] for place in shown]
    show_table("smoothed loss", ["learning rate", "loss"], rows, right=(0, 1))
    print(f"the loss falls fastest at --lr {found.suggested:.1e}; drawn in {path}")
    return 0
