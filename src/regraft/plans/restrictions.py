"""Training settings that have no meaning for a task, refused before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping

from regraft.errors import SettingsError
from regraft.records import Link
from regraft.settings import TrainSettings

_SEVERAL = "images that have several labels have no single class"
_NUMBER = "numbers have no classes"
MEANINGLESS: Mapping[Link, Mapping[str, str]] = {
    "softmax": {},
    "sigmoid": {"balanced": _SEVERAL, "class_weights": _SEVERAL},
    "identity": {
        "balanced": _NUMBER,
        "class_weights": _NUMBER,
        "label_smoothing": _NUMBER,
        "cutmix": "nobody knows the number of an image that is pasted together from two; --mixup is accepted",
    },
}
"""By link, the training settings that must stay off, each with the reason."""


def check_training(link: Link, settings: TrainSettings) -> None:
    """Refuse training settings that have no meaning for a task.

    Raises:
        SettingsError: such settings are on; the message lists all of them, with their values and reasons.
    """
    problems = []
    for name, reason in MEANINGLESS[link].items():
        value = getattr(settings, name)
        if value:
            shown = "" if value is True else f" {value:g}"
            problems.append(f"remove --{name.replace('_', '-')}{shown}: {reason}")
    if problems:
        raise SettingsError("; ".join(problems))
