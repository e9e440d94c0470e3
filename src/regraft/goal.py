"""What thresholds must reach, as a user writes it: `recall=0.95`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from regraft.errors import SettingsError, close_names

GoalMeasure = Literal["recall", "precision", "sensitivity", "specificity", "ppv", "npv"]
"""The shares that a threshold can be chosen for. Those of boxes are recall and precision; those of two
classes are sensitivity (recall), specificity, ppv (precision) and npv."""
_MEASURES: tuple[GoalMeasure, ...] = get_args(GoalMeasure)
BOX_MEASURES: tuple[GoalMeasure, ...] = ("recall", "precision")
_NUMBER = re.compile(r"\d*\.?\d+|\d+\.")
_EXAMPLES = "recall=0.95 and precision=0.9 (a share above 0, up to 1)"
_MORE = "; for two classes of whole images also sensitivity=0.95, specificity=0.9, ppv=0.9 and npv=0.99"


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

    @property
    def rate(self) -> Literal["sensitivity", "specificity", "ppv", "npv"]:
        """The measure under its name for two classes: recall is sensitivity, precision is ppv.

        >>> Goal("recall", 0.9).rate, Goal("npv", 0.9).rate
        ('sensitivity', 'npv')
        """
        if self.measure == "recall":
            return "sensitivity"
        return "ppv" if self.measure == "precision" else self.measure

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
            raise SettingsError(f"--goal {text} is not understood{close}; accepted are {_EXAMPLES}{_MORE}")
        if not sign or not _NUMBER.fullmatch(number):
            raise SettingsError(f"--goal {text} lacks a number; accepted are {_EXAMPLES}{_MORE}")
        value = float(number)
        if not 0 < value <= 1:
            meant = f"; {value:g} % is {measure}={value / 100:g}" if 1 < value <= 100 else ""
            raise SettingsError(f"--goal {text} is out of range; accepted are {_EXAMPLES}{_MORE}{meant}")
        return cls(measure, value)
