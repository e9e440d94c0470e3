"""What the folder of a run says: what was done, and the ladder that was climbed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from regraft.advice.profile import DepthProfile
from regraft.plans.plan import Plan
from regraft.records import Estimate, Intensity, Record, Sha256, WeightsSource


class Run(Record):
    """The file `run.json`: data, settings, plan and versions of a fit. Its times are in `log.jsonl`."""

    schema_version: Literal[1] = 1
    regraft_version: str
    data_root: str
    settings: dict[str, object]
    """The settings as the user gave them; a later fit with the same settings resumes this run."""
    plan: Plan
    split_sha256: Sha256
    weights: WeightsSource
    lineage: tuple[str, ...] = ()
    """The origin of the weights and every training since, the oldest first."""
    reasons: tuple[str, ...]
    """Every automatic choice and the reason for it, one sentence each."""
    versions: dict[str, str]
    intensity: Intensity | None = Field(None, exclude_if=lambda intensity: intensity is None)
    """The range of images of more than 8 bits; None if there were none."""


_SHARES = frozenset(["accuracy", "balanced_accuracy", "auroc", "map", "map50", "map75"])


class RungRow(Record):
    """One line of a ladder's table."""

    rung: int
    name: str
    accuracy: Estimate | None
    """Accuracy on validation images or by cross-validation; None if the rung was not tried."""
    measure: str = Field("accuracy", exclude_if=lambda name: name == "accuracy")
    """What `accuracy` holds where models are not compared by accuracy, such as `balanced_accuracy`,
    `mean_absolute_error` or `map50`."""
    images: int
    predicted_s: float | None
    took_s: float | None
    elapsed_s: float
    """Seconds since the fit began."""
    is_kept: bool
    verdict: str
    """Why the rung was kept, not kept, or not tried."""

    @property
    def is_share(self) -> bool:
        """Whether the measure is a share in [0, 1], of which more is better; otherwise it is a loss."""
        return self.measure in _SHARES


class LadderRecord(Record):
    """`ladder.json`: the rungs in the order in which they were tried."""

    budget_s: float
    rows: tuple[RungRow, ...]
    profile: DepthProfile | None = None
    """The accuracy at each depth of the network; None if the ladder ended before it was measured."""
