"""What the experiment `hierarchy` shows and says."""

from __future__ import annotations

from regraft.lab.bench.subject import steps_of
from regraft.lab.experiments.transfer.hierarchy import EDGES, THINGS, more, prepare
from regraft.lab.results.claims import said
from regraft.lab.results.curves import curves
from regraft.lab.results.experiment import Arm, Experiment, Paper, Step
from regraft.lab.results.figures import Figure, share
from regraft.lab.results.results import Results
from regraft.lab.results.verdicts import points


def figures(results: Results) -> tuple[Figure, ...]:
    """What can be read off each stage."""
    lines = [(arm, results.series(arm, "accuracy, stage ")) for arm in results.arms]
    return (
        curves(
            "stages",
            "What a linear classifier reads off the mean activations of each stage",
            ("stage, from the image", "test accuracy, %"),
            lines,
            times=100.0,
            y_range=(0.0, 100.0),
            note="Means over positions: where something is in the picture is not to be read off.",
        ),
    )


def findings(results: Results) -> tuple[str, ...]:
    """Whether simple properties come early and things come late."""
    marks = results.measures(EDGES)
    first, last = marks[0], marks[-1]
    best = max(marks, key=lambda mark: results.estimate(THINGS, mark).value)
    edges, things = results.within(EDGES, last, first), results.within(THINGS, last, first)
    early, late = (results.estimate(one, first) for one in (EDGES, THINGS))
    gap = results.difference(EDGES, THINGS, first)
    return (
        said(
            gap, f"{share(early)} % of the {EDGES} and {share(late)} % of the {THINGS} are read off rightly, "
            f"a difference of {points(gap)}",
            more="The first stage tells directions more reliably than things",
            less="The first stage tells things more reliably than directions",
            whether="the first stage tells directions more reliably than things",
        ),
        said(
            things, f"from the first stage to the last, the accuracy on {THINGS} changes by {points(things)}",
            more="Things become readable with depth", less="Things become less readable with depth",
            whether="things become readable with depth",
        ),
        said(
            edges, f"from the first stage to the last, the accuracy on {EDGES} changes by {points(edges)}",
            more="Directions are read off the last stage better than off the first",
            less="Directions fade with depth: what is not needed to name things is lost",
            whether="directions fade with depth",
        ),
        f"The {THINGS} are read off best at {best.split(', ')[-1]} of {len(marks)}, by the mean over the "
        "draws.",
    )  # fmt: skip


HIERARCHY = Experiment(
    name="hierarchy",
    title="From edges to parts",
    question="What do the layers of a network see?",
    topic="transfer: the hierarchy of features",
    minutes=3,
    seeds=5,
    version=1,
    arms=(
        Arm(EDGES, "eight directions of stripes of any width and phase: a property of edges"),
        Arm(
            THINGS,
            "ten digits of any size at any place, or your own images: things that are made of edges",
        ),
    ),
    papers=(
        Paper(
            "Layer 1 responds to edges and colours, layer 2 to corners, layer 3 to textures, layers 4 "
            "and 5 to parts and whole objects, as deconvolution shows.",
            "Zeiler & Fergus 2014, Visualizing and understanding convolutional networks, figure 2",
        ),
        Paper(
            "Images made by gradient ascent show what a unit or class responds to.",
            "Simonyan, Vedaldi & Zisserman 2014, Deep inside convolutional networks, section 2",
        ),
        Paper(
            "Linear classifiers on the layers of a trained network become better with every layer.",
            "Alain & Bengio 2016, Understanding intermediate layers using linear classifier probes, "
            "section 3",
        ),
    ),
    prepare=prepare,
    figures=figures,
    findings=findings,
    next_steps=steps_of(
        "hierarchy",
        Step("filters, patches and made images of a network that you have fitted", "visualize runs/photos"),
        Step("shapes, channels and costs of the network's stages", "zoo show tf_efficientnet_lite0"),
    ),
    more=more,
)
