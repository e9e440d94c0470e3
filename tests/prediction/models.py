"""Models made by hand, one for each link: a small network, and a head with random weights."""

from __future__ import annotations

import numpy as np

from regraft.features.pooling import layout_of
from regraft.heads.head import Head
from regraft.networks.network import load_network
from regraft.networks.weights.finding import find_weights
from regraft.prediction.model import Model
from regraft.records import HeadRecord, columns_of
from regraft.tasks.classification import Classification
from regraft.tasks.multilabel import Multilabel
from regraft.tasks.regression import Regression
from regraft.tasks.task import Task

TASKS: dict[str, Task] = {
    "softmax": Classification(outputs=("cat", "dog", "emu")),
    "sigmoid": Multilabel(outputs=("indoors", "heavy rain", "sun"), thresholds=(0.3, 0.5, 0.8)),
    "identity": Regression(half_width=25.0),
}
OFFSETS = {"softmax": 0.0, "sigmoid": 0.0, "identity": 3_000.0}


def model_of(link: str) -> Model:
    """LeNet-5 with random weights, and a head that reads its last stage."""
    task, weights = TASKS[link], find_weights("lenet5", weights="random")
    layout = layout_of(load_network(weights))
    columns = columns_of(layout, [layout[-1].stage])[:1]
    width, outputs = columns[0].stop - columns[0].start, len(task.outputs)
    draws = np.random.default_rng(0)
    arrays = {
        "mean": draws.normal(size=width) / 10,
        "scale": np.full(width, 8.0),
        "weights": draws.normal(size=(width, outputs)) * (40 if link == "identity" else 1),
        "intercepts": np.full(outputs, OFFSETS[link]),
    }
    kind = "ridge" if link == "identity" else "logistic"
    record = HeadRecord(kind=kind, columns=columns, hyperparameters={}, link=task.link)
    head = Head(record, {name: array.astype(np.float32) for name, array in arrays.items()})
    return Model(task, weights, head, layout, "fp32", ("random",))
