"""The command `regraft convert`."""

from __future__ import annotations

import shlex
from typing import Annotated, Literal

from cyclopts import Parameter

from regraft.cli.terminal.box_flags import BoxFlags, boxes_of
from regraft.cli.terminal.boxes import counted
from regraft.cli.terminal.console import make_reporter, show_json
from regraft.cli.terminal.parameters import Overwrite, Switch


def convert(
    data: str,
    /,
    *,
    to: Literal["coco", "yolo", "voc", "csv"],
    out: Annotated[str, Parameter(name=["--out", "-o"])],
    pictures: Switch = False,
    flags: Annotated[BoxFlags, Parameter(name="*")] = BoxFlags(),  # noqa: B008 (frozen)
    overwrite: Overwrite = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Convert boxes around objects from any format that is read to COCO, YOLO, Pascal VOC or CSV.

    Boxes are checked as `regraft check` does; what can't be used is left out, and counted. What is written is
    read again to the same boxes, classes, backgrounds and sides of the split.

    ```
    regraft convert cells/ --to coco --out boxes.json
    regraft convert boxes.csv --root photos/ --to voc --out cells-voc/
    regraft convert cells/ --to yolo --out cells-yolo/ --pictures
    ```

    Args:
        data: A folder with pictures and files of boxes, or one file of boxes.
        to: Format: coco (a .json file, or a folder with a file for each side), csv (a .csv file or a folder),
            yolo or voc (a folder).
        out: File or folder to write to; a folder is new or empty.
        pictures: Copy the pictures, too, so that the folder is a data set of its own.
        flags: How boxes are read.
        overwrite: Replace a file that regraft did not write; never one that this command reads.
        json: Print one JSON object instead of text.
    """
    from pathlib import Path

    from regraft.detection.results.marked import annotated_boxes
    from regraft.detection.results.writing import TARGETS, boxes_place, write_boxes
    from regraft.storage.tables import printable

    place = boxes_place(out, to, inputs=flags.inputs(data), with_pictures=pictures, overwrite=overwrite)
    reporter = make_reporter(json_lines=json)
    boxes = boxes_of(data, flags, reporter)
    copied_from = Path(boxes.root) if pictures else None
    written = write_boxes(annotated_boxes(boxes), place, to=to, copied_from=copied_from, reporter=reporter)
    for remark in written.remarks:
        reporter.warn(remark)
    counts = boxes.counts()
    if json:
        show_json(
            {
                "out": printable(str(place)),
                "format": TARGETS[to],
                "files": written.files,
                "copied": written.pictures,
                "pictures": len(boxes.pictures),
                "backgrounds": len(boxes.backgrounds),
                "boxes": counts.total(),
                "classes": list(boxes.labels),
                "lost": list(written.remarks),
            }
        )
        return 0
    print(
        f"wrote {printable(str(place))} ({TARGETS[to]}): {counted(counts.total(), 'box', 'boxes')} of "
        f"{counted(len(boxes.labels), 'class', 'classes')} in "
        f"{counted(len(boxes.pictures), 'picture', 'pictures')}, {len(boxes.backgrounds):,} of them "
        "backgrounds"
    )
    root = "" if pictures else f" --root {shlex.quote(boxes.root)}"
    print(printable(f"to read it back: regraft check {shlex.quote(str(place))}{root}"))
    return 0
