"""The network's last stages as the first part of a detector that is trained: rows in, rows out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from regraft.errors import NetworkError
from regraft.networks.network import Network
from regraft.networks.stages import Stage
from regraft.records import MapLevel


class LastStages(nn.Module):
    """Rows of maps `(N, F)` whose coarsest map is computed from the next finer one, `(N, F) float32`.

    The finer map is in the cache, so that only the stages between the two are computed in training. All
    levels but the coarsest pass unchanged.

    Args:
        levels: where each map is in a row, the finest first; at least two.
        stages: the stages from the one after the finer map to that of the coarsest map.
    """

    def __init__(self, levels: Sequence[MapLevel], stages: Sequence[nn.Module]) -> None:
        super().__init__()
        self.finer, self.coarsest = levels[-2], levels[-1]
        self.stages = nn.Sequential(*stages)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        finer = self.finer
        cells = rows[:, finer.start : finer.stop].float()
        maps = cells.reshape(-1, finer.height, finer.width, finer.channels).permute(0, 3, 1, 2)
        own = self.stages(maps).permute(0, 2, 3, 1).flatten(1)
        return torch.cat([rows[:, : self.coarsest.start].float(), own.float()], dim=1)


def last_stages(network: Network, levels: Sequence[MapLevel]) -> Stage:
    """The stages between the two coarsest maps, as one part that shares the network's weights.

    Raises:
        NetworkError: there is only one map.
    """
    if len(levels) < 2:
        raise NetworkError(f"{network.name} has maps of one stride, so no stage lies between two of them")
    names = network.stage_names
    first, last = names.index(levels[-2].stage) + 1, names.index(levels[-1].stage)
    modules = [stage.module for stage in network.stages[first : last + 1]]
    name = names[last] if first == last else f"{names[first]}…{names[last]}"
    return Stage(name, LastStages(levels, modules))
