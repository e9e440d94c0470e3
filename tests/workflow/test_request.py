from __future__ import annotations

from typing import Any, get_type_hints

import pytest

from regraft.errors import SettingsError
from regraft.settings import DataSettings, FitSettings, TrainSettings
from regraft.workflow.keywords import DataChanges, FitChanges
from regraft.workflow.request import check_offline, make_request


def hints(*kinds: Any) -> dict[str, Any]:
    found = [get_type_hints(kind).items() for kind in kinds]
    return {name: kind for items in found for name, kind in items if not name.startswith("_")}


@pytest.mark.parametrize(
    ("changes", "kinds"), [(DataChanges, [DataSettings]), (FitChanges, [FitSettings, TrainSettings])]
)
def test_keyword_arguments_are_the_fields_of_settings(changes: Any, kinds: list[Any]) -> None:
    assert hints(changes) == hints(*kinds)


def test_what_is_offline_fetches_nothing() -> None:
    with pytest.raises(SettingsError, match="offline forbids what fetch_urls asks for"):
        check_offline(FitSettings(offline=True), DataSettings(fetch_urls=True))
    check_offline(FitSettings(offline=True), DataSettings())


def test_who_computes_features_is_no_part_of_a_run() -> None:
    by_ray = make_request(FitSettings(executor="ray"), None, None, {})
    assert by_ray.record() == make_request(None, None, None, {}).record()
