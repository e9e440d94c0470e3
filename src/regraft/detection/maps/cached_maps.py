"""The maps of a frozen prefix for every picture of a data set, computed once and kept on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.data.findings.image_set import Images
from regraft.data.pictures.guards import reading_conditions
from regraft.data.pictures.loading import LOADER_VERSION, LoadLimits, Pixels
from regraft.detection.maps.canvas import Placement, on_canvas
from regraft.detection.maps.zooms import MOST, zoom_window
from regraft.errors import DataError, SettingsError
from regraft.features.extraction import Decoding, as_half
from regraft.features.runtimes import Runtime
from regraft.machine.memory import available_bytes
from regraft.progress import Reporter, Silent
from regraft.records import InputSpec, MapLevel
from regraft.storage.files import key_of
from regraft.storage.places import cache_folder, free_bytes
from regraft.storage.rows import Rows, RowStore
from regraft.storage.shards import Failure

AS_IT_IS, MIRRORED, ZOOMED, ZOOMED_MIRRORED = range(4)
"""The views of a picture on the canvas."""
VIEWS = ("as it is", "mirrored", "zoomed", "zoomed and mirrored")
"""What they are called."""
_SHARD_BYTES = 64 << 20


@dataclass(frozen=True)
class CachedMaps:
    """Rows of maps, one for each picture and view: pure functions of the picture, so computed once.

    Args:
        images: the pictures of the data set.
        spec: the network's input, whose height and width are those of the canvas.
        runtime: computes the maps of several stages in one pass.
        limits: limits of the loader.
        workers: number of decoding threads.
        ready: pictures, not mirrored, that are on the canvas already, by hash; removed as they are used.
    """

    images: Images
    spec: InputSpec
    runtime: Runtime
    limits: LoadLimits = field(default_factory=LoadLimits)
    workers: int = 1
    ready: dict[str, Pixels] = field(default_factory=dict)

    @property
    def levels(self) -> tuple[MapLevel, ...]:
        """The maps of a row."""
        return self.runtime.maps

    @property
    def row_bytes(self) -> int:
        """Bytes that one view of one picture takes on disk."""
        return 2 * self.runtime.width

    def missing(self, keys: Sequence[str], view: int) -> int:
        """How many of the pictures have no maps yet, and may get some."""
        rows = self._store(view).open(conditions=reading_conditions(self.limits))
        return sum(key not in rows and key not in rows.reasons for key in keys)

    def check_room(self, keys: Sequence[str]) -> None:
        """Refuse a canvas whose maps have no room on disk or in memory, before any is computed.

        Raises:
            SettingsError: the message says what they take, and what there is.
        """
        missing = self.missing(keys, AS_IT_IS)
        needs = (
            (
                self.row_bytes * missing,
                free_bytes(),
                f"on disk for {missing:,} pictures",
                "free in the cache",
            ),
            (6 * self.row_bytes, available_bytes(), "in memory for one picture", "free"),
        )
        for needed, there, what, where in needs:
            if needed > there:
                raise SettingsError(
                    f"maps on a canvas of {self.spec.width_px or self.spec.size_px} x {self.spec.size_px} "
                    f"pixels take {needed / 1e9:,.1f} GB {what}, but {there / 1e9:,.1f} GB are {where}. "
                    "Choose a smaller canvas with --image-size, or make room"
                )

    def rows(self, keys: Sequence[str], view: int = AS_IT_IS, *, reporter: Reporter | None = None) -> Rows:
        """The rows of one view, from the cache if they are there.

        Args:
            keys: SHA-256 of the pictures' files.
            view: `AS_IT_IS`, `MIRRORED`, `ZOOMED` or `ZOOMED_MIRRORED`.
            reporter: receives the progress.

        Raises:
            DataError: a picture that was usable before can't be used any more.
        """
        decoding = self.decoding(view)
        rows = self._computed(decoding, keys, view, reporter or Silent())
        lost = [key for key in keys if key not in rows]
        if lost:
            path = decoding.files[lost[0]]
            reasons = {**rows.reasons, **decoding.reasons}
            reason = reasons.get(lost[0], "the reason is unknown")
            raise DataError(
                f"{len(lost)} pictures can't be read any more, first {path}: {reason}. Run the command again"
            )
        return rows

    def available(self, keys: Sequence[str], *, reporter: Reporter | None = None) -> Rows:
        """The rows of the pictures as they are; those that are not cached and can't be read are left out."""
        return self._computed(self.decoding(AS_IT_IS), keys, AS_IT_IS, reporter or Silent())

    def _computed(self, decoding: Decoding, keys: Sequence[str], view: int, reporter: Reporter) -> Rows:
        def compute(keys: Sequence[str]) -> Iterator[tuple[str, npt.NDArray[Any] | Failure | None]]:
            for key, row in self.runtime.run(decoding.ahead(keys, self.workers)):
                if not np.isfinite(row).all():
                    decoding.refuse(key, "the network's output for this picture is NaN or infinite")
                else:
                    yield key, as_half(row)
            yield from decoding.failures(keys)

        phase = "computing maps" if view == AS_IT_IS else f"computing maps of pictures {VIEWS[view]}"
        conditions = reading_conditions(self.limits)
        store = self._store(view)
        return store.ensure(keys, compute, conditions=conditions, reporter=reporter, phase=phase)

    def decoding(self, view: int) -> Decoding:
        """A decoder of one view of the pictures."""
        ready = self.ready if view == AS_IT_IS else None
        return canvas_decoding(self.images, self.spec, self.limits, view, ready)

    def _store(self, view: int) -> RowStore:
        facts = {
            "what": "maps on a canvas",
            "loader_version": LOADER_VERSION,
            "view": VIEWS[view],
            **self.runtime.facts,
            "input": self.spec.model_dump(),
        }
        return RowStore(
            cache_folder() / "activations" / key_of(facts)[:24],
            width=self.runtime.width,
            dtype=np.float16,
            facts=facts,
            shard_rows=max(16, min(1024, _SHARD_BYTES // self.row_bytes)),
        )


def in_view(placement: Placement, key: str, view: int) -> Placement:
    """Where a picture lies on the canvas in a view.

    Args:
        placement: where it lies as it is.
        key: SHA-256 of the picture's file.
        view: number of the view.
    """
    is_zoomed = view in (ZOOMED, ZOOMED_MIRRORED)
    window = zoom_window(placement.width, placement.height, key, view) if is_zoomed else None
    return replace(placement, is_mirrored=view in (MIRRORED, ZOOMED_MIRRORED), window=window)


def canvas_decoding(
    images: Images,
    spec: InputSpec,
    limits: LoadLimits,
    view: int = AS_IT_IS,
    ready: dict[str, Pixels] | None = None,
) -> Decoding:
    """A decoder that brings pictures to the canvas; those that are `ready` are removed as they are used."""
    is_mirrored = view in (MIRRORED, ZOOMED_MIRRORED)

    def load(data: bytes, key: str) -> Pixels:
        if view not in (ZOOMED, ZOOMED_MIRRORED):
            return on_canvas(data, spec, is_mirrored=is_mirrored, limits=limits)[0]
        window = partial(zoom_window, key=key, view=view)
        return on_canvas(data, spec, is_mirrored=is_mirrored, window=window, times=MOST, limits=limits)[0]

    return Decoding(images, load, limits, ready)
