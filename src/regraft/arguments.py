"""The kinds of value that settings and arguments accept, so that a wrong one is explained, not passed on."""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from regraft.errors import RegraftError, SettingsError, close_names
from regraft.records import Intensity

_REPORTS = ("phase", "note", "warn", "decided")
_KINDS = {str: "text", int: "a whole number", float: "a number", bool: "True or False"}


def described(value: Any) -> str:
    """A value of the wrong kind in a message: its kind, its shape if it has one, or a short value itself.

    >>> described("prob"), described(7), described([1, 2]), described(None)
    ("'prob'", '7 (int)', 'a list', 'None')
    """
    if value is None or isinstance(value, str):
        return repr(value) if value is None or len(value) <= 60 else f"{value[:60]!r}…"
    kind = type(value).__name__
    if isinstance(value, bool | int | float):
        shown = repr(value)
        return f"{shown} ({kind})" if len(shown) <= 40 else f"a very long {kind}"
    shape = getattr(value, "shape", None)
    sized = f" of shape {tuple(shape)}" if isinstance(shape, tuple) else ""
    article = "an" if kind[:1].lower() in "aeiou" else "a"
    return f"{article} {kind}{sized}"


def check_kind(name: str, value: Any, kinds: tuple[type, ...], accepted: str) -> None:
    """Refuse an argument of another kind.

    Raises:
        SettingsError: with the argument's name, its value and what is accepted.
    """
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise SettingsError(f"{name} is {described(value)}; accepted are {accepted}")


def check_place(name: str, value: Any, accepted: str, *, error: type[RegraftError] = SettingsError) -> None:
    """Refuse what can't be the name of a file or folder: another kind of value, empty text, a zero byte.

    Raises:
        RegraftError: of the kind `error`.
    """
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        raise error(f"{name} is {described(value)}; accepted are {accepted}")
    text = os.fspath(value)
    if not text or "\0" in text:
        what = "empty" if not text else f"{text[:60]!r}, which contains a zero byte"
        raise error(f"{name} is {what}; accepted are {accepted}. `.` is the current folder")


def check_reporter(value: Any) -> None:
    """Refuse a reporter that would fail at the first message.

    Raises:
        SettingsError: a method is missing.
    """
    missing = [name for name in _REPORTS if not callable(getattr(value, name, None))]
    if value is not None and (missing or isinstance(value, type)):
        raise SettingsError(
            f"reporter is {described(value)}; accepted are None and an object with the methods "
            f"{', '.join(_REPORTS)}"
        )


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Refuse a value that is not one of a few.

    Raises:
        SettingsError: the message suggests close ones.
    """
    if not (isinstance(value, str) and value in choices):
        raise SettingsError(_not_one_of(name, value, choices))


def settle(
    settings: Any, ranges: Mapping[str, tuple[float, float]], numbers_as_text: tuple[str, ...]
) -> None:
    """Check every field of a frozen settings object; equal values of another type become the annotated type.

    numpy's numbers become Python's and paths become text.

    Args:
        settings: the object, while it is made.
        ranges: the least and the largest value of fields that are numbers.
        numbers_as_text: fields of text for which a number can be given, such as 60 for a time.

    Raises:
        SettingsError: values of the wrong kind or out of range; the message lists all of them.
    """
    problems = []
    hints = get_type_hints(type(settings))
    for field in fields(settings):
        given = getattr(settings, field.name)
        is_number = isinstance(given, numbers.Real) and not isinstance(given, bool)
        if field.name in numbers_as_text and is_number:
            given = str(given)
        value = _converted(given, hints[field.name])
        problem = _problem(field.name, value, hints[field.name], ranges.get(field.name))
        if problem:
            problems.append(problem)
        elif value is not getattr(settings, field.name):
            object.__setattr__(settings, field.name, value)
    if problems:
        raise SettingsError("; ".join(problems))


def _members(hint: Any) -> tuple[Any, ...]:
    """The alternatives of an annotation such as `int | None`."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _converted(value: Any, hint: Any) -> Any:
    kinds = _members(hint)
    if isinstance(value, str | bool | NoneType):
        return str(value) if type(value) is not str and isinstance(value, str) else value
    if type(value).__name__ in ("bool_", "bool") and bool in kinds:  # numpy's
        return bool(value)
    if int in kinds and isinstance(value, numbers.Integral):
        return int(value)
    if float in kinds and isinstance(value, numbers.Real):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    if str in kinds and isinstance(value, os.PathLike) and isinstance(os.fspath(value), str):
        return os.fspath(value)
    return value


