"""The images of a run as pictures for a page; what can't be read is counted and reported, not left out."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from regraft.data.pictures.loading import Pixels, decode, load_input, read_file
from regraft.errors import ImageError
from regraft.explanation.overlays import data_uri
from regraft.records import InputSpec
from regraft.runs.run_folder import RunFolder


class Pictures:
    """Looks up the images of a run by their paths, and remembers which of them could not be read."""

    def __init__(self, files: RunFolder) -> None:
        self._files = files
        self._is_read: dict[str, bool] = {}

    def thumbnail(self, path: str, side_px: int) -> str:
        """An image as a small `data:` address; empty if it can't be read."""
        image = self.upright(path, min_side_px=side_px)
        return "" if image is None else data_uri(image, side_px=side_px)

    def upright(self, path: str, *, min_side_px: int | None = None) -> Image.Image | None:
        """An image in RGB; None if it can't be read. It may be smaller, but not below `min_side_px`."""
        place = self._place(path)
        try:
            if place is None:
                return None
            data, intensity = read_file(place), self._files.intensity
            return decode(data, min_side_px=min_side_px, intensity=intensity).image
        except ImageError:
            self._note(path, is_read=False)
            return None

    def pixels(self, path: str, spec: InputSpec) -> Pixels | None:
        """An image as a network's input; None if it can't be read."""
        place = self._place(path)
        try:
            return None if place is None else load_input(place, spec)
        except ImageError:
            self._note(path, is_read=False)
            return None

    def _place(self, path: str) -> Path | None:
        place = self._files.image(path)
        self._note(path, is_read=place is not None)
        return place

    def _note(self, path: str, *, is_read: bool) -> None:
        """Remember whether an image of the run was read; a finding may name other files, which are none."""
        if self._files.has_image(path):
            self._is_read[path] = is_read

    @property
    def remark(self) -> str:
        """How many of the images could not be read, and where they should be; empty if all were read."""
        missing = sum(not is_read for is_read in self._is_read.values())
        if not missing:
            return ""
        advice = "they are not there, or are other images"
        if self._files.data is None:
            advice = (
                "if they were moved, --data FOLDER says where they are now; files that were changed since "
                "the run are not shown"
            )
        return (
            f"{missing} of the {len(self._is_read)} images for this page can't be read below "
            f"{self._files.root}: {advice}"
        )
