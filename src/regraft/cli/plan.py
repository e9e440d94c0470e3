"""The command `regraft plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from regraft.cli.console import make_reporter
from regraft.settings import DataSettings, FitSettings, TrainSettings


def plan(
    data: str,
    /,
    *,
    settings: Annotated[FitSettings, Parameter(name="*")] = FitSettings(),  # noqa: B008 (frozen)
    reading: Annotated[DataSettings, Parameter(name="*", group="Reading images")] = DataSettings(),  # noqa: B008 (frozen)
    training: Annotated[
        TrainSettings, Parameter(name="*", group="Training (last-blocks, full, scratch)")
    ] = TrainSettings(),  # noqa: B008 (frozen)
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    out: Annotated[str | None, Parameter(name=["--out", "-o"])] = None,
) -> int:
    """What fit would do with these settings, every choice made: a file to read, edit and run.

    ```
    regraft plan photos/ --strategy full -o plan.toml
    regraft fit photos/ --plan plan.toml
    ```

    Args:
        data: as in fit.
        settings: how the model would be fitted.
        reading: how images are found and read.
        training: how a tail would be trained.
        from_: an earlier run or bundle, whose network is where this one would start.
        out: the file; without it, the plan is printed.
    """
    from regraft import workflow

    made = workflow.plan(
        data,
        settings,
        training=training,
        data=reading,
        from_run=from_,
        reporter=make_reporter(json_lines=False),
    )
    if out is None:
        print(made.toml(), end="")
    else:
        print(f"wrote {made.save(Path(out))}; edit it, then: regraft fit {data} --plan {out}")
    return 0
