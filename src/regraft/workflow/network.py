"""The choice of a network: a prior orders the available ones, probes on a few of the user's images decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from pydantic import Field

from regraft.advice.network_prior import Prior, in_order
from regraft.advice.profile import read_by_probe
from regraft.advice.transferability import Transferability, h_score, leep, log_me, nce
from regraft.data.findings.image_set import Images
from regraft.data.splits import split_images, stratified
from regraft.errors import RegraftError, SettingsError, WeightsNotFoundError
from regraft.evaluation.paired import compare_goodness
from regraft.features.extraction import Features
from regraft.features.moments import CLASSIFIER
from regraft.features.opening import Compute
from regraft.heads.dataset import Dataset
from regraft.heads.head import softmax
from regraft.heads.linear import cross_validated_logistic
from regraft.heads.rows import TrainingRows, score_goodness
from regraft.networks.weights.finding import Weights, find_weights, usable_here
from regraft.networks.zoo.cards import card
from regraft.networks.zoo.licences import forbids_commerce
from regraft.progress import Reporter, Silent
from regraft.records import Estimate, Record, columns_of
from regraft.settings import FitSettings
from regraft.storage.rows import Rows
from regraft.tasks.task import Measure
from regraft.tasks.wishes import with_wishes
from regraft.workflow.preparation import on_sides

FIRST_FEW = 4
_ROUNDS = (128, 384)  # images in each round; the better half stays


class TriedNetwork(Record):
    """One candidate network; later rounds use more images."""

    network: str
    expected: float
    """Accuracy expected by the prior, in per cent."""
    expected_from: str
    images: int
    accuracy: Estimate | None
    """Accuracy of a cross-validated probe, or the measure that takes its place; None if the network was not
    tried."""
    measure: str = Field("accuracy", exclude_if=lambda measure: measure == "accuracy")
    """The name of that measure."""
    scores: Transferability | None
    verdict: str

    @property
    def described(self) -> str:
        """One line that describes the candidate."""
        if self.accuracy is None or self.scores is None:
            return f"{self.network}: {self.verdict} (prior {self.expected:.1f} %, {self.expected_from})"
        scores = self.scores
        is_share = self.measure != "log_loss"
        measure = Measure.of(self.measure, self.accuracy, self.images, is_share=is_share)
        named = "" if self.measure == "accuracy" else f"{measure.title} "
        return (
            f"{self.network}: probe {named}{measure.text} on {self.images:,} images, "
            f"{self.verdict} (prior {self.expected:.1f} %, {self.expected_from}; LogME {scores.logme:.3f}, "
            f"H-score {scores.h_score:.1f}, NCE {scores.nce:.3f}, LEEP {scores.leep:.3f})"
        )


class NetworkChoice(Record):
    """The networks that were tried, and the one that was chosen."""

    rows: tuple[TriedNetwork, ...]
    chosen: str
    reason: str
    prior_regret: float
    """How much less accurate the prior's favourite was than the best of the first round, as a share; for
    another measure, how much worse."""


@dataclass(frozen=True)
class _Probed:
    prior: Prior
    weights: Weights
    sample: Images
    rows: TrainingRows
    goodness: npt.NDArray[np.float64]
    compute: Compute

    @property
    def merit(self) -> Measure:
        rows = self.rows
        return rows.task.merit(self.goodness, targets=rows.targets, groups=rows.groups, seed=rows.seed)


def choose_network(
    images: Images, settings: FitSettings, *, compute: Compute, reporter: Reporter
) -> NetworkChoice:
    """The network whose probe is best on a sample of the training images, among the most promising few.

    Probes are compared by the measure that the fit compares its models by.

    Args:
        images: a scanned data set; its test images are not used.
        settings: where weights are, which licences are accepted, and how the split is drawn.
        compute: how features are computed.
        reporter: receives progress and notes.

    Raises:
        WeightsNotFoundError: there are no weights on this machine with an accepted licence.
    """
    if images.task is None or images.task.link != "softmax":
        named = images.task.name if images.task else "none"
        raise SettingsError(
            f"--network auto compares networks by how they classify, which --task {named} does not; name a "
            "network with --network, or leave it out for the most promising one on this machine"
        )
    candidates = _candidates(settings, reporter)
    dataset = _as_wished(_without_features(images, settings), settings)
    alive, dropped = candidates[:FIRST_FEW], [_untried(prior) for prior in candidates[FIRST_FEW:]]
    probed: list[_Probed] = []
    first: dict[str, float] = {}
    for number, count in enumerate(_ROUNDS):
        if number and len(alive) == 1:
            break
        probed = []
        for prior in alive:
            one = _probe(prior, dataset, settings, count, compute, reporter)
            if isinstance(one, _Probed):
                probed.append(one)
            else:
                dropped.append(one)
        if not probed:
            raise WeightsNotFoundError("no network on this machine could be loaded; see the warnings above")
        ranked = sorted(probed, key=lambda one: -one.goodness.mean())
        kept = ranked[: max(1, (len(ranked) + 1) // 2)]
        if number == 0:
            first = {one.prior.network: float(one.goodness.mean()) for one in probed}
            dropped += [_row(one, "dropped after the first round", reporter) for one in ranked[len(kept) :]]
            alive = [one.prior for one in kept]
    ranked = sorted(probed, key=lambda one: (-one.goodness.mean(), -one.prior.expected))
    chosen = _decide(ranked)
    rows = [_row(one, "chosen" if one is chosen else "tried", reporter) for one in ranked]
    every = (*rows, *dropped)
    regret = max(first.values()) - next(first[one.network] for one in candidates if one.network in first)
    merit = chosen.merit
    by = "" if merit.name == "accuracy" else f"by {merit.title} "
    far = f"{100 * regret:.1f} points below" if merit.is_share else f"{regret:.3f} worse than"
    reason = (
        f"{by}its probe was the best, or not significantly worse than the best, on "
        f"{len(chosen.goodness):,} of your images; in the first round the prior's favourite was {far} the "
        "best"
    )
    return NetworkChoice(rows=every, chosen=chosen.prior.network, reason=reason, prior_regret=regret)


def _candidates(settings: FitSettings, reporter: Reporter) -> list[Prior]:
    here = usable_here(settings.weights)
    wanted = settings.channels or 3
    here = [one for one in here if _channels(one.network) in (None, wanted)]  # LeNet needs grey images
    allowed = [one for one in here if settings.accept_license or not forbids_commerce(one.licence)]
    for one in here:
        if one not in allowed:
            reporter.note(f"{one.network} is left out: its licence ({one.licence}) forbids commercial use")
    if not allowed:
        raise WeightsNotFoundError(
            "--network auto found no weights on this machine; give a folder with --weights, set "
            "$REGRAFT_WEIGHTS, or name a network with --network to download it"
        )
    return in_order([one.network for one in allowed])


def _channels(network: str) -> int | None:
    known = card(network)
    return known.input_spec.channels if known else None


def _without_features(images: Images, settings: FitSettings) -> Dataset:
    split = split_images(images, seed=settings.seed, test_share=settings.test_share, save=False)
    return Dataset(images, split, Features(Rows([], {}), (), ()), settings.seed)


def _as_wished(dataset: Dataset, settings: FitSettings) -> Dataset:
    """The data set with the measure that a fit with these settings compares its models by."""
    known = [row.label for row in dataset.split.rows if row.side == "train"]
    task = with_wishes(dataset.task, settings, known, Silent())  # the fit itself says what it decides
    return replace(dataset, images=replace(dataset.images, task=task))


def _probe(
    prior: Prior, dataset: Dataset, settings: FitSettings, count: int, compute: Compute, reporter: Reporter
) -> _Probed | TriedNetwork:
    try:
        found = find_weights(prior.network, weights=settings.weights, offline=True)
        weights = found.seeing(dataset.images.intensity.chosen).framed(settings.framing)
        weights = weights.averaged(settings.average)
        runtime = compute.open(weights, reporter)
    except RegraftError as error:  # the other candidates can still be tried
        reporter.warn(f"{prior.network} can't be tried: {error}")
        return _untried(prior, "can't be loaded")
    training = on_sides(dataset.images, dataset.split, ("train",))
    sample = _sampled(training, count, dataset.seed)
    features = compute.extract(sample, runtime, weights.input_spec, reporter)
    rows = replace(dataset, features=features).training_rows()
    last = features.layout[-1].stage
    columns = read_by_probe(columns_of(features.layout, [last]))
    goodness = score_goodness(rows, cross_validated_logistic(rows, columns))
    return _Probed(prior, weights, sample, rows, goodness, compute)


def _sampled(images: Images, most: int, seed: int) -> Images:
    """A stratified sample of at most `most` images."""
    place = {label: number for number, label in enumerate(images.labels)}
    labels = np.array([place[item.label] for item in images.items], dtype=np.int64)
    chosen = stratified(labels, most, seed=seed)
    return replace(images, items=tuple(images.items[number] for number in chosen))


def _decide(ranked: Sequence[_Probed]) -> _Probed:
    """The prior's favourite among the best and those that are not significantly worse."""
    best = ranked[0]
    alike = [
        one
        for one in ranked
        if one is best or len(one.goodness) != len(best.goodness) or not _differ(one, best)
    ]
    return max(alike, key=lambda one: one.prior.expected)


