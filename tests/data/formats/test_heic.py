"""HEIC photos: no free program writes them here, so a stand-in for the library returns known pixels."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from regraft.data.pictures import file_kinds
from regraft.data.pictures.loading import LoadLimits, decode
from regraft.errors import ImageError

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)
UPRIGHT = Image.fromarray(np.arange(30 * 20 * 3, dtype=np.uint16).astype(np.uint8).reshape(30, 20, 3))


class Photo:
    """What pi-heif gives for a file: turned as the file's own transformations say."""

    size = UPRIGHT.size

    def to_pillow(self) -> Image.Image:
        return UPRIGHT


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A library of the same name."""
    fake = ModuleType("pi_heif")
    fake.open_heif = lambda data, convert_hdr_to_8bit: Photo()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pi_heif", fake)
    monkeypatch.setattr(file_kinds, "_has_reader", lambda kind: kind is file_kinds.HEIC)
    return fake


@pytest.mark.usefixtures("library")
def test_a_photo_is_decoded_upright() -> None:
    found = decode(HEIC)
    assert np.array_equal(np.asarray(found.image), np.asarray(UPRIGHT))
    assert (found.format, found.width, found.height, found.orientation) == ("HEIC", 20, 30, 1)
    assert file_kinds.is_read(HEIC)


@pytest.mark.usefixtures("library")
def test_its_size_is_checked_before_it_is_decoded() -> None:
    with pytest.raises(ImageError, match=r"20 x 30 pixels .* above the limit"):
        decode(HEIC, limits=LoadLimits(max_megapixels=0.0001))
    with pytest.raises(ImageError, match="a HEIC photo, which is grey or in colour; the network takes 5"):
        decode(HEIC, channels=5)


def test_a_damaged_photo_has_a_reason(library: ModuleType) -> None:
    def fail(data: bytes, convert_hdr_to_8bit: bool) -> Photo:
        raise ValueError("no image in it")

    library.open_heif = fail  # type: ignore[attr-defined]
    with pytest.raises(ImageError, match="can't be decoded: no image in it"):
        decode(HEIC)


def test_the_real_library_refuses_what_is_no_photo() -> None:
    pytest.importorskip("pi_heif", reason="pi-heif is not installed (the extra heic)")
    file_kinds._has_reader.cache_clear()
    with pytest.raises(ImageError, match="can't be decoded"):
        decode(HEIC)
