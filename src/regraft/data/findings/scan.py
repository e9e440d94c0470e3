"""One parallel pass over all files: which are usable images, which are not and why, which are duplicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from regraft.arguments import window_of
from regraft.data.findings.duplicates import THUMBNAIL_PX
from regraft.data.findings.groups import grouped
from regraft.data.findings.image_set import Images
from regraft.data.findings.intensity import choose_intensity, common_thumbnails, intensity_findings
from regraft.data.findings.look_alikes import LookAlikes
from regraft.data.findings.picture_findings import FACTS, facts_of, oblong_share, picture_findings
from regraft.data.findings.piles import Piles, sorted_out
from regraft.data.findings.reading import Facts, KnownFiles, Reading
from regraft.data.findings.second_look import LOOK_PX
from regraft.data.formats.samples import Span
from regraft.data.pictures.guards import reading_conditions
from regraft.data.pictures.loading import LOADER_VERSION, LoadLimits, decode, read_file
from regraft.data.sources.candidates import Candidate, Found
from regraft.errors import DataError, ImageError, TooManyBadFilesError
from regraft.machine.collection import collection_paused
from regraft.machine.processor import count_cores
from regraft.parallel import in_order
from regraft.progress import Reporter, Silent
from regraft.records import Finding, ImageItem, Intensity, SkippedFile, TaskName
from regraft.storage.files import key_of, sha256_of
from regraft.storage.places import cache_folder
from regraft.storage.rows import Rows, RowStore
from regraft.storage.shards import Failure, forget_failures
from regraft.storage.tables import printable
from regraft.tasks.choosing import task_of
from regraft.tasks.regression import Regression

_LOOK_PX = 4 * THUMBNAIL_PX  # smallest decoded side: below it, copies of other sizes would look different
_OWN_RANGE = Intensity(is_each=True)  # the range of the data set is decided after all images were seen
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class ScanSettings:
    """Limits of a scan."""

    limits: LoadLimits = field(default_factory=LoadLimits)
    max_bad_share: float = 0.2
    """Largest share of unusable files; more of them stop the run."""
    workers: int | None = None
    """Number of threads; None means one for each core."""
    look_alikes: LookAlikes = "auto"
    """What is done with images that look alike; see `DataSettings`."""
    range: str = "auto"
    """The range of images of more than 8 bits; see `DataSettings`."""
    window: str | None = None
    """The window of DICOM files; see `DataSettings`."""
    retry_failed: bool = False
    """Whether images that could not be used before are tried again; see `DataSettings`."""
    reread_files: bool = False
    """Whether files are read that seem unchanged since an earlier scan; see `DataSettings`."""


def scan(found: Found, settings: ScanSettings | None = None, *, reporter: Reporter | None = None) -> Images:
    """Read every candidate once, in parallel, and sort out which can be used.

    Results are cached by content: a second scan only looks whether the files have changed.

    Raises:
        TooManyBadFilesError: more than `max_bad_share` of the files can't be used.
        DataError: fewer than two classes are left.
    """
    settings, reporter = settings or ScanSettings(), reporter or Silent()
    workers = settings.workers or count_cores()
    own = _OWN_RANGE.model_copy(update={"window": window_of(settings.window)})
    files: dict[str, str] = {}
    lately: dict[str, str] = {}

    def examine(key: str, data: bytes | None) -> Facts:
        try:
            facts = _examine(files[key], key, data, settings.limits, own)
        except ImageError as error:
            lately[key] = str(error)
            return None
        if isinstance(facts, Failure):
            lately[key] = facts.reason
        return facts

    def compute(keys: Sequence[str]) -> Iterator[tuple[str, Facts]]:
        facts = in_order(lambda key: examine(key, None), keys, workers=workers, ahead=4 * workers)
        return zip(keys, facts, strict=True)

    store, conditions = _store(settings.limits, own), reading_conditions(settings.limits)
    known_files = KnownFiles.of(found, is_obeyed=not settings.reread_files)
    reading = Reading(settings.limits, workers, store, conditions, examine, known_files)
    with reporter.phase("checking files", len(found.candidates)) as meter:
        hashes, reasons = reading.read(found.candidates, files, meter)
    if settings.retry_failed:
        forget_failures(cache_folder(), files.keys() - lately.keys())
    rows = store.ensure(
        list(files), compute, conditions=conditions, reporter=reporter, phase="checking images"
    )
    reasons |= lately
    known = {key: reason for key, reason in rows.reasons.items() if key not in reasons}
    images = _assemble(found, hashes, {**known, **reasons}, rows, settings, reporter)
    named = {file.path for file in images.skipped} if known else frozenset[str]()
    looked_at = zip(found.candidates, hashes, strict=True) if named else ()
    count = sum(sha in known for candidate, sha in looked_at if candidate.path in named)
    if count:
        reporter.note(
            f"files that could not be used before, and are not tried again without --retry-failed: {count:,}"
        )
    return images


def _store(limits: LoadLimits, own: Intensity) -> RowStore:
    """Where the facts of images are kept by their content."""
    return RowStore(
        cache_folder() / "scan" / _scan_key(limits, own.window)[:24],
        width=FACTS.itemsize,
        dtype=np.uint8,
        facts={"what": "thumbnails and sizes", "loader_version": LOADER_VERSION},
    )


def _scan_key(limits: LoadLimits, window: Span | None) -> str:
    # Lower limits must refuse images that higher limits accepted, so the limits are part of the key; so is a
    # setting of Pillow's that only the user's own program can change, and which accepts incomplete files.
    facts = [LOADER_VERSION, FACTS.descr, _LOOK_PX, limits.max_megapixels, limits.max_file_mb]
    windows = [] if window is None else [list(window)]
    return key_of([*facts, ImageFile.LOAD_TRUNCATED_IMAGES, *windows])


def _examine(
    file: str, sha: str, data: bytes | None, limits: LoadLimits, own: Intensity
) -> npt.NDArray[np.uint8] | Failure:
    """The facts of an image, or why it can't be used.

    Raises:
        ImageError: it can't be read now, which says nothing about the image itself.
    """
    if data is None:
        data = read_file(file, limits)
        if sha256_of(data) != sha:
            raise ImageError("changed while it was read")
    try:
        return facts_of(decode(data, min_side_px=_LOOK_PX, limits=limits, intensity=own))
    except ImageError as error:
        if isinstance(error.__cause__, MemoryError):
            raise
        return Failure(str(error))


@collection_paused()
def _assemble(
    found: Found,
    hashes: Sequence[str | None],
    reasons: dict[str, str],
    rows: Rows,
    settings: ScanSettings,
    reporter: Reporter,
) -> Images:
    good: list[tuple[Candidate, str]] = []
    refused: list[tuple[Candidate, str]] = []
    for candidate, sha in zip(found.candidates, hashes, strict=True):
        if sha is not None and sha in rows:
            good.append((candidate, sha))
        else:
            reason = reasons.get(sha or "", reasons.get(candidate.path, "can't be read"))
            refused.append((candidate, reason))
    piles = sorted_out(refused)
    skipped = (*found.skipped, *piles.damaged)
    _check_bad_share(skipped, len(good), settings)
    facts = rows.gather([sha for _, sha in good]).reshape(-1).view(FACTS) if good else np.zeros(0, FACTS)
    candidates, keys = [candidate for candidate, _ in good], [sha for _, sha in good]
    for place in np.flatnonzero(facts["group"] != b"").tolist():
        candidates[place] = _of_patient(candidates[place], facts["group"][place].decode())
    choice = choose_intensity(facts, settings.range, settings.window)

    def look(numbers: Sequence[int]) -> npt.NDArray[np.uint8]:
        wanted = {keys[number]: candidates[number].file for number in numbers}
        return _larger([keys[number] for number in numbers], wanted, settings, reporter, choice.chosen)

    alike = _by_stratum(candidates, found.task)
    items, findings = grouped(
        alike,
        keys,
        common_thumbnails(facts, choice.chosen),
        look=look,
        policy=settings.look_alikes,
        reporter=reporter,
    )
    if found.task == "regression":
        labels = (candidate.label for candidate in candidates)
        items = tuple(replace(item, label=label) for item, label in zip(items, labels, strict=True))
    findings += picture_findings(alike, facts, choice.chosen)
    findings += intensity_findings([candidate.path for candidate in candidates], facts, choice)
    if found.task == "classification":
        findings += _lost_classes(found, items, piles)
    findings = [*found.findings, *piles.foreign, *piles.ignored, *findings]
    return Images(
        str(found.root),
        items,
        skipped,
        tuple(findings),
        task_of(found.task, [item.label for item in items]),
        layout=found.layout,
        source=found.source,
        intensity=choice,
        oblong_share=oblong_share(facts),
    )


def _of_patient(candidate: Candidate, patient: str) -> Candidate:
    """The candidate with the group that its file names, if its location or table names none."""
    return replace(candidate, group=patient) if candidate.group is None else candidate


def _by_stratum(candidates: list[Candidate], task: TaskName) -> list[Candidate]:
    """The candidates; a number's label is its stratum, in which images count as alike."""
    if task != "regression":
        return candidates
    _, kinds = Regression().kinds([candidate.label for candidate in candidates])
    return [replace(candidate, label=name) for candidate, (name,) in zip(candidates, kinds, strict=True)]


