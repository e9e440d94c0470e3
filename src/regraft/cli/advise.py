"""The command `regraft advise`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from regraft.cli.console import make_reporter, show_json, show_table
from regraft.cli.ladder_table import percent, points, seconds, show_depths, show_ladder
from regraft.settings import DataSettings, FitSettings, TrainSettings

if TYPE_CHECKING:
    from regraft.advising import Advice


def advise(
    data: str,
    /,
    *,
    settings: Annotated[FitSettings, Parameter(name="*")] = FitSettings(),  # noqa: B008 (frozen)
    reading: Annotated[DataSettings, Parameter(name="*", group="Reading images")] = DataSettings(),  # noqa: B008 (frozen)
    training: Annotated[
        TrainSettings, Parameter(name="*", group="Training (last-blocks, full, scratch)")
    ] = TrainSettings(),  # noqa: B008 (frozen)
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    out: Annotated[str, Parameter(name=["--out", "-o"])] = "plan.toml",
    suspects: str | None = None,
    explain: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Which layers to freeze, what to train, and whether the data is enough: measured, in seconds.

    Measures what every depth of the network knows about your classes, how like its own training images yours
    are, and what the cheap strategies get; predicts what the dear ones take; says which to choose and why.
    Test images are not looked at.

    ```
    regraft advise photos/ --budget 10m
    regraft advise photos/ --explain --suspects suspects.csv
    regraft fit photos/ --plan plan.toml
    ```

    Args:
        data: as in fit.
        settings: how a model would be fitted.
        reading: how images are found and read.
        training: how a tail would be trained.
        from_: an earlier run or bundle, whose network is where this one would start.
        out: the file for the plan, to be edited and given to fit --plan.
        suspects: a CSV file for labels that are probably wrong; filled in, fit --corrections takes it back.
        explain: say how each figure comes about, and what the field's table says.
        json: print one JSON object instead of tables.
    """
    from regraft import workflow
    from regraft.advice.suspects import write_suspects

    advice = workflow.advise(
        data,
        settings,
        training=training,
        data=reading,
        from_run=from_,
        reporter=make_reporter(json_lines=json),
    )
    advice.plan.save(Path(out))
    if suspects is not None:
        write_suspects(Path(suspects), advice.suspects)
    if json:
        show_json(advice.model_dump(mode="json"))
        return 0
    _show(advice)
    if explain:
        _explain(advice)
    if suspects is not None:
        print(
            f"wrote {len(advice.suspects)} suspects to {suspects}; fill in its column action (relabel or "
            f"exclude), then: regraft fit {data} --corrections {suspects}"
        )
    elif advice.suspects:
        print(f"{len(advice.suspects)} labels look wrong: list them with --suspects suspects.csv")
    print(f"wrote {out}; regraft fit {data} --plan {out} does this, regraft fit {data} climbs the ladder")
    return 0


def _show(advice: Advice) -> None:
    near, curve = advice.similarity, advice.curve
    print(
        f"{advice.classes} classes · {advice.images:,} training images · {advice.smallest_class:,}–"
        f"{advice.largest_class:,} a class · {advice.network}"
    )
    measures = [f"entropy of its own classifier {100 * near.entropy.value:.0f} % of the largest"]
    if near.distance is not None and near.distance.low is not None and near.distance.high is not None:
        distance = near.distance
        measures.insert(
            0, f"BatchNorm distance {distance.value:.3f} [{distance.low:.3f}, {distance.high:.3f}]"
        )
    stages = [stage.stage for stage in advice.profile.stages]
    place = 1 + stages.index(advice.profile.peak.stage)
    measures.append(f"best depth {place} of {len(stages)}")
    print(f"similarity to what the network has seen: {near.word} ({', '.join(measures)})")
    if curve.doubling_gain is not None:
        print(f"twice the images would add {points(curve.doubling_gain)} points, by the learning curve")
    show_depths(advice.profile)
    show_ladder(advice.ladder)
    rows = [
        [
            option.name,
            seconds(option.cost.seconds),
            f"{option.cost.disk_bytes / 1e6:,.0f} MB",
            f"{option.cost.memory_bytes / 1e6:,.0f} MB",
            "yes" if option.fits else "no",
        ]
        for option in advice.options
    ]
    header = ["not measured, only predicted", "time", "disk", "memory", "fits the budget"]
    show_table("What training would take", header, rows, right=[1, 2, 3])
    print(f"advice ({advice.speaker} spoke): {advice.plan.strategy}, because {advice.reason}")


def _explain(advice: Advice) -> None:
    from regraft.advice import prior, similarity

    near = advice.similarity
    rows = [
        [
            cell.size,
            "similar" if cell.is_similar else "dissimilar",
            cell.advice,
            cell.because,
            "← yours" if cell == prior.advised(advice.images, near.word) else "",
        ]
        for cell in prior.TABLE
    ]
    title = f"What the field's table says (large: {prior.LARGE_FROM:,} training images or more)"
    show_table(title, ["data", "to the source", "advice", "because", ""], rows)
    print(
        f"similarity: on {near.images} images, the squared Wasserstein distance of each channel's moments to "
        "the network's BatchNorm statistics, in units of four source variances; similar below "
        f"{similarity.SIMILAR_BELOW:g}, dissimilar from {similarity.DISSIMILAR_FROM:g}"
    )
    listed = ", ".join(f"{one.stage} {one.distance.value:.3f}" for one in near.stages)
    print(f"  by stage: {listed or 'no BatchNorm in this network; the entropy of its classifier decides'}")
    print(
        f"  its own classifier: mean largest probability {percent(near.confidence)} %, entropy "
        f"{percent(near.entropy)} % of the largest possible"
    )
    measured = ", ".join(
        f"{point.images:,} images {percent(point.accuracy)} %" for point in advice.curve.points
    )
    print(f"learning curve: {measured}; extended by error(n) = a + b n^-c")
    print(
        "a rung is kept if it is more accurate with 90 % probability (a vote of two: unless it is probably "
        "worse), by the images that just one of the two has right; predicted times come from timed training "
        "steps and from earlier runs on this machine"
    )
    print(f"the table says: {advice.table_says}; {advice.speaker} spoke: {advice.reason}")
