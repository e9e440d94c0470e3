"""The command `regraft crops`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from regraft.cli.terminal.box_flags import BoxFlags, boxes_of
from regraft.cli.terminal.boxes import counted
from regraft.cli.terminal.console import make_reporter, show_json, show_table
from regraft.cli.terminal.parameters import Switch
from regraft.records import Side

if TYPE_CHECKING:  # it needs numpy, which --help does without
    from regraft.detection.results.crops import Crops

_SIDES: tuple[Side, ...] = ("train", "validation", "test")


def crops(
    data: str,
    /,
    *,
    out: Annotated[str, Parameter(name=["--out", "-o"])],
    margin: float = 0.1,
    min_side: float = 16.0,
    square: Switch = False,
    flags: Annotated[BoxFlags, Parameter(name="*")] = BoxFlags(),  # noqa: B008 (frozen)
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Cut out single objects from pictures with boxes, as a data set for classification.

    Every box becomes a picture in the folder of its class, below train/, val/ and test/ if the data set has a
    split. The table crops.csv lists them with the picture that each is from: fitted from this table, crops of
    one picture stay on one side of the split.

    ```
    regraft crops cells/ --out crops/
    regraft crops cells/ --out crops/ --margin 0.25 --min-side 32 --square
    regraft fit crops/crops.csv
    ```

    Args:
        data: A folder with pictures and files of boxes, or one file of boxes.
        out: Folder to write to; it is new or empty.
        margin: Share of a box's width and height that is added at each side, as far as the picture goes.
        min_side: Leave out boxes whose shorter side has fewer pixels.
        square: Extend the shorter side to the longer one, as far as the picture goes: networks see the
            central square of an image.
        flags: How boxes are read.
        json: Print one JSON object instead of a table.
    """
    from regraft.data.pictures.loading import LoadLimits
    from regraft.detection.results.crops import check_crop_settings, write_crops
    from regraft.outputs.files import new_folder

    place = new_folder(out, "a folder of crops", inputs=flags.inputs(data))
    check_crop_settings(margin, min_side)
    reporter = make_reporter(json_lines=json)
    boxes = boxes_of(data, flags, reporter)
    done = write_crops(
        boxes,
        place,
        margin_share=margin,
        min_side_px=min_side,
        is_square=square,
        limits=LoadLimits(flags.max_megapixels, flags.max_file_mb),
        reporter=reporter,
    )
    if json:
        show_json(_record(done))
    else:
        _show(done)
    return 0


def _show(done: Crops) -> None:
    from regraft.storage.tables import printable

    sides: list[Side | None] = [side for side in _SIDES if any(own == side for _, own in done.counts)]
    header = ["class", *(side or "crops" for side in sides or [None])]
    rows = [[label, *(f"{done.counts[label, side]:,}" for side in sides or [None])] for label in done.folders]
    place = printable(str(done.folder))
    show_table(
        f"{counted(done.counts.total(), 'crop', 'crops')} in {place}",
        header,
        rows,
        right=range(1, len(header)),
    )
    for label, folder in done.folders.items():
        if label != folder:
            print(f"the folder of class {label} is called {folder}")
    if done.skipped:
        reason = Counter(file.reason.rpartition(": ")[2] for file in done.skipped).most_common(1)[0][0]
        count = counted(len(done.skipped), "entry", "entries")
        print(f"left out: {count} of {place}/skipped.csv; most frequent: {reason}")
    print(f"to fit a model: regraft fit {place}/crops.csv")


def _record(done: Crops) -> dict[str, object]:
    from regraft.storage.tables import printable

    return {
        "out": printable(str(done.folder)),
        "crops": done.counts.total(),
        "classes": {
            label: sum(count for (own, _), count in done.counts.items() if own == label)
            for label in done.folders
        },
        "sides": dict(Counter(side for label, side in done.counts.elements() if side)),
        "skipped": [
            {"path": printable(file.path), "reason": printable(file.reason)} for file in done.skipped
        ],
    }
