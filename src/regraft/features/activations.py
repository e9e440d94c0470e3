"""Activations at a cut, computed once for each view of each image and kept on disk.

At cut 0 the activation is the image itself, so its pixels are kept.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.data.findings.image_set import Images
from regraft.data.pictures.guards import reading_conditions
from regraft.data.pictures.loading import LOADER_VERSION, LoadLimits, Pixels
from regraft.data.pictures.views import ViewPolicy, decode_view, distorted
from regraft.errors import DataError
from regraft.features.executors.executor import Executor
from regraft.features.extraction import Decoding, as_half, elsewhere
from regraft.features.runtimes import Runtime
from regraft.progress import Reporter, Silent
from regraft.records import InputSpec
from regraft.storage.files import key_of
from regraft.storage.places import cache_folder
from regraft.storage.rows import Rows, RowStore
from regraft.storage.shards import Failure, ShardSource, one_by_one

_SHARD_BYTES = 64 << 20


def view_decoding(
    images: Images, spec: InputSpec, policy: ViewPolicy, view: int, limits: LoadLimits
) -> Decoding:
    """A decoder of one view of images, before torchvision's distortions."""

    def load(data: bytes, key: str) -> Pixels:
        return decode_view(data, spec, policy, view, key, limits)

    return Decoding(images, load, limits)


@dataclass(frozen=True)
class ViewRows:
    """How the activations of one view are computed in this process.

    Args:
        runtime: computes the frozen prefix; None if there is none, and the rows are pixels.
        policy: how views are made.
        view: number of the view.
        workers: number of decoding threads.
    """

    runtime: Runtime | None
    policy: ViewPolicy
    view: int
    workers: int

    def computed(
        self, decoding: Decoding, keys: Sequence[str]
    ) -> Iterator[tuple[str, npt.NDArray[Any] | Failure | None]]:
        """The rows of some images as they are kept; see `RowSource`."""
        pixels = (
            (key, distorted(one, self.policy, self.view, key))
            for key, one in decoding.ahead(keys, self.workers)
        )
        if self.runtime is None:
            yield from ((key, one.reshape(-1)) for key, one in pixels)
        else:
            yield from ((key, as_half(row)) for key, row in self.runtime.run(pixels))
        yield from decoding.failures(keys)


@dataclass(frozen=True)
class Activations:
    """The inputs of the tail, for each view of a data set's images.

    Args:
        images: the images of the data set.
        spec: the network's input.
        policy: how views are made.
        runtime: computes the frozen prefix; None if there is none (cut 0).
        limits: limits of the loader.
        workers: number of decoding threads.
        executor: carries out what is not in the cache somewhere else; None computes it here, as cut 0 is.
    """

    images: Images
    spec: InputSpec
    policy: ViewPolicy
    runtime: Runtime | None
    limits: LoadLimits = field(default_factory=LoadLimits)
    workers: int = 1
    executor: Executor | None = None

    @property
    def row_bytes(self) -> int:
        """Bytes that one view of one image takes on disk."""
        if self.runtime is None:
            return self.spec.size_px**2 * self.spec.channels
        return 2 * self.runtime.width

    def decoding(self, view: int) -> Decoding:
        """A decoder of one view of the images, before torchvision's distortions."""
        return view_decoding(self.images, self.spec, self.policy, view, self.limits)

    def rows(self, keys: Sequence[str], view: int, *, reporter: Reporter | None = None) -> Rows:
        """The rows of one view, from the cache if they are there.

        Raises:
            DataError: an image that was usable before can't be used any more.
        """
        view = 0 if self.policy.is_identity else view
        decoding, reporter = self.decoding(view), reporter or Silent()
        phase = f"activations at the cut, view {view}" if view else "activations at the cut"
        conditions = reading_conditions(self.limits)
        rows = self._store(view).ensure_by(
            self._source(decoding, view, reporter),
            keys,
            conditions=conditions,
            reporter=reporter,
            phase=phase,
        )
        lost = [key for key in keys if key not in rows]
        if lost:
            path = decoding.files[lost[0]]
            reasons = {**rows.reasons, **decoding.reasons}
            reason = reasons.get(lost[0], "the reason is unknown")
            raise DataError(
                f"{len(lost)} images can't be read any more, first {path}: {reason}. Run the command again"
            )
        return rows

    def _source(self, decoding: Decoding, view: int, reporter: Reporter) -> ShardSource:
        """Who computes rows that are missing: an executor's workers if they can, else this process."""
        if self.executor is None or self.runtime is None or self.runtime.source is None:
            how = ViewRows(self.runtime, self.policy, view, self.workers)
            return one_by_one(lambda keys: how.computed(decoding, keys))
        task = self.runtime.source.task(self.runtime, self.spec, self.limits)
        task = task.model_copy(update={"views": self.policy})
        return elsewhere(self.executor, task, decoding, reporter, view=view)

    def forget(self, view: int) -> None:
        """Delete the rows of a view from the disk."""
        with contextlib.suppress(OSError):
            shutil.rmtree(self._store(view).folder)

    def _store(self, view: int) -> RowStore:
        facts = {
            "what": "pixels" if self.runtime is None else "activations",
            "loader_version": LOADER_VERSION,
            "view": self.policy.facts(view),
            **(self.runtime.facts if self.runtime else {}),
            "input": self.spec.model_dump(),
        }
        width = self.row_bytes if self.runtime is None else self.runtime.width
        return RowStore(
            cache_folder() / "activations" / key_of(facts)[:24],
            width=width,
            dtype=np.uint8 if self.runtime is None else np.float16,
            facts=facts,
            shard_rows=max(16, min(1024, _SHARD_BYTES // self.row_bytes)),
        )
