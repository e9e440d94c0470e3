from __future__ import annotations

from pathlib import Path

from tests.conftest import DigitsRun


def test_models_and_predictions_show_themselves_and_escape_names(
    digits: Path, digits_run: DigitsRun, tmp_path: Path
) -> None:
    model = digits_run("probe").model
    shown = model._repr_html_()
    assert model.test_scores is not None
    assert f"{100 * model.test_scores.accuracy.value:.1f} %" in shown
    assert "lenet5" in shown
    bad = tmp_path / "<script>.png"
    bad.write_bytes(sorted(digits.rglob("*.png"))[0].read_bytes())
    table = model.predict([bad, *sorted(digits.rglob("*.png"))[:30], tmp_path / "gone.png"])._repr_html_()
    assert "&lt;script&gt;.png" in table
    assert "<script>" not in table
    assert table.count("<tr>") == 21  # a head and twenty rows
    assert "11 more" in table
    assert "1 files could not be used" in table
