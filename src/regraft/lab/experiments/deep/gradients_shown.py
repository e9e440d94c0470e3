"""What the experiment `gradients` shows and says."""

from __future__ import annotations

from regraft.lab.bench.subject import steps_of
from regraft.lab.experiments.deep.gradients import DEPTHS, LOSS, RATIO, STRUCTURES, prepare
from regraft.lab.results.claims import said
from regraft.lab.results.curves import Curve, layers_by_step, shades
from regraft.lab.results.experiment import Arm, Experiment, Paper, Step
from regraft.lab.results.figures import Figure, signed
from regraft.lab.results.results import Results

DEEPEST = DEPTHS[-1]
SIGMOID, RELU_GLOROT = "sigmoid, plain, Glorot", "ReLU, plain, Glorot"
RELU_HE, NORMED, RESIDUAL = (f"ReLU, {kind}, He" for kind in ("plain", "BatchNorm", "residual"))
PROFILED = (SIGMOID, "ReLU, plain, small normal", RELU_GLOROT, RELU_HE, NORMED, RESIDUAL)
_RATIO_NOTE = (
    "log10 of the gradient's norm at the first layer over that at the last hidden layer, before the first "
    "step: -6 means a millionth, and 0 the same, or nothing at both. The darker, the further from 0."
)
_LOSS_NOTE = "Cross-entropy in nats; ten guessed classes have 2.30. The darker, the larger."
_ABOUT = {"plain": "nothing else", "BatchNorm": "BatchNorm before it", "residual": "BatchNorm and a shortcut"}


def figures(results: Results) -> tuple[Figure, ...]:
    """How much of the gradient reaches the first layer, layer by layer, and what was learned."""
    depths = [f"{depth} layers" for depth in DEPTHS]
    tables = [
        shades(
            name,
            title,
            depths,
            [(arm, [results.estimate(arm, f"{depth}, {what}") for depth in depths]) for arm in results.arms],
            note=note,
            strength=lambda one: abs(one) / 12,
        )
        for name, title, what, note in (
            ("ratio", "How much of the gradient reaches the first layer", RATIO, _RATIO_NOTE),
            ("loss", "Training loss after the last step", LOSS, _LOSS_NOTE),
        )
    ]
    steps = dict.fromkeys(one.split(", ")[1] for one in results.measures(SIGMOID) if ", step " in one)
    lines: dict[str, list[Curve]] = {
        step.removeprefix("step "): [
            (arm, results.series(arm, f"{DEEPEST} layers, {step}, layer ")) for arm in PROFILED
        ]
        for step in steps
    }
    profile = layers_by_step(
        "profile",
        f"The gradient at every layer of {DEEPEST}, while training",
        ("layer", "log10 of the gradient's norm"),
        lines,
        note="Move the slider through the training; step 1 has the weights of the start. Left is the image.",
    )
    maps = [
        shades(
            f"map-{name}",
            f"Layer against step: {arm}, {DEEPEST} layers",
            [f"layer {place:g}" for place, _ in lines["1"][PROFILED.index(arm)][1]],
            [(f"step {at}", [one for _, one in own[PROFILED.index(arm)][1]]) for at, own in lines.items()],
            note="log10 of the gradient's norm. The darker, the smaller.",
            strength=lambda one: abs(one) / 12,
        )
        for name, arm in (("sigmoid", SIGMOID), ("residual", RESIDUAL))
    ]
    return (profile, *tables, *maps)


def findings(results: Results) -> tuple[str, ...]:
    """What makes the gradient vanish, and what keeps it."""
    deep = f"{DEEPEST} layers, {RATIO}"
    vanished = results.estimate(SIGMOID, deep)
    halved = results.within(SIGMOID, deep, f"{DEPTHS[0]} layers, {RATIO}")
    start = results.difference(RELU_HE, RELU_GLOROT, deep)
    shortcut = results.difference(RESIDUAL, NORMED, deep)
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
            halved, f"the exponent differs by {signed(halved)} between {DEEPEST} and {DEPTHS[0]} layers",
            more="Depth does not make it vanish more", less="The deeper, the less arrives",
            whether="less arrives in a deeper network",
        ),
        said(
            start, f"the exponent is {signed(start)} higher than with Glorot's start, over {DEEPEST} ReLU "
            "layers",
            more="He's start, which counts the half that ReLU cuts off, keeps more of the gradient",
            less="He's start keeps less of the gradient than Glorot's here",
            whether="He's start keeps more of the gradient than Glorot's",
        ),
        said(
            shortcut, "the exponent of the residual network minus that of BatchNorm alone is "
            f"{signed(shortcut)}",
            more="Shortcuts let more of the gradient reach the first layer than BatchNorm alone",
            less="Shortcuts let less of the gradient reach the first layer than BatchNorm alone",
            whether="shortcuts change how the gradient is distributed",
        ),
        said(
            learned, f"a difference of {signed(learned)} nats in the training loss to the plain network of "
            f"{DEEPEST} layers",
            more="The residual network learned less in these steps",
            less="The residual network learned more in the same steps",
            whether="the residual network learned more in these steps",
        ),
    )  # fmt: skip


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
    ),
    prepare=prepare,
    figures=figures,
    findings=findings,
    next_steps=steps_of("gradients", Step("what shortcuts do to the blocks", "lab shortcuts")),
)
