"""Write src/regraft/networks/weights/carried_tensors.json: where each tensor is in distributions' files.

The files are PyTorch checkpoints under other names of tensors, in the order of timm's; every pair must have
the same shape and the same last part of the name (`weight`, `running_mean`, ...).

Run, where the distributions of `CARRIED` are installed: python scripts/build_carried_tensors.py
"""

from __future__ import annotations

import json
from pathlib import Path

import timm
import torch

from regraft.networks.weights.distributions import CARRIED, TENSORS, Place, installed
from regraft.storage.files import sha256_of_file, write_atomically


def places_of(network: str, file: Path) -> dict[str, Place]:
    """The place of each of the network's tensors in a checkpoint."""
    found = torch.load(file, map_location="cpu", weights_only=True)
    with torch.device("meta"):
        own = timm.create_model(network).state_dict()
    data = file.read_bytes()
    places = {}
    for (name, expected), (theirs, value) in zip(own.items(), found.items(), strict=True):
        if expected.shape != value.shape or name.rpartition(".")[2] != theirs.rpartition(".")[2]:
            raise SystemExit(f"{file}: {theirs} {tuple(value.shape)} is not {name} {tuple(expected.shape)}")
        stored = torch.as_strided(value, (value.numel(),), (1,)).numpy()  # as in the file: without gaps
        offset = data.index(stored.tobytes())
        strides = tuple(stride * stored.itemsize for stride in value.stride())
        places[name] = Place(stored.dtype.str, offset, tuple(value.shape), strides)
    return places


def main() -> None:
    table = {}
    for network, carried in CARRIED.items():
        found = installed(network)
        if found is None or sha256_of_file(found.path) != carried.sha256:
            raise SystemExit(f"first: pip install {carried.distribution}")
        table[network] = places_of(network, found.path)
    lines = [
        f" {json.dumps(network)}: {{\n"
        + ",\n".join(f"  {json.dumps(name)}: {json.dumps(place)}" for name, place in places.items())
        + "\n }"
        for network, places in table.items()
    ]
    write_atomically(TENSORS, ("{\n" + ",\n".join(lines) + "\n}\n").encode())
    print(f"wrote {TENSORS}")


if __name__ == "__main__":
    main()
