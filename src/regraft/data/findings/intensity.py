"""One range for a data set: which values of images of more than 8 bits become black and white.

A scan keeps which values each image holds; the range is decided from these facts, once. One range keeps the
brightness of images comparable, which a range for each image would destroy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.arguments import intensity_of, window_of
from regraft.data.formats.samples import LEVELS, Span, usual_span
from regraft.progress import Reporter
from regraft.records import Finding, Intensity

Facts = npt.NDArray[Any]
_LEAST_USED = 0.25
"""Where values use less of the usual range, the range is that of the values."""
_BITS = {level: f"{level.bit_length()} bits" for level in LEVELS}
_POINTS = "the 0.1 % and 99.9 % points"


@dataclass(frozen=True)
class IntensityChoice:
    """The range of a data set, and why."""

    chosen: Intensity | None
    """None where no image has more than 8 bits."""
    because: str = ""
    is_automatic: bool = True
    """Whether no setting has decided it."""

    def tell(self, reporter: Reporter) -> None:
        """Report the range, if there is one and no setting has decided it."""
        if self.chosen is not None and self.is_automatic:
            what = f"range {self.chosen.text} for images of more than 8 bits"
            reporter.decided(what, self.because, "--range")


def choose_intensity(facts: Facts, wanted: str = "auto", window: str | None = None) -> IntensityChoice:
    """The range of the images of more than 8 bits.

    In this order: what the user wants; what all files of a kind of numbers state, if no value lies outside;
    from 0 to the largest value of 8, 10, 12, 14 or 16 bits, whichever is the first that is not below the
    largest value in the data set, or to 1 for fractions; the extremes. Where the 0.1 % to 99.9 % points of
    the images use less than a quarter of what the last two ways give, the range is that of these points.

    Args:
        facts: the facts of a scan, `(N,)` of `FACTS`.
        wanted: the setting: `auto`, `each`, or two numbers, as in `0:4095`.
        window: the setting of DICOM files.
    """
    span = window_of(window)
    if span is not None and (facts["format"] == b"DICOM").any():
        chosen = choose_intensity(facts[facts["format"] != b"DICOM"], wanted).chosen or Intensity()
        because = f"--window is {window}"
        return IntensityChoice(chosen.model_copy(update={"window": span}), because, is_automatic=False)
    deep = facts[~np.isnan(facts["lowest"])]
    if not len(deep):
        return IntensityChoice(None)
    explicit = intensity_of(wanted)
    if explicit is not None:
        return IntensityChoice(explicit, f"--range is {wanted}", is_automatic=False)
    spans, reasons = {}, []
    for name, noun, is_real in (("whole", "whole numbers", False), ("real", "floating-point numbers", True)):
        chosen = deep[deep["is_real"] == is_real]
        if len(chosen):
            spans[name], reason = _span(chosen, is_real=is_real)
            reasons.append((noun, reason))
    if len(reasons) == 1:
        return IntensityChoice(Intensity(**spans), reasons[0][1])
    return IntensityChoice(Intensity(**spans), "; ".join(f"{noun}: {reason}" for noun, reason in reasons))


def _span(facts: Facts, *, is_real: bool) -> tuple[Span, str]:
    lowest, highest = float(facts["lowest"].min()), float(facts["highest"].max())
    images = f"{len(facts):,} image{'s' if len(facts) != 1 else ''}"
    stated = _stated(facts, lowest, highest)
    if stated is not None:
        return stated, f"the files of {images} state it"
    low = float(np.quantile(facts["low"], 0.001, method="lower"))
    high = float(np.quantile(facts["high"], 0.999, method="higher"))
    black, white = usual_span(lowest, highest, is_real=is_real)
    if low < high and high - low < _LEAST_USED * (white - black):
        used = (high - low) / (white - black)
        return (low, high), (
            f"{_POINTS} of {images} are {low:,.6g} and {high:,.6g}, {used:.1%} of {black:,.6g}-{white:,.6g}"
        )
    if white in _BITS and black == 0 and not is_real:
        bits = _BITS[int(white)]
        return (black, white), f"the largest value of {images} is {highest:,.6g}, which needs {bits}"
    return (black, white), f"the values of {images} reach from {lowest:,.6g} to {highest:,.6g}"


def _stated(facts: Facts, lowest: float, highest: float) -> Span | None:
    """What all files state, or those that do alike, if all values lie within."""
    blacks, whites = facts["stated_black"], facts["stated_white"]
    is_stated = ~np.isnan(whites)
    if not is_stated.any():
        return None
    black, white = float(np.nanmin(blacks)), float(np.nanmax(whites))
    is_alike = bool((blacks[is_stated] == black).all() and (whites[is_stated] == white).all())
    holds_all = black <= lowest and highest <= white
    return (black, white) if holds_all and (is_alike or is_stated.all()) else None


def intensity_findings(paths: Sequence[str], facts: Facts, choice: IntensityChoice) -> list[Finding]:
    """What was decided and why; and a warning where it leaves few grey levels."""
    if choice.chosen is None:
        return []
    is_deep = ~np.isnan(facts["lowest"])
    named = tuple(path for path, chosen in zip(paths, is_deep, strict=True) if chosen)
    text = f"range {choice.chosen.text}, because {choice.because} (override with --range)"
    found = [Finding("intensity", f"images of more than 8 bits: {text}", named)]
    for is_real, span in ((False, choice.chosen.whole), (True, choice.chosen.real)):
        chosen = facts[is_deep & (facts["is_real"] == is_real)]
        if span is None or not len(chosen):
            continue
        low, high = float(chosen["low"].min()), float(chosen["high"].max())
        first, last = _level(low, span), _level(high, span)
        if last - first < _LEAST_LEVELS and low < high:
            found.append(
                Finding(
                    "range",
                    f"images of more than 8 bits are mapped from {span[0]:,.6g}-{span[1]:,.6g}, but hold "
                    f"mostly values from {low:,.6g} to {high:,.6g}: the network sees {last - first + 1} of "
                    "256 grey levels; choose another --range",
                    named,
                )
            )
    return found


_LEAST_LEVELS = 26


def _level(value: float, span: Span) -> int:
    share = (value - span[0]) / max(span[1] - span[0], 1e-30)
    return round(255 * min(1.0, max(0.0, share)))


def common_thumbnails(facts: Facts, intensity: Intensity | None) -> npt.NDArray[np.uint8]:
    """Thumbnails in the range of the data set, `(N, pixels) uint8`; each was kept in its own range."""
    kept = np.ascontiguousarray(facts["thumbnail"])
    if intensity is None or intensity.is_each:
        return kept
    for place in np.flatnonzero(~np.isnan(facts["lowest"])):
        row = facts[place]
        span = intensity.real if row["is_real"] else intensity.whole
        if span is None:
            continue
        low, high = (row["low"], row["high"]) if row["low"] < row["high"] else (row["lowest"], row["highest"])
        levels = kept[place].astype(np.float64)
        values = low + (255 - levels if row["is_inverted"] else levels) * ((high - low) / 255)
        grey = np.clip(np.rint((values - span[0]) * (255 / max(span[1] - span[0], 1e-30))), 0, 255)
        kept[place] = 255 - grey if row["is_inverted"] else grey
    return kept


def is_blank(facts: Facts, intensity: Intensity | None) -> npt.NDArray[np.bool_]:
    """Which images have a single grey level in the range of the data set."""
    blank = facts["is_blank"].copy()
    for place in np.flatnonzero(~np.isnan(facts["lowest"])):
        row = facts[place]
        span = None if intensity is None else (intensity.real if row["is_real"] else intensity.whole)
        low, high = float(row["lowest"]), float(row["highest"])
        blank[place] = low == high or (span is not None and _level(low, span) == _level(high, span))
    return blank
