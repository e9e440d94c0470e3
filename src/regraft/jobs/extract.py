"""The verb `extract`: features in the cache, before anything is fitted; several processes share the work."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from regraft.arguments import check_kind
from regraft.data.findings.image_set import Images
from regraft.execution.begun import AgreedRuntime, agreed
from regraft.execution.choosing import find_executor
from regraft.extraction_settings import ExtractionSettings, FeatureSettings, Part
from regraft.features.extraction import Features, feature_store
from regraft.features.opening import Compute
from regraft.features.runtimes import Runtime
from regraft.networks.weights.finding import Weights
from regraft.progress import Reporter, Silent
from regraft.records import SkippedFile
from regraft.runs.log import RunLog
from regraft.settings import DataSettings, FitSettings
from regraft.storage.rows import SHARD_ROWS
from regraft.workflow.preparation import data_settings_of, limits_of, located, scanned
from regraft.workflow.request import check_offline, find_start, make_request


@dataclass(frozen=True)
class Extracted:
    """What is in the cache after an extraction."""

    network: str
    images: int
    """Number of images of the data set."""
    rows: int
    """Number of different images whose features are in the cache; copies of one file count once."""
    part: Part | None
    """The part that was computed, if it alone was."""
    skipped: tuple[SkippedFile, ...]
    """Images that were found to be unusable when they were fully decoded."""
    folder: Path
    """The folder of the rows in the cache."""


def extract(
    images: Images | str | Path,
    settings: ExtractionSettings | None = None,
    *,
    data: DataSettings | None = None,
    reporter: Reporter | None = None,
) -> Extracted:
    """Compute the features of a data set after every stage of a network, as far as the cache lacks them.

    These are the features that `regraft.fit` with the same network computes first. Processes that share a
    cache share the work, and the same call resumes after an interruption.

    Args:
        images: from `load_images`, or what it accepts.
        settings: which features, by whom, and which part of them.
        data: how images are read.
        reporter: receives progress and notes.

    Raises:
        MachineError: a part was begun on a machine whose features have other bits.
        RegraftError: the message says what to change.
    """
    check_kind("settings", settings, (ExtractionSettings, type(None)), "ExtractionSettings and None")
    settings = settings or ExtractionSettings()
    data_settings, log = data_settings_of(images, data, reporter), RunLog(reporter or Silent(), None)
    request = make_request(_fit_settings(settings), None, None, {})
    check_offline(request.fit, data_settings)
    executor = find_executor(settings.executor, threads=settings.threads, is_mixed=settings.mixed_machines)
    source = located(images, data_settings, log)
    start = find_start(request, None, log)
    usable = source if isinstance(source, Images) else scanned(source, data_settings, log)
    weights = start.weights.seeing(usable.intensity.chosen)
    compute = Compute(
        settings.runtime, settings.precision, settings.device, limits_of(data_settings),
        data_settings.workers, settings.threads, executor,
    )  # fmt: skip
    runtime = compute.open(weights, log)
    part = Part.parse(settings.part) if settings.part else None
    if part is not None:
        runtime = _agreed(runtime, usable, weights, compute, settings.mixed_machines)
        own = usable.of(set(keys_of_part(usable, part)))
        features = compute.extract(own, runtime, weights.input_spec, log)
    if part is None or not settings.part_only:
        part, own = None, usable
        features = compute.extract(usable, runtime, weights.input_spec, log)
    return _extracted(own, features, weights, feature_store(runtime, weights.input_spec).folder, part)


def _fit_settings(settings: ExtractionSettings) -> FitSettings:
    """The settings by which a fit finds the same network."""
    return FitSettings(**{one.name: getattr(settings, one.name) for one in fields(FeatureSettings)})


def _agreed(runtime: Runtime, images: Images, weights: Weights, compute: Compute, is_mixed: bool) -> Runtime:
    """The runtime, after a comparison with what the first part has found on its machine."""
    assert runtime.source is not None
    task = runtime.source.task(runtime, weights.input_spec, compute.limits)
    first = agreed(task, {item.sha256 for item in images.items}, is_mixed=is_mixed)
    return runtime if first.facts == task.facts else AgreedRuntime(runtime, first.facts)


def keys_of_part(images: Images, part: Part) -> list[str]:
    """The hashes of the images that a part begins with: whole shards of all hashes in order.

    They depend on the data set alone, so that parts fit together although their caches are not the same, and
    a cache that was filled in parts has the shards of one that a single process has filled.
    """
    keys = sorted({item.sha256 for item in images.items})
    shards = [keys[start : start + SHARD_ROWS] for start in range(0, len(keys), SHARD_ROWS)]
    return [key for number in part.of(len(shards)) for key in shards[number]]


def _extracted(
    images: Images, features: Features, weights: Weights, folder: Path, part: Part | None
) -> Extracted:
    keys = {item.sha256 for item in images.items}
    rows = sum(key in features.rows for key in keys)
    return Extracted(weights.network, len(images), rows, part, features.skipped, folder)
