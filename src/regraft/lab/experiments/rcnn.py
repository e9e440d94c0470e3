"""From R-CNN to Faster R-CNN: what is shared, what it costs a picture, and what it finds."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from regraft.lab.experiments.rcnn_findings import findings
from regraft.lab.regions.arms import FAST, FASTER, RCNN
from regraft.lab.regions.subject import RECALLED, prepare
from regraft.lab.results.experiment import Arm, Choices, Experiment, Paper, Step
from regraft.lab.results.figures import Figure, interval_bars, share, stacked_bars
from regraft.lab.results.results import Results

_PARTS = ("proposals", "network", "heads")


def figures(results: Results) -> tuple[Figure, ...]:
    """The time a picture, what is found, and what the proposals reach."""
    time = stacked_bars(
        "time",
        "Processor seconds for a test picture",
        "s",
        [(arm, [results.estimate(arm, f"seconds, {part}") for part in _PARTS]) for arm in results.arms],
        _PARTS,
        note="The picture is in memory, already resized. Processor seconds count all cores together.",
    )
    found = interval_bars(
        "ap50",
        "What is found in test pictures",
        "AP50, %",
        [(arm, results.estimate(arm, "AP50")) for arm in results.arms],
        note="Average precision at an overlap (IoU) of .50, mean over classes.",
    )
    where = (("Selective search", RCNN), ("Grid on the maps", FASTER))
    recalls = interval_bars(
        "recall",
        "Objects that a proposal covers",
        "recall of proposals, %",
        [
            (f"{name}, {most} proposals", results.estimate(arm, f"recall of {most} proposals"))
            for name, arm in where
            for most in RECALLED
        ],
        note="Covered is an object whose overlap (IoU) with one of the first proposals is at least .50.",
        form=share,
    )
    return time, found, recalls


def next_steps(results: Results, choices: Choices, most_seeds: int | None) -> tuple[Step, ...]:
    """What to try next, with no more draws than the data has."""
    more = min(2 * len(results.seeds), most_seeds or 100)
    draws = Step("narrower intervals; what was measured is kept", choices.command("rcnn", seeds=more))
    own = Step("the same on your own pictures with boxes", "lab rcnn --data cells/")
    return (
        *((draws,) if more > len(results.seeds) else ()),
        *(() if choices.data else (own,)),
        Step(
            "a detector for use: its rung regions is a Fast R-CNN in closed form with a second pass, and "
            "its rung two-stage is a trained Faster R-CNN",
            shlex.join(["fit", choices.data or "cells/"]),
        ),
    )


def _papers() -> Sequence[Paper]:
    return (
        Paper(
            "R-CNN: about 2,000 regions of a picture, each warped to 227 x 227 pixels, pass through the "
            "network; proposals and features take 13 s a picture on a GPU and 53 s on a CPU. 53.7 % mAP on "
            "VOC 2010.",
            "Girshick, Donahue, Darrell & Malik 2014, Rich feature hierarchies for accurate object detection "
            "and semantic segmentation, sections 2.1, 2.2 and 4",
        ),
        Paper(
            "Fast R-CNN: one pass over the picture and pooling on its maps make the same network 146 times "
            "as fast at test time as R-CNN (213 times with a truncated SVD), proposals not counted; mAP on "
            "VOC 2012 66 % instead of 62 %.",
            "Girshick 2015, Fast R-CNN, section 1 and table 4",
        ),
        Paper(
            "Faster R-CNN: selective search takes 1.5 s of the 1.8 s that Fast R-CNN needs a picture; "
            "proposals from the shared maps take 10 ms, of 0.2 s in total, and 300 of them find more than "
            "2,000 of selective search: 69.9 % instead of 66.9 % mAP on VOC 2007.",
            "Ren, He, Girshick & Sun 2015, Faster R-CNN: towards real-time object detection with region "
            "proposal networks, tables 3 and 5 of the journal version (2017)",
        ),
    )


RCNN_EXPERIMENT = Experiment(
    name="rcnn",
    title="From R-CNN to Faster R-CNN",
    question="What did sharing the computation between regions save, and did it cost anything that is found?",
    topic="object detection: region proposals, shared maps, RoI pooling",
    minutes=4,
    seeds=5,
    version=1,
    arms=(
        Arm(RCNN, "proposals of selective search; each is warped and passes through the network alone"),
        Arm(FAST, "the same proposals, cut out of the maps of one pass over the picture"),
        Arm(
            FASTER,
            "proposals from these maps themselves: a grid in closed form instead of the RPN",
        ),
    ),
    papers=tuple(_papers()),
    prepare=prepare,
    figures=figures,
    findings=findings,
    next_steps=next_steps,
    quick_seeds=1,
)
