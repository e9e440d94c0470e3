from __future__ import annotations

from pathlib import Path

import pytest

from regraft.lab.lenet_transfer import compare

pytestmark = pytest.mark.soak


def test_an_intermediate_stage_transfers_better_than_the_last(tmp_path: Path) -> None:
    result = compare(tmp_path, draws=1)
    accuracy = {one.name: one.accuracy.value for one in result.contenders}
    assert result.test_images == 896 - result.train_images
    assert accuracy["transfer: SVM, best stage"] > accuracy["transfer: probe, last stage"]
    assert accuracy["transfer: probe, last stage"] > accuracy["majority class"]
