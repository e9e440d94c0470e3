"""What a trained detector is made of, apart from its weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from regraft.records import MapLevel, Record

TrainedKind = Literal["one-stage", "two-stage"]
_Side = Annotated[int, Field(ge=32, le=4096)]


class TrainedRecord(Record):
    """Everything about a trained detector except its weights."""

    kind: TrainedKind
    classes: int = Field(ge=1, le=100_000)
    canvas: tuple[_Side, _Side]
    """Width and height of the canvas in pixels."""
    levels: Annotated[tuple[MapLevel, ...], Field(min_length=1, max_length=8)]
    """Where each level is in a row of maps, the finest first."""
    width: int = Field(96, ge=8, le=1024, multiple_of=8)
    """Channels of the neck and the heads."""
    regions: int = Field(128, ge=1, le=2000)
    """Regions of a picture that the second stage looks at; one stage has no use for it."""
