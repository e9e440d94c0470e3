"""The maps of a frozen prefix for every picture of a data set, computed once and kept on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.data.findings.image_set import Images
from regraft.data.pictures.loading import LOADER_VERSION, LoadLimits, Pixels
from regraft.detection.maps.canvas import on_canvas
from regraft.errors import DataError
from regraft.features.extraction import Decoding, as_half
from regraft.features.runtimes import Runtime
from regraft.progress import Reporter, Silent
from regraft.records import InputSpec, MapLevel
from regraft.storage.files import key_of
from regraft.storage.places import cache_folder
from regraft.storage.rows import Rows, RowStore

AS_IT_IS, MIRRORED = 0, 1
"""The views of a picture on the canvas."""
_VIEWS = ("as it is", "mirrored")
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
    """

    images: Images
    spec: InputSpec
    runtime: Runtime
    limits: LoadLimits = field(default_factory=LoadLimits)
    workers: int = 1

    @property
    def levels(self) -> tuple[MapLevel, ...]:
        """The maps of a row."""
        return self.runtime.maps

    @property
    def row_bytes(self) -> int:
        """Bytes that one view of one picture takes on disk."""
        return 2 * self.runtime.width

    def missing(self, keys: Sequence[str], view: int) -> int:
        """How many of the pictures have no maps yet."""
        rows = self._store(view).open()
        return sum(key not in rows for key in keys)

    def rows(self, keys: Sequence[str], view: int = AS_IT_IS, *, reporter: Reporter | None = None) -> Rows:
        """The rows of one view, from the cache if they are there.

        Args:
            keys: SHA-256 of the pictures' files.
            view: `AS_IT_IS` or `MIRRORED`.
            reporter: receives the progress.

        Raises:
            DataError: a picture that was usable before can't be used any more.
        """
        decoding = self.decoding(view)

        def compute(keys: Sequence[str]) -> Iterator[tuple[str, npt.NDArray[Any] | None]]:
            for key, row in self.runtime.run(decoding.ahead(keys, self.workers)):
                if not np.isfinite(row).all():
                    decoding.reasons[key] = "the network's output for this picture is NaN or infinite"
                else:
                    yield key, as_half(row)
            yield from ((key, None) for key in keys if key in decoding.reasons)

        phase = "computing maps" if view == AS_IT_IS else f"computing maps of pictures {_VIEWS[view]}"
        rows = self._store(view).ensure(keys, compute, reporter=reporter or Silent(), phase=phase)
        lost = [key for key in keys if key not in rows]
        if lost:
            path = decoding.files[lost[0]]
            reason = decoding.reasons.get(lost[0], "the reason is unknown")
            raise DataError(
                f"{len(lost)} pictures can't be read any more, first {path}: {reason}. Run the command again"
            )
        return rows

    def decoding(self, view: int) -> Decoding:
        """A decoder of one view of the pictures."""

        def load(data: bytes, _: str) -> Pixels:
            return on_canvas(data, self.spec, is_mirrored=view == MIRRORED, limits=self.limits)[0]

        return Decoding(self.images, load, self.limits)

    def _store(self, view: int) -> RowStore:
        facts = {
            "what": "maps on a canvas",
            "loader_version": LOADER_VERSION,
            "view": _VIEWS[view],
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
