"""The figures of the experiment `gradients`."""

from __future__ import annotations

from regraft.lab.experiments.deep.gradients import DEPTHS, LOSS, RATIO
from regraft.lab.results.curves import Curve, layers_by_step, shades
from regraft.lab.results.figures import Figure
from regraft.lab.results.results import Results

DEEPEST = DEPTHS[-1]
SIGMOID, RELU_GLOROT = "sigmoid, plain, Glorot", "ReLU, plain, Glorot"
RELU_HE, NORMED, RESIDUAL = (f"ReLU, {kind}, He" for kind in ("plain", "BatchNorm", "residual"))
PROFILED = (SIGMOID, "ReLU, plain, small normal", RELU_GLOROT, RELU_HE, NORMED, RESIDUAL)
_RATIO_NOTE = (
    "log10 of the gradient's norm at the first layer over that at the last hidden layer, before the first "
    "step: -6 means a millionth, and 0 the same, or nothing at both. Norms below 1e-30 count as 1e-30. The "
    "darker, the further from 0."
)
_LOSS_NOTE = "Cross-entropy in nats; ten guessed classes have 2.30. The darker, the larger."


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
