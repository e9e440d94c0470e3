"""The norm of the gradient at every layer, at the start and while training."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import nn

from regraft.lab.bench.sets import Labelled, chosen
from regraft.lab.bench.subject import Bench, value
from regraft.lab.bench.training import Small, settings, trained
from regraft.lab.results.experiment import Choices
from regraft.lab.results.rows import Value
from regraft.networks.initialisation import initialise
from regraft.networks.stages import Stage
from regraft.progress import Reporter
from regraft.randomness import torch_seed

DEPTHS = (8, 20, 56)
ACTIVATIONS: dict[str, type[nn.Module]] = {"sigmoid": nn.Sigmoid, "ReLU": nn.ReLU}
KINDS = ("plain", "BatchNorm", "residual")
STARTS = ("small normal", "Glorot", "He")
WIDTH, IMAGES = 32, 200
_SHOWN, _FLOOR = 8, 1e-30
_OVERFLOW = 99.0  # the loss that is recorded where numbers overflow before the first step
_SMALL = 0.01  # standard deviation, as in Krizhevsky et al. 2012, section 5
RATIO, LOSS = "log10 of first over last layer's gradient", "training loss"
STRUCTURES = [(act, kind, start) for act in ACTIVATIONS for kind in KINDS for start in STARTS]


class Layer(nn.Module):
    """A linear layer, BatchNorm if there is any, the activation, and a shortcut if there is any."""

    def __init__(self, inputs: int, outputs: int, activation: nn.Module, kind: str) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.norm: nn.Module = nn.Identity() if kind == "plain" else nn.BatchNorm1d(outputs)
        self.activation, self.adds = activation, kind == "residual" and inputs == outputs

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = self.activation(self.norm(self.linear(given.flatten(1))))
        return value + given if self.adds else value


def network(depth: int, arm: tuple[str, str, str], inputs: int, classes: int, seed: int) -> Small:
    """A network of `depth` layers, the classifier being the last."""
    act, kind, start = arm
    sizes = [inputs, *[WIDTH] * (depth - 1)]
    layers = [Layer(a, b, ACTIVATIONS[act](), kind) for a, b in pairwise(sizes)]
    found = Small(
        tuple(Stage(f"layer {number}", one) for number, one in enumerate(layers, 1)),
        nn.Linear(WIDTH, classes),
    )
    initialise(found.whole, "glorot" if start == "Glorot" else "he", seed=seed)
    if start == "small normal":
        source = torch.Generator().manual_seed(torch_seed(seed, "small normal"))
        for module in found.whole.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0.0, _SMALL, generator=source)
    return found


def layer_norms(given: Small, train: Labelled, *, steps: int, seed: int) -> list[dict[str, float]]:
    """The norm of the gradient of each layer's parameters before each step; an epoch is one step here."""
    plan = settings(
        epochs=steps, lr=0.05, optimizer="sgd", schedule="constant", effective_batch=len(train), clip_norm=1.0
    )
    return [
        {**row["gradient_norms"], LOSS: row["train_loss"]}
        for row in trained(given, train, plan, seed=seed).history
    ]


def prepare(choices: Choices, reporter: Reporter) -> Bench:
    """The images of one batch, which all steps see."""
    steps = 8 if choices.is_quick else 40
    data = chosen(choices.data, per_class=2, reporter=reporter)
    per_class = max(2, IMAGES // data.classes)
    facts = {
        "data": data.key,
        "batch": IMAGES,
        "steps": steps,
        "width": WIDTH,
        "learning rate": 0.05,
        "largest gradient": 1.0,
    }

    def measured(arm: str, seed: int, reporter: Reporter) -> tuple[Value, ...]:
        del reporter
        found = []
        train, _ = data.sample(seed, per_class=per_class, test=1)
        act, kind, start = arm.split(", ")
        for depth in DEPTHS:
            own = network(depth, (act, kind, start), train.images[0].numel(), data.classes, seed)
            rows = layer_norms(own, train, steps=steps, seed=seed)
            found += _of_depth(depth, rows, steps)
        return tuple(found)

    return Bench(f"{data.about}; one batch of {IMAGES} images, again and again", facts, measured)


def _of_depth(depth: int, rows: list[dict[str, float]], steps: int) -> list[Value]:
    """The measures of one depth; where training ended because numbers overflowed, the last ones stay."""
    rows = rows or [{LOSS: _OVERFLOW}]
    places = sorted({round(1 + n * (depth - 2) / (_SHOWN - 1)) for n in range(_SHOWN)})
    found = []
    for step in _frames(steps):
        row = rows[min(step, len(rows)) - 1]
        for place in places:
            norm = math.log10(max(_FLOOR, row.get(f"layer {place}", _FLOOR)))
            found.append(value(f"{depth} layers, step {step}, layer {place}", norm, "log10"))
    first, last = (max(_FLOOR, rows[0][f"layer {place}"]) for place in (1, depth - 1))
    found.append(value(f"{depth} layers, {RATIO}", math.log10(first / last), "log10"))
    return [*found, value(f"{depth} layers, {LOSS}", rows[-1][LOSS], "nats")]


def _frames(steps: int) -> list[int]:
    return sorted({1, 2, 3, steps // 4, steps // 2, 3 * steps // 4, steps})
