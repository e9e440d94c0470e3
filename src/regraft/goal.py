"""What thresholds must reach, as a user writes it: `recall=0.95`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from regraft.errors import SettingsError, close_names

GoalMeasure = Literal["recall", "precision"]
"""The shares that a threshold can be chosen for; those of boxes are recall and precision."""
_MEASURES: tuple[GoalMeasure, ...] = get_args(GoalMeasure)
_NUMBER = re.compile(r"\d*\.?\d+|\d+\.")
_EXAMPLES = "recall=0.95 and precision=0.9 (a share above 0, up to 1)"


@dataclass(frozen=True)
class Goal:
    """A share that a threshold must reach, on data that the model was not fitted on.

    >>> Goal.parse("recall=0.950"), str(Goal("precision", 0.9))
    (Goal(measure='recall', value=0.95), 'precision=0.9')
    """

    measure: GoalMeasure
    value: float
    """In (0, 1]."""

    def __str__(self) -> str:
        return f"{self.measure}={self.value:g}"

    @classmethod
    def parse(cls, text: str) -> Goal:
        """The goal that a text such as `recall=0.95` means.

        Raises:
            SettingsError: the text is not a goal; the message says what is accepted.
        """
        name, sign, number = (part.strip() for part in text.partition("="))
        measure = next((one for one in _MEASURES if one == name), None)
        if measure is None:
            close = close_names(name, _MEASURES)
            raise SettingsError(f"--goal {text} is not understood{close}; accepted are {_EXAMPLES}")
        if not sign or not _NUMBER.fullmatch(number):
            raise SettingsError(f"--goal {text} lacks a number; accepted are {_EXAMPLES}")
        value = float(number)
        if not 0 < value <= 1:
            meant = f"; {value:g} % is {measure}={value / 100:g}" if 1 < value <= 100 else ""
            raise SettingsError(f"--goal {text} is out of range; accepted are {_EXAMPLES}{meant}")
        return cls(measure, value)
