from __future__ import annotations

import pytest

from regraft.errors import SettingsError
from regraft.plans.restrictions import MEANINGLESS, check_training
from regraft.settings import TrainSettings


def test_every_restriction_is_a_setting_that_is_off_by_default() -> None:
    for link, names in MEANINGLESS.items():
        check_training(link, TrainSettings())
        assert not [name for name in names if getattr(TrainSettings(), name)]


def test_all_settings_without_meaning_are_listed_at_once() -> None:
    settings = TrainSettings(class_weights=True, balanced=True, label_smoothing=0.1, cutmix=1.0)
    check_training("softmax", settings)
    with pytest.raises(SettingsError) as caught:
        check_training("identity", settings)
    text = caught.value.with_flags
    for part in ("--class-weights:", "--balanced:", "--label-smoothing 0.1:", "--cutmix 1:", "no classes"):
        assert part in text


def test_smoothing_and_mixing_have_a_meaning_for_several_labels() -> None:
    check_training("sigmoid", TrainSettings(label_smoothing=0.1, mixup=0.4, cutmix=1.0))
    with pytest.raises(SettingsError, match="no single class"):
        check_training("sigmoid", TrainSettings(class_weights=True))
