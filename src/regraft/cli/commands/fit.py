"""The command `regraft fit`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from regraft.cli.terminal.console import make_reporter, show_json, show_table
from regraft.cli.terminal.parameters import (
    DATA,
    FIT,
    TRAIN,
    DataFlags,
    FitFlags,
    From,
    Switch,
    TrainFlags,
    advise_command,
)
from regraft.errors import RegraftError
from regraft.progress import Reporter
from regraft.records import Scores
from regraft.storage.tables import printable
from regraft.tasks.groups import group_remark
from regraft.tasks.score_sheet import AnyScores, ScoreSheet, baseline_name, measures
from regraft.tasks.task import Measure

if TYPE_CHECKING:
    from regraft.detection.detectors.detector import Detector
    from regraft.detection.rehearsal import DetectionRehearsal
    from regraft.jobs.fit_several import OneOfSeveral
    from regraft.machine.launchers import Place
    from regraft.prediction.model import Model
    from regraft.settings import FitSettings
    from regraft.workflow.rehearsal import Rehearsal


def fit(
    data: str,
    /,
    *more: Annotated[str, Parameter(allow_leading_hyphen=False)],
    settings: FitFlags = FIT,
    data_settings: DataFlags = DATA,
    training: TrainFlags = TRAIN,
    plan: str | None = None,
    from_: From = None,
    out: Annotated[str | None, Parameter(name=["--out", "-o"])] = None,
    overwrite: Switch = False,
    devices: int | Literal["auto"] = 1,
    report: bool = True,
    dry_run: Switch = False,
    json: Switch = False,
) -> int:
    """Transfer a pretrained network to your images.

    It leaves a run folder with the model (bundle/), scores, the split, predictions, skipped files and the
    log. The same command run again reuses everything that was computed, and resumes after an interruption.

    Without --strategy it climbs a ladder: a usable model in seconds, then more expensive strategies, as long
    as the budget lasts; each is kept only if it is better on validation images. Ctrl-C leaves the best of
    them.

    ```
    regraft fit photos/
    regraft fit photos/ --budget 10m
    regraft fit photos/ --network mobilenetv1_100 --weights weights/ --strategy many-stages
    regraft fit photos.csv --strategy svm --cut layer3 --out runs/svm3
    regraft fit photos/ --strategy last-blocks --cut 60%
    regraft fit scans.csv --group-column patient --positive ill --goal sensitivity=0.95
    regraft fit photos/ --strategy full --schedule one-cycle --epochs 10 --effective-batch 128
    regraft fit birds/ flowers/ scans.csv --out runs/monday --executor ray
    ```

    Args:
        data: A folder with a folder per class (or that below train/, val/, test/), a zip or tar archive of
            that, a CSV, JSON or Parquet table, arrays (.npz, .npy), or the name of a data set (`regraft
            data`).
        more: Further data sets. Each is fitted by itself, one after the other, with a run folder of its own;
            a fit that fails does not stop the others, and the exit status is then 1.
        settings: How the model is fitted.
        data_settings: How images are found and read.
        training: How a tail is trained.
        plan: A plan file (from `regraft advise`) to carry out instead of the settings.
        from_: An earlier run or bundle, whose network is where this one starts; or a detector of torchvision
            that was trained on COCO, such as fasterrcnn_mobilenet_v3_large_320_fpn, whose backbone is where
            this one starts.
        out: The run folder; without it, runs/DATA-NETWORK-STRATEGY. Of several data sets, the folder of the
            run folders, which are called after the data: OUT/DATA.
        overwrite: Replace a run with other settings in --out.
        devices: Number of processes that train together, on a GPU or a share of the processor each; auto
            means one on each GPU. Where torchrun has started several, these are meant.
        report: Write report.html into the run folder.
        dry_run: Show how the fit would begin (counts, bad files, known costs, the plan of a named strategy)
            and stop before features are computed; `regraft advise` shows the same, but not for boxes.
        json: Print JSON lines instead of tables and bars.
    """
    from regraft.machine.launchers import launched

    place = launched()
    if place is not None and place.rank:
        return 0 if dry_run else _follow(place, settings.device)
    from regraft.named.sets import check_here

    check_here(data, data_settings.data_root)
    reporter = make_reporter(json_lines=json)
    if dry_run:
        how = {"training": training, "data": data_settings, "plan": plan, "from_run": from_}
        for one in (data, *more):
            _rehearse(one, settings, how, reporter, json_lines=json)
        return 0
    if more:
        from regraft.jobs.fit_several import fit_several

        fits = fit_several(
            (data, *more),
            settings,
            training=training,
            data=data_settings,
            plan=plan,
            from_run=from_,
            out=out,
            overwrite=overwrite,
            devices=devices,
            reporter=reporter,
        )
        return _tell_each(fits, reporter, report=report, as_json=json)
    from regraft.workflow import fit as verb

    model = verb.fit(
        data,
        settings,
        training=training,
        data=data_settings,
        plan=plan,
        from_run=from_,
        out=out or "",
        overwrite=overwrite,
        devices=devices,
        reporter=reporter,
    )
    assert model.run_folder is not None
    page = _report(model.run_folder, reporter) if report else None
    if json:
        show_json(_record(model))
    else:
        _show(model, page)
    return 0


def _record(model: Model | Detector) -> dict[str, Any]:
    assert model.scores is not None
    return {"run": str(model.run_folder), "scores": model.scores.model_dump(mode="json", exclude=_LONG)}


def _show(model: Model | Detector, page: Path | None) -> None:
    from regraft.cli.terminal.detection import show_detection_scores
    from regraft.detection.detectors.records import DetectionSheet

    assert model.scores is not None
    assert model.run_folder is not None
    if (model.run_folder / "ladder.json").exists():
        from regraft.cli.terminal.ladder_table import show_ladder
        from regraft.runs.records import LadderRecord
        from regraft.storage.files import read_json

        show_ladder(LadderRecord.model_validate(read_json(model.run_folder / "ladder.json")))
    if isinstance(model.scores, DetectionSheet):
        show_detection_scores(model.scores)
    else:
        show_scores(model.scores)
    if page is not None:
        print(f"the report is {page}; open it in a browser")
    print(f"saved in {model.run_folder}; try: regraft predict {model.run_folder} IMAGE ...")


def _tell_each(fits: Iterator[OneOfSeveral], reporter: Reporter, *, report: bool, as_json: bool) -> int:
    """Report on each of several fits as it ends, and on all of them at the end; returns the exit code."""
    from regraft.cli.terminal.several import show_several

    found = []
    for one in fits:
        if one.model is not None and one.model.run_folder is not None:
            page = _report(one.model.run_folder, reporter) if report else None
            reporter.note(f"saved in {one.model.run_folder}" + (f"; the report is {page}" if page else ""))
        if as_json:
            outcome = {"error": one.error} if one.model is None else _record(one.model)
            show_json({"data": printable(one.data), **outcome})
        found.append(one)
    if not as_json:
        show_several(found)
    return 1 if any(one.error for one in found) else 0


def _follow(place: Place, device: str) -> int:
    """Take part in the trainings of the first process, which does everything else."""
    from regraft.training.following import follow

    return follow(place, device)


def _rehearse(
    data: str, settings: FitSettings, how: dict[str, Any], reporter: Reporter, *, json_lines: bool
) -> None:
    from regraft.workflow.rehearsal import Rehearsal, rehearse

    found = rehearse(data, settings, **how, reporter=reporter)
    if how["plan"] is None and isinstance(found, Rehearsal):
        reporter.note(f"fit --dry-run is now a part of advise: {advise_command(data, settings)}")
    _show_dry_run(found, json_lines=json_lines)


def _show_dry_run(found: Rehearsal | DetectionRehearsal, *, json_lines: bool) -> None:
    if json_lines:
        show_json(found.model_dump(mode="json"))
        return
    from regraft.cli.terminal.rehearsal import show_detection_rehearsal, show_rehearsal
    from regraft.detection.rehearsal import DetectionRehearsal

    if isinstance(found, DetectionRehearsal):
        show_detection_rehearsal(found)
    else:
        show_rehearsal(found)
    print("nothing was trained or saved; without --dry-run the fit begins")


def _report(folder: Path, reporter: Reporter) -> Path | None:
    """A report that can't be written is no reason to call a finished fit a failure."""
    from regraft.reports.run_report import write_report

    try:
        return write_report(folder, reporter=reporter)
    except (RegraftError, OSError) as error:
        reason = error.with_flags if isinstance(error, RegraftError) else error
        reporter.warn(f"no report: {reason}")
        return None