def _problem(name: str, value: Any, hint: Any, limits: tuple[float, float] | None) -> str | None:
    """What is wrong with the value of a setting, as a sentence; None if nothing is."""
    kinds = _members(hint)
    choices = tuple(one for kind in kinds if get_origin(kind) is Literal for one in get_args(kind))
    if value is None and NoneType in kinds:
        return None
    if any(get_origin(kind) is tuple for kind in kinds):
        is_names = isinstance(value, tuple) and all(isinstance(one, str) for one in value)
        return None if is_names else f"{_flag(name)} is {described(value)}; accepted is a list of names"
    if choices:
        return (
            None if isinstance(value, str) and value in choices else _not_one_of(_flag(name), value, choices)
        )
    if not any(isinstance(kind, type) and type(value) is kind for kind in kinds):
        also = " or None" if NoneType in kinds else ""
        accepted = " or ".join(_KINDS[kind] for kind in kinds if kind in _KINDS)
        return f"{_flag(name)} is {described(value)}; accepted is {accepted}{also}"
    if isinstance(value, str) and "\0" in value:
        return f"{_flag(name)} contains a zero byte; remove it"
    if limits is not None and not limits[0] <= value <= limits[1]:  # this also refuses NaN
        return f"{_flag(name)} {value:g} is out of range; accepted are {limits[0]:g} to {limits[1]:g}"
    return None


def seconds_in(text: str) -> float:
    """The number of seconds in a time such as 90s, 10m or 1h.

    Raises:
        SettingsError: the text is not a time.

    >>> seconds_in("1.5m")
    90.0
    """
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    cleaned = text.strip().lower()
    unit = units.get(cleaned[-1:])
    try:
        seconds = float(cleaned[:-1] if unit else cleaned) * (unit or 1.0)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e9:
        raise SettingsError(f"time {text!r} is not understood; accepted are 90s, 10m, 1h or seconds")
    return seconds


def _not_one_of(name: str, value: Any, choices: tuple[str, ...]) -> str:
    close = close_names(value, choices) if isinstance(value, str) else ""
    return f"{name} is {described(value)}{close}; accepted are {', '.join(choices)}"


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def names_in(columns: Any) -> Any:
    """Names of columns as a tuple; a single text is a list with commas. What is neither stays as it is."""
    if isinstance(columns, str):
        columns = (columns,)
    if not isinstance(columns, Sequence) or not all(isinstance(name, str) for name in columns):
        return columns
    if len(columns) == 1:
        columns = columns[0].split(",")
    return tuple(filter(None, (name.strip() for name in columns)))


_WINDOWS = {"lung": (-600, 1500), "bone": (300, 1500), "brain": (40, 80), "soft": (40, 400)}
"""Usual centres and widths for CT, in Hounsfield units."""


def window_of(text: str | None) -> tuple[float, float] | None:
    """The values that become black and white in DICOM files; None if each file decides.

    Raises:
        SettingsError: the text is none of the accepted ones.

    >>> window_of("soft"), window_of("-600:1500")
    ((-160.0, 240.0), (-1350.0, 150.0))
    """
    if text is None:
        return None
    try:
        centre, width = _WINDOWS.get(text) or map(float, text.split(":"))
    except ValueError:
        centre = width = math.nan
    if not (math.isfinite(centre + width) and width > 0):
        raise SettingsError(
            f"--window {text} is no window; accepted are {', '.join(_WINDOWS)}, and centre and width with a "
            "colon between them, as in 40:400"
        )
    return centre - width / 2, centre + width / 2


def intensity_of(text: str) -> Intensity | None:
    """The range that a setting asks for; None for `auto`.

    Raises:
        SettingsError: the text is none of the accepted ones.

    >>> intensity_of("0:4095").text, intensity_of("each").is_each, intensity_of("auto")
    ('0-4,095', True, None)
    """
    if text in ("auto", "each"):
        return Intensity(is_each=True) if text == "each" else None
    try:
        black, white = map(float, text.split(":"))
    except ValueError:
        black = white = math.nan
    if not (math.isfinite(black) and math.isfinite(white) and black < white):
        raise SettingsError(
            f"--range {text} is no range; accepted are auto, each, and the values of black and white with a "
            "colon between them, the smaller one first, as in 0:4095 or -1000:400"
        )
    return Intensity(whole=(black, white), real=(black, white))
