"""A few images as each framing shows them to the network."""

from __future__ import annotations

from dataclasses import dataclass

from regraft.data.pictures.framing import FRAMINGS
from regraft.errors import BundleError
from regraft.explanation.overlays import data_uri, picture
from regraft.explanation.pictures import Pictures
from regraft.prediction.bundle import read_bundle_record
from regraft.records import Framing
from regraft.runs.reading import RunFiles

_IMAGES = 3
_SIDE_PX = 128


@dataclass(frozen=True)
class Seen:
    """An image in one framing."""

    framing: Framing
    image: str
    """A `data:` address."""
    is_own: bool
    """Whether this is what the run's network sees."""


def seen_images(files: RunFiles, pictures: Pictures) -> list[tuple[str, list[Seen]]]:
    """Paths of a few images, spread over those that were predicted, with what each framing shows of them.

    Framings that show the same, as of square images, are listed once; what the network sees comes first.
    """
    try:
        spec = read_bundle_record(files.folder / "bundle").input_spec
    except BundleError:  # of another version, which the page does without
        return []
    rows = files.predictions
    found = []
    for row in rows[:: max(1, len(rows) // _IMAGES)][:_IMAGES]:
        shown: dict[bytes, Seen] = {}
        for framing in (spec.framing, *FRAMINGS):
            pixels = pictures.pixels(row.path, spec.model_copy(update={"framing": framing}))
            if pixels is not None and pixels.tobytes() not in shown:
                address = data_uri(picture(pixels), side_px=_SIDE_PX)
                shown[pixels.tobytes()] = Seen(framing, address, framing == spec.framing)
        if len(shown) > 1:
            found.append((row.path, list(shown.values())))
    return found
