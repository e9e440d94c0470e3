"""Views of images as batches: activations that are kept on disk, or images decoded when needed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from regraft.data.pictures.views import distorted
from regraft.errors import DataError
from regraft.features.activations import Activations
from regraft.features.pooling import normalisation
from regraft.machine.processor import count_cores
from regraft.parallel import in_order
from regraft.progress import Reporter
from regraft.storage.rows import Rows
from regraft.training.loop.batches import Places
from regraft.training.loop.tail import autocast

_CHUNK = 64


class ViewSource:
    """Views of images: their activations are read from the cache, or computed batch by batch.

    Args:
        activations: the images with their views and cached activations.
        keys: SHA-256 of each image, in the order of their places.
        shape: shape of the tail's input for one image, channels first.
        prefix: the frozen stages in torch, for batches that are not kept; None at cut 0.
        device: the device of the tail.
        precision: precision of the prefix in torch.
        views: number of views to cycle through; 0 for a new view in each epoch.
        kept_views: number of views that are kept on disk; 0 to compute every batch when it is needed.
        workers: number of threads that decode the images of a batch; None means one for each core.
    """

    def __init__(
        self,
        activations: Activations,
        keys: Sequence[str],
        *,
        shape: tuple[int, ...],
        prefix: nn.Module | None,
        device: torch.device,
        precision: str,
        views: int,
        kept_views: int,
        workers: int | None = None,
    ) -> None:
        self._workers = workers or count_cores()
        self._activations, self._keys, self.shape = activations, list(keys), shape
        self._prefix, self._device, self._precision = prefix, device, precision
        self._views, self._kept = views, kept_views
        self._holds_pixels = kept_views == 0 or activations.runtime is None
        spec = activations.spec
        self._norm = {name: value.to(device) for name, value in normalisation(spec).items()}
        self._view = 0
        self._rows: Rows | None = None
        self._open: list[int] = []

    def __len__(self) -> int:
        return len(self._keys)

    def view_of(self, epoch: int) -> int:
        """Number of the view that an epoch uses; 0 is the central one."""
        if self._activations.policy.is_identity or self._views == 1:
            return 0
        return epoch % self._views if self._views else 1 + epoch

    def begin(self, epoch: int, reporter: Reporter) -> None:
        view = self.view_of(epoch)
        if self._kept and (self._rows is None or view != self._view):
            self._rows = None
            self._make_room(view)
            self._rows = self._activations.rows(self._keys, view, reporter=reporter)
        self._view = view

    def _make_room(self, view: int) -> None:
        if view in self._open:
            return
        self._open.append(view)
        while len(self._open) > self._kept:
            self._activations.forget(self._open.pop(0))

    def fetch(self, places: Places) -> torch.Tensor:
        keys = [self._keys[place] for place in places]
        if self._rows is not None:
            return torch.from_numpy(self._rows.gather(keys))
        decoding = self._activations.decoding(self._view)
        workers = self._workers
        decoded = list(in_order(decoding.decode, keys, workers=workers, ahead=2 * workers))
        lost = next((key for key, pixels in decoded if pixels is None), None)
        if lost is not None:
            raise DataError(
                f"{decoding.files[lost]} can no longer be read: {decoding.reasons[lost]}. "
                "Run the command again"
            )
        return torch.from_numpy(np.stack([pixels for _, pixels in decoded if pixels is not None]))

    def prepare(self, raw: torch.Tensor, places: Places) -> torch.Tensor:
        if not self._holds_pixels:
            return _channels_first(raw.to(self._device, non_blocking=True), self.shape).float()
        if self._rows is None and self._activations.policy.is_heavy:
            raw = torch.from_numpy(np.stack([self._distorted(p, place) for p, place in zip(raw, places)]))  # noqa: B905
        side, channels = self._activations.spec.size_px, self._activations.spec.channels
        pixels = raw.to(self._device, non_blocking=True).reshape(-1, side, side, channels)
        images = pixels.permute(0, 3, 1, 2).float() * self._norm["scale"] + self._norm["shift"]
        return images if self._prefix is None else self._frozen(self._prefix, images)

    def _distorted(self, pixels: torch.Tensor, place: int) -> npt.NDArray[np.uint8]:
        return distorted(pixels.numpy(), self._activations.policy, self._view, self._keys[place])

    def _frozen(self, prefix: nn.Module, images: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(), autocast(self._device, self._precision):
            parts = [prefix(part) for part in torch.split(images, _CHUNK)]
        return torch.cat(parts).float().clone()  # autograd needs a copy from outside inference mode


def _channels_first(rows: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Activations in the shape of the tail's input; maps are stored channels last and need no copy."""
    if len(shape) != 3:
        return rows.reshape(-1, *shape)
    channels, height, width = shape
    return rows.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
