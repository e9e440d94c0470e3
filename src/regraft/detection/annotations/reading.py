"""A data set with boxes, from its files to checked records: the one door of this folder."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from regraft.data.pictures.file_kinds import foreign_by_name
from regraft.data.pictures.loading import LoadLimits, decode, read_file
from regraft.data.sources.column_names import IMAGE_ENDINGS
from regraft.detection.annotations.boxes import Box, BoxedPicture, BoxSet
from regraft.detection.annotations.checking import class_findings, usable_boxes, without_repetition
from regraft.detection.annotations.collecting import Entry, Notes, collected
from regraft.detection.annotations.picture_index import PictureIndex
from regraft.detection.annotations.placing import Frame, PictureFacts, frame_of, in_one_unit
from regraft.detection.annotations.recognition import FORMATS, Listing, listed
from regraft.detection.annotations.sides import (
    copy_findings,
    listed_sides,
    side_by_file,
    side_by_folder,
    with_sides,
)
from regraft.errors import ImageError, NoImagesError
from regraft.machine.processor import count_cores
from regraft.parallel import in_order
from regraft.progress import Reporter, Silent
from regraft.records import Side, SkippedFile
from regraft.storage.tables import printable

_DECODED_SIDE_PX = 32  # enough to know that a file is whole; JPEGs are decoded at an eighth of their size
_ACCEPTED = (
    "Accepted are Pascal VOC XML, COCO JSON, YOLO text files, tables, LabelMe, Label Studio, CVAT, "
    "Create ML and regions JSON; see docs/detecting.md"
)
_APART = "if they are in another folder, name it with --root"


def read_boxes(
    source: str | Path,
    *,
    root: str | Path | None = None,
    wanted: str | None = None,
    before_rotation: bool | None = None,
    limits: LoadLimits | None = None,
    workers: int | None = None,
    reporter: Reporter | None = None,
) -> BoxSet:
    """Read and check a data set with boxes; one bad file never stops it.

    Args:
        source: a folder with pictures and annotation files, or one annotation file.
        root: the folder of the pictures, if they are not in `source`; of a file, None means its own folder.
        wanted: the format to read, a key of `FORMATS`; None means the one with the most files.
        before_rotation: whether boxes were drawn before the EXIF rotation of pictures. None means that sizes
            and bounds decide for each picture, and where they can't, what was decided for the others.
        limits: sizes of pictures that are accepted.
        workers: number of threads; None means one for each core.
        reporter: receives progress.

    Returns:
        The pictures with their boxes in pixels of the upright picture, and all findings.

    Raises:
        NoImagesError: there are no annotation files, or none that names a usable picture.
        DataError: the folder can't be read, or has no files of the wanted format.

    >>> read_boxes("nowhere")
    Traceback (most recent call last):
        ...
    regraft.errors.NoImagesError: nowhere does not exist
    """
    source = Path(source)
    if not source.exists():
        raise NoImagesError(f"{printable(str(source))} does not exist")
    listing = listed(source, Path(root) if root else None)
    kind = listing.chosen(wanted)
    if kind is None:
        hint = "" if listing.pictures else f" There are no pictures, either: {_APART}"
        raise NoImagesError(
            f"{printable(str(source))} contains no annotation files with boxes. {_ACCEPTED}.{hint}"
        )
    job = Notes(listing.root)
    paths = {path.relative_to(listing.root).as_posix(): path for path in listing.pictures}
    index = PictureIndex(paths)
    entries = collected(listing, kind, index, job)
    backgrounds, unlisted = _not_named(paths, entries, job)
    facts = _facts_of({p: paths[p] for p in [*entries, *backgrounds]}, limits, workers, reporter, job)
    boxes = _placed(entries, facts, before_rotation, job)
    boxes = _without_failed(boxes, entries, job)
    by_list = listed_sides(listing, index, job.noticed)
    pictures = [
        BoxedPicture(
            path, fact.sha256, *fact.upright, _side(path, entries.get(path, []), by_list), boxes.get(path, ())
        )
        for path, fact in sorted(facts.items())
        if path in boxes or path in backgrounds
    ]
    if not entries:
        reasons = Counter(file.reason for file in job.skipped).most_common(2)
        causes = "; ".join(f"{count} x {reason}" for reason, count in reasons)
        why = causes or "; ".join(f.message for f in job.noticed.all()[:2])
        hint = f". Pictures were looked for in {printable(str(listing.root))}: {_APART}"
        raise NoImagesError(
            f"no annotation file of {printable(str(source))} names a usable picture: {why}{hint}"
        )
    sided = with_sides(pictures, job.noticed)
    class_findings(sided, job.noticed)
    copy_findings(sided, job.noticed)
    _other_formats(listing, kind, job)
    ignored = [path for path in paths if path not in entries and not _is_picture(path)]
    _counted(sided, backgrounds, unlisted, ignored, job)
    return BoxSet(
        str(listing.root),
        FORMATS[kind],
        len(listing.annotations[kind]),
        sided,
        tuple(job.skipped),
        job.noticed.all(),
    )


def _not_named(
    paths: dict[str, Path], entries: dict[str, list[Entry]], job: Notes
) -> tuple[set[str], set[str]]:
    """The pictures that no annotation names: backgrounds in folders where others are named, and the rest."""
    named = set() if job.is_incomplete else {PurePosixPath(path).parent for path in entries}
    others = [path for path in paths if path not in entries and _is_picture(path)]
    known = [path for path in others if path not in job.unknown]
    backgrounds = {path for path in known if PurePosixPath(path).parent in named}
    return backgrounds, {path for path in others if path not in backgrounds}


def _is_picture(path: str) -> bool:
    """Whether a file is a picture by its name, be it of a format that is not read."""
    return PurePosixPath(path).suffix.lower() in IMAGE_ENDINGS or foreign_by_name(path) is not None


def _facts_of(
    files: dict[str, Path],
    limits: LoadLimits | None,
    workers: int | None,
    reporter: Reporter | None,
    job: Notes,
) -> dict[str, PictureFacts]:
    """Size, rotation and hash of every picture that can be read; the others are skipped with the reason."""

    def examine(path: str) -> PictureFacts | str:
        try:
            data = read_file(files[path], limits)
            picture = decode(data, min_side_px=_DECODED_SIDE_PX, limits=limits)
        except ImageError as error:
            return str(error)
        sha = hashlib.sha256(data).hexdigest()
        return PictureFacts(sha, picture.width, picture.height, picture.orientation)

    facts: dict[str, PictureFacts] = {}
    count = workers or count_cores()
    with (reporter or Silent()).phase("checking pictures", len(files)) as meter:
        results = in_order(examine, files, workers=count, ahead=4 * count)
        for path, result in zip(files, results, strict=True):
            if isinstance(result, PictureFacts):
                facts[path] = result
            else:
                job.skipped.append(SkippedFile(path, result))
            meter.advance()
    return facts


def _placed(
    entries: dict[str, list[Entry]],
    facts: dict[str, PictureFacts],
    before_rotation: bool | None,
    job: Notes,
) -> dict[str, tuple[Box, ...]]:
    """The usable boxes of every picture that has a usable sheet."""
    ready: list[tuple[str, Entry, Frame]] = []
    for path in entries.keys() & facts.keys():
        for entry in entries[path]:
            sheet, mixed, text = in_one_unit(entry.sheet)
            files = (path, entry.file)
            if text:
                job.noticed.add("units", text, *files)
            for mark in mixed:
                text = f"{mark.where}: {mark.corners} is in another unit than the other boxes; left out"
                job.noticed.add("units", text, *files)
            ready.append((path, replace(entry, sheet=sheet), frame_of(sheet, facts[path])))
    ready.sort(key=lambda one: (one[0], one[1].file))
    default = _usual(frame for path, _, frame in ready if facts[path].orientation > 1)
    found: dict[str, list[Box]] = {}
    sources: dict[str, list[str]] = defaultdict(list)
    for path, entry, frame in ready:
        files = (path, entry.file)
        if frame.remark:
            job.noticed.add("size", frame.remark, *files)
        if frame.is_refused:
            job.skipped.append(SkippedFile(path, f"{entry.file}: {frame.remark}"))
            continue
        frame = _decided(frame, facts[path], default, before_rotation, job, files)
        boxes = usable_boxes(entry.sheet, frame, facts[path], job.noticed, files)
        found.setdefault(path, []).extend(boxes)
        sources[path].append(entry.file)
    return {
        path: without_repetition(boxes, job.noticed, (path, *sources[path])) for path, boxes in found.items()
    }


def _without_failed(
    boxes: dict[str, tuple[Box, ...]], entries: dict[str, list[Entry]], job: Notes
) -> dict[str, tuple[Box, ...]]:
    """The pictures with a usable box, or with none in their file: a faulty box still means an object."""
    failed = [
        path
        for path, own in boxes.items()
        if not own and any(entry.sheet.marks or entry.sheet.refused for entry in entries[path])
    ]
    job.skipped += [SkippedFile(path, "none of its boxes can be used") for path in failed]
    return {path: own for path, own in boxes.items() if path not in {*failed}}


def _usual(turned: Iterable[Frame]) -> bool:
    """Whether boxes are drawn before rotation wherever that can be seen, and it can be seen at all."""
    seen = {frame.drawn for frame in turned} - {"unknown"}
    return seen == {"before rotation"}


def _decided(
    frame: Frame,
    facts: PictureFacts,
    default: bool,
    before_rotation: bool | None,
    job: Notes,
    files: tuple[str, str],
) -> Frame:
    if facts.orientation == 1:
        return frame
    is_before = frame.drawn == "before rotation" or (frame.drawn == "unknown" and default)
    flag = f"--{'no-' if is_before else ''}boxes-before-rotation"
    if before_rotation is not None:
        drawn, why = before_rotation, "as the command asks"
    elif frame.drawn == "unknown":
        drawn = default
        why = "as in the other pictures of the data set" if default else "as nothing shows the opposite"
        why += f" (override with {flag})"
    else:
        drawn, why = frame.drawn == "before rotation", f"by its size and bounds (override with {flag})"
    order = "before it, so boxes are turned with the picture" if drawn else "after it, on the upright picture"
    text = f"EXIF orientation {facts.orientation}: annotations are taken as drawn {order}, {why}"
    job.noticed.add("rotation", text, *files)
    return replace(frame, drawn="before rotation" if drawn else "upright")


def _side(path: str, entries: Sequence[Entry], by_list: dict[str, Side]) -> Side | None:
    stated = next((entry.sheet.side for entry in entries if entry.sheet.side), None)
    by_annotation = next(
        (
            side
            for entry in entries
            if (side := side_by_file(entry.file) if entry.is_for_many else side_by_folder(entry.file))
        ),
        None,
    )
    return stated or by_list.get(path) or side_by_folder(path) or by_annotation


def _other_formats(listing: Listing, kind: str, job: Notes) -> None:
    for name, files in listing.annotations.items():
        if name != kind:
            text = (
                f"{len(files):,} files are {FORMATS[name]} and were not read, because {FORMATS[kind]} "
                f"describes more pictures (choose them with --boxes-format {name})"
            )
            job.noticed.add("other-format", text, listing.name_of(files[0]))


def _counted(
    pictures: Sequence[BoxedPicture],
    not_named: set[str],
    unlisted: set[str],
    ignored: Sequence[str],
    job: Notes,
) -> None:
    """Findings about pictures without boxes: empty ones, those that no file names, and those set aside."""
    empty = [picture.path for picture in pictures if not picture.boxes and picture.path not in not_named]
    silent = [picture.path for picture in pictures if picture.path in not_named]
    if empty:
        text = f"{_pictures(len(empty))} without boxes, kept as background{_s(len(empty))}"
        job.noticed.add("background", text, *empty)
    if silent:
        text = (
            f"{_pictures(len(silent))} that no annotation names, next to others that have boxes, kept as "
            "backgrounds; if they are not annotated yet, move them to another folder"
        )
        job.noticed.add("background", text, *silent)
    if ignored:
        files = f"{len(ignored):,} file{_s(len(ignored))}"
        job.noticed.add("ignored", f"{files} without the name of a picture, not used", *ignored)
    if unlisted:
        they = "it has" if len(unlisted) == 1 else "they have"
        text = (
            f"{_pictures(len(unlisted))} without usable annotations, set aside: it is not known whether "
            f"{they} boxes"
        )
        job.noticed.add("unlabelled", text, *sorted(unlisted))


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _pictures(count: int) -> str:
    return f"{count:,} picture{_s(count)}"
