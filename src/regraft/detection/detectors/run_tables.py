"""The tables in the folder of a detector's run, written and read: pictures, boxes, detections and thresholds.

Each table is a `Table` with the class of its rows; the fields of a row are its columns, in order. Coordinates
are pixels of the upright picture. Names are written as `storage.tables.printable` shows them, also in
rows that were just made: control characters and undecodable bytes are spelled out.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from regraft.errors import SettingsError
from regraft.evaluation.operating_points import OperatingPoint
from regraft.records import Estimate, Sha256, Side
from regraft.storage.files import write_atomically
from regraft.storage.tables import csv_bytes, printable, unguarded

Suspicion = Literal["forgotten", "not found"]
Row = TypeVar("Row")

Name = Annotated[str, BeforeValidator(printable), Field(max_length=20_000)]
Edge = Annotated[float, Field(ge=-1e7, le=1e7, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_MAYBE = BeforeValidator(lambda cell: None if cell == "" else cell)
MaybeShare = Annotated[Share | None, _MAYBE]
MaybeTruth = Annotated[bool | None, _MAYBE]


class _Cornered:
    """Four edges that are in order."""

    __slots__ = ()
    x_min: float
    y_min: float
    x_max: float
    y_max: float

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom edge."""
        return self.x_min, self.y_min, self.x_max, self.y_max

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.x_max < self.x_min or self.y_max < self.y_min:
            raise ValueError("the box is inverted: expected x_min <= x_max and y_min <= y_max")
        return self


@dataclass(frozen=True, slots=True)
class PictureRow:
    """A picture of the data set; one without boxes is a background."""

    path: Name
    """Path relative to the data set's root."""
    side: Side
    width: Annotated[int, Field(ge=1)]
    """Width of the upright picture in pixels."""
    height: Annotated[int, Field(ge=1)]
    sha256: Sha256
    group: Annotated[str, Field(max_length=200)] = ""
    """The group of copies and look-alikes that it is in; empty for one that is alone."""


@dataclass(frozen=True, slots=True)
class BoxRow(_Cornered):
    """A true box that was used."""

    path: Name
    side: Side
    label: Name
    x_min: Edge
    y_min: Edge
    x_max: Edge
    y_max: Edge
    is_crowd: bool = False
    is_difficult: bool = False


@dataclass(frozen=True, slots=True)
class DetectionRow(_Cornered):
    """A box that was found by a detector that did not train on its picture."""

    path: Name
    side: Side
    label: Name
    score: Share
    """The probability that there is an object of this class."""
    x_min: Edge
    y_min: Edge
    x_max: Edge
    y_max: Edge


@dataclass(frozen=True, slots=True)
class SuspectRow(_Cornered):
    """An annotation that may be wrong."""

    path: Name
    side: Side
    label: Name
    score: MaybeShare
    """Forgotten: the probability of the box. Not found: the largest one of its class there; or None."""
    x_min: Edge
    y_min: Edge
    x_max: Edge
    y_max: Edge
    kind: Suspicion
    """`forgotten`: a probable box where nothing is annotated. `not found`: a missed true box."""


@dataclass(frozen=True, slots=True)
class ThresholdRow:
    """The score from which on boxes of a class are shown, and its effect on the pictures it was chosen on."""

    label: Name
    threshold: Share
    precision: MaybeShare
    """None, as are its bounds, where nothing is shown."""
    precision_low: MaybeShare
    precision_high: MaybeShare
    recall: MaybeShare
    recall_low: MaybeShare
    recall_high: MaybeShare
    f1: MaybeShare
    f1_low: MaybeShare
    f1_high: MaybeShare
    goal: str = ""
    """What it was chosen for, as `recall=0.95`; empty means the largest F1."""
    is_reached: MaybeTruth = None
    """Whether that is reached; None without a goal."""

    @classmethod
    def of(
        cls,
        label: str,
        threshold: float,
        point: OperatingPoint,
        *,
        goal: str = "",
        is_reached: bool | None = None,
    ) -> ThresholdRow:
        """The row of a class from what was measured at its threshold."""
        cells: dict[str, Any] = {
            f"{name}{after}": getattr(one, part) if one else None
            for name, one in (("precision", point.precision), ("recall", point.recall), ("f1", point.f1))
            for after, part in (("", "value"), ("_low", "low"), ("_high", "high"))
        }
        return cls(label=label, threshold=threshold, goal=goal, is_reached=is_reached, **cells)

    def estimate(self, name: Literal["precision", "recall", "f1"]) -> Estimate | None:
        """One of the three shares with its interval; None where it is not defined."""
        value = getattr(self, name)
        if value is None:
            return None
        return Estimate(value=value, low=getattr(self, f"{name}_low"), high=getattr(self, f"{name}_high"))


