"""Sentences follow the result: whichever way it goes, they say so, and no more than the interval allows."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from regraft.lab.experiments.catalogue import EXPERIMENTS
from regraft.lab.results.claims import best, said
from regraft.records import Estimate
from tests.lab.examples import rows_of
from tests.lab.made import USUAL, made


@dataclass(frozen=True)
class Case:
    """A sentence that depends on one measure of one arm, compared with the usual value."""

    experiment: str
    place: int
    """Which sentence it is."""
    arm: str
    measure: str
    more: str
    """Its beginning if the arm has more."""
    less: str


CASES = [
    Case("depth", 0, "plain, 56 layers", "training error", "The degradation is there", "No degradation at "
    "this"),
    Case("depth", 1, "residual, 56 layers", "training error", "Shortcuts do not prevent", "With shortcuts, "
    "more"),
    Case("depth", 2, "plain, 56 layers", "test error", "Of 56 layers, those without shortcuts make more",
         "Of 56 layers, those without shortcuts make fewer"),
    Case("depth", 3, "residual, 56 layers", "test error", "Depth does not pay", "Depth pays"),
    Case("gradients", 2, "ReLU, plain, He", "56 layers, log10 of first over last layer's gradient",
         "He's start, which counts", "He's start keeps less"),
    Case("gradients", 4, "ReLU, residual, He", "56 layers, training loss",
         "The residual network learned less", "The residual network learned more"),
    Case("shortcuts", 0, "residual", "share at the start of block 1", "A residual block is no identity",
         "A residual block begins nearer"),
    Case("shortcuts", 1, "plain", "mean loss of accuracy by a removed block", "The plain network does not "
    "survive",
         "A removed block costs the plain network less"),
    Case("shortcuts", 2, "plain", "rise of the loss at distance 0.5", "The loss around the solution is "
    "flatter with ",
         "The loss around the solution is flatter without"),
    Case("initialisation", 0, "He", "accuracy", "Without BatchNorm, He's start beats", "Without BatchNorm, "
    "small random"),
    Case("initialisation", 1, "He, BatchNorm", "accuracy", "With BatchNorm, He's start still",
         "With BatchNorm, small random"),
    Case("initialisation", 2, "Gabor filters", "accuracy", "Hand-designed first filters help",
         "Hand-designed first filters hurt"),
    Case("initialisation", 3, "layer-wise", "accuracy", "Layer-wise pretraining on the same images helps",
         "Layer-wise pretraining on the same images hurts"),
    Case("regularisation", 1, "L1", "accuracy", "With L1, the network classifies new images better",
         "With L1, the network classifies new images worse"),
    Case("regularisation", 3, "dropout", "accuracy", "With dropout, the network classifies new images better",
         "With dropout, the network classifies new images worse"),
    Case("schedules", 0, "AdamW, too large, warm-up", "accuracy", "Warm-up rescues AdamW", "Warm-up makes "
    "AdamW"),
    Case("schedules", 1, "SGD, too large, warm-up", "accuracy", "Warm-up rescues SGD", "Warm-up makes SGD"),
    Case("schedules", 3, "cosine", "accuracy", "Letting the rate fall", "A constant rate beats"),
    Case("accumulation", 2, "4 x 64, statistics of batches", "accuracy",
         "The accumulated training classifies new images better", "The accumulated training classifies new "
         "images worse"),
    Case("accumulation", 3, "64 at once, statistics of batches", "accuracy", "Batches of 64 at the same "
    "rate do better",
         "Batches of 64 at the same rate do worse"),
    Case("bottleneck", 1, "bottleneck", "accuracy", "At equal cost, bottlenecks classify better",
         "At equal cost, bottlenecks classify worse"),
    Case("bottleneck", 2, "bottleneck", "time of an image", "Multiply-adds understate", "A bottleneck is "
    "faster"),
    Case("inception", 1, "inception", "accuracy", "At equal cost, filters of several sizes classify better",
         "At equal cost, filters of several sizes classify worse"),
    Case("depthwise", 1, "separable", "accuracy", "At equal multiply-adds, separable convolutions classify "
    "better",
         "At equal multiply-adds, separable convolutions classify worse"),
    Case("depthwise", 2, "separable", "time of an image", "Separable convolutions take longer",
         "Separable convolutions are faster"),
    Case("scaling", 0, "deeper", "accuracy", "Three times the multiply-adds pay when the network becomes "
    "deeper",
         "Three times the multiply-adds hurt when the network becomes deeper"),
    Case("hierarchy", 0, "directions of stripes", "accuracy, stage 1", "The first stage tells directions "
    "more",
         "The first stage tells things more"),
    Case("hierarchy", 1, "things in pictures", "accuracy, stage 3", "Things become readable",
         "Things become less readable"),
    Case("transferability", 0, "AnB", "accuracy, cut 5", "Frozen layers of the other task", "Features "
    "become specific"),
    Case("transferability", 1, "AnB", "accuracy, cut 1", "The first layer of the other task",
         "Even the first layer is specific"),
    Case("transferability", 3, "BnB", "accuracy, cut 3", "Retraining the upper layers", "Layers depend on "
    "each other"),
    Case("transferability", 4, "AnB+", "accuracy, cut 5", "Starting from the other task and training "
    "everything improves",
         "Starting from the other task and training everything is worse"),
    Case("forgetting", 0, "rate 0.1", "source accuracy", "Nothing is forgotten", "The source task is "
    "forgotten"),
    Case("forgetting", 1, "rate 0.001", "source accuracy", "A small rate forgets less", "A small rate "
    "forgets more"),
    Case("forgetting", 2, "L2-SP", "source accuracy", "L2-SP, at the same rate, keeps more",
         "L2-SP, at the same rate, keeps less"),
    Case("choosing", 0, "head on an early stage", "distance to the source, dissimilar",
         "The dissimilar target is further", "The dissimilar target is nearer"),
    Case("by-hand", 2, "pretrained, last stage", "accuracy", "The last stage of the pretrained network beats",
         "What was made by hand beats the last stage"),
    Case("transitive", 0, "direct", "accuracy", "The distant source helps", "Negative transfer"),
    Case("transitive", 1, "through a related task", "accuracy", "The related task on the way helps",
         "The related task on the way hurts"),
    Case("transitive", 3, "through a wrong task", "accuracy", "Even by the wrong way", "By the wrong way"),
]  # fmt: skip
NAMES = [f"accuracy, stage {number}" for number in (1, 2, 3)]


def sentence(case: Case, values: list[float]) -> str:
    results = made(case.experiment, {(case.arm, case.measure): values}, draws=len(values), names=NAMES)
    return EXPERIMENTS[case.experiment].findings(results)[case.place]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.experiment} {case.place}")
def test_a_clear_result_is_said_in_its_direction(case: Case) -> None:
    assert sentence(case, [0.7, 0.71, 0.72]).startswith(case.more)
    assert sentence(case, [0.3, 0.31, 0.32]).startswith(case.less)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.experiment} {case.place}")
def test_what_the_interval_leaves_open_is_called_undecided(case: Case) -> None:
    assert sentence(case, [0.2, USUAL, 0.9]).startswith("It is not decided whether")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.experiment} {case.place}")
def test_a_single_draw_decides_nothing(case: Case) -> None:
    assert sentence(case, [0.9]).startswith("A single draw can't decide whether")


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name != "rcnn"])
def test_every_experiment_has_a_question_arms_papers_and_sentences(name: str) -> None:
    one = EXPERIMENTS[name]
    assert one.question.endswith("?")
    assert len({arm.name for arm in one.arms}) == len(one.arms) >= 2
    assert one.papers
    assert one.seeds >= 3
    assert len(one.findings(made(name, {}, names=NAMES))) >= 3


def test_accumulation_is_exact_below_rounding_and_not_above() -> None:
    frozen, moving = "4 x 64, statistics frozen", "4 x 64, statistics of batches"
    apart = "distance of the weights to 256 at once"
    given = {(frozen, apart): [1e-7, 2e-7, 1e-7], (moving, apart): [0.1, 0.2, 0.1]}
    first, second, *_ = EXPERIMENTS["accumulation"].findings(made("accumulation", given))
    assert first.startswith("With frozen statistics, four accumulated batches of 64 are one of 256")
    assert second.startswith("With BatchNorm in training they are not")
    swapped = {(frozen, apart): [0.1, 0.2, 0.1], (moving, apart): [1e-7, 2e-7, 1e-7]}
    first, second, *_ = EXPERIMENTS["accumulation"].findings(made("accumulation", swapped))
    assert first.startswith("Even with frozen statistics")
    assert second.startswith("With BatchNorm in training they are the same")


def test_a_gradient_is_more_even_if_its_exponent_is_nearer_to_zero_on_either_side() -> None:
    ratio = "56 layers, log10 of first over last layer's gradient"
    residual, normed = ("ReLU, residual, He", ratio), ("ReLU, BatchNorm, He", ratio)
    grows = made("gradients", {residual: [1.2, 1.4, 1.3], normed: [4.5, 4.4, 4.6]})
    shrinks = made("gradients", {residual: [-1.2, -1.4, -1.3], normed: [4.5, 4.4, 4.6]})
    worse = made("gradients", {residual: [-5.2, -5.4, -5.3], normed: [4.5, 4.4, 4.6]})
    said = [EXPERIMENTS["gradients"].findings(one)[3] for one in (grows, shrinks, worse)]
    assert said[0].startswith("With shortcuts the gradient is more even")
    assert "the exponent is 1.30 [1.05, 1.55] with shortcuts and 4.50 [4.25, 4.75] with BatchNorm" in said[0]
    assert said[1].startswith("With shortcuts the gradient is more even")
    assert said[2].startswith("With shortcuts the gradient is less even")


def test_draws_that_learned_nothing_are_counted() -> None:
    lost = "share of draws that learned nothing"
    numbers = {"SGD, too large, no warm-up": [1.0, 0.0, 1.0], "SGD, too large, warm-up": [0.0] * 3}
    numbers |= {"AdamW, too large, no warm-up": [1.0] * 3, "AdamW, too large, warm-up": [0.0, 0.0, 1.0]}
    given = {(arm, lost): draws for arm, draws in numbers.items()}
    said = EXPERIMENTS["schedules"].findings(made("schedules", given))[2]
    assert "Of 3 draws, nothing was learned in 2 with SGD at a rate of 0.2, in 0 with warm-up" in said
    assert "in 3 with AdamW at 0.04, in 1 with warm-up" in said


def test_the_textbook_is_wrong_only_where_another_strategy_is_better_for_certain() -> None:
    cell = "accuracy, small, similar"
    wrong = made("choosing", {("from scratch", cell): [0.8, 0.81, 0.82]})
    unsure = made("choosing", {("from scratch", cell): [0.3, 0.6, 0.9]})
    right = made("choosing", {("head on the last stage", cell): [0.8, 0.81, 0.82]})
    said = [EXPERIMENTS["choosing"].findings(one)[1] for one in (wrong, unsure, right)]
    assert said[0].startswith("Small, similar: the textbook's table is wrong here: from scratch has 81.0")
    assert said[1].startswith(
        "It is not decided whether the textbook's table is wrong where data is small and"
    )
    assert said[2].startswith(
        "Small, similar: the textbook's choice, head on the last stage, has the highest mean"
    )
    assert "+31.0 points [+28.5, +33.5] above the next" in said[2]


def test_the_best_is_named_only_if_it_can_be_told_from_the_next() -> None:
    clear = rows_of({"a": {"m": [0.9, 0.91]}, "b": {"m": [0.5, 0.51]}, "c": {"m": [0.1, 0.2]}})
    close = rows_of({"a": {"m": [0.9, 0.5]}, "b": {"m": [0.5, 0.8]}})
    assert best(clear, ["c", "b", "a"], "m", what="score").startswith("The highest score is that of a: 90.5")
    assert best(close, ["a", "b"], "m", what="score").startswith(
        "It is not decided what has the highest score: the first is a with"
    )


def test_a_reference_other_than_zero_is_compared_with() -> None:
    words = {"more": "More", "less": "Less", "whether": "it is"}
    assert said(Estimate(value=0.6, low=0.55, high=0.7), "x", reference=0.5, **words) == "More: x."
    assert said(Estimate(value=0.6, low=0.55, high=0.7), "x", reference=0.8, **words) == "Less: x."
