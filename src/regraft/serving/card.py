"""The texts beside an exported model: what it is and is not good for, and how to run it."""

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
        files: of the run.
        model: its model.
        file: the exported one.
        checked: images on which it was compared, and the largest difference of a probability.
        quantised: accuracy at fp32 and at int8, and on how many images; None where it is fp32.
    """
    best, run, spec = files.best, files.run, model.weights.input_spec
    name = _plain(run.data_root.rstrip("/").rsplit("/", 1)[-1])
    labels = ", ".join(_plain(label) for label in model.labels[:50])
    more = f" and {len(model.labels) - 50} more" if len(model.labels) > 50 else ""
    weakest = sorted((one for one in best.classes if one.images), key=lambda one: one.recall)[:3]
    lines = [
        f"# {name}: {len(model.labels)} classes, {model.weights.network}",
        "",
        f"`{file}` tells images of these classes apart: {labels}{more}.",
        "",
        "## How good it is",
        "",
        f"| | value | on |\n|---|---|---|\n| accuracy | {_share(best.accuracy)} | {best.images} images: "
        f"{best.method} |\n| balanced accuracy | {_share(best.balanced_accuracy)} | the same |",
    ]
    if files.scores.baseline is not None:
        lines.append(
            f"| always the most frequent class | {_share(files.scores.baseline.accuracy)} | the same |"
        )
    if quantised is not None:
        fp32, int8, images = quantised
        lines += [
            f"| accuracy at int8 | {100 * int8:.1f} % | {images} of them; at fp32 {100 * fp32:.1f} % |",
        ]
    listed = ", ".join(f"{_plain(one.label)} ({100 * one.recall:.0f} % of {one.images})" for one in weakest)
    lines += [
        "",
        f"Found least often: {listed}. Intervals are 95 %. How far its certainty is off, on "
        f"average (expected calibration error): {100 * best.calibration_error.value:.1f} points.",
        "",
        "## What it was made from",
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
        "- `images`: `(N, H, W, 3) uint8`, RGB, upright, any size of one batch; the centre "
        f"{100 * spec.crop_share:.0f} % are scaled to {spec.size_px} pixels inside."
        if spec.channels in (1, 3)
        else f"- `images`: `(N, H, W, {spec.channels}) uint8`.",
        f"- `probabilities`: `(N, {len(model.labels)}) float32`, in the order of the labels in the metadata.",
        "",
        "## Limits",
        "",
        "- It knows these classes only, and gives every image one of them: a picture of something else gets "
        "a label, too, sometimes with certainty.",
        "- The figures hold for images made like those it was tested on: another camera, site or season can "
        "be worse.",
    ]
    if checked is not None and checked[0]:
        lines.append(
            f"- Compared with the model it was exported from on {checked[0]} images: the same labels, "
            f"probabilities within {checked[1]:.1g}" + (" before it was quantised." if quantised else ".")
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
    image = ImageOps.exif_transpose(Image.open(path)).convert("{mode}")  # upright, as cameras mean it
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
    """Text that is no Markdown and no HTML."""
    shown = storage.printable(text)
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|!" else c for c in shown)
