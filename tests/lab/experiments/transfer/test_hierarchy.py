from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from regraft.lab.experiments.transfer import hierarchy
from tests.lab.examples import CHOICES


def test_the_page_of_features_is_that_of_the_data_and_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def write(run: Path, *, out: Path, **_: Any) -> None:
        made.append(content[0])
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(content[0])

    content = ["digits"]
    source = SimpleNamespace(source=SimpleNamespace(sha256="abc"))
    monkeypatch.setattr(hierarchy, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(hierarchy, "_things", lambda *_: None)
    monkeypatch.setattr(hierarchy, "content_of", lambda _: content[0])
    monkeypatch.setattr(hierarchy, "find_weights", lambda *_, **__: source)
    monkeypatch.setattr(hierarchy, "fit", lambda *_, **__: None)
    monkeypatch.setattr(hierarchy, "write_features", write)
    for content[0] in ("digits", "photos", "digits"):
        hierarchy.more(replace(CHOICES, data=content[0]), tmp_path, reporter=None)  # type: ignore[arg-type]
        assert (tmp_path / "features.html").read_text() == content[0]
    assert made == ["digits", "photos"]
