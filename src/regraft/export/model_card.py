"""The model card of an exported model, as far as its folder says how it was made."""

from __future__ import annotations

from regraft.export.parity import Parity, Quantised, Trial
from regraft.records import Estimate, InputSpec, Scores
from regraft.runs.model_files import ModelFiles
from regraft.runs.reading import RunFiles
from regraft.storage.tables import printable


def model_card(
    files: ModelFiles, file: str, *, parity: Parity, quantised: Quantised | None, trial: Trial | None
) -> str:
    """A model card (Mitchell et al. 2019) as Markdown.

    Args:
        files: what is known about the model.
        file: name of the exported file.
        parity: how the file compares with the model.
        quantised: what int8 costs; None for fp32.
        trial: what the example has said about images of every kind; None if there is no example.
    """
    model = files.model
    name = f"{_plain(files.name)}: " if files.name else ""
    labels = ", ".join(_plain(label) for label in model.labels[:50])
    more = f" and {len(model.labels) - 50} more" if len(model.labels) > 50 else ""
    lines = [
        f"# {name}{len(model.labels)} classes, {model.weights.network}",
        "",
        f"`{file}` classifies images into these classes: {labels}{more}.",
        *_accuracy(files, quantised),
        *_training(files),
        *_input(model.weights.input_spec, len(model.labels)),
        *_decoding(model.weights.input_spec, trial),
        *_limits(files, parity, quantised),
    ]
    return "\n".join(lines) + "\n"


def _accuracy(files: ModelFiles, quantised: Quantised | None) -> list[str]:
    best, sheet = files.best, files.scores
    lines = ["", "## Accuracy", ""]
    if best is None or sheet is None:
        unknown = "Not known: the model was exported without the run that made it, which has the scores."
        return [*lines, unknown, *([] if quantised is None else ["", _agreement(quantised)])]
    assert isinstance(best, Scores)
    assert isinstance(sheet.baseline, Scores | None)
    lines += [
        "| | value | images |",
        "|---|---|---|",
        f"| accuracy | {_share(best.accuracy)} | {best.images} images: {best.method} |",
        f"| balanced accuracy | {_share(best.balanced_accuracy)} | the same |",
    ]
    if sheet.baseline is not None:
        lines.append(f"| always the most frequent class | {_share(sheet.baseline.accuracy)} | the same |")
    if quantised is not None and quantised.accuracy_int8 is not None:
        where = f"{quantised.images} of these; at fp32 {100 * (quantised.accuracy_fp32 or 0):.1f} %"
        lines.append(f"| accuracy at int8 | {100 * quantised.accuracy_int8:.1f} % | {where} |")
    elif quantised is not None:
        lines += ["", _agreement(quantised)]
    weakest = sorted((one for one in best.classes if one.images), key=lambda one: one.recall)[:3]
    listed = ", ".join(f"{_plain(one.label)} ({100 * one.recall:.0f} % of {one.images})" for one in weakest)
    return [
        *lines,
        "",
        f"Classes with the lowest recall: {listed}. Intervals are 95 % intervals. Expected calibration "
        f"error of the probabilities: {100 * best.calibration_error.value:.1f} points.",
    ]


def _agreement(quantised: Quantised) -> str:
    return (
        f"The accuracy at int8 was not measured; int8 and fp32 give the same label for "
        f"{100 * quantised.agreement:.1f} % of {quantised.images} images."
    )


def _training(files: ModelFiles) -> list[str]:
    model = files.model
    made = _run(files.run) if files.run else ["- training images and split: not known"]
    return [
        "",
        "## Training data and weights",
        "",
        *made,
        f"- pretrained weights: {_plain(model.weights.source.where)}; "
        f"**licence: {_plain(model.weights.source.licence)}**",
        f"- lineage: {' → '.join(_plain(one) for one in model.lineage) or 'none'}",
        f"- regraft {files.regraft_version}",
    ]


def _run(files: RunFiles) -> list[str]:
    run = files.run
    name = _plain(run.data_root.rstrip("/").rsplit("/", 1)[-1])
    vote = f", voting with {len(run.plan.vote)} more" if run.plan.vote else ""
    return [
        f"- {len(files.training_images)} training images of {name}; split {run.split_sha256[:12]}",
        f"- strategy {run.plan.strategy}, {run.plan.head} head{vote}",
    ]


def _input(spec: InputSpec, labels: int) -> list[str]:
    if spec.channels in (1, 3):
        images = (
            "- `images`: `(N, H, W, 3) uint8`, RGB, upright, all images of a batch with the same size. The "
            f"model crops the central {100 * spec.crop_share:.0f} % and scales them to {spec.size_px} pixels."
        )
    else:
        images = f"- `images`: `(N, H, W, {spec.channels}) uint8`, upright: the bands of the images."
    probabilities = f"- `probabilities`: `(N, {labels}) float32`, in the order of the labels in the metadata."
    return ["", "## Input and output", "", images, probabilities]


def _decoding(spec: InputSpec, trial: Trial | None) -> list[str]:
    """How files become the input; what deviates from it gives other labels."""
    lines = ["", "## How images must be decoded", ""]
    if trial is not None:
        lines += [
            "`example.py` decodes images as the model was trained, with Pillow. It was run on "
            f"{trial.images} images, at least one of each kind, and gave the same labels.",
            "",
        ]
    if trial is not None and trial.unread:
        unread = _plain(", ".join(trial.unread))
        lines += [f"`example.py` does not decode these kinds of images, but Regraft does: {unread}.", ""]
    lines += [
        "Every program that uses the model must decode images like this:",
        "",
        "- The first frame is used, and turned upright as its EXIF orientation says.",
        "- 16-bit values are divided by 65,535 (not cut off at 255). Values of 32 bits are divided by "
        "65,535, by 255 if none is larger, or by 1 if they are fractions from 0 to 1; with any others, the "
        "image's own range becomes 0 to 255.",
    ]
    if spec.channels in (1, 3):
        lines += [
            "- Transparent images are laid on white, or on black if less than 5 % of what is visible "
            "(weighted by opacity) is darker than grey level 225.",
            "- Grey, palette and CMYK images are converted to RGB as Pillow's `convert` does.",
        ]
    else:
        lines.append(f"- An image has {spec.channels} bands, or {spec.channels} grey pages (TIFF).")
    return lines


def _limits(files: ModelFiles, parity: Parity, quantised: Quantised | None) -> list[str]:
    lines = [
        "",
        "## Limits",
        "",
        "- The model assigns one of these classes to every image, also to a picture of something else, "
        "sometimes with a high probability.",
    ]
    if files.best is not None:
        lines.append(
            "- The figures are valid for images like those it was tested on. With another camera, site or "
            "season the accuracy can be lower."
        )
    if parity.sample is not None:
        lines.append(
            f"- Compared with the original model on {_plain(parity.sample.text)}, it gives the same labels, "
            f"and probabilities within {parity.largest_difference:.1g}"
            + (" (before quantisation)." if quantised else ".")
        )
    return lines


def _share(value: Estimate) -> str:
    text = f"{100 * value.value:.1f} %"
    if value.low is None or value.high is None:
        return text
    return f"{text} [{100 * value.low:.1f}, {100 * value.high:.1f}]"


def _plain(text: str) -> str:
    """Text with all characters escaped that Markdown or HTML would interpret."""
    shown = printable(text)
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|!" else c for c in shown)
