"""Features made by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from regraft.features.extraction import Features
from regraft.heads.rows import TrainingRows
from regraft.records import Column
from regraft.storage.rows import RowStore
from regraft.tasks.classification import Classification


def keys_of(count: int) -> tuple[str, ...]:
    return tuple(hashlib.sha256(number.to_bytes(4)).hexdigest() for number in range(count))


def features_of(folder: Path, matrix: npt.NDArray[np.float64], layout: Sequence[Column]) -> Features:
    keys = keys_of(len(matrix))
    table = dict(zip(keys, matrix.astype(np.float16), strict=True))
    store = RowStore(folder, width=matrix.shape[1], dtype=np.float16, facts={})
    return Features(store.ensure(keys, lambda asked: [(key, table[key]) for key in asked]), tuple(layout), ())


def rows_of(
    folder: Path, matrix: npt.NDArray[np.float64], labels: npt.NDArray[np.int64], layout: Sequence[Column]
) -> TrainingRows:
    features, keys = features_of(folder, matrix, layout), keys_of(len(matrix))
    return TrainingRows(
        features, keys, labels, keys, Classification(outputs=tuple(map(str, range(int(labels.max()) + 1))))
    )


def one_stage(width: int, name: str = "stage") -> tuple[Column, ...]:
    return (Column(stage=name, statistic="mean", start=0, stop=width),)
