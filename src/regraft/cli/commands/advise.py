"""The command `regraft advise`, which also makes the plans that `regraft plan` made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from regraft.cli.terminal.console import make_reporter, show_json, show_table
from regraft.cli.terminal.ladder_table import percent, points, show_depths, show_ladder
from regraft.cli.terminal.parameters import (
    DATA,
    FIT,
    TRAIN,
    DataFlags,
    FitFlags,
    From,
    Overwrite,
    Switch,
    TrainFlags,
)
from regraft.cli.terminal.rehearsal import show_rehearsal
from regraft.errors import SettingsError
from regraft.progress import duration

if TYPE_CHECKING:
    from regraft.workflow.advice import Advice, Measured


def advise(
    data: str,
    /,
    *,
    settings: FitFlags = FIT,
    data_settings: DataFlags = DATA,
    training: TrainFlags = TRAIN,
    from_: From = None,
    out: Annotated[str, Parameter(name=["--out", "-o"])] = "plan.toml",
    suspects: str | None = None,
    overwrite: Overwrite = False,
    explain: Switch = False,
    json: Switch = False,
) -> int:
    """Measure which layers to freeze, what to train and whether you have enough images; write it as a plan.

    Without --strategy, a head on every stage of the network is measured, the similarity of your images to
    those that the network was trained on, and the cheap strategies; the cost of the expensive ones is
    predicted; and one strategy is recommended, with the reason. With --strategy, nothing is measured: the
    plan of that strategy is shown, with every automatic choice made. In both cases the plan is a file that
    you can edit and carry out. Test images are not used.

    ```
    regraft advise photos/ --budget 10m
    regraft advise photos/ --explain --suspects suspects.csv
    regraft advise photos/ --strategy full --epochs 10
    regraft fit photos/ --plan plan.toml
    ```

    Args:
        data: The images, as in fit.
        settings: How a model would be fitted.
        data_settings: How images are found and read.
        training: How a tail would be trained.
        from_: An earlier run or bundle, whose network is where this one would start.
        out: The file for the plan, to be edited and given to fit --plan.
        suspects: A CSV file to write, for labels that are probably wrong; fill it in for fit --corrections.
        overwrite: Replace files that regraft did not write or that were edited since; never one that this
            command reads.
        explain: Say how each figure is computed, and show the textbook table.
        json: Print one JSON object instead of tables.
    """
    from regraft.named.sets import check_here

    check_here(data, data_settings.data_root)
    from regraft.workflow import advise as verb

    if settings.strategy != "auto" and (explain or suspects):
        flag = "--explain" if explain else f"--suspects {suspects}"
        raise SettingsError(
            f"{flag} needs measurements, and --strategy {settings.strategy} makes a plan without measuring; "
            "leave out one of the two"
        )
    _check_outputs(out, suspects, [data, data_settings.corrections, settings.weights, from_], overwrite)
    advice = verb.advise(
        data,
        settings,
        training=training,
        data=data_settings,
        from_run=from_,
        reporter=make_reporter(json_lines=json),
    )
    advice.plan.save(Path(out))
    if suspects is not None:
        _write_suspects(advice, suspects)
    if json:
        show_json(advice.model_dump(mode="json"))
        return 0
    show_rehearsal(advice.rehearsal)
    if advice.measured is not None:
        _show_measured(advice, advice.measured, data, suspects)
        if explain:
            _explain(advice, advice.measured)
    print(f"wrote {out}; to carry it out, as it is or edited: regraft fit {data} --plan {out}")
    return 0


def _check_outputs(out: str, suspects: str | None, inputs: Sequence[str | None], overwrite: bool) -> None:
    """Refuse files that can't be written, before anything is measured."""
    from regraft.outputs.files import PLAN, SUSPECTS, output_file

    plan = output_file(out, PLAN, inputs=inputs, overwrite=overwrite)
    if suspects is None:
        return
    table = output_file(suspects, SUSPECTS, inputs=inputs, overwrite=overwrite, flag="--suspects")
    if plan.resolve() == table.resolve():
        raise SettingsError(f"--out and --suspects name the same file, {out}; give them different names")


def _write_suspects(advice: Advice, path: str) -> None:
    from regraft.advice.suspects import write_suspects

    assert advice.measured is not None
    write_suspects(Path(path), advice.measured.suspects)


def _show_measured(advice: Advice, measured: Measured, data: str, suspects: str | None) -> None:
    near, curve = measured.similarity, measured.curve
    measures = [f"entropy of its own classifier {100 * near.entropy.value:.0f} % of the largest"]
    if near.distance is not None and near.distance.low is not None and near.distance.high is not None:
        distance = near.distance
        measures.insert(
            0, f"BatchNorm distance {distance.value:.3f} [{distance.low:.3f}, {distance.high:.3f}]"
        )
    if measured.profile is not None:
        stages = [stage.stage for stage in measured.profile.stages]
        place = 1 + stages.index(measured.profile.peak.stage)
        measures.append(f"best depth {place} of {len(stages)}")
    print(f"similarity to the images that the network was trained on: {near.word} ({', '.join(measures)})")
    if curve is not None and curve.doubling_gain is not None:
        print(
            f"twice as many images would add {points(curve.doubling_gain)} points"
            f"{curve.title and f' of {curve.title}'} (from the learning curve)"
        )
    if measured.profile is not None:
        show_depths(measured.profile)
    show_ladder(measured.ladder)
    rows = [
        [
            option.name,
            duration(option.cost.seconds),
            f"{option.cost.disk_bytes / 1e6:,.0f} MB",
            f"{option.cost.memory_bytes / 1e6:,.0f} MB",
            "yes" if option.fits else "no",
        ]
        for option in measured.options
    ]
    header = ["predicted, not measured", "time", "disk", "memory", "fits the budget"]
    if rows:
        show_table("What training would take", header, rows, right=[1, 2, 3])
    if suspects is not None:
        print(
            f"wrote {len(measured.suspects)} suspects to {suspects}; fill in its column action (relabel or "
            f"exclude), then: regraft fit {data} --corrections {suspects}"
        )
    elif measured.suspects:
        print(f"{len(measured.suspects)} labels look wrong: list them with --suspects suspects.csv")
    print(f"recommended ({_SOURCES[advice.speaker]}): {advice.plan.strategy}, because {advice.reason}")


_SOURCES = {"measurement": "from the measurements", "table": "from the textbook table"}


def _explain(advice: Advice, measured: Measured) -> None:
    from regraft.advice import similarity, textbook

    near = measured.similarity
    images = sum(advice.rehearsal.training.values())
    rows = [
        [
            cell.size,
            "similar" if cell.is_similar else "dissimilar",
            cell.advice,
            cell.because,
            "← yours" if cell == textbook.advised(images, near.word) else "",
        ]
        for cell in textbook.TABLE
    ]
    title = f"The textbook table (large: {textbook.LARGE_FROM:,} training images or more)"
    show_table(title, ["data", "similarity", "advice", "because", ""], rows)
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
    if measured.curve is not None:
        measurements = ", ".join(
            f"{point.images:,} images {percent(point.accuracy)} %" for point in measured.curve.points
        )
        of = measured.curve.title and f" of {measured.curve.title}"
        print(f"learning curve{of}: {measurements}; extrapolated by error(n) = a + b n^-c")
    print(
        "a rung is kept if it is more accurate with 90 % probability (a vote on the same features: if it is "
        "better at all), estimated from the images that only one of the two classifies correctly; predicted "
        "times come from the amount of work, at most one timed training step, and earlier runs here"
    )
    print(f"the textbook table advises: {measured.table_says}")
