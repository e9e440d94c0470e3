"""A whole model as one differentiable torch module, from pixels to outputs.

Explanations need its gradients, and export traces it; prediction computes the heads with numpy instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np
import torch
from torch import nn

from regraft.features.pooling import mean_over_views, normalisation, summarise, with_views
from regraft.heads.head import Head
from regraft.networks.network import Network, load_network
from regraft.prediction.model import Model
from regraft.records import Column, Link

DECIDE: Mapping[Link, Callable[[torch.Tensor], torch.Tensor]] = {
    "softmax": lambda scores: torch.softmax(scores, dim=1),
    "sigmoid": torch.sigmoid,
    "identity": lambda scores: scores,
}
"""By link, what turns scores `(N, K)` into outputs, as in `heads.head`."""


class ModelGraph(nn.Module):
    """Everything that a model computes after an image is decoded.

    Input `(N, H, W, C) uint8` at the network's input size, output `(N, K) float32`, as `Model.predict`.
    Voters that read the same network share its forward pass; stages that no head reads are left out.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        shared: dict[str, list[Head]] = {}
        weights = {voter.weights.sha256: voter.weights for voter in model.voters}
        for voter in model.voters:
            shared.setdefault(voter.weights.sha256, []).append(voter.head)
        self.parts = nn.ModuleList(
            [NetworkPart(load_network(weights[sha256]), heads) for sha256, heads in shared.items()]
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return mean_vote([vote for part in self.parts for vote in part(images)])

    @property
    def networks(self) -> list[NetworkPart]:
        """Each network with the heads that read it; the network of the model's own head comes first."""
        return [part for part in self.parts if isinstance(part, NetworkPart)]

    @property
    def first(self) -> NetworkPart:
        """The network of the model's own head, and the heads that read it."""
        return self.networks[0]


def mean_vote(votes: Sequence[torch.Tensor]) -> torch.Tensor:
    """The voters' mean outputs, `(N, K)`."""
    return torch.stack(list(votes)).mean(dim=0) if len(votes) > 1 else votes[0]


class Trunk(nn.Module):
    """The first stages of a network, preceded by its normalisation."""

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, network: Network, count: int | None = None) -> None:
        super().__init__()
        self.names = network.stage_names[:count]
        self.stages = nn.ModuleList([stage.module for stage in network.stages[:count]])
        for name, values in normalisation(network.input_spec).items():
            self.register_buffer(name, values)

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised images `(N, C, H, W) float32`, as the network expects, from `(N, H, W, C) uint8`."""
        return images.permute(0, 3, 1, 2).to(self.scale.dtype) * self.scale + self.shift

    def after(self, stage: str, images: torch.Tensor) -> torch.Tensor:
        """The activation of normalised images after a stage."""
        for name, module in zip(self.names, self.stages, strict=True):
            images = module(images)
            if name == stage:
                break
        return images


class NetworkPart(Trunk):
    """One network, up to the last stage that its heads read, and those heads."""

    def __init__(self, network: Network, heads: Sequence[Head]) -> None:
        read = {column.stage for head in heads for column in head.record.columns}
        last = max(place for place, name in enumerate(network.stage_names) if name in read)
        super().__init__(network, last + 1)
        self.read, self.average = read, network.input_spec.average
        self.heads = nn.ModuleList([HeadGraph(head) for head in heads])
        self.columns = [head.record.columns for head in heads]
        self.links = [head.record.link for head in heads]

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        return self.votes(self.seen(images))

    def seen(self, images: torch.Tensor) -> dict[tuple[str, str], torch.Tensor]:
        """Features of pixels `(N, H, W, C) uint8`, averaged over the views that the input asks for."""
        found = self.features(self.normalised(with_views(images, self.average)))
        return {name: mean_over_views(part, self.average) for name, part in found.items()}

    def features(self, value: torch.Tensor) -> dict[tuple[str, str], torch.Tensor]:
        """Features `(N, width)` of normalised images, by stage and statistic."""
        found: dict[tuple[str, str], torch.Tensor] = {}
        for name, stage in zip(self.names, self.stages, strict=True):
            value = stage(value)
            if name in self.read:
                found |= {(name, statistic): part for statistic, part in summarise(value)}
        return found

    def votes(self, features: dict[tuple[str, str], torch.Tensor]) -> list[torch.Tensor]:
        """The outputs of each head."""
        return [DECIDE[link](one) for link, one in zip(self.links, self.scores(features), strict=True)]

    def scores(self, features: dict[tuple[str, str], torch.Tensor]) -> list[torch.Tensor]:
        """The scores `(N, K)` of each head, over its temperature, before its link."""
        return [
            head(torch.cat([features[_name(column)] for column in columns], dim=1))
            for head, columns in zip(self.heads, self.columns, strict=True)
        ]


def _name(column: Column) -> tuple[str, str]:
    return column.stage, column.statistic


class HeadGraph(nn.Module):
    """A head as a torch module, from rows `(N, D)` to scores over the temperature `(N, K)`, as in `Head`."""

    mean: torch.Tensor
    scale: torch.Tensor
    vectors: torch.Tensor
    weights: torch.Tensor
    intercepts: torch.Tensor
    centroids: torch.Tensor
    map: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.kind = head.record.kind
        self.heat = head.record.temperature
        self.gamma = head.record.hyperparameters.get("gamma", 0.0)
        arrays = {name: np.asarray(array, dtype=np.float64) for name, array in head.arrays.items()}
        if "vectors" in arrays:
            arrays["vectors"] = (arrays["vectors"] - arrays["mean"]) * arrays["scale"]
        self.is_vote, self.is_mapped = "counts" in arrays, "map" in arrays
        if self.is_vote:
            counts = arrays.pop("counts").astype(int).tolist()
            self.blocks = [(sum(counts[:place]), count) for place, count in enumerate(counts)]
            pairs = list(combinations(range(len(counts)), 2))
            self.register_buffer("first", torch.tensor([pair[0] for pair in pairs]))
            self.register_buffer("second", torch.tensor([pair[1] for pair in pairs]))
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(array.astype(np.float32)))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self._scores((rows - self.mean) * self.scale) / self.heat

    def _scores(self, rows: torch.Tensor) -> torch.Tensor:
        if self.kind == "centroid":
            return -0.5 * _squared_distances(rows, self.centroids)
        if self.kind == "rbf-svm":
            kernel = torch.exp(-self.gamma * _squared_distances(rows, self.vectors))
            if self.is_vote:
                return self._vote(kernel)
            rows = kernel @ self.map if self.is_mapped else kernel
        return rows @ self.weights + self.intercepts

    def _vote(self, kernel: torch.Tensor) -> torch.Tensor:
        """One-against-one voting as in `heads.vote` and `heads.lag`, for all pairs at once."""
        dual = self.get_buffer("dual")
        blocks = torch.stack(
            [kernel[:, start : start + n] @ dual[:, start : start + n].T for start, n in self.blocks], dim=1
        )
        classes = len(self.blocks)
        decision = blocks[:, self.first, self.second - 1] + blocks[:, self.second, self.first]
        decision = decision + self.intercepts
        if classes == 2:
            return torch.cat([decision, -decision], dim=1) / 2
        is_first = torch.nn.functional.one_hot(self.first, classes).to(decision.dtype)
        is_second = torch.nn.functional.one_hot(self.second, classes).to(decision.dtype)
        won = (decision >= 0).to(decision.dtype)
        votes = won @ is_first + (1 - won) @ is_second
        margins = decision @ (is_first - is_second)
        votes = votes + margins / (3 * (margins.abs() + 1))
        return -torch.log1p(votes.amax(dim=1, keepdim=True) - votes)


def _squared_distances(rows: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Squared Euclidean distances between rows, `(N, M)`."""
    products = (rows * rows).sum(dim=1, keepdim=True) - 2 * rows @ others.T + (others * others).sum(dim=1)
    return products.clamp_min(0)
