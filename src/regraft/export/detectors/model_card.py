"""The model card of an exported detector."""

from __future__ import annotations

from collections.abc import Sequence

from regraft.detection.detectors.detector import Detector
from regraft.detection.detectors.run_files import DetectorFiles
from regraft.detection.detectors.thresholds import LEAST_PROBABILITY
from regraft.evaluation.detection_scores import DetectionScores
from regraft.export.detectors.parity import BoxParity
from regraft.records import Estimate
from regraft.storage.tables import printable
from regraft.version import VERSION

_TITLES = {
    "map": "mean average precision (IoU .50 to .95)",
    "map50": "mean average precision at IoU .50",
    "map75": "mean average precision at IoU .75",
}


def detector_card(
    detector: Detector, run: DetectorFiles | None, file: str, parity: BoxParity | None, *, has_example: bool
) -> str:
    """A model card (Mitchell et al. 2019) as Markdown.

    Args:
        detector: the detector.
        run: the files of its run; None for a bundle by itself.
        file: name of the exported file.
        parity: how the file compares with the detector; None if it can't be run.
        has_example: whether there is an example next to it.
    """
    name = run.data_root.rstrip("/").rsplit("/", 1)[-1] if run else ""
    count = len(detector.labels)
    what = "boxes of one class" if count == 1 else f"boxes of {count} classes"
    lines = [
        f"# {plain(name) + ': ' if name else ''}{what}, {detector.weights.network}",
        "",
        f"`{file}` finds objects of these classes in pictures: {_listed(detector.labels)}.",
        "",
        "A box is shown if its probability is at least the threshold of its class, where F1 was largest:",
        "",
        "| label | threshold |",
        "|---|---|",
        *(
            f"| {plain(one)} | {limit:.3f} |"
            for one, limit in zip(detector.labels, detector.thresholds, strict=True)
        ),
        *_accuracy(_best(detector)),
        *_training(detector, run),
        *(_input(detector, has_example=has_example) if parity is not None else []),
        *_limits(detector, parity),
    ]
    return "\n".join(lines) + "\n"


def _best(detector: Detector) -> DetectionScores | None:
    sheet = detector.scores
    return (sheet.test or sheet.validation) if sheet else None


def _accuracy(best: DetectionScores | None) -> list[str]:
    lines = ["", "## Accuracy", ""]
    if best is None:
        return [*lines, "Not known: the detector was exported without the run that made it."]
    lines += ["| | value |", "|---|---|"]
    lines += [f"| {title} | {_text(getattr(best, key))} |" for key, title in _TITLES.items()]
    lines += [
        "",
        "At the thresholds:",
        "",
        "| label | objects | found | right | average precision at IoU .50 |",
    ]
    lines += ["|---|---|---|---|---|"]
    lines += [
        f"| {plain(one.label)} | {one.true_boxes} | {_text(one.point.recall)} | {_text(one.point.precision)} "
        f"| {_text(one.map50)} |"
        for one in best.classes[:50]
    ]
    return [
        *lines,
        "",
        f"On {best.images} pictures: {best.method}. Found: share of the objects with a box; right: share of "
        "the boxes on an object. Intervals are 95 % intervals over the pictures.",
    ]


def _text(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:.1f} %"
    return f"{100 * estimate.value:.1f} % [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def _training(detector: Detector, run: DetectorFiles | None) -> list[str]:
    made = "- training pictures and split: not known"
    if run is not None:
        count = sum(row.side == "train" for row in run.pictures)
        made = f"- {count} training pictures; split {run.run.split_sha256[:12]}"
    source = detector.weights.source
    return [
        "",
        "## Training data and weights",
        "",
        made,
        f"- detector: {detector.finder.kind}, on the maps of a frozen network",
        f"- pretrained weights: {plain(source.where)}; **licence: {plain(source.licence)}**",
        f"- lineage: {' → '.join(plain(one) for one in detector.lineage) or 'none'}",
        f"- regraft {VERSION}",
    ]


def _input(detector: Detector, *, has_example: bool) -> list[str]:
    height, width, channels = detector.weights.input_spec.shape
    bands = "3" if channels in (1, 3) else str(channels)
    what = "RGB" if channels in (1, 3) else "the bands of the picture"
    return [
        "",
        "## Input and output",
        "",
        f"- `pixels`: `(H, W, {bands}) uint8`, {what}, upright, of any size. The graph scales the picture to "
        f"{width} x {height} pixels without changing its shape.",
        "- `boxes`: `(N, 4) float32`, left, top, right and bottom edge in pixels of `pixels`.",
        "- `labels`: `(N,) int64`, numbers of classes, in the order of the labels in the metadata.",
        f"- `scores`: `(N,) float32`, probabilities from {LEAST_PROBABILITY:g} on, the largest first. "
        "Overlapping boxes of a class have been removed.",
        "",
        *(["`example.py` opens a picture, finds boxes and draws them.", ""] if has_example else []),
        "A picture must be turned upright as its EXIF orientation says. 16-bit values are divided by 257, "
        "and transparent pictures are laid on white, or on black if they show hardly anything dark; the "
        "example leaves that out. A large picture may be reduced before, which saves time: its boxes are "
        "then in pixels of the reduced picture.",
    ]


def _limits(detector: Detector, parity: BoxParity | None) -> list[str]:
    width = detector.weights.input_spec.shape[1]
    lines = [
        "",
        "## Limits",
        "",
        f"- Objects of fewer than about 8 pixels in a picture {width} pixels wide are not seen.",
        "- The figures are valid for pictures like those it was tested on. With another camera, site or "
        "season the accuracy can be lower.",
        "- The detector knows no other classes; a box may lie on a similar object.",
    ]
    if parity is not None:
        lines.append(
            f"- Compared with the original detector on {parity.pictures} {plain(parity.sample)}, it finds "
            f"{parity.text}."
        )
    return lines


def _listed(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - 50} more" if len(labels) > 50 else ""
    return ", ".join(plain(label) for label in labels[:50]) + more


def plain(text: str) -> str:
    """Text with all characters escaped that Markdown or HTML would interpret."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|!" else c for c in printable(text))
