"""How every fit begins: network, weights, images, split and plan; and a record of that beginning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack

from regraft.arguments import seconds_in
from regraft.data.findings.image_set import Images
from regraft.data.sources.candidates import Found
from regraft.detection.annotations.boxes import BoxSet
from regraft.detection.annotations.classes import with_classes
from regraft.detection.rehearsal import DetectionRehearsal, rehearse_detector
from regraft.detection.requests.detection_request import DetectionRequest, check_request
from regraft.errors import SettingsError
from regraft.plans.cost_book import CostBook
from regraft.plans.costs import extract_name
from regraft.plans.plan import Plan
from regraft.plans.planning import check_plan, make_plan
from regraft.progress import Reporter, Silent
from regraft.records import FramingChoice, Record, Side, SkippedFile, StrategyChoice
from regraft.runs.log import RunLog
from regraft.settings import DEFAULT_BUDGET, DataSettings, FitSettings, TrainSettings
from regraft.storage.tables import printable
from regraft.workflow.check import load_boxes
from regraft.workflow.keywords import FitChanges
from regraft.workflow.preparation import Prepared, compute_of, data_settings_of, located, prepare, scanned
from regraft.workflow.request import Request, Start, check_images, find_start, make_request

if TYPE_CHECKING:
    from regraft.workflow.network import NetworkChoice


@dataclass(frozen=True)
class Begun:
    """A data set and a network that are ready to be worked on."""

    request: Request
    start: Start
    prepared: Prepared
    networks: NetworkChoice | None
    """The networks that were compared, if none was named."""


def begin(
    images: Images | str | Path,
    request: Request,
    data_settings: DataSettings,
    from_run: str | Path | None,
    log: RunLog,
    *,
    sides: tuple[Side, ...],
) -> Begun:
    """The steps that fits and advice begin with: the network, its weights, the images and their split.

    Args:
        images: a scanned data set, or where it is.
        request: what the user wants.
        data_settings: how images are read.
        from_run: an earlier run to start from.
        log: reports progress.
        sides: the sides whose features are computed; with none, nothing is computed.
    """
    check_images(request.fit)
    files, request, networks = with_network(located(images, data_settings, log), request, data_settings, log)
    start = find_start(request, from_run, log)
    prepared = prepare(files, request, data_settings, start.weights, log, sides=sides)
    return Begun(request, replace(start, weights=prepared.weights), prepared, networks)


def with_network(
    files: Images | Found, request: Request, data_settings: DataSettings, log: RunLog
) -> tuple[Images | Found, Request, NetworkChoice | None]:
    """For `--network auto`: the scanned images, and the network that a probe on some of them chose."""
    if request.fit.network != "auto":
        return files, request, None
    if request.fit.strategy == "scratch":
        raise SettingsError(
            "--network auto compares pretrained networks; --strategy scratch starts from none"
        )
    from regraft.workflow.network import choose_network

    usable = files if isinstance(files, Images) else scanned(files, data_settings, log)
    choice = choose_network(usable, request.fit, compute=compute_of(request, data_settings), reporter=log)
    for row in choice.rows:
        log.note(f"network {row.described}")
    log.decided(f"network {choice.chosen}", choice.reason, "--network")
    compared = tuple(row.network for row in choice.rows if row.accuracy is not None)
    return (
        usable,
        replace(request, fit=replace(request.fit, network=choice.chosen), compared=compared),
        choice,
    )


def planned(prepared: Prepared, request: Request, log: RunLog) -> Plan:
    """The user's plan, checked against the network; or the settings made concrete."""
    if request.plan:
        return check_plan(request.plan, prepared.circumstances)
    return make_plan(request.fit, request.training, prepared.circumstances, log)


class Rehearsal(Record):
    """What a fit would work on, as far as that is known without computing features."""

    network: str
    strategy: StrategyChoice
    framing: FramingChoice
    """What the network sees of an image; `auto` is measured by the ladder, after its first model."""
    classes: dict[str, int]
    """Images of each class (or label, or range of numbers), on all sides of the split."""
    training: dict[str, int]
    """Training images of each class that has any."""
    sides: dict[Side, int]
    """Images on each side of the split."""
    split_origin: Literal["official", "drawn"]
    skipped: tuple[SkippedFile, ...]
    """Files that can't be used."""
    findings: dict[str, int]
    """How often each kind of finding occurs; `regraft check` lists them."""
    extract_s: float | None
    """Seconds for the features of all images, if this machine has timed that network."""
    budget_s: float | None
    """Time limit of the ladder; None where a strategy is named."""
    plan: Plan | None
    """What would be carried out; None for the ladder, which measures first."""


