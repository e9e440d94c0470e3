from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from regraft.data.findings.label_findings import label_findings
from regraft.data.sources.candidates import Candidate
from regraft.data.sources.labels import label_of, spelling_key, text_labels
from regraft.errors import DataError
from regraft.records import Side


def candidates(*labels: str, side: Side | None = None) -> list[Candidate]:
    return [Candidate(f"{side}{n}.jpg", "x", label, side) for n, label in enumerate(labels)]


def messages(*labels: str) -> list[str]:
    return [finding.message for finding in label_findings(candidates(*labels))]


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("cat ", "cat"),
        ("\u00a0great\u2007 dane\t", "great dane"),
        ("\ufeffcat\u200b", "cat"),
        ("pa\u0302te\u0301", "pâté"),
        ("NA", "NA"),
        ("nan", "nan"),
        (np.str_("x"), "x"),
        (True, "True"),
        (np.bool_(False), "False"),
        (np.int16(-1), "-1"),
        (-0.0, "0"),
        (np.float32(0.1), "0.1"),
        (1e20, "100000000000000000000"),
        (0.00001, "0.00001"),
        (Decimal("2.50"), "2.5"),
        (np.array(3), "3"),
        (datetime.date(2024, 1, 31), "2024-01-31"),
        (None, None),
        (float("nan"), None),
        (np.float32("nan"), None),
        (Decimal("NaN"), None),
        (" \u00a0", None),
    ],
)
def test_a_value_gives_a_label(value: Any, label: str | None) -> None:
    assert label_of(value) == label


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], r"of type list \(\[1, 2\]\)"),
        (np.eye(2)[0], "of type ndarray"),
        (b"cat", "of type bytes"),
        ({"a": 1}, "of type dict"),
        (float("inf"), "can't be inf"),
        ("x" * 300, "300 characters is too long; at most 256"),
    ],
)
def test_a_value_of_another_type_is_refused(value: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        label_of(value)


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (["1.0", "", "2.0"], ["1", None, "2"]),
        (["1.0", "NaN", "0.0"], ["1", None, "0"]),
        (["1.0", "2.0"], ["1.0", "2.0"]),
        (["1.5", "nan"], ["1.5", None]),
        (["007", "NA"], ["007", "NA"]),
        (["nan", "roti"], ["nan", "roti"]),
    ],
)
def test_text_has_the_labels_that_were_saved(cells: list[str], labels: list[str | None]) -> None:
    assert text_labels(cells) == labels


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("Cat", "cAT", True),
        ("hot dog", "Hot-Dog", True),
        ("Straße", "STRASSE", True),
        ("ｃａｔ", "cat", True),
        ("1", "01", True),
        ("1", "-1", False),
        ("A", "A-", False),
        ("cat", "cats", False),
    ],
)
def test_spellings_of_one_label_are_recognised(one: str, other: str, is_same: bool) -> None:
    assert (spelling_key(one) == spelling_key(other)) is is_same


def test_spellings_are_named_with_their_labels() -> None:
    assert messages("cat", "CAT", "dog", "Dog", "fox") == [
        "4 classes are 2 spellings each of cat and dog (CAT, cat; Dog, dog). Write each label in one way, "
        "otherwise they remain different classes"
    ]


def test_a_spelling_that_divides_the_sides_stops() -> None:
    split = [*candidates("Cat", "dog", side="train"), *candidates("cat", "dog", side="test")]
    with pytest.raises(DataError, match="differently: train has Cat, test has cat"):
        label_findings(split)


def test_a_spelling_that_both_sides_share_does_not_stop() -> None:
    split = [*candidates("Cat", "cat", side="train"), *candidates("cat", side="test")]
    assert [finding.kind for finding in label_findings(split)] == ["spelling"]


@pytest.mark.parametrize(
    ("labels", "hint"),
    [
        ([f"{n / 7:.4f}" for n in range(1, 6)], "5 of 5 labels are decimal numbers"),
        ([f"{n},5" for n in range(12)] * 9, "12 of 12 labels are decimal numbers"),
        (["cat|dog", "cat|sun", "dog|sun", "cat"], "several labels for each image"),
        (["cat;dog", "cat", "dog"] * 5, "several labels for each image"),
        (["['cat', 'dog']", "['cat', 'sun']", "['sun', 'dog']"], "several labels for each image"),
        ([f"id{n}" for n in range(20)], "20 different labels for 20 images"),
        (["cat", "None", "dog"], "label None stands for a missing label in many programs (1 image)"),
    ],
    ids=["decimals", "decimal commas", "bars", "semicolons", "lists", "ids", "missing"],
)
def test_labels_that_may_mean_something_else_are_hinted_at(labels: list[str], hint: str) -> None:
    assert any(hint in message for message in messages(*labels))


@pytest.mark.parametrize(
    "labels",
    [
        ["tench, Tinca tinca", "goldfish, Carassius auratus", "shark, Carcharodon"],
        ["Quercus alba", "Quercus rubra", "Quercus robur", "Acer rubrum", "Acer saccharum", "Pinus nigra"],
        [str(number) for number in range(200)] * 5,
        ["0.5", "1.0", "2.0", "4.0"] * 20,
        ["golden retriever", "labrador retriever", "poodle"] * 5,
        ["great dane", "poodle"],
    ],
    ids=["synonyms", "species", "class numbers", "few sizes", "breeds", "words"],
)
def test_plain_labels_are_not_hinted_at(labels: list[str]) -> None:
    assert messages(*labels) == []
