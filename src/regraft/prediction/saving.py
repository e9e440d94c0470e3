"""A model written as a folder with `bundle.json`, `network.safetensors` and `head.safetensors`.

A soft vote has further heads (`head-2.safetensors`, ...) and, if its voters use several, further networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from regraft.data.pictures.loading import LOADER_VERSION
from regraft.prediction.records import BundleRecord, VoterRecord
from regraft.prediction.voter import Voter
from regraft.records import Precision
from regraft.storage.files import copy_atomically, sha256_of, sha256_of_file, write_atomically, write_json
from regraft.tasks.classification import Classification
from regraft.tasks.task import Task
from regraft.version import VERSION

RECORD = "bundle.json"
NETWORKS = ("network.safetensors", "network-2.safetensors", "network-3.safetensors")
HEADS = ("head.safetensors", "head-2.safetensors", "head-3.safetensors", "head-4.safetensors")
BUNDLE_FILES = (RECORD, *NETWORKS, *HEADS)
"""The names of all files that a bundle can have."""


def save_bundle(
    voters: Sequence[Voter],
    folder: Path,
    *,
    task: Task,
    fitted_precision: Precision,
    lineage: tuple[str, ...],
) -> Path:
    """Write a model; each file is complete or absent, and the record, written last, lists their hashes.

    Args:
        voters: the model's own network and head first, then those that vote with it.
        folder: where the files go.
        task: what the outputs mean; left out of the record if the names of classes say all about it.
        fitted_precision: precision of the features that the heads were fitted on.
        lineage: the origin of the weights and every training since.
    """
    own = voters[0]
    files: dict[str, str] = {}
    for name, voter in zip(HEADS, voters, strict=False):
        arrays = {key: np.ascontiguousarray(array) for key, array in voter.head.arrays.items()}
        data = safetensors.numpy.save(arrays)
        write_atomically(folder / name, data)
        files[name] = sha256_of(data)
    networks = list({voter.weights.sha256: voter.weights for voter in voters}.values())
    places = {}
    for name, weights in zip(NETWORKS, networks, strict=False):
        if not _same(folder / name, weights.path):
            copy_atomically(weights.path, folder / name)
        files[name] = sha256_of_file(folder / name)
        places[weights.sha256] = name
    record = BundleRecord(
        regraft_version=VERSION,
        labels=task.outputs,
        task=None if isinstance(task, Classification) and task.is_plain else task,
        network=own.weights.network,
        recipe=own.weights.recipe,
        input_spec=own.weights.input_spec,
        loader_version=LOADER_VERSION,
        weights=own.weights.source,
        head=own.head.record,
        layout=own.layout,
        fitted_precision=fitted_precision,
        lineage=lineage,
        others=tuple(_voter_record(voter, places[voter.weights.sha256]) for voter in voters[1:]),
        files=dict(sorted(files.items())),
    )
    write_json(folder / RECORD, record.model_dump(mode="json"))
    for name in {*HEADS, *NETWORKS} - set(files):  # left by an earlier model in this folder
        (folder / name).unlink(missing_ok=True)
    return folder


def _voter_record(voter: Voter, place: str) -> VoterRecord:
    weights = voter.weights
    return VoterRecord.model_validate(
        {
            "network": weights.network,
            "recipe": weights.recipe,
            "input_spec": weights.input_spec,
            "weights": weights.source,
            "head": voter.head.record,
            "layout": voter.layout,
            "network_file": place,
        }
    )


def _same(one: Path, other: Path) -> bool:
    return one.exists() and sha256_of_file(one) == sha256_of_file(other)
