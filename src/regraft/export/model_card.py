"""The model card of an exported model, as far as its folder says how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from regraft.export.parity import Parity, Quantised, Trial
from regraft.prediction.notebook import with_interval
from regraft.prediction.onnx_model import OUTPUTS
from regraft.records import InputSpec, Intensity, Link, Scores
from regraft.runs.model_files import ModelFiles
from regraft.runs.reading import RunFiles
from regraft.storage.tables import printable
from regraft.tasks.classification import Classification
from regraft.tasks.multilabel import Multilabel
from regraft.tasks.regression import Regression
from regraft.tasks.score_sheet import AnyScores, measures
from regraft.tasks.task import Task


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
    lines = [
        f"# {name}{_what(model.task)}, {model.weights.network}",
        "",
        _PURPOSES[model.task.link].format(file=file, labels=_listed(model.labels)),
        *_decided(model.task),
        *_accuracy(files, quantised),
        *_training(files),
        *_input(model.weights.input_spec, model.task),
        *_decoding(model.weights.input_spec, trial),
        *_limits(files, parity, quantised),
    ]
    return "\n".join(lines) + "\n"


_PURPOSES: Mapping[Link, str] = {
    "softmax": "`{file}` classifies images into these classes: {labels}.",
    "sigmoid": "`{file}` says for each of these labels whether an image has it: {labels}.",
    "identity": "`{file}` predicts a number for each image, in the unit of its training labels.",
}
_LIMITS: Mapping[Link, str] = {
    "softmax": "The model assigns one of these classes to every image, also to a picture of something else, "
    "sometimes with a high probability.",
    "sigmoid": "The model knows no other labels, and it answers for every image, also for a picture of "
    "something else.",
    "identity": "The model predicts a number for every image, also for a picture of something else, and "
    "hardly any number outside of the range of its training labels.",
}


def _what(task: Task) -> str:
    count = len(task.outputs)
    return {"softmax": f"{count} classes", "sigmoid": f"{count} labels", "identity": "a number"}[task.link]


def _listed(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - 50} more" if len(labels) > 50 else ""
    return ", ".join(_plain(label) for label in labels[:50]) + more


def _decided(task: Task) -> list[str]:
    """What turns outputs into answers: thresholds, or the width of intervals."""
    if isinstance(task, Classification):
        return _about_classes(task)
    if isinstance(task, Multilabel):
        limits = task.thresholds or (0.5,) * len(task.outputs)
        rows = [
            f"| {_plain(label)} | {limit:.3f} |" for label, limit in zip(task.outputs, limits, strict=True)
        ]
        how = "An image has a label if its probability is at least the threshold:"
        return ["", how, "", "| label | threshold |", "|---|---|", *rows]
    if isinstance(task, Regression) and task.half_width is not None:
        return [
            "",
            f"The true number of 90 % of images is within {task.half_width:.4g} of the predicted one, if "
            "they are like the training images.",
        ]
    return []


def _about_classes(task: Classification) -> list[str]:
    """What decides the class besides the largest probability, where something does."""
    lines = []
    if task.threshold is not None and task.positive is not None:
        lines += [
            "",
            f"An image is called {_plain(task.positive)} if its probability is at least "
            f"**{task.threshold:.4g}**, which was chosen to reach {task.goal} on images that the model was "
            "not trained on. The threshold is in the file's metadata (`task.threshold`); the output of the "
            "file is the probabilities.",
        ]
    if task.reject_below is not None:
        lines += [
            "",
            f"An image gets no label if its largest probability is below {task.reject_below:.4g} "
            "(`task.reject_below`).",
        ]
    return lines


def _accuracy(files: ModelFiles, quantised: Quantised | None) -> list[str]:
    best, sheet = files.best, files.scores
    lines = ["", "## Accuracy", ""]
    if best is None or sheet is None:
        unknown = "Not known: the model was exported without the run that made it, which has the scores."
        return [*lines, unknown, *([] if quantised is None else ["", _agreement(quantised)])]
    shown = [one for one in measures(best) if not one.output and one.value is not None]
    if isinstance(best, Scores):
        is_shown = {"accuracy", "balanced_accuracy", shown[0].name}
        more = ("auroc", "average_precision", "sensitivity", "specificity", "ppv", "npv", "quadratic_kappa")
        shown = [one for one in shown if one.name in is_shown or one.name.startswith(more)]
    where = [f"{best.images} images: {best.method}", *["the same"] * (len(shown) - 1)]
    lines += ["| | value | images |", "|---|---|---|"]
    lines += [
        f"| {one.title} | {with_interval(one)} | {place} |" for one, place in zip(shown, where, strict=True)
    ]
    if sheet.baseline is not None:
        trivial = with_interval(measures(sheet.baseline)[0])
        lines.append(f"| {_TRIVIAL[files.model.task.link]} | {trivial} | the same |")
    if quantised is not None and quantised.int8 is not None and quantised.fp32 is not None:
        of = f"{quantised.images} of these; at fp32 {quantised.fp32.text}"
        lines.append(f"| {quantised.int8.title} at int8 | {quantised.int8.text} | {of} |")
    elif quantised is not None:
        lines += ["", _agreement(quantised)]
    if not isinstance(best, Scores):
        return [*lines, *_each(best), "", "Intervals are 95 % intervals."]
    weakest = sorted((one for one in best.classes if one.images), key=lambda one: one.recall)[:3]
    listed = ", ".join(f"{_plain(one.label)} ({100 * one.recall:.0f} % of {one.images})" for one in weakest)
    return [
        *lines,
        *_positive(best),
        "",
        f"Classes with the lowest recall: {listed}. Intervals are 95 % intervals. Expected calibration "
        f"error of the probabilities: {100 * best.calibration_error.value:.1f} points.",
    ]


def _positive(scores: Scores) -> list[str]:
    """What the rates of two classes are about."""
    two = scores.two_classes
    if two is None:
        return []
    about = f"The positive class is {_plain(two.positive)}, {two.positives} of the {scores.images} images."
    if two.chosen is not None:
        about += f" Rows `at goal` are at the threshold for {two.goal}, the others at the larger probability."
    if two.prevalence is not None:
        about += f" The prevalence is {100 * two.prevalence:.3g} %."
    return ["", about]


_TRIVIAL: Mapping[Link, str] = {
    "softmax": "always the most frequent class",
    "sigmoid": "always the frequencies of the labels",
    "identity": "always the mean of the training images",
}


def _each(scores: AnyScores) -> list[str]:
    """A table of the scores of each output, if there are any."""
    each = [one for one in measures(scores) if one.output]
    names = list(dict.fromkeys(one.title for one in each))
    if not names:
        return []
    lines = ["", f"| label | images | {' | '.join(names)} |", f"|{'---|' * (len(names) + 2)}"]
    for output in dict.fromkeys(one.output for one in each):
        own = [one for one in each if one.output == output]
        lines.append(f"| {_plain(output)} | {own[0].images} | {' | '.join(one.text for one in own)} |")
    return lines


def _agreement(quantised: Quantised) -> str:
    return (
        f"The accuracy at int8 was not measured; int8 and fp32 give "
        f"{quantised.same} of {quantised.images} images."
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
    name = _plain(run.data_root.rstrip("/").rsplit("/", 1)[-1]) or "/"
    vote = f", voting with {len(run.plan.vote)} more" if run.plan.vote else ""
    return [
        f"- {len(files.training_images)} training images of {name}; split {run.split_sha256[:12]}",
        f"- strategy {run.plan.strategy}, {run.plan.head} head{vote}",
    ]


def _input(spec: InputSpec, task: Task) -> list[str]:
    if spec.channels in (1, 3):
        images = (
            "- `images`: `(N, H, W, 3) uint8`, RGB, upright, all images of a batch with the same size. "
            f"{_framed(spec)}"
        )
    else:
        images = (
            f"- `images`: `(N, H, W, {spec.channels}) uint8`, upright: the bands of the images. "
            f"{_framed(spec)}"
        )
    if spec.average == "mirror":
        images += " Features are the mean of the image's and its mirror image's."
    name, order = OUTPUTS[task.link], "in the order of the labels in the metadata"
    if name == "values":
        order = "the predicted numbers"
    outputs = f"- `{name}`: `(N, {len(task.outputs)}) float32`, {order}."
    return ["", "## Input and output", "", images, outputs]


def _framed(spec: InputSpec) -> str:
    """What the graph does with images before the network sees them."""
    size = f"{spec.size_px} pixels"
    if spec.framing == "squeeze":
        return f"The model squeezes the whole image into a square of {size}."
    if spec.framing == "pad":
        return (
            f"The model scales the whole image so that its longer side has {size}, and puts it into the "
            "middle of a square of the mean colour."
        )
    share = "" if spec.framing == "cover" else f"{100 * spec.crop_share:.0f} % of "
    return f"The model takes the central square of {share}the shorter side and scales it to {size}."


def _ranged(intensity: Intensity | None) -> str:
    """How values of more than 8 bits become grey levels."""
    if intensity is not None:
        return (
            f"- Images of more than 8 bits: the range {intensity.text} becomes 0 to 255, rounded; what lies "
            "outside becomes 0 or 255. It is the data set's range, in the metadata as `input_spec.intensity`."
        )
    return (
        "- Images of more than 8 bits (the data set had none): values from 0 to 255, 1,023, 4,095, 16,383 or "
        "65,535, whichever is the first that is not below the image's largest value, become 0 to 255; "
        "fractions from 0 to 1 likewise; with any others, the image's own range does."
    )


def _decoding(spec: InputSpec, trial: Trial | None) -> list[str]:
    """How files become the input; what deviates from it gives other labels."""
    lines = ["", "## How images must be decoded", ""]
    if trial is not None:
        lines += [
            "`example.py` decodes images as the model was trained, with Pillow. It was run on "
            f"{trial.images} images, at least one of each kind, and answered as the model does.",
            "",
        ]
    if trial is not None and trial.unread:
        unread = _plain(", ".join(trial.unread))
        lines += [f"`example.py` does not decode these kinds of images, but Regraft does: {unread}.", ""]
    lines += [
        "Every program that uses the model must decode images like this:",
        "",
        "- The first frame is used, and turned upright as its EXIF orientation says.",
        _ranged(spec.intensity),
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
        f"- {_LIMITS[files.model.task.link]}",
    ]
    if files.best is not None:
        lines.append(
            "- The figures are valid for images like those it was tested on. With another camera, site or "
            "season the accuracy can be lower."
        )
    if parity.sample is not None:
        lines.append(
            f"- Compared with the original model on {_plain(parity.sample.text)}, it gives "
            f"{'' if parity.answers == parity.outputs else f'the same {parity.answers}, and '}"
            f"{parity.outputs} within {parity.largest_difference:.1g}"
            + (" (before quantisation)." if quantised else ".")
        )
    return lines


def _plain(text: str) -> str:
    """Text with all characters escaped that Markdown or HTML would interpret."""
    shown = printable(text)
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|!" else c for c in shown)
