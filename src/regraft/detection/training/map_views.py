"""The batches of a training on cached maps: rows of the view that an epoch uses, and boxes that follow it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from regraft.detection.maps.cached_maps import CachedMaps, in_view
from regraft.detection.maps.scenes import Scene
from regraft.detection.training.targets import ViewTargets, padded
from regraft.progress import Reporter
from regraft.storage.rows import Rows
from regraft.training.loop.batches import Places

IGNORED = -2
_SEEN = 0.4  # the share of a box that must be seen in a zoomed picture for it to count


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
        views = [padded([view_rows(scene, view) for scene in self._scenes]) for view in self.views]
        return ViewTargets(views, lambda: self.current)


def view_rows(scene: Scene, view: int) -> npt.NDArray[Any]:
    """The true boxes in a view as rows of targets; those of which little is seen are ignored."""
    placement = in_view(scene.placement, scene.key, view)
    classes = np.where(scene.is_ignored, IGNORED, scene.classes).astype(np.float64)
    corners = placement.onto(scene.corners)
    if placement.window is not None:
        corners, shares = clipped(corners, placement.covered)
        classes[shares < _SEEN] = IGNORED
        classes, corners = classes[shares > 0], corners[shares > 0]
    return np.concatenate([classes[:, None], corners], axis=1)


def clipped(
    corners: npt.NDArray[np.float64], size: tuple[int, int]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Boxes without what is beyond a canvas of this width and height, and the share of each that is left.

    >>> clipped(np.array([[-5.0, 0, 5, 10], [100, 0, 110, 10]]), (96, 64))[1].tolist()
    [0.5, 0.0]
    """
    inside = np.clip(corners, 0, [*size, *size])
    whole, part = ((one[:, 2:] - one[:, :2]).prod(axis=1) for one in (corners, inside))
    return inside, part / np.maximum(whole, 1e-9)
