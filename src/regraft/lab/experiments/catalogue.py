"""The experiments by name, in the order of a lecture."""

from __future__ import annotations

from collections.abc import Mapping

from regraft.errors import SettingsError, close_names
from regraft.lab.experiments.blocks.bottleneck import BOTTLENECKS
from regraft.lab.experiments.blocks.depthwise import DEPTHWISE
from regraft.lab.experiments.blocks.inception import INCEPTIONS
from regraft.lab.experiments.blocks.scaling import SCALING
from regraft.lab.experiments.deep.depth import DEPTH
from regraft.lab.experiments.deep.gradients_shown import GRADIENTS
from regraft.lab.experiments.deep.initialisation_shown import INITIALISATION
from regraft.lab.experiments.deep.shortcuts_shown import SHORTCUTS
from regraft.lab.experiments.practice.accumulation_shown import ACCUMULATION
from regraft.lab.experiments.practice.regularisation import REGULARISATION
from regraft.lab.experiments.practice.schedules_shown import SCHEDULES
from regraft.lab.experiments.rcnn import RCNN_EXPERIMENT
from regraft.lab.experiments.transfer.by_hand_shown import BY_HAND
from regraft.lab.experiments.transfer.choosing_shown import CHOOSING
from regraft.lab.experiments.transfer.forgetting_shown import FORGETTING
from regraft.lab.experiments.transfer.hierarchy_shown import HIERARCHY
from regraft.lab.experiments.transfer.transferability_shown import TRANSFERABILITY
from regraft.lab.experiments.transfer.transitive import TRANSITIVE
from regraft.lab.results.experiment import Experiment

ALL = "all"
_ORDER = (
    BY_HAND, DEPTH, GRADIENTS, SHORTCUTS, INITIALISATION, REGULARISATION, SCHEDULES, ACCUMULATION,
    BOTTLENECKS, INCEPTIONS, DEPTHWISE, SCALING, HIERARCHY, TRANSFERABILITY, CHOOSING, FORGETTING, TRANSITIVE,
    RCNN_EXPERIMENT,
)  # fmt: skip
EXPERIMENTS: Mapping[str, Experiment] = {one.name: one for one in _ORDER}


def experiment(name: str) -> Experiment:
    """The experiment of a name.

    Raises:
        SettingsError: there is none; close names are suggested.
    """
    if name not in EXPERIMENTS:
        raise SettingsError(
            f"there is no experiment {name!r}{close_names(name, EXPERIMENTS)}; accepted are "
            f"{', '.join(EXPERIMENTS)} and {ALL}. `regraft lab` lists them"
        )
    return EXPERIMENTS[name]
