from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from regraft.detection.annotations.boxes import Box, BoxedPicture, BoxSet
from regraft.detection.annotations.classes import named_classes, with_classes
from regraft.errors import SettingsError


def data(*pictures: Sequence[str]) -> BoxSet:
    made = [
        BoxedPicture(f"{place}.png", "0" * 64, 9, 9, None, tuple(Box(one, 0, 0, 5, 5) for one in labels))
        for place, labels in enumerate(pictures)
    ]
    return BoxSet("root", "CSV", 1, tuple(made))


def test_boxes_of_other_classes_are_left_out_and_their_pictures_are_backgrounds() -> None:
    chosen = with_classes(data(["a", "b", "b"], ["b"], ["c", "c"], []), ["c,a"])
    assert [[box.label for box in one.boxes] for one in chosen.pictures] == [["a"], [], ["c", "c"], []]
    assert chosen.labels == ("a", "c")
    assert chosen.findings[-1].kind == "other-classes"
    assert chosen.findings[-1].message == (
        "boxes of other classes that are left out: 3 (b); pictures that show none of a, c and become "
        "backgrounds: 1"
    )


def test_all_classes_leave_nothing_out() -> None:
    everything = data(["a"], ["b"])
    chosen = with_classes(everything, ["a", "b"])
    assert chosen.pictures == everything.pictures
    assert chosen.findings[-1].message == "all 2 classes were named, so no box is left out"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["WCB"], "classes names 'WCB' (did you mean WBC?), which is no class; the classes are RBC, WBC"),
        (["RBC,"], None),
        ([" , "], "classes names no class; the classes are RBC, WBC"),
        ([], "classes names no class"),
        (["RBC,x"], "classes names 'x', which is no class"),
    ],
    ids=repr,
)
def test_names_are_classes(given: list[str], message: str | None) -> None:
    if message is None:
        assert named_classes(given, ["RBC", "WBC"]) == ("RBC",)
        return
    with pytest.raises(SettingsError, match=re.escape(message)):
        named_classes(given, ["RBC", "WBC"])
