"""DICOM files: as pydicom's own functions show them, as the standard's formulas say, and never a crash."""

from __future__ import annotations

import io
import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from regraft.data.findings.picture_findings import FACTS, facts_of
from regraft.data.pictures.loading import LoadLimits, Picture, decode
from regraft.errors import ImageError, SettingsError
from regraft.records import Intensity
from regraft.settings import DataSettings, window_of

pydicom = pytest.importorskip("pydicom", reason="pydicom is not installed (the extra medical)")
pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom's, where the test itself reads a file

Values = npt.NDArray[Any]
FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"
LISTED = sorted(path for path in FOLDER.rglob("*") if path.is_file() and path.stat().st_size < 300_000)
FILES = {path.name: path for path in LISTED if path.read_bytes()[128:132] == b"DICM"}
NAME, PATIENT, STUDY = "Doe^Jane", "MRN-0047-11", "1.2.826.0.1.3680043.8.498.77"
RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def made(values: Values = RAMP, *, bits: int = 12, **changes: Any) -> bytes:
    """A DICOM file of grey values; changes are elements by their keywords, and None removes one."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    size = values.dtype.itemsize * 8
    elements = {
        "PatientName": NAME, "PatientID": PATIENT, "StudyInstanceUID": STUDY, "SOPInstanceUID": "1.2.3",
        "Rows": values.shape[-2], "Columns": values.shape[-1], "SamplesPerPixel": 1, "BitsAllocated": size,
        "BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": int(values.dtype.kind == "i"),
        "PhotometricInterpretation": "MONOCHROME2", "PixelData": values.tobytes(),
    } | changes  # fmt: skip
    for name, value in elements.items():
        if value is not None:
            setattr(dataset, name, value)
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def levels(data: bytes, **how: Any) -> Values:
    return np.asarray(decode(data, **how).image)[..., 0]


def shares(value: Values) -> Values:
    """Grey levels from shares of white."""
    return np.clip(np.rint(255 * value), 0, 255)


def expected(dataset: Any, found: Picture) -> Values:
    """What pydicom's own functions make of the middle frame."""
    from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array

    frames = int(dataset.get("NumberOfFrames", 1) or 1)
    values = pixel_array(dataset, index=frames // 2 if frames > 1 else 0)
    if "PALETTE" in dataset.PhotometricInterpretation:
        coloured = apply_color_lut(values, dataset)
        return np.asarray(coloured >> 8 * (coloured.dtype.itemsize - 1))
    if not dataset.PhotometricInterpretation.startswith("MONOCHROME"):
        return np.asarray(values >> max(0, dataset.BitsStored - 8))
    values = apply_modality_lut(values, dataset)
    bits, is_signed = dataset.BitsStored, dataset.PixelRepresentation == 1
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    black = (-(2 ** (bits - 1)) if is_signed else 0) * slope + intercept
    white = (2 ** (bits - 1) - 1 if is_signed else 2**bits - 1) * slope + intercept
    if found.extent is not None:
        black, white = found.extent.black, found.extent.white
    else:
        values = apply_voi_lut(values, dataset)
    grey = shares((values - black) / (white - black))
    return np.dstack([255 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey] * 3)


_JPEG_LS = "JPEG-LS, which needs another decoder: pip install python-gdcm"
REFUSED = {
    "GDCMJ2K_TextGBR.dcm": "can't be decoded: Unable to decode",
    "JPEG-lossy.dcm": "JPEG of 12 bits, which needs another decoder",
    "JPGExtended.dcm": "JPEG of 12 bits, which needs another decoder",
    "JPEG2000-embedded-sequence-delimiter.dcm": "compressed frame is not of 256 x 1024 pixels",
    "JPEGLSNearLossless_08.dcm": _JPEG_LS,
    "JPEGLSNearLossless_16.dcm": _JPEG_LS,
    "MR_small_jpeg_ls_lossless.dcm": _JPEG_LS,
    "MR_truncated.dcm": "number of bytes of pixel data is less than expected",
    "SC_rgb_jls_lossy_line.dcm": _JPEG_LS,
    "SC_rgb_jls_lossy_sample.dcm": _JPEG_LS,
    "SC_rgb_jpeg_gdcm.dcm": "lossless JPEG, which needs another decoder",
}
"""Files with pixels that are refused, and why; files without pixels are refused for that."""


@pytest.mark.parametrize("name", sorted(set(FILES) - {"badVR.dcm"}))  # which names "1A" frames
def test_a_file_of_pydicoms_is_what_pydicom_shows_or_refused_with_a_reason(name: str) -> None:
    data = FILES[name].read_bytes()
    dataset = pydicom.dcmread(FILES[name], force=True)
    if name in REFUSED or "PixelData" not in dataset or "Rows" not in dataset:
        with pytest.raises(ImageError, match=REFUSED.get(name, "without an image")):
            decode(data)
        return
    found = decode(data)
    assert (found.width, found.height) == (dataset.Columns, dataset.Rows)
    seen = np.asarray(found.image).astype(float)
    assert np.abs(seen - expected(dataset, found)).max() <= 1


def test_most_files_with_pixels_are_read() -> None:
    read = 0
    for path in FILES.values():
        try:
            read += decode(path.read_bytes()).format == "DICOM"
        except ImageError:
            continue
    assert read > 60


def test_a_linear_window_is_that_of_the_standard() -> None:
    found = levels(made(WindowCenter=2000, WindowWidth=1000))
    x = RAMP.astype(float)
    assert np.array_equal(found, shares(((x - 1999.5) / 999) + 0.5))


def test_the_other_functions_are_those_of_the_standard() -> None:
    x = RAMP.astype(float)
    exact = levels(made(WindowCenter=2000, WindowWidth=1000, VOILUTFunction="LINEAR_EXACT"))
    assert np.array_equal(exact, shares((x - 2000) / 1000 + 0.5))
    sigmoid = levels(made(WindowCenter=2000, WindowWidth=1000, VOILUTFunction="SIGMOID"))
    assert np.array_equal(sigmoid, shares(1 / (1 + np.exp(-4 * (x - 2000) / 1000))))


def test_the_first_of_several_windows_is_used() -> None:
    several = made(WindowCenter=[2000, 50], WindowWidth=[1000, 20])
    assert np.array_equal(levels(several), levels(made(WindowCenter=2000, WindowWidth=1000)))


def test_values_are_measured_before_the_window() -> None:
    x = RAMP.astype(float)
    found = levels(made(RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=40, WindowWidth=401))
    assert np.array_equal(found, shares((2 * x - 1000 - 39.5) / 400 + 0.5))


@pytest.mark.parametrize(
    "inverse", [{"PhotometricInterpretation": "MONOCHROME1"}, {"PresentationLUTShape": "INVERSE"},
                {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}], ids=str,
)  # fmt: skip
def test_an_inverse_film_is_turned_around_once_after_the_window(inverse: dict[str, str]) -> None:
    for window in ({"WindowCenter": 2000, "WindowWidth": 1000}, {}):
        assert np.array_equal(levels(made(**window, **inverse)), 255 - levels(made(**window)))


def test_tables_replace_values() -> None:
    from pydicom.dataset import Dataset

    table = Dataset()
    table.LUTDescriptor, table.LUTData = [4096, 0, 8], (255 - np.arange(4096) // 16).tolist()
    table["LUTDescriptor"].VR, table["LUTData"].VR = "US", "US"
    assert np.array_equal(levels(made(VOILUTSequence=[table])), 255 - RAMP // 16)


def test_without_a_window_the_stored_bits_or_the_data_set_are_the_range() -> None:
    found = decode(made(RAMP // 4))
    assert found.extent is not None
    assert found.extent.stated == (0, 4095)
    signed = decode(made(RAMP.astype(np.int16) - 1000, bits=16))
    assert signed.extent is not None
    assert (signed.extent.stated, signed.extent.lowest) == (None, -1000)


def test_the_users_window_is_the_same_for_all() -> None:
    x = RAMP.astype(float)
    data = made(RescaleIntercept=-1024, RescaleSlope=1, WindowCenter=2000, WindowWidth=50)
    found = levels(data, intensity=Intensity(window=window_of("lung")))
    assert np.array_equal(found, shares((x - 1024 + 1350) / 1500))


@pytest.mark.parametrize("window", ["liver", "40", "40:0", "40:-3", "nan:3", "1:2:3", ""])
def test_what_is_no_window_is_refused(window: str) -> None:
    with pytest.raises(
        SettingsError, match=r"is no window; accepted are lung, bone, brain, soft, and centre"
    ):
        DataSettings(window=window)


def test_the_middle_frame_is_used_and_that_is_said() -> None:
    frames = np.stack([np.full((8, 8), value, np.uint8) for value in (10, 20, 30, 40, 50)])
    found = decode(made(frames, bits=8, NumberOfFrames=5))
    assert np.asarray(found.image).mean() == 30
    assert found.notes == ("5 frames: the middle one (3) is used",)


def test_frames_may_have_values_of_their_own() -> None:
    from pydicom.dataset import Dataset

    def group(slope: float) -> Dataset:
        item, part = Dataset(), Dataset()
        part.RescaleSlope, part.RescaleIntercept = slope, 0
        item.PixelValueTransformationSequence = [part]
        return item

    frames = np.stack([np.full((8, 8), 10, np.uint8)] * 3)
    groups = [group(1), group(5), group(9)]
    found = decode(made(frames, bits=8, NumberOfFrames=3, PerFrameFunctionalGroupsSequence=groups))
    assert found.extent is not None
    assert found.extent.lowest == 50


def test_images_of_one_patient_share_a_group_that_is_no_name() -> None:
    one, same, study = made(), made(RAMP[::-1].copy()), made(PatientID="")
    other_study = made(PatientID="", StudyInstanceUID="1.2.9")
    groups = [
        decode(data).group
        for data in (one, same, study, other_study, made(PatientID=" ", StudyInstanceUID=""))
    ]
    assert groups[0] == groups[1]
    assert len(set(groups)) == 4
    assert groups[-1] == ""
    row = facts_of(decode(one)).tobytes()
    assert groups[0].encode() in row
    assert not any(text.encode() in row for text in (NAME, PATIENT, STUDY))
    assert len(row) == FACTS.itemsize


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (made(PixelData=None), "a DICOM file without an image"),
        (made(PhotometricInterpretation="CMYK"), r"colours that are not read \(CMYK\)"),
        (made(SamplesPerPixel=3), "of 3 bands in colours that are not read"),
        (made(Rows=60_000, Columns=60_000), "60000 x 60000 pixels"),
        (made(PixelData=bytes(100)), "pixel data is less than expected"),
        (made()[:300], "damaged|without an image"),
    ],
    ids=["no pixels", "colours", "bands", "size", "short", "cut off"],
)
def test_what_is_not_read_has_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        decode(data)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("JPEGLSNearLossless_08.dcm", "JPEG-LS"), ("SC_rgb_jpeg_gdcm.dcm", "lossless JPEG"),
        ("JPGExtended.dcm", "JPEG of 12 bits"),
    ],
)  # fmt: skip
def test_another_decoder_is_named(name: str, kind: str) -> None:
    with pytest.raises(
        ImageError, match=f"compressed as {kind}, which needs another decoder: pip install python-gdcm"
    ):
        decode(FILES[name].read_bytes())


@pytest.mark.parametrize("action", ["error", "ignore", "always"])
def test_filters_of_warnings_do_not_decide_what_is_read(action: Any) -> None:
    data = FILES["MR_small_padded.dcm"].read_bytes()  # about which pydicom warns
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter(action)
        assert decode(data).width == 64
    assert shown == []


def test_a_deflated_file_that_becomes_too_large_is_refused() -> None:
    import zlib

    head = made()
    length = 144 + int.from_bytes(head[140:144], "little")
    meta = head[:length].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99\0\0"[:20])
    meta = meta.replace(b"1.2.840.10008.1.2.1.", b"1.2.840.10008.1.2.1.")
    place = meta.index(b"\x02\0\x10\0UI") + 6
    syntax = b"1.2.840.10008.1.2.1.99"
    meta = meta[:place] + len(syntax).to_bytes(2, "little") + syntax + meta[place + 2 + 20 :]
    meta = meta[:140] + (len(meta) - 144).to_bytes(4, "little") + meta[144:]
    engine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = b"".join([*(engine.compress(bytes(1 << 20)) for _ in range(300)), engine.flush()])
    with pytest.raises(ImageError, match="a deflated DICOM file of more than 256 MB"):
        decode(meta + bomb)


def test_run_lengths_that_become_too_long_are_refused() -> None:
    from pydicom.encaps import encapsulate

    data = FILES["MR_small_RLE.dcm"].read_bytes()
    dataset = pydicom.dcmread(io.BytesIO(data))
    header = (1).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56)
    dataset.PixelData = encapsulate([header + b"\x81\0" * 100_000])
    file = io.BytesIO()
    dataset.save_as(file)
    with pytest.raises(ImageError, match="frame holds more than 64 x 64 pixels"):
        decode(file.getvalue())


def damaged(data: bytes, draws: random.Random) -> bytes:
    """A file with some bytes replaced, cut off or put in between."""
    changed, head = bytearray(data), min(len(data), 3000)
    kind = draws.randrange(4)
    if kind == 0:
        return data[: draws.randrange(132, len(data))]
    if kind == 1:
        place = draws.randrange(132, head)
        changed[place:place] = draws.randbytes(draws.randint(1, 6))
    for _ in range(draws.randint(1, 12)):
        changed[draws.randrange(132, head if kind == 2 else len(changed))] = draws.randrange(256)
    return bytes(changed)


@pytest.mark.parametrize("count", [300, pytest.param(6000, marks=pytest.mark.soak)])
def test_damaged_files_are_read_or_refused(count: int) -> None:
    draws = random.Random(count)
    several = [path.read_bytes() for path in FILES.values() if b"\xe0\x7f\x10\x00" in path.read_bytes()]
    limits, read = LoadLimits(max_megapixels=4), 0
    for _ in range(count):
        try:
            found = decode(damaged(draws.choice(several), draws), limits=limits)
        except ImageError:
            continue
        assert found.image.mode == "RGB"
        read += 1
    assert 0 < read < count
