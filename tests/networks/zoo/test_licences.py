from __future__ import annotations

from pathlib import Path

import pytest

from regraft.errors import LicenceError
from regraft.networks.zoo.licences import allows_commerce, check_licence, forbids_commerce
from regraft.progress import Silent
from regraft.records import WeightsSource


def source(licence: str) -> WeightsSource:
    return WeightsSource(where="a test", sha256="0" * 64, licence=licence)


@pytest.mark.parametrize(
    ("licence", "allows", "forbids"),
    [
        ("apache-2.0", True, False),
        ("Apache-2.0 (LICENSE in that repository)", True, False),
        ("bsd-3-clause", True, False),
        ("mit", True, False),
        ("cc-by-4.0", True, False),
        ("cc-by-nc-4.0", False, True),
        ("fair-noncommercial-research-license", False, True),
        ("apple-amlr", False, True),
        ("dinov3-license", False, False),
        ("unknown", False, False),
    ],
)
def test_licences_are_understood_by_their_names(licence: str, allows: bool, forbids: bool) -> None:
    assert (allows_commerce(licence), forbids_commerce(licence)) == (allows, forbids)


def test_a_licence_that_forbids_commerce_needs_one_yes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGRAFT_CONFIG", str(tmp_path))
    asked = source("cc-by-nc-4.0")
    with pytest.raises(LicenceError, match=r"cc-by-nc-4\.0: not for commercial use.*accept_license"):
        check_licence(asked, is_accepted=False, reporter=Silent())
    check_licence(asked, is_accepted=True, reporter=Silent())
    check_licence(asked, is_accepted=False, reporter=Silent())  # the yes is remembered
    with pytest.raises(LicenceError):  # for this licence alone
        check_licence(source("apple-amlr"), is_accepted=False, reporter=Silent())


def test_other_licences_are_only_said() -> None:
    check_licence(source("unknown"), is_accepted=False, reporter=Silent())
