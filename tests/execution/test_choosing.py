from __future__ import annotations

import importlib.util

import pytest

from regraft.errors import SettingsError
from regraft.execution.choosing import find_executor


@pytest.mark.parametrize("text", ["ry", "ray2", "local:here", "dask:1"])
def test_an_unknown_executor_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=rf"executor {text} is not known.*ray:ADDRESS"):
        find_executor(text)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ray" else find(name))
    with pytest.raises(SettingsError, match=r"pip install .regraft\[ray\]..*regraft extract --part"):
        find_executor("ray:10.0.0.1:6379")
