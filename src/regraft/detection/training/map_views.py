"""The batches of a training on cached maps: rows of the view that an epoch uses, and boxes that follow it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from regraft.detection.maps.cached_maps import MIRRORED, CachedMaps
from regraft.detection.maps.scenes import Scene
from regraft.detection.training.targets import ViewTargets, padded
from regraft.progress import Reporter
from regraft.storage.rows import Rows
from regraft.training.loop.batches import Places

IGNORED = -2


class MapViews:
    """A source of the loop: maps of pictures, whose views are used in turn.

    Args:
        maps: the maps in the cache; those of a view are computed when an epoch first needs them.
        scenes: the pictures, in the order of their places.
        views: the views, in the order in which epochs use them.
        device: where batches go.
    """

    def __init__(
        self, maps: CachedMaps, scenes: Sequence[Scene], views: Sequence[int], device: torch.device
    ) -> None:
        self._maps, self._scenes, self.views, self._device = maps, tuple(scenes), tuple(views), device
        self._keys = [scene.key for scene in scenes]
        self._rows: dict[int, Rows] = {}
        self.current = 0
        """The place of the view that is used now, among the views."""

    def __len__(self) -> int:
        return len(self._keys)

    def begin(self, epoch: int, reporter: Reporter) -> None:
        """Choose the view of an epoch, and compute its maps if they are not there."""
        self.current = epoch % len(self.views)
        view = self.views[self.current]
        if view not in self._rows:
            self._rows[view] = self._maps.rows(self._keys, view, reporter=reporter)

    def fetch(self, places: Places) -> torch.Tensor:
        """Rows of maps, `(N, F) float16`."""
        rows = self._rows[self.views[self.current]]
        return torch.from_numpy(rows.gather([self._keys[place] for place in places]))

    def prepare(self, raw: torch.Tensor, places: Places) -> torch.Tensor:
        """The same rows on the device; the detector standardises them."""
        del places
        return raw.to(self._device)

    def targets(self) -> ViewTargets:
        """The true boxes in the view that is used."""
        views = [
            padded([_rows(scene, is_mirrored=view == MIRRORED) for scene in self._scenes])
            for view in self.views
        ]
        return ViewTargets(views, lambda: self.current)


def _rows(scene: Scene, *, is_mirrored: bool) -> npt.NDArray[Any]:
    placement = replace(scene.placement, is_mirrored=is_mirrored)
    classes = np.where(scene.is_ignored, IGNORED, scene.classes).astype(np.float64)
    return np.concatenate([classes[:, None], placement.onto(scene.corners)], axis=1)
