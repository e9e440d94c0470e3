"""The command `regraft plot-schedule`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from regraft.cli.terminal.console import show_table
from regraft.cli.terminal.parameters import Overwrite
from regraft.errors import SettingsError
from regraft.settings import ScheduleName


def plot_schedule(
    schedule: ScheduleName,
    /,
    *,
    epochs: int = 10,
    steps_per_epoch: int = 32,
    lr: float = 1e-3,
    warmup: float = 0.1,
    out: Annotated[str | None, Parameter(name=["--out", "-o"])] = None,
    overwrite: Overwrite = False,
) -> int:
    """Show a learning-rate schedule as a table and a plot.

    `plateau` depends on the validation scores; the plot assumes that they stop improving after a third of
    the epochs.

    ```
    regraft plot-schedule warmup-cosine --epochs 10
    regraft plot-schedule one-cycle --lr 3e-3 --out one-cycle.png
    ```

    Args:
        schedule: Name of the schedule.
        epochs: Number of epochs.
        steps_per_epoch: Steps per epoch: the number of training images divided by the effective batch.
        lr: Largest learning rate.
        warmup: Share of the steps during which the learning rate rises (warmup-cosine and one-cycle).
        out: File for the plot (.svg, .png or .pdf); by default schedule-NAME.svg.
        overwrite: Replace a file that regraft did not write.
    """
    from regraft.outputs.files import DRAWING, output_file
    from regraft.outputs.plots import Axes, line_plot
    from regraft.training.loop.schedules import rates

    if epochs < 1 or steps_per_epoch < 1 or lr <= 0 or not 0 <= warmup <= 0.9:
        raise SettingsError(
            f"--epochs {epochs} and --steps-per-epoch {steps_per_epoch} must be at least 1, --lr {lr:g} "
            f"above 0, and --warmup {warmup:g} from 0 to 0.9"
        )
    values = [lr * factor for factor in rates(schedule, epochs, steps_per_epoch, warmup)]
    path = output_file(out or f"schedule-{schedule}.svg", DRAWING, overwrite=overwrite)
    x = [step / steps_per_epoch for step in range(len(values))]
    axes = Axes(f"{schedule}, {len(values):,} steps", "epoch", "learning rate", is_from_zero=True)
    line_plot(path, axes, {schedule: (x, values)})
    marks = sorted({round(part * (len(values) - 1) / 10) for part in range(11)})
    rows = [[f"{step:,}", f"{step / steps_per_epoch:.1f}", f"{values[step]:.2e}"] for step in marks]
    show_table(f"{schedule}: learning rate", ["step", "epoch", "rate"], rows, right=(0, 1, 2))
    print(f"wrote {path}")
    return 0
