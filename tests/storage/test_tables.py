from __future__ import annotations

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regraft.storage.tables import csv_bytes, csv_rows

CELLS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=20))
def test_rows_are_those_of_the_standard_library(rows: list[tuple[str, str]]) -> None:
    lines = csv_bytes(("path", "label"), rows).decode().split("\n")
    assert list(csv_rows(lines)) == list(csv.DictReader(lines))


@pytest.mark.parametrize("row", ["1.jpg", "1.jpg,cat,2"])
def test_a_row_of_another_length_is_refused(row: str) -> None:
    with pytest.raises(csv.Error, match=r"line 2 has [13] cells, and the header 2"):
        list(csv_rows(["path,label", row]))
