"""What the experiment `gradients` says."""

from __future__ import annotations

from regraft.evaluation.scores import mean_interval
from regraft.lab.bench.subject import steps_of
from regraft.lab.experiments.deep.gradients import DEPTHS, LOSS, RATIO, STRUCTURES, prepare
from regraft.lab.experiments.deep.gradients_drawn import (
    DEEPEST,
    NORMED,
    RELU_GLOROT,
    RELU_HE,
    RESIDUAL,
    SIGMOID,
    figures,
)
from regraft.lab.results.claims import said
from regraft.lab.results.experiment import Arm, Experiment, Paper, Step
from regraft.lab.results.figures import signed
from regraft.lab.results.results import Results
from regraft.records import Estimate

_ABOUT = {"plain": "nothing else", "BatchNorm": "BatchNorm before it", "residual": "BatchNorm and a shortcut"}


def findings(results: Results) -> tuple[str, ...]:
    """What makes the gradient vanish, and what keeps it."""
    deep = f"{DEEPEST} layers, {RATIO}"
    vanished = results.estimate(SIGMOID, deep)
    halved = results.within(SIGMOID, deep, f"{DEPTHS[0]} layers, {RATIO}")
    start = results.difference(RELU_HE, RELU_GLOROT, deep)
    shortcut, normed = (results.estimate(arm, deep) for arm in (RESIDUAL, NORMED))
    learned = results.difference(RESIDUAL, RELU_HE, f"{DEEPEST} layers, {LOSS}")
    return (
        said(
            vanished, f"with sigmoids and Glorot's start, 10 to the power of {signed(vanished)} of the "
            f"last layer's gradient reaches the first of {DEEPEST}",
            more="The gradient grows towards the image",
            less="The gradient vanishes towards the image",
            whether="the gradient vanishes with sigmoids",
        ),
        said(
            halved, f"the exponent with {DEEPEST} layers minus that with {DEPTHS[0]} is {signed(halved)}",
            more="Depth does not make it vanish more", less="The deeper, the less arrives",
            whether="less arrives in a deeper network",
        ),
        said(
            start, f"over {DEEPEST} ReLU layers, the exponent with He's start minus that with Glorot's is "
            f"{signed(start)}",
            more="He's start, which counts the half that ReLU cuts off, keeps more of the gradient",
            less="He's start keeps less of the gradient than Glorot's here",
            whether="He's start keeps more of the gradient than Glorot's",
        ),
        said(
            _unevenness(results, deep), f"over {DEEPEST} ReLU layers the exponent is {signed(shortcut)} with "
            f"shortcuts and {signed(normed)} with BatchNorm alone, where 0 is perfectly even",
            more="With shortcuts the gradient is less even over the layers than with BatchNorm alone",
            less="With shortcuts the gradient is more even over the layers than with BatchNorm alone",
            whether="shortcuts make the gradient more even over the layers than BatchNorm alone",
        ),
        said(
            learned, f"its training loss minus that of the plain network, both of {DEEPEST} layers, is "
            f"{signed(learned)} nats",
            more="The residual network learned less in these steps",
            less="The residual network learned more in the same steps",
            whether="the residual network learned more in these steps",
        ),
    )  # fmt: skip


def _unevenness(results: Results, measure: str) -> Estimate:
    """How much further from 0 the exponent is with shortcuts than with BatchNorm alone."""
    pairs = zip(results.values(RESIDUAL, measure), results.values(NORMED, measure), strict=True)
    return mean_interval([abs(one.value) - abs(other.value) for one, other in pairs])


GRADIENTS = Experiment(
    name="gradients",
    title="Where the gradient goes",
    question="Why do deep plain networks not learn?",
    topic="deep networks: vanishing gradients",
    minutes=6,
    seeds=3,
    version=1,
    arms=tuple(
        Arm(", ".join(one), f"dense layers of 32 units, {one[0]}, {_ABOUT[one[1]]}; weights by {one[2]}")
        for one in STRUCTURES
    ),
    papers=(
        Paper(
            "With sigmoids, the top layer's activations saturate at first and the gradient shrinks from "
            "layer to layer; an initial variance of 2 / (inputs + outputs) keeps it.",
            "Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward neural "
            "networks, sections 3 and 4",
        ),
        Paper(
            "ReLU halves the variance, so weights need a variance of 2 / inputs: a network of 30 layers "
            "then learns, and with Glorot's start it does not learn at all.",
            "He, Zhang, Ren & Sun 2015, Delving deep into rectifiers, section 2.2 and figure 3",
        ),
        Paper(
            "Plain networks with BatchNorm degrade although their gradients' norms are healthy.",
            "He, Zhang, Ren & Sun 2015, Deep residual learning for image recognition, section 4.1",
        ),
        Paper(
            "In networks with BatchNorm and without shortcuts, gradients at the start grow exponentially "
            "with depth.",
            "Yang, Pennington, Rao, Sohl-Dickstein & Schoenholz 2019, A mean field theory of batch "
            "normalization, abstract",
        ),
    ),
    prepare=prepare,
    figures=figures,
    findings=findings,
    next_steps=steps_of("gradients", Step("what shortcuts do to the blocks", "lab shortcuts")),
)
