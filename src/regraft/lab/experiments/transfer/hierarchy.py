"""What layers see: filters, patches and made images, and what can be read off each stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from regraft.data.findings.image_set import Images
from regraft.features.extraction import Features
from regraft.features.opening import Compute
from regraft.lab.bench.pictures import write_digit_pictures, write_gratings
from regraft.lab.bench.reading import read_off
from regraft.lab.bench.sets import content_of, some_of_each
from regraft.lab.bench.subject import value
from regraft.lab.results.experiment import Choices, Extra
from regraft.lab.results.rows import Value
from regraft.networks.adaptation import adapted
from regraft.networks.weights.finding import Weights, find_weights
from regraft.progress import Reporter, Silent
from regraft.randomness import generator
from regraft.records import Granularity, columns_of, stages_of
from regraft.reports.features_page import write_features
from regraft.storage.files import key_of, write_atomically
from regraft.storage.places import cache_folder
from regraft.version import VERSION
from regraft.workflow.check import load_images
from regraft.workflow.fit import fit

EDGES, THINGS = "directions of stripes", "things in pictures"
INPUT_PX = 96
GRANULARITY: Granularity = "coarse"
_ORIENTATIONS = 8


@dataclass
class Seen:
    """The subject: pictures of two kinds, and a network whose stages are read off."""

    pictures: dict[str, Images]
    weights: Weights
    choices: Choices
    per_class: int
    about: str
    facts: Mapping[str, Any]
    most_seeds: int | None = None
    _known: dict[str, Features] = field(default_factory=dict, repr=False)

    def measure(self, arm: str, seed: int, reporter: Reporter) -> tuple[Value, ...]:
        """How well a linear classifier on the mean activations of each stage reads off the classes."""
        images = self.pictures[arm]
        if arm not in self._known:
            self._known[arm] = Compute(self.choices.runtime).features(images, self.weights, reporter)
        found = self._known[arm]
        keys = [item.sha256 for item in images.items]
        labels = np.array([images.labels.index(str(item.label)) for item in images.items])
        order = generator(seed, "hierarchy").permutation(len(labels))
        train = np.concatenate([order[labels[order] == one][: self.per_class] for one in np.unique(labels)])
        test = np.setdiff1d(np.arange(len(labels)), train)
        values = []
        for number, stage in enumerate(stages_of(found.layout), 1):
            rows = found.matrix(keys, columns_of(found.layout, [stage]))
            values.append(value(f"accuracy, stage {number}", read_off(rows, labels, train, test)))
        return tuple(values)


def prepare(choices: Choices, reporter: Reporter) -> Seen:
    """Stripes and digits, written once, or the user's images instead of the digits; and the network."""
    per_class, stripes = (12, 200) if choices.is_quick else (30, 480)
    folder = cache_folder() / "lab" / f"gratings-{stripes}"
    write_gratings(folder, orientations=_ORIENTATIONS, images=stripes)
    pictures = {EDGES: load_images(folder, reporter=Silent()), THINGS: _things(choices, reporter)}
    found = find_weights(choices.network, weights=choices.weights, reporter=reporter)
    weights = adapted(found, size_px=INPUT_PX)
    weights = replace(weights, recipe=weights.recipe.model_copy(update={"stages": GRANULARITY}))
    facts: dict[str, Any] = {
        "stripes": stripes, "images": len(pictures[THINGS]), "content": content_of(pictures[THINGS]),
        "training images of a class": per_class, "network": choices.network, "weights": weights.source.sha256,
        "input": INPUT_PX, "stages": GRANULARITY, "runtime": choices.runtime,
    }  # fmt: skip
    about = (
        f"{stripes} drawn gratings of {_ORIENTATIONS} directions; and "
        f"{choices.data or 'digits at random places'}, {len(pictures[THINGS])} pictures; "
        f"{choices.network} at {INPUT_PX} pixels"
    )
    return Seen(pictures, weights, choices, per_class, about, facts)


def _things(choices: Choices, reporter: Reporter) -> Images:
    """The user's images, or the digits."""
    root = Path(choices.data) if choices.data else cache_folder() / "lab" / "digits"
    if choices.data is None:
        write_digit_pictures(root)
    most, least = (25, 14) if choices.is_quick else (100, 32)
    return some_of_each(load_images(root, reporter=reporter), most=most, least=least)


def more(choices: Choices, folder: Path, reporter: Reporter) -> Sequence[Extra]:
    """The page of filters, exciting patches, deconvolutions and made images, kept for the same pictures."""
    units, steps = (3, 12) if choices.is_quick else (6, 48)
    things = _things(choices, reporter)
    weights = find_weights(choices.network, weights=choices.weights, reporter=reporter).source.sha256
    facts = [content_of(things), choices.network, weights, INPUT_PX, GRANULARITY, units, steps, VERSION]
    kept = cache_folder() / "lab" / f"features-{key_of(facts)[:24]}.html"
    if not kept.exists():
        run = cache_folder() / "lab" / "hierarchy"
        fit(
            things, network=choices.network, weights=choices.weights, image_size=INPUT_PX,
            stages=GRANULARITY, strategy="probe", runtime=choices.runtime, out=run, overwrite=True,
        )  # fmt: skip
        write_features(run, out=kept, units=units, steps=steps, reporter=reporter)
    write_atomically(folder / "features.html", kept.read_bytes())
    about = "filters of the first layer, patches that excite units, deconvolutions and images made for units"
    return (Extra("features.html", about),)
