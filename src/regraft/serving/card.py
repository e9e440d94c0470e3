"""The texts that accompany an exported model: its model card, and an example program."""

from __future__ import annotations

from regraft import storage
from regraft.prediction.model import Model
from regraft.records import Estimate, InputSpec
from regraft.run_files import RunFiles


def model_card(
    files: RunFiles,
    model: Model,
    file: str,
    *,
    checked: tuple[int, float] | None,
    quantised: tuple[float, float, int] | None,
) -> str:
    """A model card (Mitchell et al. 2019) as Markdown.

    Args:
        files: files of the run.
        model: the run's model.
        file: name of the exported file.
        checked: number of compared images, and the largest difference of a probability.
        quantised: accuracy at fp32 and at int8, and the number of images; None for fp32.
    """
    best, run, spec = files.best, files.run, model.weights.input_spec
    name = _plain(run.data_root.rstrip("/").rsplit("/", 1)[-1])
    labels = ", ".join(_plain(label) for label in model.labels[:50])
    more = f" and {len(model.labels) - 50} more" if len(model.labels) > 50 else ""
    weakest = sorted((one for one in best.classes if one.images), key=lambda one: one.recall)[:3]
    lines = [
        f"# {name}: {len(model.labels)} classes, {model.weights.network}",
        "",
        f"`{file}` classifies images into these classes: {labels}{more}.",
        "",
        "## Accuracy",
        "",
        f"| | value | images |\n|---|---|---|\n| accuracy | {_share(best.accuracy)} | {best.images} images: "
        f"{best.method} |\n| balanced accuracy | {_share(best.balanced_accuracy)} | the same |",
    ]
    if files.scores.baseline is not None:
        lines.append(
            f"| always the most frequent class | {_share(files.scores.baseline.accuracy)} | the same |"
        )
    if quantised is not None:
        fp32, int8, images = quantised
        lines += [
            f"| accuracy at int8 | {100 * int8:.1f} % | {images} of these; at fp32 {100 * fp32:.1f} % |",
        ]
    listed = ", ".join(f"{_plain(one.label)} ({100 * one.recall:.0f} % of {one.images})" for one in weakest)
    lines += [
        "",
        f"Classes with the lowest recall: {listed}. Intervals are 95 % intervals. Expected calibration "
        f"error of the probabilities: {100 * best.calibration_error.value:.1f} points.",
        "",
        "## Training data and weights",
        "",
        f"- {len(files.training_images)} training images of {name}; split {run.split_sha256[:12]}",
        f"- strategy {run.plan.strategy}, {run.plan.head} head"
        + (f", voting with {len(run.plan.vote)} more" if run.plan.vote else ""),
        f"- pretrained weights: {_plain(run.weights.where)}; **licence: {_plain(run.weights.licence)}**",
        f"- lineage: {' → '.join(_plain(one) for one in model.lineage) or 'none'}",
        f"- regraft {run.regraft_version}",
        "",
        "## Input and output",
        "",
        "- `images`: `(N, H, W, 3) uint8`, RGB, upright, all images of a batch with the same size. The model "
        f"crops the central {100 * spec.crop_share:.0f} % and scales them to {spec.size_px} pixels."
        if spec.channels in (1, 3)
        else f"- `images`: `(N, H, W, {spec.channels}) uint8`.",
        f"- `probabilities`: `(N, {len(model.labels)}) float32`, in the order of the labels in the metadata.",
        "",
        "## Limits",
        "",
        "- The model assigns one of these classes to every image, also to a picture of something else, "
        "sometimes with a high probability.",
        "- The figures are valid for images like those it was tested on. With another camera, site or season "
        "the accuracy can be lower.",
    ]
    if checked is not None and checked[0]:
        lines.append(
            f"- Compared with the original model on {checked[0]} images, it gives the same labels, and "
            f"probabilities within {checked[1]:.1g}" + (" (before quantisation)." if quantised else ".")
        )
    return "\n".join(lines) + "\n"


def example_text(spec: InputSpec) -> str:
    """A program of twenty lines that runs the file with numpy and ONNX Runtime."""
    mode = "RGB" if spec.channels in (1, 3) else "RGBA"
    return f'''"""Label images with model.onnx. Needs: pip install numpy pillow onnxruntime"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
labels = json.loads(session.get_modelmeta().custom_metadata_map["regraft"])["labels"]

for path in sys.argv[1:]:
    image = ImageOps.exif_transpose(Image.open(path)).convert("{mode}")  # apply the camera's orientation
    batch = np.asarray(image)[None]  # (1, height, width, channels), 0 to 255
    (probabilities,) = session.run(["probabilities"], {{"images": batch}})
    for place in probabilities[0].argsort()[::-1][:3]:
        print(f"{{path}}: {{labels[place]}} {{probabilities[0][place]:.1%}}")
'''


def _share(value: Estimate) -> str:
    text = f"{100 * value.value:.1f} %"
    if value.low is None or value.high is None:
        return text
    return f"{text} [{100 * value.low:.1f}, {100 * value.high:.1f}]"


def _plain(text: str) -> str:
    """Text with all characters escaped that Markdown or HTML would interpret."""
    shown = storage.printable(text)
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|!" else c for c in shown)
