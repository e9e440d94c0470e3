"""What the fit of a detector is asked for: data, settings and network, checked; and the canvas."""

from __future__ import annotations

from dataclasses import dataclass, replace

from regraft.detection.annotations.boxes import BoxSet
from regraft.detection.maps.canvas import canvas_for
from regraft.errors import SettingsError
from regraft.features.opening import Compute
from regraft.goal import BOX_MEASURES, Goal
from regraft.networks.weights.finding import Weights
from regraft.plans.costs import extract_name
from regraft.progress import Reporter
from regraft.settings import DataSettings, FitSettings, TrainSettings, differences


@dataclass(frozen=True)
class DetectionRequest:
    """What the user wants: data and settings."""

    boxes: BoxSet
    fit: FitSettings
    training: TrainSettings
    data: DataSettings
    weights: Weights
    lineage: tuple[str, ...]
    compute: Compute


_OBEYED = frozenset(
    [
        "network",
        "weights",
        "offline",
        "accept_license",
        "image_size",
        "budget",
        "goal",
        "classes",
        "test_share",
        "seed",
        "precision",
        "runtime",
        "device",
        "stages",
        "epochs",
        "lr",
        "weight_decay",
        "clip_norm",
        "effective_batch",
        "micro_batch",
        "augment",
        "memory_limit",
        "optimizer",
        "momentum",
        "schedule",
        "warmup",
        "ema",
    ]
)
"""The settings of a fit that have a meaning for detectors."""


def check_request(fit: FitSettings, training: TrainSettings, plan: object, data: DataSettings) -> None:
    """Refuse what has no meaning for a detector.

    Raises:
        SettingsError: a plan, `--network auto`, or a setting that would be ignored.
    """
    if plan is not None:
        raise SettingsError("--plan describes a classifier, but the data has boxes. Remove --plan")
    if fit.network == "auto":
        raise SettingsError(
            "--network auto compares networks as classifiers, but the data has boxes. Name a network"
        )
    ignored = [name for name in differences(fit, FitSettings()) if name not in _OBEYED]
    ignored += [name for name in differences(training, TrainSettings()) if name not in _OBEYED]
    if data.corrections is not None:
        ignored.append("corrections")
    if ignored:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in ignored)
        raise SettingsError(
            f"{flags}: no effect on a detector, but the data has boxes. Remove "
            f"{'it' if len(ignored) == 1 else 'them'}; --task classification fits classes of whole images"
        )
    if fit.goal is not None and Goal.parse(fit.goal).measure not in BOX_MEASURES:
        raise SettingsError(
            f"--goal {fit.goal} is for two classes of whole images, but the data has boxes. Accepted are "
            "recall=0.95 and precision=0.9"
        )
    if training.augment not in (None, "none", "flip", "crop", "crop-flip"):
        raise SettingsError(
            f"--augment {training.augment} is for classes of whole images; detectors accept none, flip, "
            "crop and crop-flip"
        )


def on_canvas_weights(request: DetectionRequest, reporter: Reporter) -> Weights:
    """The network with the canvas as its input: of the usual shape of the pictures."""
    sizes = [(one.width, one.height) for one in request.boxes.pictures]
    asked = request.fit.image_size
    width, height = canvas_for(sizes, longer_px=asked)
    why = "its sides are multiples of 32 pixels, and its shape is the usual one of the pictures"
    reporter.decided(f"a canvas of {width} x {height} pixels", why, "--image-size")
    usual = sorted(max(size) for size in sizes)[len(sizes) // 2]
    if asked is not None and max(width, height) > 1.5 * usual:
        reporter.warn(
            f"the canvas is larger than most pictures, whose longer side has {usual:,} pixels: they are "
            "enlarged, which takes time and shows nothing more"
        )
    shape = {
        "size_px": height,
        "width_px": width,
        "framing": "crop",
        "average": "none",
    }  # a canvas has its own framing
    spec = request.weights.input_spec.model_copy(update=shape)
    return replace(request.weights, input_spec=spec)


def maps_name(request: DetectionRequest, weights: Weights) -> str:
    """The name under which a cost book keeps the seconds that one picture takes from file to maps."""
    return f"{extract_name(weights, request.compute.runtime, request.fit.precision)}/maps"
