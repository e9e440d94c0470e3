from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from regraft.data.findings.intensity import (
    choose_intensity,
    common_thumbnails,
    intensity_findings,
    is_blank,
)
from regraft.data.findings.picture_findings import FACTS
from regraft.errors import SettingsError
from regraft.features.extraction import feature_store
from regraft.records import InputSpec, Intensity
from regraft.settings import DataSettings
from regraft.storage.files import key_of

NONE = (float("nan"), float("nan"))


def row(
    lowest: float,
    highest: float,
    points: tuple[float, float] | None = None,
    *,
    stated: tuple[float, float] = NONE,
    is_real: bool = False,
    is_inverted: bool = False,
    grey: int = 0,
) -> npt.NDArray[np.void]:
    """The facts of one image; its points are its extremes by default."""
    facts = np.zeros(1, FACTS)
    facts["lowest"], facts["highest"] = lowest, highest
    facts["low"], facts["high"] = points or (lowest, highest)
    facts["stated_black"], facts["stated_white"] = stated
    facts["is_real"], facts["is_inverted"], facts["thumbnail"] = is_real, is_inverted, grey
    return facts


EIGHT_BITS = row(*NONE)


def chosen(*rows: npt.NDArray[np.void], wanted: str = "auto") -> tuple[Intensity | None, str]:
    choice = choose_intensity(np.concatenate(rows), wanted)
    return choice.chosen, choice.because


@pytest.mark.parametrize(
    ("rows", "expected", "because"),
    [
        ([row(0, 900), row(3, 3977)], (0, 4095), "largest value of 2 images is 3,977, which needs 12 bits"),
        ([row(0, 900), EIGHT_BITS], (0, 1023), "the largest value of 1 image is 900, which needs 10 bits"),
        ([row(-1000, 3000)], (-1000, 3000), "the values of 1 image reach from -1,000 to 3,000"),
        ([row(33069, 36863)], (33069, 36863), "are 33,069 and 36,863, 5.8% of 0-65,535"),
        ([row(0, 65535, (3, 990))], (3, 990), "are 3 and 990, 1.5% of 0-65,535"),
        ([row(0, 700, stated=(0, 4095))], (0, 4095), "the files of 1 image state it"),
        ([row(0, 5000, stated=(0, 4095))], (0, 16383), "needs 14 bits"),
        ([row(0, 700, stated=(0, 900)), row(0, 800, stated=(0, 950))], (0, 950), "state it"),
        ([row(0, 700, stated=(0, 4095)), row(0, 800)], (0, 4095), "state it"),
    ],
    ids=["bits", "8 bits don't count", "below 0", "narrow", "broken pixels", "stated", "wrongly stated",
         "stated differently", "stated by some"],
)  # fmt: skip
def test_one_range_is_chosen_and_explained(
    rows: list[npt.NDArray[np.void]], expected: tuple[float, float], because: str
) -> None:
    intensity, reason = chosen(*rows)
    assert intensity == Intensity(whole=expected)
    assert because in reason


def test_images_of_eight_bits_have_no_range() -> None:
    assert chosen(EIGHT_BITS, EIGHT_BITS) == (None, "")
    assert chosen(EIGHT_BITS, wanted="0:4095") == (None, "")


def test_kinds_of_numbers_have_ranges_of_their_own() -> None:
    intensity, reason = chosen(row(0, 4095), row(0, 0.9, is_real=True))
    assert intensity == Intensity(whole=(0, 4095), real=(0, 1))
    assert reason.startswith("whole numbers: the largest value of 1 image is 4,095")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("0:4095", Intensity(whole=(0, 4095), real=(0, 4095))),
        ("-1000:400", Intensity(whole=(-1000, 400), real=(-1000, 400))),
        ("each", Intensity(is_each=True)),
    ],
)
def test_the_user_decides(wanted: str, expected: Intensity) -> None:
    assert chosen(row(0, 900, stated=(0, 950)), wanted=wanted) == (expected, f"--range is {wanted}")


@pytest.mark.parametrize("wanted", ["0-4095", "5:5", "9:1", "0:inf", "", "all", "1:2:3"])
def test_what_is_no_range_is_refused(wanted: str) -> None:
    with pytest.raises(SettingsError, match=f"range {wanted} is no range; accepted are auto, each"):
        DataSettings(range=wanted)


def test_a_run_keeps_the_setting_only_where_it_differs_from_the_default() -> None:
    assert "range" not in DataSettings().record()
    assert DataSettings(range="0:4095").record()["range"] == "0:4095"


def test_a_finding_names_the_range_and_a_warning_how_little_of_it_is_used() -> None:
    facts = np.concatenate([EIGHT_BITS, row(0, 900)])
    (finding,) = intensity_findings(["a", "b"], facts, choose_intensity(facts))
    assert finding.message.startswith("images of more than 8 bits: range 0-1,023, because the largest value")
    assert finding.paths == ("b",)
    _, warning = intensity_findings(["a", "b"], facts, choose_intensity(facts, "0:65535"))
    assert "hold mostly values from 0 to 900: the network sees 5 of 256 grey levels" in warning.message


def test_thumbnails_are_moved_into_the_common_range() -> None:
    facts = np.concatenate([row(0, 1000, grey=255), row(1000, 4095, grey=0), EIGHT_BITS])
    found = common_thumbnails(facts, Intensity(whole=(0, 4095)))
    assert found[:, 0].tolist() == [62, 62, 0]  # 1,000 of 4,095
    inverted = common_thumbnails(row(0, 1000, grey=0, is_inverted=True), Intensity(whole=(0, 4095)))
    assert inverted[0, 0] == 255 - 62


def test_images_outside_of_the_range_are_blank() -> None:
    facts = np.concatenate([row(0, 1000), row(5000, 9000), row(7, 7)])
    assert is_blank(facts, Intensity(whole=(0, 4095))).tolist() == [False, True, True]


def test_the_range_is_part_of_the_keys_of_deep_images_only() -> None:
    spec = InputSpec()
    facts = {"runtime": "torch", "input": spec.model_dump()}
    runtime: Any = SimpleNamespace(facts=facts, width=8)
    listed = ["size_px", "channels", "mean", "std", "interpolation", "crop_share"]
    known = {name: getattr(spec, name) for name in listed}
    before = {"what": "features", "loader_version": 2, "view": "centre", "runtime": "torch", "input": known}
    assert feature_store(runtime, spec).folder.name == key_of(before)[:24]
    ranged = spec.model_copy(update={"intensity": Intensity(whole=(0, 4095))})
    other = spec.model_copy(update={"intensity": Intensity(whole=(0, 1023))})
    names = {feature_store(runtime, one).folder.name for one in (spec, ranged, other)}
    assert len(names) == 3
