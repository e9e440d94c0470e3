"""Descriptors from before 2012 against a small network and a pretrained one, on the same images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from regraft.advice.visual_words import word_histograms
from regraft.data.findings.image_set import Images
from regraft.data.pictures.loading import LoadLimits, load_input
from regraft.features.descriptors import SPEC, DescriptorRuntime
from regraft.features.extraction import Features, extract
from regraft.features.opening import Compute
from regraft.lab.bench.networks import lenet
from regraft.lab.bench.pictures import write_digit_pictures
from regraft.lab.bench.reading import read_off
from regraft.lab.bench.sets import Labelled, content_of, some_of_each
from regraft.lab.bench.subject import value
from regraft.lab.bench.training import evaluated, settings, trained
from regraft.lab.results.experiment import Choices
from regraft.lab.results.rows import Value
from regraft.networks.adaptation import adapted
from regraft.networks.weights.finding import Weights, find_weights
from regraft.progress import Reporter
from regraft.randomness import generator
from regraft.records import InputSpec, columns_of, stages_of
from regraft.storage.places import cache_folder
from regraft.workflow.check import load_images

COLOUR, HOG, WORDS = "colour histogram", "HOG", "SIFT words"
LENET, LAST, ALL = "LeNet-5 from scratch", "pretrained, last stage", "pretrained, all stages"
_DESCRIPTORS = {COLOUR: "colour", HOG: "hog", WORDS: "sift"}
ACCURACY = "accuracy"
INPUT_PX = 96
_GREY = InputSpec(size_px=32, channels=1, mean=(0.0,), std=(1.0,), interpolation="bilinear", crop_share=1.0)
Floats = npt.NDArray[Any]


@dataclass
class Pictures:
    """The subject: images with one class each, described in several ways."""

    images: Images
    weights: Weights
    choices: Choices
    per_class: int
    epochs: int
    about: str
    facts: Mapping[str, Any]
    most_seeds: int | None = None
    _known: dict[str, Features] = field(default_factory=dict, repr=False)

    def measure(self, arm: str, seed: int, reporter: Reporter) -> tuple[Value, ...]:
        """The test accuracy of one way to describe and classify images."""
        labels = np.array([self.images.labels.index(str(item.label)) for item in self.images.items])
        train, test = _sides(labels, self.per_class, seed)
        if arm == LENET:
            return (value(ACCURACY, self._lenet(labels, train, test, seed)),)
        rows = self._rows(arm, seed, reporter)
        return (value(ACCURACY, read_off(rows, labels, train, test)),)

    def _rows(self, arm: str, seed: int, reporter: Reporter) -> Floats:
        keys = [item.sha256 for item in self.images.items]
        if arm in _DESCRIPTORS:
            if arm not in self._known:
                runtime = DescriptorRuntime((_DESCRIPTORS[arm],))
                self._known[arm] = extract(self.images, runtime, SPEC, limits=LoadLimits(), reporter=reporter)
            rows = self._known[arm].matrix(keys, self._known[arm].layout)
            return word_histograms(rows, seed=seed) if arm == WORDS else rows
        if LAST not in self._known:
            self._known[LAST] = Compute(self.choices.runtime).features(self.images, self.weights, reporter)
        found = self._known[LAST]
        stages = stages_of(found.layout)
        return found.matrix(keys, columns_of(found.layout, stages if arm == ALL else stages[-1:]))

    def _lenet(self, labels: Floats, train: Floats, test: Floats, seed: int) -> float:
        pixels = [load_input(Path(self.images.root, item.path), _GREY) for item in self.images.items]
        stacked = torch.from_numpy(np.stack(pixels).reshape(-1, 1, 32, 32).astype(np.float32))
        standard = (stacked - stacked.mean()) / stacked.std()
        network = lenet(len(self.images.labels), seed=seed)
        own, other = (Labelled(standard[side], labels[side]) for side in (train, test))
        trained(network, own, settings(epochs=self.epochs, effective_batch=32), seed=seed)
        return evaluated([network.whole], other)[1]


def _sides(labels: Floats, per_class: int, seed: int) -> tuple[Floats, Floats]:
    """Places of the training images, some of each class, and of all others."""
    order = generator(seed, "by hand").permutation(len(labels))
    chosen = np.concatenate([order[labels[order] == one][:per_class] for one in np.unique(labels)])
    return np.sort(chosen), np.setdiff1d(np.arange(len(labels)), chosen)


def prepare(choices: Choices, reporter: Reporter) -> Pictures:
    """The images and the pretrained network.

    Raises:
        DataError: the images have no classes, or a class has too few.
    """
    most, per_class, epochs = (25, 10, 40) if choices.is_quick else (100, 20, 60)
    root = Path(choices.data) if choices.data else cache_folder() / "lab" / "digits"
    if choices.data is None:
        write_digit_pictures(root)
    images = some_of_each(load_images(root, reporter=reporter), most=most, least=per_class + 2)
    found = find_weights(choices.network, weights=choices.weights, reporter=reporter)
    weights = adapted(found, size_px=INPUT_PX)
    facts: dict[str, Any] = {
        "images": len(images), "content": content_of(images), "training images of a class": per_class,
        "epochs of LeNet-5": epochs, "network": choices.network, "weights": weights.source.sha256,
        "input": INPUT_PX, "classifier": "linear least-squares SVM", "runtime": choices.runtime,
    }  # fmt: skip
    what = choices.data or "scikit-learn's digits, each enlarged and put at a random place on grey paper"
    about = f"{what}: {len(images)} images in {len(images.labels)} classes, {per_class} of each to learn from"
    return Pictures(images, weights, choices, per_class, epochs, about, facts)
