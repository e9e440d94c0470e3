"""The lab: teaching experiments.

>>> import regraft.lab
>>> found = regraft.lab.run("depth", seeds=3)       # doctest: +SKIP
>>> found.table, found.figures[0].svg, found.page   # doctest: +SKIP
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from regraft.progress import Reporter

if TYPE_CHECKING:
    from regraft.features.runtimes import RuntimeName
    from regraft.lab.course import CourseRun
    from regraft.lab.results.experiment import Choices
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
        name: name of the experiment, such as `depth`.
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
    from regraft.lab.experiments.catalogue import experiment
    from regraft.lab.running import run_experiment

    own = experiment(name)
    choices, budget_s = _checked(data, network, weights, runtime, seeds, budget, reporter, is_quick=quick)
    return run_experiment(own, choices, out=Path(out), seeds=seeds, budget_s=budget_s, reporter=reporter)


def run_all(
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
) -> CourseRun:
    """Run all experiments, as `regraft lab all` does; see `run` for the arguments.

    Returns:
        The runs, the page that leads through them, and which experiments could not be run on the data.

    Raises:
        SettingsError: an argument is not accepted.
    """
    from regraft.lab.course import run_course

    choices, budget_s = _checked(data, network, weights, runtime, seeds, budget, reporter, is_quick=quick)
    return run_course(choices, out=Path(out), seeds=seeds, budget_s=budget_s, reporter=reporter)


def _checked(
    data: str | Path | None,
    network: str,
    weights: str | Path | None,
    runtime: RuntimeName,
    seeds: int | None,
    budget: str | float | None,
    reporter: Reporter | None,
    *,
    is_quick: bool,
) -> tuple[Choices, float | None]:
    """The choices, and the budget in seconds."""
    from types import NoneType

    from regraft.arguments import check_kind, check_reporter, seconds_in
    from regraft.lab.results.experiment import Choices

    check_kind("seeds", seeds, (int, NoneType), "whole numbers and None")
    check_reporter(reporter)
    choices = Choices(
        None if data is None else str(data),
        network,
        None if weights is None else str(weights),
        runtime,
        is_quick,
    )
    return choices, None if budget is None else seconds_in(str(budget))
