"""Turn settings into a plan: every open choice is made and reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from regraft.errors import NetworkError, SettingsError
from regraft.heads.fitting import check_head, heads_for
from regraft.machine.processor import has_bf16
from regraft.networks.architectures.auxiliaries import has_auxiliaries
from regraft.networks.cuts import cut_count
from regraft.plans.plan import TRAINED, TRAINED_HEADS, Plan, SolvedPlan
from regraft.plans.restrictions import check_training
from regraft.progress import Reporter
from regraft.records import Column, HeadKind, InputSpec, Link, Statistic, Strategy, stages_of
from regraft.settings import Augmentation, FitSettings, TrainSettings
from regraft.tasks.task import Task

_EPOCHS: dict[Strategy, int] = {"last-blocks": 8, "full": 8, "scratch": 60}
_RATES: dict[str, dict[Strategy, float]] = {
    "adamw": {"last-blocks": 1e-3, "full": 1e-3, "scratch": 1e-3},
    "sgd": {"last-blocks": 0.01, "full": 0.01, "scratch": 0.05},
}
_LARGE_INPUT_PX = 96  # below this, converting to bf16 takes longer than its arithmetic saves


@dataclass(frozen=True)
class Circumstances:
    """The network and the machine, on which a plan depends besides the settings."""

    network: str
    layout: Sequence[Column]
    input_spec: InputSpec
    runtime: Literal["openvino", "torch"]
    device: str = "auto"
    task: Task | None = None
    """What is predicted; None means classes."""

    @property
    def link(self) -> Link:
        """How scores become outputs."""
        return self.task.link if self.task else "softmax"


def check_strategy(strategy: Strategy, head: HeadKind | None, task: Task | None) -> None:
    """Refuse a strategy or a kind of head that can't predict what a task needs.

    Raises:
        SettingsError: with the strategies or heads that can.
    """
    if task is None:
        return
    if strategy == "svm" and "rbf-svm" not in heads_for(task.link):
        known = ("probe", "many-stages", *TRAINED)
        raise SettingsError(
            f"--strategy {strategy} can't predict labels of --task {task.name}; accepted are "
            f"{', '.join(known)} and auto"
        )
    if head is not None and strategy not in TRAINED:
        check_head(head, task)


def make_plan(
    settings: FitSettings, training: TrainSettings, circumstances: Circumstances, reporter: Reporter
) -> Plan:
    """The plan that carries out some settings with a given network on this machine.

    Raises:
        NetworkError: the network has no such cut.
        SettingsError: settings contradict each other.
    """
    stages = stages_of(circumstances.layout)
    strategy, cut = _named(settings), settings.cut
    check_strategy(strategy, settings.head, circumstances.task)
    if len(stages) == 1:
        reporter.note(
            f"{circumstances.network} can't be divided into stages, so it is used whole, without a cut"
        )
    if strategy in TRAINED:
        return _make_trained(settings, training, circumstances, reporter)
    kinds = heads_for(circumstances.link)
    usual: HeadKind = "rbf-svm" if strategy != "probe" and "rbf-svm" in kinds else kinds[0]
    head = settings.head or usual
    if cut is not None:
        count = cut_count(stages, cut)
        if count == 0:
            raise NetworkError(
                f"a cut at {cut} leaves no stage for the head to read; the first possible cut is {stages[0]}"
            )
        stages = stages[count - 1 :] if strategy == "many-stages" else stages[count - 1 : count]
    elif strategy == "probe":
        stages = stages[-1:]
    known = [column.statistic for column in circumstances.layout if column.stage in stages]
    statistics = _one_statistic(known) if strategy == "probe" else tuple(dict.fromkeys(known))
    return solved_plan(
        settings,
        circumstances,
        strategy,
        SolvedPlan(head=head, stages=tuple(stages), statistics=statistics),
        reads="best" if cut is None else "all",
    )


def solved_plan(
    settings: FitSettings,
    circumstances: Circumstances,
    strategy: Strategy,
    part: SolvedPlan,
    *,
    reads: Literal["all", "best"] = "all",
) -> Plan:
    """The plan of a head that is solved on the frozen network.

    Args:
        settings: how features are computed, and the seed.
        circumstances: the network and the data.
        strategy: a strategy that trains nothing.
        part: the head, and what it reads.
        reads: whether the head reads all of these stages, or the best set of them.
    """
    return Plan(
        network=circumstances.network,
        strategy=strategy,
        head=part.head,
        stages=part.stages,
        statistics=part.statistics,
        reads=reads,
        runtime=circumstances.runtime,
        precision=settings.precision,
        seed=settings.seed,
        granularity=settings.stages,
        channels=settings.channels,
        image_size=settings.image_size,
        framing=circumstances.input_spec.framing,
        average=circumstances.input_spec.average,
        most_images=part.most_images,
    )


def check_plan(plan: Plan, circumstances: Circumstances) -> Plan:
    """Check that a plan from a file fits its network, and return it.

    Raises:
        SettingsError: the plan does not fit; the message lists every problem and what is accepted.
    """
    stages = stages_of(circumstances.layout)
    solved = [*plan.vote, *([plan.refit] if plan.refit else [])]
    named = [*plan.stages, *(stage for one in solved for stage in one.stages)]
    unknown = [stage for stage in dict.fromkeys(named) if stage not in stages]
    trains = plan.strategy in TRAINED
    check_strategy(plan.strategy, plan.head, circumstances.task)
    problems = [f"stage {name!r} is not one of {', '.join(stages)}" for name in unknown]
    if not plan.stages:
        problems.append("stages is empty; name at least one")
    elif trains and list(plan.stages) != stages[len(stages) - len(plan.stages) :]:
        problems.append(f"the trained stages must be the last ones, for example {', '.join(stages[-2:])}")
    if trains != (plan.training is not None):
        problems.append(f"strategy {plan.strategy} {'needs' if trains else 'takes no'} [training] settings")
    if plan.refit is not None and not trains:
        problems.append(f"refit is for strategies that train, not for {plan.strategy}")
    if plan.training is not None and (plan.training.epochs is None or plan.training.lr is None):
        problems.append("[training] needs epochs and lr")
    if problems:
        raise SettingsError(f"the plan doesn't fit {circumstances.network}: {'; '.join(problems)}")
    return plan


def _one_statistic(known: Sequence[Statistic]) -> tuple[Statistic, ...]:
    """The statistic that the network's own classifier reads."""
    return ("token",) if "token" in known else ("mean",)


