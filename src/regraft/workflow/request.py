"""What a user asks `fit` for: settings or a plan, and the weights to start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

from regraft.advice.default_network import default_network
from regraft.arguments import check_kind, check_place, seconds_in
from regraft.detection.detectors.bundle import is_detector
from regraft.errors import SettingsError
from regraft.features.opening import Compute
from regraft.heads.dataset import Dataset
from regraft.networks.weights.detector_bodies import BODIES, find_body
from regraft.networks.weights.finding import Weights, find_weights
from regraft.networks.zoo.licences import check_licence
from regraft.plans.plan import TRAINED, Plan
from regraft.prediction.bundle import load_bundle
from regraft.prediction.model import Model
from regraft.progress import Reporter
from regraft.settings import DEFAULT_BUDGET, DataSettings, FitSettings, TrainSettings, changed, differences

if TYPE_CHECKING:  # it imports torch, which solved heads do without
    from regraft.training.group.processes import ProcessGroup
    from regraft.training.tuned import TailTraining


@dataclass(frozen=True)
class Request:
    """What the user wants: settings, or a plan that holds all of them."""

    fit: FitSettings
    training: TrainSettings
    plan: Plan | None
    compared: tuple[str, ...] = ()
    """Networks that `--network auto` compared, from which the one in `fit` was chosen."""
    processes: int = 1
    """Number of processes that train together."""

    def record(self) -> dict[str, Any]:
        """As kept in the run; a later fit with the same continues it."""
        chosen = self.plan.model_dump(mode="json") if self.plan else None
        usual = FitSettings()
        unset = {name for name in _LATER if getattr(self.fit, name) == getattr(usual, name)}
        kept = {name: value for name, value in asdict(self.fit).items() if name not in unset}
        del kept["executor"]  # it changes no bit of the results
        together = {"processes": self.processes} if self.processes > 1 else {}
        return {**kept, "training": asdict(self.training), "plan": chosen, **together}


_ABOUT_CLASSES = ("goal", "positive", "prevalence", "measure", "ordered", "reject_below")
"""What is said about classes, which a plan leaves open."""
_LATER = (*_ABOUT_CLASSES, "classes", "framing", "average")
"""Settings that are not kept where they have their usual value, so that earlier runs are continued."""


def check_offline(fit: FitSettings, data: DataSettings) -> None:
    """Refuse to fetch images from the web offline.

    Raises:
        SettingsError: both flags are given.
    """
    if fit.offline and data.fetch_urls:
        raise SettingsError("--offline forbids what --fetch-urls asks for; remove one of the two")


def check_images(fit: FitSettings) -> None:
    """Refuse what has a meaning for boxes only.

    Raises:
        SettingsError: a setting that would be ignored.
    """
    if fit.classes is not None:
        raise SettingsError(
            f"--classes {','.join(fit.classes)} is for data with boxes (the classes that a detector finds), "
            "but these labels are of whole images. Remove --classes"
        )


def make_request(
    settings: FitSettings | None,
    training: TrainSettings | None,
    plan: Plan | str | Path | None,
    changes: Mapping[str, Any],
) -> Request:
    """Settings, single changes of them, or a plan, as one request.

    Raises:
        SettingsError: they contradict each other, or one of them is of the wrong kind.
    """
    one_by_one = "None; single settings are given by their names, such as strategy='probe'"
    check_kind("settings", settings, (FitSettings, NoneType), f"FitSettings and {one_by_one}")
    check_kind("training", training, (TrainSettings, NoneType), f"TrainSettings and {one_by_one}")
    if plan is not None and not isinstance(plan, Plan):
        check_place("plan", plan, "a Plan, the file that `Plan.save` wrote, and None")
    training_names = {field.name for field in fields(TrainSettings)}
    trained = {name: value for name, value in changes.items() if name in training_names}
    others = {name: value for name, value in changes.items() if name not in trained}
    fit = changed(settings or FitSettings(), others, also=TrainSettings)
    how: TrainSettings = changed(training or TrainSettings(), trained)
    if plan is None:
        _check_ladder(fit)
        if how != TrainSettings() and fit.strategy not in (*TRAINED, "auto"):
            flags, verb = _flags(differences(how, TrainSettings()))
            *first, last = TRAINED
            raise SettingsError(
                f"{flags} {verb} no effect: --strategy {fit.strategy} does not train. "
                f"Use {', '.join(first)} or {last}"
            )
        return Request(fit, how, None)
    chosen = plan if isinstance(plan, Plan) else Plan.load(plan)
    free = FitSettings(
        weights=fit.weights,
        offline=fit.offline,
        accept_license=fit.accept_license,
        test_share=fit.test_share,
        device=fit.device,
        executor=fit.executor,
        **{name: getattr(fit, name) for name in _ABOUT_CLASSES},
    )
    said = [*differences(fit, free), *differences(how, TrainSettings())]
    if said:
        flags, _ = _flags(said)
        are, them = ("is", "it") if len(said) == 1 else ("are", "them")
        raise SettingsError(f"{flags} {are} fixed by --plan. Leave {them} out, or edit the plan file")
    given = replace(
        free,
        network=chosen.network,
        strategy=chosen.strategy,
        seed=chosen.seed,
        precision=chosen.precision,
        stages=chosen.granularity,
        channels=chosen.channels,
        image_size=chosen.image_size,
        framing=chosen.framing,
        average=chosen.average,
    )
    return Request(given, chosen.training or how, chosen)


def check_together(request: Request) -> None:
    """Refuse several processes where nothing is trained.

    Raises:
        SettingsError: a strategy that solves its head.
    """
    if request.processes == 1:
        return
    strategy = request.plan.strategy if request.plan else request.fit.strategy
    if strategy not in (*TRAINED, "auto"):
        *first, last = TRAINED
        raise SettingsError(
            f"{request.processes} processes (--devices, or a launcher's WORLD_SIZE) have no effect: "
            f"--strategy {strategy} does not train. Use {', '.join(first)}, {last} or auto, or one process"
        )


def _flags(names: Sequence[str]) -> tuple[str, str]:
    """Settings as flags in a sentence, and the form of `have` that follows them.

    >>> _flags(["lr"]), _flags(["cut", "weight_decay"])
    (('--lr', 'has'), ('--cut and --weight-decay', 'have'))
    """
    flags = [f"--{name.replace('_', '-')}" for name in names]
    return " and ".join(filter(None, [", ".join(flags[:-1]), flags[-1]])), "has" if len(
        flags
    ) == 1 else "have"


def _check_ladder(fit: FitSettings) -> None:
    """Refuse settings that the chosen strategy would ignore.

    Raises:
        SettingsError: a setting that the strategy would ignore.
    """
    if fit.strategy == "auto":
        for name in ("cut", "head"):
            if getattr(fit, name) is not None:
                raise SettingsError(
                    f"--{name} {getattr(fit, name)} needs a single strategy, but the default (auto) tries "
                    "several. Add --strategy probe, svm, many-stages or last-blocks"
                )
        seconds_in(fit.budget or DEFAULT_BUDGET)
    elif fit.budget is not None:
        raise SettingsError(
            f"--budget {fit.budget} limits the ladder (--strategy auto), but --strategy {fit.strategy} was "
            "chosen. Use --time-limit to limit a training"
        )


@dataclass(frozen=True)
class Start:
    """The weights that a fit starts from, and the models that they come from."""

    weights: Weights
    lineage: tuple[str, ...]
    earlier: Model | None = None
    """The run that the weights come from."""


def find_start(request: Request, from_run: str | Path | None, reporter: Reporter) -> Start:
    """The network and its weights (from an earlier run, initialised, or pretrained), adapted to the images.

    Raises:
        SettingsError: settings that contradict each other.
        WeightsError: there are no weights, or their licence was not accepted.
        NetworkError: the network can't take such images.
    """
    settings = request.fit
    if from_run is not None:
        check_place("from_run", from_run, "a run folder, a bundle, the name of a detector and None")
        is_named = str(from_run) in BODIES and not Path(from_run).exists()
        if is_named:
            found = _from_detector(str(from_run), settings, reporter)
        else:
            found = _from_run(Path(from_run), settings)
    elif settings.strategy == "scratch":
        found = _from_scratch(request, reporter)
    else:
        weights = _choose_network(settings, reporter)
        found = Start(weights, (weights.source.where,))
    check_licence(found.weights.source, is_accepted=settings.accept_license, reporter=reporter)
    weights = found.weights
    if settings.channels is not None or settings.image_size is not None:
        from regraft.networks.adaptation import adapted

        weights = adapted(weights, channels=settings.channels, size_px=settings.image_size)
    weights = weights.framed(settings.framing).averaged(settings.average)
    if settings.stages != "default":
        recipe = weights.recipe.model_copy(update={"stages": settings.stages})
        weights = replace(weights, recipe=recipe)
    return replace(found, weights=weights)


def _from_scratch(request: Request, reporter: Reporter) -> Start:
    settings = request.fit
    if settings.weights is not None:
        raise SettingsError(
            f"--strategy scratch uses no pretrained weights. Remove --weights {settings.weights}"
        )
    network = settings.network or _default_network(settings, reporter)
    from regraft.networks.initialisation import initial_weights

    weights = initial_weights(
        network,
        request.training.init,
        seed=settings.seed,
        channels=settings.channels,
        size_px=settings.image_size,
    )
    return Start(weights, (weights.source.where,))


def _from_run(folder: Path, settings: FitSettings) -> Start:
    if is_detector(folder):
        raise SettingsError(
            f"--from {folder} is a run of a detector, whose network was not trained. Name a run of a "
            "classifier, or the network with --network"
        )
    earlier = load_bundle(folder)
    if settings.weights is not None or settings.network not in (None, earlier.weights.network):
        raise SettingsError(
            f"--from {folder} determines the network ({earlier.weights.network}) and its weights. "
            "Remove --network and --weights"
        )
    if settings.strategy == "scratch":
        raise SettingsError(f"--strategy scratch uses no pretrained weights. Remove --from {folder}")
    return Start(earlier.weights, earlier.lineage, earlier)


def _from_detector(name: str, settings: FitSettings, reporter: Reporter) -> Start:
    """The backbone of a published detector, which was trained on COCO."""
    if settings.network is not None:
        raise SettingsError(
            f"--from {name} determines the network ({BODIES[name].network}). "
            f"Remove --network {settings.network}"
        )
    if settings.strategy == "scratch":
        raise SettingsError(f"--strategy scratch uses no pretrained weights. Remove --from {name}")
    weights = find_body(name, weights=settings.weights, offline=settings.offline, reporter=reporter)
    return Start(weights, (weights.source.where,))


def _choose_network(settings: FitSettings, reporter: Reporter) -> Weights:
    network = settings.network
    if network is None:
        if settings.weights == "random":
            raise SettingsError("--weights random needs a --network; `regraft zoo` lists them")
        network = _default_network(settings, reporter)
    weights = find_weights(network, weights=settings.weights, offline=settings.offline, reporter=reporter)
    if settings.weights == "random":
        reporter.warn(f"{network} has RANDOM weights: it has learned nothing, so expect little of it")
    return weights


def _default_network(settings: FitSettings, reporter: Reporter) -> str:
    network, reason = default_network(settings.weights, accept_licence=settings.accept_license)
    reporter.decided(f"network {network}", reason, "--network")
    return network


def tail_training(
    dataset: Dataset, plan: Plan, compute: Compute, start: Start, group: ProcessGroup | None = None
) -> TailTraining:
    """The training that a plan asks for, ready to be carried out; torch is imported only here."""
    from regraft.training.start.trained_head import EarlierHead
    from regraft.training.tuned import TailTraining

    earlier = EarlierHead(start.earlier.labels, start.earlier.head) if start.earlier else None
    return TailTraining(dataset, plan, start.weights, compute, earlier, group=group)
