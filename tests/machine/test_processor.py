"""Cores are those that this process may use, by its affinity and by its container's share of time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from regraft.machine import processor
from regraft.machine.processor import count_cores


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a container's limits, without any yet, on a machine of eight cores."""
    monkeypatch.setattr(processor, "_CGROUPS", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    return tmp_path


@pytest.mark.parametrize(
    ("limit", "cores"),
    [("max 100000", 8), ("50000 100000", 1), ("250000 100000", 3), ("9000000 100000", 8), ("damaged", 8)],
)
def test_a_limit_of_version_two_counts_in_whole_cores(groups: Path, limit: str, cores: int) -> None:
    (groups / "cpu.max").write_text(limit)
    assert count_cores() == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", 8), ("200000", 2)])
def test_a_limit_of_version_one_counts_as_well(groups: Path, quota: str, cores: int) -> None:
    (groups / "cpu").mkdir()
    (groups / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (groups / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert count_cores() == cores


def test_without_a_limit_affinity_counts(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    assert count_cores() == 2
