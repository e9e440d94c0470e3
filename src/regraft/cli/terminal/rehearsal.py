"""How the beginning of a fit looks in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regraft.progress import duration

if TYPE_CHECKING:
    from regraft.detection.rehearsal import DetectionRehearsal
    from regraft.workflow.rehearsal import Rehearsal

_LISTED = 10


def show_rehearsal(found: Rehearsal) -> None:
    """The images, the files that can't be used, the known costs, and the plan of a named strategy."""
    images = sum(found.classes.values())
    sides = " · ".join(f"{count:,} {side}" for side, count in found.sides.items())
    print(f"{len(found.classes)} classes · {images:,} images · {sides} ({found.split_origin} split)")
    smallest = sorted(found.classes.items(), key=lambda one: one[1])[:3]
    print("smallest classes: " + ", ".join(f"{name} {count}" for name, count in smallest))
    _show_files(found)
    cost = _cost(found)
    print(f"network {found.network}; features of all images: {cost}, less where they are in the cache")
    if found.plan is None:
        print(f"strategy auto: a ladder with a budget of {duration(found.budget_s)}")
        measured = "measured after the first model, which may compute the features of training images again"
        print(f"framing {found.framing}{f': {measured}' if found.framing == 'auto' else ''}")
    else:
        print(f"strategy {found.strategy}, as a plan:\n\n{found.plan.toml()}")


def show_detection_rehearsal(found: DetectionRehearsal) -> None:
    """The pictures and boxes of each side, the canvas, the known costs, and what would be tried."""
    boxes = sum(found.boxes.values())
    print(
        f"boxes: {boxes:,} of {len(found.classes)} classes · pictures: {sum(found.sides.values()):,}, of "
        f"which {found.backgrounds:,} show none ({found.split_origin} split)"
    )
    for side, count in found.sides.items():
        print(f"{side}: {count:,} pictures, {found.boxes.get(side, 0):,} boxes")
    rarest = sorted(found.classes.items(), key=lambda one: one[1])[:3]
    print("rarest classes: " + ", ".join(f"{name} {count:,}" for name, count in rarest))
    _show_files(found)
    width, height = found.canvas
    print(f"network {found.network}, from {' > '.join(found.lineage)}; canvas {width} x {height} pixels")
    print(f"maps of all pictures: {_cost(found)}, less where they are in the cache")
    print(f"with a budget of {duration(found.budget_s)} it would try: {', '.join(found.rungs)}")


def _show_files(found: Rehearsal | DetectionRehearsal) -> None:
    """The files that can't be used, and the kinds of findings."""
    for file in found.skipped[:_LISTED]:
        print(f"can't be used: {file.path}: {file.reason}")
    if len(found.skipped) > _LISTED:
        print(f"and {len(found.skipped) - _LISTED:,} more that can't be used")
    if found.findings:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in found.findings.items())
        print(f"found: {kinds} (listed by regraft check)")


def _cost(found: Rehearsal | DetectionRehearsal) -> str:
    known = found.extract_s
    return "not timed on this machine yet" if known is None else f"about {duration(known)}"
