"""What a fit would do, said without doing it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from regraft.data.splits import split_findings, split_images
from regraft.features.runtimes import choose_runtime
from regraft.plans import Plan
from regraft.preparation import found_images, scanned
from regraft.progress import Reporter, Silent
from regraft.records import Images, Split
from regraft.request import find_start, make_request
from regraft.runs import RunLog
from regraft.settings import DEFAULT_BUDGET, DataSettings, FitSettings, TrainSettings, seconds_in
from regraft.training.costs import CostBook, extract_name


@dataclass(frozen=True)
class Rehearsal:
    """What a fit would work on, and what is known of its cost; nothing was computed."""

    images: Images
    split: Split
    network: str
    strategy: str
    extract_s: float | None
    """Seconds for the features of all images, if this machine has timed that network."""
    budget_s: float | None
    """Of the ladder."""


def rehearse(
    images: Images | str | Path,
    settings: FitSettings | None = None,
    *,
    training: TrainSettings | None = None,
    data: DataSettings | None = None,
    plan: Plan | str | Path | None = None,
    from_run: str | Path | None = None,
    reporter: Reporter | None = None,
    **changes: Any,
) -> Rehearsal:
    """What `fit` would do with these arguments, as far as that can be said without computing anything.

    No run folder, no features, no split is written; what was learned of the files is kept in the cache.

    Raises:
        RegraftError: what `fit` would stop at before it computes.
    """
    asked, reading = make_request(settings, training, plan, changes), data or DataSettings()
    log = RunLog(reporter or Silent(), None)
    usable = images if isinstance(images, Images) else scanned(found_images(images, reading), reading, log)
    start = None if asked.fit.network == "auto" else find_start(asked, from_run, log)
    split = split_images(usable, seed=asked.fit.seed, test_share=asked.fit.test_share, save=False)
    usable = replace(usable, findings=(*usable.findings, *split_findings(split)))
    strategy = asked.plan.strategy if asked.plan else asked.fit.strategy
    seconds = None
    if start is not None:
        runtime, _ = choose_runtime(asked.fit.runtime, asked.fit.device)
        each = CostBook().known(extract_name(start.weights, runtime, asked.fit.precision))
        seconds = each * len(usable) if each is not None else None
    budget = seconds_in(asked.fit.budget or DEFAULT_BUDGET) if strategy == "auto" else None
    network = start.weights.network if start else "auto"
    return Rehearsal(usable, split, network, strategy, seconds, budget)
