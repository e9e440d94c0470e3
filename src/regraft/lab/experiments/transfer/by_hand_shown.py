"""What the experiment `by-hand` shows and says."""

from __future__ import annotations

from regraft.lab.bench.subject import steps_of
from regraft.lab.experiments.transfer.by_hand import ACCURACY, ALL, COLOUR, HOG, LAST, LENET, WORDS, prepare
from regraft.lab.results.claims import best, compared
from regraft.lab.results.experiment import Arm, Experiment, Paper, Step
from regraft.lab.results.figures import Figure, interval_bars, share
from regraft.lab.results.results import Results
from regraft.records import Estimate

_WINNERS = (
    ("2010: NEC-UIUC, local descriptors and linear SVMs", 0.282),
    ("2011: XRCE, Fisher vectors", 0.258),
    ("2012: SuperVision (AlexNet), a network of 8 layers", 0.164),
    ("2013: Clarifai, a network of 8 layers", 0.117),
    ("2014: GoogLeNet, 22 layers", 0.067),
    ("2015: ResNet, 152 layers", 0.0357),
    ("2016: Trimps-Soushen, several networks together", 0.0299),
)


def figures(results: Results) -> tuple[Figure, ...]:
    """Accuracies here, and the winners of ILSVRC."""
    rows = [(arm, results.estimate(arm, ACCURACY)) for arm in results.arms]
    return (
        interval_bars("accuracy", "Test accuracy on the same images", "accuracy, %", rows),
        interval_bars(
            "timeline",
            "ImageNet's challenge: top-5 error of the winner, as published",
            "top-5 error, %",
            [(who, Estimate(value=error)) for who, error in _WINNERS],
            top=0.3,
            form=share,
            note="Not measured here. 2010 to 2014: Russakovsky et al. 2015, ImageNet large scale visual "
            "recognition challenge, section 5.1, entries without extra data; 2015: He et al. 2015, Deep "
            "residual learning, table 5; 2016: the challenge's page of results.",
        ),
    )


def findings(results: Results) -> tuple[str, ...]:
    """Whether features by hand are beaten, and by what."""
    by_hand = max((COLOUR, HOG, WORDS), key=lambda arm: results.estimate(arm, ACCURACY).value)
    return (
        best(results, (COLOUR, HOG, WORDS), ACCURACY, what="accuracy of those made by hand"),
        compared(
            results, (LENET, by_hand), ACCURACY,
            more="With these few images a small network that learns from nothing beats what was made by hand",
            less="With these few images what was made by hand beats a small network that learns from nothing",
            whether="a small network that learns from nothing beats what was made by hand with these few "
            "images",
        ),
        compared(
            results, (LAST, by_hand), ACCURACY,
            more="The last stage of the pretrained network beats what was made by hand",
            less="What was made by hand beats the last stage of the pretrained network",
            whether="the last stage of the pretrained network beats what was made by hand",
        ),
        compared(
            results, (ALL, LAST), ACCURACY,
            more="All stages of the pretrained network are better than its last one",
            less="All stages of the pretrained network are worse than its last one",
            whether="all stages of the pretrained network are better than its last one",
        ),
        best(results, results.arms, ACCURACY, what="accuracy"),
    )  # fmt: skip


BY_HAND = Experiment(
    name="by-hand",
    title="Before networks learned features",
    question="How were images classified before 2012, and how good was that?",
    topic="history: features made by hand",
    minutes=4,
    seeds=5,
    version=1,
    arms=(
        Arm(COLOUR, "how often each of 512 colours occurs"),
        Arm(HOG, "histograms of the directions of gradients, in cells"),
        Arm(WORDS, "SIFT descriptors at key points, counted by the nearest of 200 visual words"),
        Arm(LENET, "LeNet-5 learns from the same few images, at 32 x 32 pixels"),
        Arm(LAST, "mean activations of the last stage of a network that learned ImageNet"),
        Arm(ALL, "mean activations of all its stages together"),
    ),
    papers=(
        Paper(
            "SIFT words and linear SVMs, later Fisher vectors, won ILSVRC in 2010 and 2011 with top-5 "
            "errors of 28.2 % and 25.8 %; the network of 2012 had 16.4 %.",
            "Russakovsky et al. 2015, ImageNet large scale visual recognition challenge, section 5.1",
        ),
        Paper(
            "Activations of a network that learned ImageNet with a linear SVM beat carefully tuned "
            "systems on most tasks of recognition.",
            "Razavian, Azizpour, Sullivan & Carlsson 2014, CNN features off-the-shelf: an astounding "
            "baseline for recognition",
        ),
    ),
    prepare=prepare,
    figures=figures,
    findings=findings,
    next_steps=steps_of(
        "by-hand",
        Step(
            "the same with AlexNet, if its weights are on this machine or may be downloaded",
            "lab by-hand --network alexnet",
        ),
        Step("the same on your photographs", "lab by-hand --data photos/"),
    ),
)
