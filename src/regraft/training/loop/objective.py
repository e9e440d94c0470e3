"""What a training minimises, and by what its weights are compared: an objective for each link.

The loop knows nothing about labels. It takes targets as the task gives them, one entry or row for each image,
and asks the objective for everything that depends on what they mean. What a tail computes is scores `(N, K)`
in classification; the loop only hands it to the objective, so that it may be any tuple of tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from regraft.records import ClassMeasure, Link
from regraft.settings import TrainSettings
from regraft.tasks.classes.goodness import SCORE_NAMES, class_goodness
from regraft.tasks.task import Measure
from regraft.training.loop.batches import Places

Labels = npt.NDArray[Any]


class Targets(Protocol):
    """What is known about images, by their places: an array, or an object that follows the source's view."""

    def __len__(self) -> int:
        """Number of images."""

    def __getitem__(self, places: Places, /) -> npt.NDArray[Any]:
        """An entry or row for each image of a batch, in the view of the epoch that the source began."""


@dataclass(frozen=True)
class Unit:
    """The unit of the tail's scores, if it is not that of the targets: `target = mean + score * deviation`.

    In standard deviations, numbers of any unit train with the same learning rate.
    """

    mean: float
    deviation: float
    """Greater than 0."""


@dataclass(frozen=True)
class Overall:
    """How good the predictions for all images together are, where that is no mean over single images."""

    outputs: int
    """The number of scores K of each image."""
    goodness: Callable[[npt.NDArray[np.float64], npt.NDArray[Any]], float]
    """From scores `(N, K)` and targets; larger is better."""


class Objective(Protocol):
    """The contract. N is the number of images in a batch; tensors are on one device.

    Scores are what the tail computes, targets what is known about the images, and aims what scores are
    compared with in training.
    """

    @property
    def measure(self) -> str:
        """The name of the score that users see, as in the columns of `metrics.csv`: `train_NAME`."""

    @property
    def measures_training(self) -> bool:
        """Whether the goodness of training batches is measured; not if that takes long next to a step."""

    @property
    def overall(self) -> Overall | None:
        """What takes the place of the mean of `goodness` in an evaluation, if that is not enough."""

    @property
    def chances(self) -> npt.NDArray[np.float64] | None:
        """The probabilities `(N,)` with which training images are drawn; None to use each once."""

    def aims(self, targets: torch.Tensor) -> torch.Tensor:
        """What the scores of a training batch are compared with."""

    def weights(self, aims: torch.Tensor) -> torch.Tensor | None:
        """The weight of each image's loss, `(N,)`; None if all count the same."""

    def losses(self, scores: Any, aims: torch.Tensor) -> torch.Tensor:
        """The loss of each image of a training batch, `(N,)`."""

    def summed_loss(self, scores: Any, targets: torch.Tensor) -> torch.Tensor:
        """The summed loss of images that are evaluated, `()`: without smoothing and weights."""

    def goodness(self, scores: Any, targets: torch.Tensor) -> torch.Tensor:
        """How good the prediction for each image is, `(N,)`, as in `Task.goodness`; larger is better."""

    def measured(self, goodness: float) -> Measure:
        """A mean goodness as the score that users see."""


class LabelObjective(Objective, Protocol):
    """The objective of a task: scores are `(N, K)`, for K outputs.

    Targets are those of the task: `(N,) int64`, `(N, K) float32` or `(N,) float64`. Aims are always
    `(N, K) float32`, so that images can be mixed.
    """

    @classmethod
    def of(
        cls, targets: Labels, outputs: int, settings: TrainSettings, measure: ClassMeasure = "accuracy"
    ) -> Self:
        """The objective of a training on some targets.

        Args:
            targets: of all training images.
            outputs: the number of outputs K.
            settings: settings of the training, of which those about targets are used.
            measure: by what weights are compared, where targets are classes.
        """

    @property
    def unit(self) -> Unit | None:
        """The unit of the scores; None if they are outputs before the link is applied."""