_LONG = {side: {"classes", "confusion", "confused", "labels"} for side in ("test", "validation", "baseline")}


def show_scores(sheet: ScoreSheet) -> None:
    """The scores with their intervals, next to those of the trivial baseline."""
    best = sheet.test or sheet.validation
    trivial = baseline_name(best) if best is not None else "baseline"
    columns = [("test", sheet.test), ("validation", sheet.validation), (trivial, sheet.baseline)]
    shown = [(name, scores) for name, scores in columns if scores is not None]
    listed = [{one.name: one for one in measures(scores) if not one.output} for _, scores in shown]
    every = {name: one for each in listed for name, one in each.items()}
    rows = [
        [_title(one), *(_cell(each[name]) if name in each else "–" for each in listed)]
        for name, one in every.items()
    ]
    header = ["", *(f"{name}, {_counted(scores)}" for name, scores in shown)]
    show_table("Scores with 95 % intervals", header, rows, right=range(1, len(header)))
    for name, scores in shown:
        print(f"{name}: {scores.method}")
    if best is not None and (remark := group_remark(best)):
        print(remark)
    if isinstance(best, Scores):
        _show_positive(best)
        _show_weakest(best)
    elif best is not None:
        _show_labels(best)


def _counted(scores: AnyScores) -> str:
    images = f"{scores.images:,} images"
    if scores.groups is None:
        return images
    return f"{images} of {scores.groups:,} {'group' if scores.groups == 1 else 'groups'}"