def checked_boxes(boxes: BoxSet, request: Request, data_settings: DataSettings, log: RunLog) -> BoxSet:
    """The boxes that a detector is fitted on: those of the classes that were named.

    Raises:
        SettingsError: a setting has no meaning for a detector, or a name is not a class.
    """
    check_request(request.fit, request.training, request.plan, data_settings)
    if request.fit.classes is None:
        return boxes
    chosen = with_classes(boxes, request.fit.classes)
    log.note(chosen.findings[-1].message)
    return chosen


def detection_request(
    boxes: BoxSet, request: Request, data_settings: DataSettings, start: Start, log: RunLog
) -> DetectionRequest:
    """What the fit of a detector is asked for."""
    if start.earlier is not None and len(start.lineage) == 1:
        log.warn(
            "--from names a run that trained a head, but not its network, so the detector starts from the "
            f"network as it came ({start.lineage[0]}). Fit that run with --strategy last-blocks or full"
        )
    compute = compute_of(request, data_settings)
    return DetectionRequest(
        boxes, request.fit, request.training, data_settings, start.weights, start.lineage, compute
    )


def _counted(kinds: Sequence[tuple[str, ...]]) -> dict[str, int]:
    return dict(Counter(printable(name) for names in kinds for name in names))


def rehearsed(begun: Begun, log: RunLog) -> Rehearsal:
    """The beginning as a record, with the plan where a strategy is named."""
    request, weights, dataset = begun.request, begun.start.weights, begun.prepared.dataset
    is_ladder = request.plan is None and request.fit.strategy == "auto"
    plan = None if is_ladder else planned(begun.prepared, request, log)
    rows = dataset.split.rows
    _, kinds = dataset.task.kinds([row.label for row in rows])
    each = CostBook().known(
        extract_name(weights, begun.prepared.circumstances.runtime, request.fit.precision)
    )
    return Rehearsal(
        network=weights.network,
        strategy=plan.strategy if plan else request.fit.strategy,
        framing=plan.framing if plan else request.fit.framing,
        classes=_counted(kinds),
        training=_counted([own for own, row in zip(kinds, rows, strict=True) if row.side == "train"]),
        sides=dict(Counter(row.side for row in rows)),
        split_origin=dataset.split.origin,
        skipped=tuple(SkippedFile(printable(file.path), file.reason) for file in dataset.images.skipped),
        findings=dict(Counter(finding.kind for finding in dataset.images.findings)),
        extract_s=each * len(rows) if each is not None else None,
        budget_s=None if plan else seconds_in(request.fit.budget or DEFAULT_BUDGET),
        plan=plan,
    )


def rehearse(
    images: Images | str | Path,
    settings: FitSettings | None = None,
    *,
    training: TrainSettings | None = None,
    data: DataSettings | None = None,
    plan: Plan | str | Path | None = None,
    from_run: str | Path | None = None,
    reporter: Reporter | None = None,
    **changes: Unpack[FitChanges],
) -> Rehearsal | DetectionRehearsal:
    """How `fit` would begin with the same arguments; it stops before features are computed.

    No run folder is written. The cache keeps what the fit will use: the list of files, the split, the
    converted network, and with `network="auto"` the features of the images that choose the network.

    Raises:
        RegraftError: what `fit` would stop at before it computes features.
    """
    data_settings = data_settings_of(images, data, reporter)
    request = make_request(settings, training, plan, changes)
    log = RunLog(reporter or Silent(), None)
    boxes = None if isinstance(images, Images) else load_boxes(images, data_settings, reporter=log)
    if boxes is not None:
        boxes = checked_boxes(boxes, request, data_settings, log)
        start = find_start(request, from_run, log)
        return rehearse_detector(detection_request(boxes, request, data_settings, start, log), log)
    return rehearsed(begin(images, request, data_settings, from_run, log, sides=()), log)
