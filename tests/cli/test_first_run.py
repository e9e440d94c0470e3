"""What a newcomer meets: their own photos, a fresh machine, no flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from regraft.cli.app import run


@pytest.fixture
def fresh_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    """Empty caches of ours and of the hubs, and no network access."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)


@pytest.mark.slow
@pytest.mark.usefixtures("fresh_machine")
def test_a_network_that_comes_with_the_installation_is_used_and_named(
    photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["fit", str(photos), "--strategy", "probe", "--out", str(tmp_path / "run"), "--no-report"]
    assert run(command) == 0
    output = capfd.readouterr()
    assert "decided network tf_efficientnet_lite0 because it is the only one on this machine" in output.err
    assert "licence: apache-2.0" in output.err
    assert (tmp_path / "run" / "bundle" / "bundle.json").exists()


@pytest.mark.usefixtures("fresh_machine")
@pytest.mark.parametrize(
    "network", [[], ["--network", "resnet50"], ["--network", "auto"], ["--network", "resnet5"]]
)
@pytest.mark.parametrize("command", ["fit", "advise"])
def test_a_wrong_folder_is_the_first_error(
    command: str, network: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run([command, str(tmp_path / "nowhere"), *network]) == 1
    assert f"error: {tmp_path / 'nowhere'} does not exist" in capfd.readouterr().err


@pytest.mark.usefixtures("fresh_machine")
def test_a_network_that_is_not_here_says_how_to_get_it(
    photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["fit", str(photos), "--network", "resnet50", "--out", str(tmp_path / "run")]) == 1
    error = capfd.readouterr().err
    assert "HF_HUB_OFFLINE=1 forbids a download" in error
    assert "regraft weights fetch resnet50" in error
    assert not (tmp_path / "run").exists()
