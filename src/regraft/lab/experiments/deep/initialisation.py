"""Initial weights: drawn by several rules, designed by hand, or pretrained layer by layer."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import nn

from regraft.lab.bench.networks import convolutional
from regraft.lab.bench.sets import Labelled, SmallSet, chosen
from regraft.lab.bench.subject import Bench, value
from regraft.lab.bench.training import Small, accuracy, settings, trained
from regraft.lab.results.experiment import Choices
from regraft.lab.results.rows import Value
from regraft.progress import Reporter, Silent
from regraft.randomness import torch_seed
from regraft.settings import InitName
from regraft.training.layerwise import pretrain
from regraft.training.loop.batches import TensorSource

ACCURACY = "accuracy"
SMALL, GLOROT, HE, GABOR, LAYERWISE = "small normal", "Glorot", "He", "Gabor filters", "layer-wise"
_RULES: dict[str, InitName] = {SMALL: "he", GLOROT: "glorot", HE: "he", GABOR: "gabor", LAYERWISE: "he"}
WITH = ", BatchNorm"
ABOUT = {
    SMALL: "normal with a standard deviation of 0.01, as AlexNet's",
    GLOROT: "uniform with variance 2 / (inputs + outputs)",
    HE: "normal with variance 2 / inputs",
    GABOR: "He's, with a first layer of hand-designed oriented filters",
    LAYERWISE: "each layer learns to reconstruct its input, one after the other, without labels",
}


def prepare(choices: Choices, reporter: Reporter) -> Bench:
    """The images, and networks of five convolutions."""
    per_class, epochs, before = (15, 30, 6) if choices.is_quick else (40, 60, 15)
    data = chosen(choices.data, per_class=per_class, reporter=reporter)
    facts = {
        "data": data.key, "images of a class": per_class, "test images": 400, "epochs": epochs,
        "epochs of layer-wise pretraining": before, "channels": [12, 12, 24, 24, 24], "learning rate": 0.003,
    }  # fmt: skip

    def measured(arm: str, seed: int, reporter: Reporter) -> tuple[Value, ...]:
        del reporter
        train, test = data.sample(seed, per_class=per_class, test=400)
        network = started(arm, data, train, epochs=before, seed=seed)
        found = [
            value(f"variance after layer {n}", one, "") for n, one in enumerate(variances(network, test), 1)
        ]
        history = trained(network, train, settings(epochs=epochs), seed=seed).history
        last = value("training loss", history[-1]["train_loss"], "nats")
        return (*found, last, value(ACCURACY, accuracy(network, test)))

    return Bench(data.about, facts, measured)


def started(arm: str, data: SmallSet, train: Labelled, *, epochs: int, seed: int) -> Small:
    """The network of an arm before it is trained."""
    rule, has_norm = arm.removesuffix(WITH), arm.endswith(WITH)
    network = convolutional(data.classes, seed=seed, norm=has_norm, first=5, init=_RULES[rule])
    if rule == SMALL:
        source = torch.Generator().manual_seed(torch_seed(seed, "small normal"))
        for module in network.whole.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.normal_(module.weight, 0.0, 0.01, generator=source)
    if rule == LAYERWISE:
        with tempfile.TemporaryDirectory() as folder:
            pretrain(
                network.stages, TensorSource(train.images), epochs=epochs, batch=64, seed=seed,
                folder=Path(folder), reporter=Silent(),
            )  # fmt: skip
    return network


@torch.no_grad()
def variances(network: Small, given: Labelled) -> list[float]:
    """The variance of what each layer hands on, with the statistics of the batch where there is BatchNorm."""
    kept = {name: one.clone() for name, one in network.whole.state_dict().items()}
    values, found = given.images, []
    for stage in network.stages:
        values = stage.module.train()(values)
        found.append(float(values.var()))
    network.whole.load_state_dict(kept)
    return found