def _lost_classes(found: Found, items: Sequence[ImageItem], piles: Piles) -> list[Finding]:
    """Classes without usable images.

    Raises:
        DataError: fewer than two classes have some.
    """
    labels = tuple(sorted({item.label for item in items}))
    if len(labels) < 2:
        raise _too_few_classes(found, labels, len(items), piles)
    lost = sorted({candidate.label for candidate in found.candidates} - set(labels))
    return [
        Finding("empty-class", f"class {label} has no usable images, so it is left out") for label in lost
    ]


def _larger(
    keys: Sequence[str],
    files: dict[str, str],
    settings: ScanSettings,
    reporter: Reporter,
    intensity: Intensity | None,
) -> npt.NDArray[np.uint8]:
    """Grey pictures of 64 x 64 pixels, `(n, 4096) uint8`, cached by content like the facts of a scan."""
    limits, workers = settings.limits, settings.workers or count_cores()
    ranged = [] if intensity is None else [intensity.model_dump()]
    store = RowStore(
        cache_folder() / "looks" / key_of([LOADER_VERSION, LOOK_PX, *ranged])[:24],
        width=LOOK_PX**2,
        dtype=np.uint8,
        facts={"what": "grey pictures of look-alikes", "loader_version": LOADER_VERSION},
    )

    def picture(key: str) -> tuple[str, npt.NDArray[np.uint8] | None]:
        try:
            data = read_file(files[key], limits)
            image = decode(data, min_side_px=4 * LOOK_PX, limits=limits, intensity=intensity).image
        except ImageError:
            return key, None
        small = image.convert("L").resize((LOOK_PX, LOOK_PX), Image.Resampling.BOX)
        return key, np.asarray(small).reshape(-1)

    def compute(keys: Sequence[str]) -> Iterator[tuple[str, npt.NDArray[np.uint8] | None]]:
        return in_order(picture, keys, workers=workers, ahead=4 * workers)

    wanted = list(dict.fromkeys(keys))
    rows = store.ensure(wanted, compute, reporter=reporter, phase="comparing images that look alike")
    result = np.zeros((len(keys), LOOK_PX**2), dtype=np.uint8)  # blank where a file has vanished meanwhile
    known = [place for place, key in enumerate(keys) if key in rows]
    if known:
        result[known] = rows.gather([keys[place] for place in known])
    return result


