"""The lab: teaching experiments.

>>> import regraft.lab
>>> found = regraft.lab.run("rcnn", seeds=3)        # doctest: +SKIP
>>> found.table, found.figures[0].svg, found.page   # doctest: +SKIP
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from regraft.progress import Reporter

if TYPE_CHECKING:
    from regraft.features.runtimes import RuntimeName
    from regraft.lab.running import ExperimentRun


def run(
    name: str,
    *,
    data: str | Path | None = None,
    network: str = "tf_efficientnet_lite0",
    weights: str | Path | None = None,
    seeds: int | None = None,
    budget: str | float | None = None,
    quick: bool = False,
    out: str | Path = "runs",
    runtime: RuntimeName = "auto",
    reporter: Reporter | None = None,
) -> ExperimentRun:
    """Run an experiment, as `regraft lab NAME` does; what was measured before is not measured again.

    Args:
        name: name of the experiment, such as `rcnn`.
        data: the data set; None means that the experiment makes its pictures.
        network: name of the pretrained network.
        weights: a file, or a folder that holds `NETWORK.safetensors`; None for the usual places.
        seeds: number of draws; None means as many as the experiment has by default.
        budget: a time such as `10m` after which no draw is begun, or seconds; None for no limit.
        quick: whether to use fewer pictures.
        out: the folder in which `lab/NAME/` is written.
        runtime: library that computes the network.
        reporter: receives progress.

    Returns:
        The results: `table` is a `pyarrow.Table` of tidy rows, `figures` have their SVG, `page` is the page.

    Raises:
        SettingsError: the name, or another argument, is not accepted.
        DataError: the data can't be used.
    """
    from types import NoneType

    from regraft.arguments import check_kind, check_reporter, seconds_in
    from regraft.lab.experiments.catalogue import experiment
    from regraft.lab.results.experiment import Choices
    from regraft.lab.running import run_experiment

    check_kind("seeds", seeds, (int, NoneType), "whole numbers and None")
    check_reporter(reporter)
    choices = Choices(
        None if data is None else str(data),
        network,
        None if weights is None else str(weights),
        runtime,
        quick,
    )
    budget_s = None if budget is None else seconds_in(str(budget))
    return run_experiment(
        experiment(name), choices, out=Path(out), seeds=seeds, budget_s=budget_s, reporter=reporter
    )