def _title(measure: Measure) -> str:
    return f"{measure.title} %" if measure.is_share else f"{measure.title}{_UNITS.get(measure.name, '')}"


_UNITS = {"log_loss": ", nats"}
_PLAIN = frozenset({"log_loss"})  # shown with three decimals, other losses and numbers with three digits


def _cell(measure: Measure) -> str:
    if measure.value is None:
        return "–"
    values = [one for one in (measure.value, measure.low, measure.high) if one is not None]
    shown = [_figure(measure, one) for one in values]
    return shown[0] if len(shown) < 3 else f"{shown[0]} [{shown[1]}, {shown[2]}]"


def _figure(measure: Measure, value: float) -> str:
    if measure.is_share:
        return f"{value * 100:.1f}"
    return f"{value:.3f}" if measure.name in _PLAIN else f"{value:.3g}"


def _show_labels(scores: AnyScores) -> None:
    """A row for each output, if there are several: its scores, the most important one first."""
    each: dict[str, list[Measure]] = {}
    for one in measures(scores):
        if one.output:
            each.setdefault(one.output, []).append(one)
    if not each:
        return
    header = ["label", *(_title(one) for one in next(iter(each.values())))]
    rows = [[printable(name), *map(_cell, own)] for name, own in list(each.items())[:_LABELS]]
    show_table("Scores of each label", header, rows, right=range(1, len(header)))
    if len(each) > _LABELS:
        print(f"{len(each) - _LABELS:,} more labels are in scores.csv")


_LABELS = 40


def _show_positive(scores: Scores) -> None:
    """What the rates of two classes are about, and the threshold."""
    two = scores.two_classes
    if two is None:
        return
    counted = f"{two.positives:,} of {scores.images:,} images"
    print(f"the positive class is {printable(two.positive)}: {counted}")
    if two.chosen is not None and two.chosen.threshold is not None:
        print(f"at goal: from a probability of {two.chosen.threshold:.4g} on, for {two.goal}")
    if two.prevalence is not None:
        print(f"at prevalence: where {100 * two.prevalence:.3g} % of the images are of this class")


def _show_weakest(scores: Scores) -> None:
    tested = [one for one in scores.classes if one.images]
    weakest = sorted(tested, key=lambda one: one.recall)[:3]
    listed = ", ".join(f"{one.label} {one.recall:.0%} of {one.images}" for one in weakest)
    print(f"found least often: {listed}")
