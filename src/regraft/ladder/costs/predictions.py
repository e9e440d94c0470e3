"""How far the predicted times of a ladder were off so far, which corrects the predictions that follow."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import median

_LEAST_S = 0.3
"""Shorter times are mostly overhead and say nothing about longer ones."""
_MOST = 8.0
"""A single ratio counts as at most this much: a machine that was suspended is no reason to try nothing."""


@dataclass
class Predictions:
    """Ratios of the time taken to the time predicted, by kind of work."""

    ratios: dict[str, list[float]] = field(default_factory=dict)

    def note(self, kind: str, predicted_s: float, took_s: float) -> None:
        """Add a rung that ran; very short ones are left out."""
        if min(predicted_s, took_s) <= 0 or max(predicted_s, took_s) < _LEAST_S:
            return
        self.ratios.setdefault(kind, []).append(min(max(took_s / predicted_s, 1 / _MOST), _MOST))

    def factor(self, kind: str) -> float:
        """What the next prediction of a kind is multiplied by.

        Its logarithm is the median of the kind's log-ratios, shrunk towards the median of all kinds, which is
        shrunk towards zero; the weight of each shrinkage is that of one rung. So (in logarithms) the first
        surprise counts three quarters for its own kind, and half for the others.

        >>> seen = Predictions()
        >>> seen.note("kernel", 1.0, 4.0)
        >>> round(seen.factor("kernel"), 2), round(seen.factor("softmax"), 2)
        (2.83, 2.0)
        """
        every = [math.log(ratio) for several in self.ratios.values() for ratio in several]
        own = [math.log(ratio) for ratio in self.ratios.get(kind, [])]
        middle = median(every) * len(every) / (len(every) + 1) if every else 0.0
        if not own:
            return math.exp(middle)
        return math.exp((median(own) * len(own) + middle) / (len(own) + 1))

    def summary(self) -> str:
        """One line on how good the predictions were; empty if nothing was predicted that took long enough."""
        every = [ratio for several in self.ratios.values() for ratio in several]
        if not every:
            return ""
        listed = ", ".join(f"{kind} {median(ratios):.1f}" for kind, ratios in sorted(self.ratios.items()))
        rungs = f"{len(every)} rungs" if len(every) > 1 else "one rung"
        multiple = f"{median(every):.1f} in the median of {rungs} ({listed})"
        return f"time taken as a multiple of the time predicted: {multiple}"