def _differ(one: _Probed, other: _Probed) -> bool:
    return compare_goodness(one.goodness, other.goodness, groups=one.rows.group_numbers).differs


def _row(one: _Probed, verdict: str, reporter: Reporter) -> TriedNetwork:
    return TriedNetwork(
        network=one.prior.network,
        expected=one.prior.expected,
        expected_from=one.prior.source,
        images=len(one.goodness),
        accuracy=one.merit.estimate,
        measure=one.merit.name,
        scores=_transferability(one, reporter),
        verdict=verdict,
    )


def _transferability(one: _Probed, reporter: Reporter) -> Transferability:
    last = one.rows.features.layout[-1].stage
    columns = read_by_probe(columns_of(one.rows.features.layout, [last]))
    matrix = one.rows.features.matrix(one.rows.keys, columns)
    opinions, labels = _source_opinions(one, reporter)
    return Transferability(
        logme=log_me(matrix, one.rows.targets),
        h_score=h_score(matrix, one.rows.targets),
        nce=nce(opinions, labels),
        leep=leep(opinions, labels),
    )


def _source_opinions(one: _Probed, reporter: Reporter) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities `(N, Z)` of the network's own classifier for a part of the sample, and its labels."""
    part = one.rows.sample(_ROUNDS[0])
    wanted = set(part.keys)
    images = replace(one.sample, items=tuple(i for i in one.sample.items if i.sha256 in wanted))
    runtime = one.compute.open_moments(one.weights)
    features = one.compute.extract(images, runtime, one.weights.input_spec, reporter)
    columns = columns_of(features.layout, [CLASSIFIER])
    return softmax(features.matrix(part.keys, columns).astype(np.float64)), part.targets


def _untried(prior: Prior, why: str = "less promising than the first few") -> TriedNetwork:
    return TriedNetwork(
        network=prior.network,
        expected=prior.expected,
        expected_from=prior.source,
        images=0,
        accuracy=None,
        scores=None,
        verdict=f"not tried: {why}",
    )
