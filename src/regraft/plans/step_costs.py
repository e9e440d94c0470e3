"""The time of a training step after a cut: from counts and this machine's rates, and from one timed step.

The estimate is a roofline (Williams et al. 2009, "Roofline: an insightful visual performance model"), with
its two terms added because layers alternate between them: multiply-adds at the rate of a matrix product, for
dense layers; and values moved through memory, for depthwise layers, normalisations and activations. How many
times longer a real step takes is learned for every network.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from regraft.networks.weights.finding import Weights
from regraft.networks.zoo.cards import StageCard, card_of
from regraft.plans.cost_book import CostBook
from regraft.records import Record
from regraft.settings import TrainSettings

_PASSES = (
    18  # times that a value is read or written: three passes of a layer, its normalisation, its activation
)
_UPDATE = 12  # numbers read or written for every parameter by gradients and an optimizer step
_BYTES_PER_S = 8e9  # of memory; the learned factor corrects it
_FORWARD = 0.3  # share of a step that the forward pass takes: a third of the multiply-adds, and less memory
_KEPT = 6  # bytes kept for the backward pass, for every value: in half of the layers it is kept twice


class StepCost(Record):
    """The cost of one image in a training step after a cut."""

    step_s: float
    """Seconds of the forward pass, the backward pass and the image's share of the optimizer step."""
    forward_s: float
    disk_bytes: int
    """Size of the image's activation at the cut."""
    memory_bytes: int
    """Bytes that the forward pass keeps for the backward pass."""


class TailCost(Record):
    """The parts that the time of a training after a cut consists of, as measured on this machine."""

    step: StepCost
    has_prefix: bool
    prefix_share: float = 1.0
    """Share of the network's work that lies before the cut; 0 where its activations are in the cache."""
    open_s: float
    """Seconds to load a network for training."""
    convert_s: float
    """Seconds to convert a network for the inference runtime."""
    extract_s: float
    """Seconds that one image takes from file to features."""


@dataclass(frozen=True)
class TailWork:
    """What one image costs in a training step after a cut, as counts."""

    multiply_adds: float
    """Multiply-adds of one forward pass of the tail."""
    values: float
    """Numbers that the tail's layers put out."""
    parameters: float
    activation: float
    """Numbers in the activation at the cut; at cut 0, the bytes of the image."""
    prefix_share: float
    """Share of the network's multiply-adds that lie before the cut."""

    def seconds(self, matrix_s: float, *, batch: int = 32) -> float:
        """The roofline of a training step for one image, on an idle machine.

        Args:
            matrix_s: seconds of a thousand million multiply-adds in a matrix product.
            batch: images of an optimizer step, which share the update of the parameters.
        """
        computed = 3 * self.multiply_adds * matrix_s / 1e9
        moved = 4 * (_PASSES * self.values + _UPDATE * self.parameters / batch) / _BYTES_PER_S
        return computed + moved


def tail_work(weights: Weights, count: int) -> TailWork:
    """The work after a cut, from the network's card; a network without one is counted, which takes a second.

    Args:
        weights: the network.
        count: number of stages before the cut.
    """
    stages = _stages(weights)
    depths = [0, *(stage.depth for stage in stages)]
    layers = [max(1, after - before) for before, after in pairwise(depths)]
    sizes = [float(math.prod(stage.shape)) for stage in stages]
    every = sum(stage.multiply_adds for stage in stages)
    spec = weights.input_spec
    return TailWork(
        multiply_adds=float(sum(stage.multiply_adds for stage in stages[count:])),
        values=sum(size * number for size, number in zip(sizes[count:], layers[count:], strict=True)),
        parameters=float(sum(stage.parameters for stage in stages[count:])),
        activation=sizes[count - 1] if count else float(spec.size_px**2 * spec.channels),
        prefix_share=sum(stage.multiply_adds for stage in stages[:count]) / max(1, every),
    )


def _stages(weights: Weights) -> tuple[StageCard, ...]:
    known = card_of(weights.recipe)
    spec = weights.input_spec
    if known and weights.recipe.stages in ("default", known.recipe.stages):
        own = known.input_spec
        if (own.size_px, own.channels) == (spec.size_px, spec.channels):
            return known.stages
    from regraft.networks.counting import describe_network

    return describe_network(weights.network, recipe=weights.recipe, input_spec=spec).stages


def estimate_step(
    weights: Weights, count: int, settings: TrainSettings, book: CostBook, *, device: str
) -> StepCost:
    """The cost of a training step after a cut, without taking one.

    Args:
        weights: the network.
        count: number of stages before the cut.
        settings: training settings; only the precision matters here.
        book: the cost book, which keeps how many times the roofline a step of this network takes.
        device: as in `FitSettings.device`.
    """
    work, name = tail_work(weights, count), step_name(weights, settings, device)
    factor = book.known(name) or book.seconds("step")
    step_s = work.seconds(book.quiet("matrix")) * factor
    return StepCost(
        step_s=step_s,
        forward_s=_FORWARD * step_s,
        disk_bytes=round(work.activation * (2 if count else 1)),
        memory_bytes=round(_KEPT * work.values),
    )


def step_name(weights: Weights, settings: TrainSettings, device: str) -> str:
    """The name under which a cost book keeps how many rooflines long a step of a network is."""
    return f"step {weights.network}@{weights.input_spec.size_px}/{settings.train_precision}/{device}"