def _make_trained(
    settings: FitSettings, training: TrainSettings, circumstances: Circumstances, reporter: Reporter
) -> Plan:
    head = TRAINED_HEADS[circumstances.link]
    if settings.head not in (None, head):
        raise SettingsError(
            f"--head {settings.head} can't be trained: with --strategy {settings.strategy} the head is "
            f"always {head}. Remove --head, or choose --strategy svm or many-stages"
        )
    check_training(circumstances.link, training)
    stages = stages_of(circumstances.layout)
    count = _frozen_count(settings, stages, reporter)
    known = [column.statistic for column in circumstances.layout if column.stage == stages[-1]]
    return Plan(
        network=circumstances.network,
        strategy=_named(settings),
        head=head,
        stages=tuple(stages[count:]),
        statistics=_one_statistic(known),
        runtime=circumstances.runtime,
        precision=settings.precision,
        seed=settings.seed,
        granularity=settings.stages,
        channels=settings.channels,
        image_size=settings.image_size,
        framing=circumstances.input_spec.framing,
        average=circumstances.input_spec.average,
        training=_resolved(settings, training, circumstances, has_prefix=count > 0, reporter=reporter),
    )


def _frozen_count(settings: FitSettings, stages: Sequence[str], reporter: Reporter) -> int:
    if settings.strategy != "last-blocks":
        if settings.cut is not None and cut_count(stages, settings.cut) != 0:
            raise SettingsError(
                f"--cut {settings.cut} freezes stages, but --strategy {settings.strategy} trains all of "
                "them. Remove one of the two, or use --strategy last-blocks"
            )
        return 0
    if settings.cut is None:
        count = min(len(stages) - 1, cut_count(stages, "75%"))
        reporter.decided(
            f"cut after {stages[count - 1] if count else 'the image'}",
            "by default the last quarter of the stages is trained",
            "--cut",
        )
        return count
    count = cut_count(stages, settings.cut)
    if count == len(stages):
        raise NetworkError(
            f"a cut at {settings.cut} leaves no stage to train; use --strategy probe, or an earlier cut: "
            f"{', '.join(stages[:-1])}"
        )
    return count


def _resolved(
    settings: FitSettings,
    training: TrainSettings,
    circumstances: Circumstances,
    *,
    has_prefix: bool,
    reporter: Reporter,
) -> TrainSettings:
    """The training settings with every open choice made."""
    strategy = _named(settings)
    is_scratch = strategy == "scratch"
    chosen = replace(
        training,
        epochs=training.epochs or _EPOCHS[strategy],
        lr=training.lr or _RATES[training.optimizer][strategy],
        lr_decay=1.0 if is_scratch else training.lr_decay,
        batchnorm=_decided_batchnorm(training, is_scratch=is_scratch),
        head_start="zero" if is_scratch else training.head_start,
        augment=training.augment or _AUGMENT,
        auxiliary_weight=_decided_auxiliaries(training, circumstances.network, is_scratch=is_scratch),
    )
    chosen = replace(chosen, views=_decided_views(chosen, has_prefix=has_prefix))
    if training.train_precision == "auto":
        is_large = circumstances.input_spec.size_px >= _LARGE_INPUT_PX
        chosen = replace(
            chosen, train_precision="bf16" if is_large and has_bf16(circumstances.device) else "fp32"
        )
        if chosen.train_precision == "bf16":
            reporter.decided(
                "bf16 training steps", "this machine multiplies bf16 numbers natively", "--train-precision"
            )
    return chosen


def _named(settings: FitSettings) -> Strategy:
    assert settings.strategy != "auto"  # the ladder chooses a strategy for each of its rungs
    return settings.strategy


_AUGMENT: Augmentation = "none"


def _decided_batchnorm(training: TrainSettings, *, is_scratch: bool) -> Literal["frozen", "trained"]:
    if training.batchnorm != "auto":
        return training.batchnorm
    return "trained" if is_scratch else "frozen"


def _decided_auxiliaries(training: TrainSettings, network: str, *, is_scratch: bool) -> float:
    if training.auxiliary_weight is None:
        return 0.3 if is_scratch and has_auxiliaries(network) else 0.0
    if training.auxiliary_weight and not has_auxiliaries(network):
        raise NetworkError(
            f"{network} has no auxiliary classifiers, so --auxiliary-weight {training.auxiliary_weight:g} "
            "has no effect. Remove it"
        )
    return training.auxiliary_weight


def _decided_views(training: TrainSettings, *, has_prefix: bool) -> int:
    if training.augment == "none" and not training.erasing:
        return 1
    if training.views is not None:
        return training.views
    return 4 if has_prefix else 0