def _too_few_classes(found: Found, labels: Sequence[str], images: int, piles: Piles) -> DataError:
    """The error about a data set with fewer than two classes, and what the user may have meant."""
    others = "; ".join([*(finding.message for finding in piles.foreign), *filter(None, [found.hint])])
    return DataError(
        f"found {len(labels)} class{'es' if len(labels) != 1 else ''} ({', '.join(labels) or 'none'}) "
        f"among {images} usable images; a classifier needs at least two classes. "
        f"{others or 'Put the images of each class in a folder of its own'}"
    )


def _check_bad_share(skipped: Sequence[SkippedFile], usable: int, settings: ScanSettings) -> None:
    """Stop if too many of the files that should be images are damaged; other files do not count."""
    total = usable + len(skipped)
    if total and len(skipped) / total > settings.max_bad_share:
        common = Counter(file.reason for file in skipped).most_common(3)
        causes = "; ".join(f"{count} x {reason}" for reason, count in common)
        examples = ", ".join(printable(file.path) for file in skipped[:3])
        raise TooManyBadFilesError(
            f"{len(skipped)} of {total} files can't be used ({len(skipped) / total:.0%}, the limit is "
            f"{settings.max_bad_share:.0%}): {causes}; for example {examples}. "
            "Fix or remove them, or raise --max-bad-share"
        )