@dataclasses.dataclass(frozen=True)
class Table(Generic[Row]):
    """A CSV file whose rows are records.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> DETECTIONS.write(folder, [DetectionRow("a.jpg", "test", "cat", 0.9, 1.0, 2.0, 3.0, 4.0)])
    >>> DETECTIONS.read(folder)[0].corners
    (1.0, 2.0, 3.0, 4.0)
    """

    name: str
    """The name of the file in the run folder."""
    row: type[Row]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(field.name for field in dataclasses.fields(self.row))  # type: ignore[arg-type]

    def write(self, folder: Path, rows: Iterable[Row]) -> None:
        """Write the table into a run folder.

        Raises:
            StorageError: the folder can't be written to.
        """
        cells = ([getattr(row, column) for column in self.columns] for row in rows)
        write_atomically(folder / self.name, csv_bytes(self.columns, cells))

    def read(self, folder: Path) -> list[Row]:
        """The rows of the table in a run folder.

        Raises:
            SettingsError: the file is missing, is no such table, or has a row with a wrong value; the message
                names file, line and value.
        """
        path = folder / self.name
        try:
            with path.open(newline="", encoding="utf-8") as file:
                return list(self._rows(path, csv.reader(file, strict=True)))
        except FileNotFoundError as error:
            raise SettingsError(
                f"{path} is missing: the run is unfinished, or not of a detector. Run the fit again"
            ) from error
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise SettingsError(f"{path} can't be read: {error}. Run the fit again") from error

    def _rows(self, path: Path, lines: Any) -> Iterator[Row]:
        header: list[str] = next(lines, [])
        fields = dataclasses.fields(self.row)  # type: ignore[arg-type]
        later = {field.name for field in fields if field.default is not dataclasses.MISSING}
        if sorted({*header, *later}) != sorted(self.columns) or len(header) > len(set(header)):
            raise SettingsError(
                f"{path} has the columns {', '.join(header) or 'of an empty file'}; "
                f"expected {', '.join(self.columns)}. Run the fit again"
            )
        adapter = TypeAdapter(self.row)
        for cells in lines:
            if len(cells) != len(header):
                raise SettingsError(
                    f"{path}, line {lines.line_num}: {len(cells)} cells; expected {len(header)}. "
                    "Run the fit again"
                )
            try:
                yield adapter.validate_python(dict(zip(header, map(unguarded, cells), strict=True)))
            except ValidationError as error:
                raise SettingsError(
                    f"{path}, line {lines.line_num}: {_first(error)}. Run the fit again"
                ) from error


def _first(error: ValidationError) -> str:
    """The first problem in words, with the value."""
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"][:1])
    reason = first["msg"].removeprefix("Value error, ")
    return f"{place} is {str(first['input'])[:80]!r}: {reason}" if place else reason


PICTURES = Table("pictures.csv", PictureRow)
"""Every picture of the run, backgrounds too."""
BOXES = Table("boxes.csv", BoxRow)
"""All true boxes that were used."""
DETECTIONS = Table("detections.csv", DetectionRow)
"""What was found in the test pictures, or in the validation pictures where there are no test pictures."""
SUSPECTS = Table("suspects.csv", SuspectRow)
"""Annotations that may be wrong, the most suspicious first."""
THRESHOLDS = Table("thresholds.csv", ThresholdRow)
"""From which score on boxes of each class are shown."""


def corners_of(rows: Iterable[BoxRow | DetectionRow | SuspectRow]) -> npt.NDArray[np.float64]:
    """The edges of boxes as an array, `(N, 4) float64`."""
    return np.array([row.corners for row in rows], dtype=np.float64).reshape(-1, 4)
