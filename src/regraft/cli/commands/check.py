"""The command `regraft check`."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from regraft.cli.terminal.boxes import boxes_record, show_boxes, write_findings
from regraft.cli.terminal.console import make_reporter, show_json, show_table
from regraft.cli.terminal.parameters import Overwrite
from regraft.data.findings.image_set import Images
from regraft.records import Finding, Split, TaskName
from regraft.settings import DataSettings


def check(
    data: str,
    /,
    *,
    data_settings: Annotated[DataSettings, Parameter(name="*", negative_iterable=())] = DataSettings(),  # noqa: B008 (frozen)
    test_share: float = 0.2,
    seed: int = 0,
    out: Annotated[str | None, Parameter(name=["--out", "-o"])] = None,
    overwrite: Overwrite = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Check a folder of images before any training: what it contains, and what is wrong with it.

    The command reads every file once. It shows the number of images by class and side of the split, files
    that can't be used and why, wrong extensions, duplicates and look-alikes (within a class, between classes,
    across the split), and classes that are too small.

    Boxes around objects are recognised by their files (Pascal VOC, COCO, YOLO, CSV, LabelMe, Label Studio,
    CVAT, Create ML). Their number by class and side is shown, and what is wrong with each.

    ```
    regraft check photos/
    regraft check photos/ --out problems.csv
    ```

    Args:
        data: A folder with one folder per class (or these below train/, val/ and test/), a zip or tar archive
            of that, a CSV, JSON or Parquet table, arrays (.npz, .npy), or the name of a data set (`regraft
            data`); or a folder with files of boxes, or one such file.
        data_settings: How images are found and read.
        test_share: Share of each class that would be set aside as test images.
        seed: Random seed of the train/test split.
        out: CSV file to which all findings and skipped files are written.
        overwrite: Replace a file that regraft did not write; never one that this command reads.
        json: Print one JSON object instead of tables.
    """
    from dataclasses import replace

    from regraft.named.sets import check_here

    check_here(data, data_settings.data_root)
    from regraft.data.splits import split_findings, split_images
    from regraft.outputs.files import FINDINGS, output_file
    from regraft.workflow.check import load_boxes, load_images

    if out is not None:
        output_file(out, FINDINGS, inputs=[data, data_settings.corrections], overwrite=overwrite)
    reporter = make_reporter(json_lines=json)
    boxes = load_boxes(data, data_settings, reporter=reporter)
    if boxes is not None:
        if out:
            write_findings(out, boxes.findings, boxes.skipped)
        if json:
            show_json(boxes_record(boxes))
        else:
            show_boxes(boxes, out)
        return 0
    images = load_images(data, data_settings, reporter=reporter)
    split = split_images(images, seed=seed, test_share=test_share)
    images = replace(images, findings=(*images.findings, *split_findings(split, images.task)))
    if out:
        write_findings(out, images.findings, images.skipped)
    if json:
        show_json(_record(images, split))
        return 0
    _show(images, split, out)
    return 0


def _show(images: Images, split: Split, out: str | None) -> None:
    assert images.task is not None
    names, kinds = images.task.kinds([row.label for row in split.rows])
    counts = Counter(
        (name, str(row.side)) for row, own in zip(split.rows, kinds, strict=True) for name in own
    )
    sides = [side for side in ("train", "validation", "test") if any(row.side == side for row in split.rows)]
    rows = [[label, *(f"{counts[label, side]:,}" for side in sides)] for label in names]
    shown = rows if len(rows) <= 40 else [*rows[:20], ["…", *("" for _ in sides)], *rows[-5:]]
    joint = "in" if images.task.link == "softmax" else "with"
    title = f"{len(images):,} images {joint} {images.task.summary} ({split.origin} split)"
    if images.layout:
        from regraft.storage.tables import printable

        print(f"layout: {printable(images.layout)}")
    show_table(title, [_KINDS[images.task.name], *sides], shown, right=range(1, len(sides) + 1))
    if split.history:
        print(split.history)
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in images.findings:
        groups.setdefault((finding.kind, _OF_CLASSES.get(finding.kind, finding.message)), []).append(finding)
    problems = [
        [kind, text if len(found) > 1 else found[0].message, f"{_count(found):,}", _example(found)]
        for (kind, text), found in groups.items()
    ]
    reasons = Counter(file.reason for file in images.skipped)
    for reason, count in reasons.most_common():
        example = next(file.path for file in images.skipped if file.reason == reason)
        problems.append(["skipped", reason, f"{count:,}", example])
    if problems:
        from regraft.storage.tables import printable

        safe = [[printable(cell) for cell in row] for row in problems]
        show_table("Findings", ["kind", "what", "count", "for example"], safe, right=[2])
        if out is None:
            print("to list all of them, add --out problems.csv")
    else:
        print("no problems were found")


_KINDS: dict[TaskName, str] = {"classification": "class", "multilabel": "label", "regression": "numbers"}
_OF_CLASSES = {
    "tiny-class": "classes with few images",
    "empty-class": "class folders without images",
    "untrained-class": "classes without training images, left out of labels and scores",
    "unvalidated-class": "classes without validation images",
}
"""Findings about single classes are shown as one line for each kind, with the first as the example."""
_OF_FILES = frozenset(
    [
        "extension",
        "note",
        "ignored",
        "format",
        "unlabelled",
        "set-aside",
        "untrained-class",
        "blank",
        "crop",
        "mask",
        "range",
        "tiny",
    ]
)


def _count(findings: list[Finding]) -> int:
    is_single = len(findings) == 1 and findings[0].kind in _OF_FILES
    return len(findings[0].paths) if is_single else len(findings)


def _example(findings: list[Finding]) -> str:
    named = " | ".join(findings[0].paths[:2])
    return named if named or len(findings) == 1 else findings[0].message


def _counted(images: Images) -> dict[str, int]:
    """The number of images of each class, with each label, or in each range of numbers."""
    assert images.task is not None
    names, kinds = images.task.kinds([item.label for item in images.items])
    counts = Counter(name for own in kinds for name in own)
    return {name: counts[name] for name in names}


def _record(images: Images, split: Split) -> dict[str, object]:
    from regraft.storage.tables import printable

    sides = Counter(row.side for row in split.rows)
    return {
        "images": len(images),
        "layout": printable(images.layout),
        "classes": _counted(images),
        "sides": dict(sides),
        "split": {
            "origin": split.origin,
            "seed": split.seed,
            "sha256": split.sha256,
            "history": split.history,
        },
        "findings": [{**asdict(f), "paths": [printable(path) for path in f.paths]} for f in images.findings],
        "skipped": [{"path": printable(file.path), "reason": file.reason} for file in images.skipped],
    }