@dataclass(frozen=True)
class SoftmaxObjective:
    """Cross-entropy of one class for each image; weights are compared by accuracy, or by another measure.

    >>> objective = SoftmaxObjective.of(np.array([0, 1]), 2, TrainSettings(label_smoothing=0.2))
    >>> objective.aims(torch.tensor([1]))
    tensor([[0.1000, 0.9000]])
    """

    classes: int
    smoothing: float = 0.0
    class_weights: torch.Tensor | None = None
    """`(K,)`: `N / (K n_k)`, so that every class has the same total weight (King & Zeng 2001)."""
    chances: npt.NDArray[np.float64] | None = None
    kept_by: ClassMeasure = "accuracy"
    """By what weights are compared."""
    unit: ClassVar[Unit | None] = None

    @property
    def measure(self) -> str:
        """The name of the score."""
        return SCORE_NAMES[self.kept_by]

    @property
    def measures_training(self) -> bool:
        """Whether the goodness of a batch says something, as that of accuracy does."""
        return self.overall is None

    @property
    def overall(self) -> Overall | None:
        """The measure of all images together, unless it is accuracy, which is a mean over images."""
        return None if self.kept_by == "accuracy" else Overall(self.classes, self._measured_together)

    @classmethod
    def of(
        cls, targets: Labels, outputs: int, settings: TrainSettings, measure: ClassMeasure = "accuracy"
    ) -> Self:
        """The objective for class numbers `(N,) int64`."""
        counts = np.bincount(targets, minlength=outputs)
        weights = _balancing(counts) if settings.class_weights else None
        chances = None
        if settings.balanced:
            chance = 1 / counts[targets]
            chances = chance / chance.sum()
        return cls(outputs, settings.label_smoothing, weights, chances, measure)

    def aims(self, targets: torch.Tensor) -> torch.Tensor:
        """`(1 - e) onehot + e / K` (Szegedy et al. 2016, section 7)."""
        aims = functional.one_hot(targets, self.classes).float()
        return aims * (1 - self.smoothing) + self.smoothing / self.classes

    def weights(self, aims: torch.Tensor) -> torch.Tensor | None:
        """The mean weight of an image's classes."""
        return None if self.class_weights is None else aims @ self.class_weights.to(aims.device)

    def losses(self, scores: torch.Tensor, aims: torch.Tensor) -> torch.Tensor:
        """Cross-entropy with soft targets in nats: `-sum_k aims_k log softmax(scores)_k`."""
        return -(aims * functional.log_softmax(scores.float(), dim=1)).sum(dim=1)

    def summed_loss(self, scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The summed cross-entropy in nats."""
        return functional.cross_entropy(scores, targets, reduction="sum")

    def goodness(self, scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """1 where the largest score is that of the true class, else 0."""
        return (scores.argmax(dim=1) == targets).float()

    def _measured_together(self, scores: npt.NDArray[np.float64], targets: npt.NDArray[Any]) -> float:
        """The mean goodness by the measure, of the softmax of all scores."""
        chances = torch.from_numpy(scores).softmax(dim=1).numpy()
        return float(class_goodness(self.kept_by, chances, targets).mean())

    def measured(self, goodness: float) -> Measure:
        """The accuracy, or the other measure."""
        is_loss = self.kept_by == "log-loss"
        return Measure(self.measure, -goodness if is_loss else goodness, is_share=not is_loss)


def _balancing(counts: npt.NDArray[np.int64]) -> torch.Tensor:
    present = counts > 0
    weights = np.where(present, counts.sum() / (present.sum() * np.maximum(counts, 1)), 0.0)
    return torch.from_numpy(weights.astype(np.float32))


@dataclass(frozen=True)
class SigmoidObjective:
    """Binary cross-entropy of each known label; weights are compared by the Brier score.

    The loss of an image is the sum over its known labels, which is the negative log-likelihood of independent
    labels, and that of as many logistic regressions. A mean over known labels would let what is known of one
    label change how much another one counts.

    >>> objective = SigmoidObjective()
    >>> unknown = torch.tensor([[1.0, float("nan")]])
    >>> objective.losses(torch.zeros(1, 2), unknown)
    tensor([0.6931])
    """

    measure: ClassVar[str] = "brier_score"
    measures_training: ClassVar[bool] = True
    overall: ClassVar[Overall | None] = None
    smoothing: float = 0.0
    unit: ClassVar[Unit | None] = None
    chances: ClassVar[npt.NDArray[np.float64] | None] = None

    @classmethod
    def of(
        cls, targets: Labels, outputs: int, settings: TrainSettings, measure: ClassMeasure = "accuracy"
    ) -> Self:
        """The objective for labels `(N, K)`: 1 present, 0 absent, NaN unknown."""
        del targets, outputs, measure
        return cls(settings.label_smoothing)

    def aims(self, targets: torch.Tensor) -> torch.Tensor:
        """`(1 - e) label + e / 2`, as each label is present or absent; unknown ones stay NaN.

        A label of a mixed image is known if it is known of both.
        """
        return targets.float() * (1 - self.smoothing) + self.smoothing / 2

    def weights(self, aims: torch.Tensor) -> torch.Tensor | None:
        """None: every known label counts the same."""
        del aims
        return None

    def losses(self, scores: torch.Tensor, aims: torch.Tensor) -> torch.Tensor:
        """Binary cross-entropy in nats, summed over the known labels."""
        is_known = ~aims.isnan()
        losses = functional.binary_cross_entropy_with_logits(
            scores.float(), torch.where(is_known, aims, 0.0), reduction="none"
        )
        return torch.where(is_known, losses, 0.0).sum(dim=1)

    def summed_loss(self, scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The summed binary cross-entropy in nats."""
        return self.losses(scores, targets).sum()

    def goodness(self, scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """1 minus the mean squared error of the probabilities of the known labels."""
        is_known = ~targets.isnan()
        errors = torch.where(is_known, scores.float().sigmoid() - targets, 0.0)
        return 1 - errors.square().sum(dim=1) / is_known.sum(dim=1).clamp_min(1)

    @classmethod
    def measured(cls, goodness: float) -> Measure:
        """The Brier score."""
        return Measure(cls.measure, 1 - goodness, is_share=False)


@dataclass(frozen=True)
class IdentityObjective:
    """Huber loss of a standardised number; weights are compared by the mean absolute error.

    Errors below one standard deviation of the targets count by their square, larger ones by their size, so a
    few wrong labels don't rule the training (Huber 1964).
    """

    measure: ClassVar[str] = "mean_absolute_error"
    measures_training: ClassVar[bool] = True
    overall: ClassVar[Overall | None] = None
    unit: Unit
    chances: ClassVar[npt.NDArray[np.float64] | None] = None

    @classmethod
    def of(
        cls, targets: Labels, outputs: int, settings: TrainSettings, measure: ClassMeasure = "accuracy"
    ) -> Self:
        """The objective for numbers `(N,)`; their mean and standard deviation become the unit."""
        del outputs, settings, measure
        mean, deviation = float(targets.mean()), float(targets.std())
        is_constant = deviation <= 1e-12 * max(abs(mean), 1e-300)
        return cls(Unit(mean, 1.0 if is_constant else deviation))

    def aims(self, targets: torch.Tensor) -> torch.Tensor:
        """The standardised numbers `(N, 1)`."""
        return ((targets - self.unit.mean) / self.unit.deviation).float()[:, None]

    def weights(self, aims: torch.Tensor) -> torch.Tensor | None:
        """None: every image counts the same."""
        del aims
        return None

    def losses(self, scores: torch.Tensor, aims: torch.Tensor) -> torch.Tensor:
        """Huber's loss, in squared standard deviations."""
        return functional.huber_loss(scores.float(), aims, reduction="none").sum(dim=1)

    def summed_loss(self, scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The summed Huber loss."""
        return self.losses(scores, self.aims(targets)).sum()

    def goodness(self, scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Minus the absolute error, in the unit of the targets."""
        predicted = scores[:, 0].to(targets.dtype) * self.unit.deviation + self.unit.mean
        return -(predicted - targets).abs()

    @classmethod
    def measured(cls, goodness: float) -> Measure:
        """The mean absolute error."""
        return Measure(cls.measure, -goodness, is_share=False)


OBJECTIVES: Mapping[Link, type[LabelObjective]] = {
    "softmax": SoftmaxObjective,
    "sigmoid": SigmoidObjective,
    "identity": IdentityObjective,
}
"""The objective by the link of a task: `OBJECTIVES[link].of(targets, outputs, settings)`."""
