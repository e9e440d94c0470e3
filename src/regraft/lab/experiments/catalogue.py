"""The experiments by name, in the order of a lecture."""

from __future__ import annotations

from collections.abc import Mapping

from regraft.errors import SettingsError, close_names
from regraft.lab.experiments.rcnn import RCNN_EXPERIMENT
from regraft.lab.results.experiment import Experiment

EXPERIMENTS: Mapping[str, Experiment] = {one.name: one for one in (RCNN_EXPERIMENT,)}


def experiment(name: str) -> Experiment:
    """The experiment of a name.

    Raises:
        SettingsError: there is none; close names are suggested.
    """
    if name not in EXPERIMENTS:
        raise SettingsError(
            f"there is no experiment {name!r}{close_names(name, EXPERIMENTS)}; accepted are "
            f"{', '.join(EXPERIMENTS)}. `regraft lab` lists them"
        )
    return EXPERIMENTS[name]
