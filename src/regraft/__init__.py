"""Regraft transfers a pretrained vision network to your images, on the machine you have.

>>> import regraft
>>> images = regraft.load_images("photos/")                 # doctest: +SKIP
>>> model = regraft.fit(images, network="resnet50")         # doctest: +SKIP
>>> model.predict(["a.jpg", "b.jpg"])                       # doctest: +SKIP
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from regraft.version import VERSION

if TYPE_CHECKING:
    from regraft.detection.detectors.detector import DetectedPicture as DetectedPicture
    from regraft.detection.detectors.detector import DetectedPictures as DetectedPictures
    from regraft.detection.detectors.detector import Detector as Detector
    from regraft.detection.detectors.opening import load_model as load_model
    from regraft.errors import RegraftError as RegraftError
    from regraft.estimator import ImageClassifier as ImageClassifier
    from regraft.estimator import ImageRegressor as ImageRegressor
    from regraft.export.export import export_model as export_model
    from regraft.lab.designs import compare_designs as compare_designs
    from regraft.networks.counting import describe_network as describe_network
    from regraft.networks.weights.importing import import_weights as import_weights
    from regraft.plans.plan import Plan as Plan
    from regraft.prediction.model import Model as Model
    from regraft.reports.explanation_page import explain_images as explain_images
    from regraft.reports.run_report import write_report as write_report
    from regraft.runs.comparison import compare_runs as compare_runs
    from regraft.settings import DataSettings as DataSettings
    from regraft.settings import FitSettings as FitSettings
    from regraft.settings import TrainSettings as TrainSettings
    from regraft.workflow.advice import Advice as Advice
    from regraft.workflow.advise import advise as advise
    from regraft.workflow.advise import plan as plan
    from regraft.workflow.check import load_images as load_images
    from regraft.workflow.find_lr import find_lr as find_lr
    from regraft.workflow.fit import fit as fit

__version__ = VERSION

# Threads of torch that wait for each other soon sleep instead of spinning on: beside other programs, a
# training step on two cores then takes half of the time (benchmarks/waiting_threads.py). OpenMP of GNU reads
# this when torch is imported; what the user has set stays.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

# Where each public name lives: imported when first used, so that `import regraft` takes milliseconds.
_HOMES = {
    "Advice": "regraft.workflow.advice",
    "DataSettings": "regraft.settings",
    "DetectedPicture": "regraft.detection.detectors.detector",
    "DetectedPictures": "regraft.detection.detectors.detector",
    "Detector": "regraft.detection.detectors.detector",
    "ImageClassifier": "regraft.estimator",
    "ImageRegressor": "regraft.estimator",
    "FitSettings": "regraft.settings",
    "Model": "regraft.prediction.model",
    "Plan": "regraft.plans.plan",
    "RegraftError": "regraft.errors",
    "TrainSettings": "regraft.settings",
    "advise": "regraft.workflow.advise",
    "compare_designs": "regraft.lab.designs",
    "compare_runs": "regraft.runs.comparison",
    "describe_network": "regraft.networks.counting",
    "find_lr": "regraft.workflow.find_lr",
    "explain_images": "regraft.reports.explanation_page",
    "export_model": "regraft.export.export",
    "fit": "regraft.workflow.fit",
    "import_weights": "regraft.networks.weights.importing",
    "load_images": "regraft.workflow.check",
    "load_model": "regraft.detection.detectors.opening",
    "plan": "regraft.workflow.advise",
    "write_report": "regraft.reports.run_report",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'regraft' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
