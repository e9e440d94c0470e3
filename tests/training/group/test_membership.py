from __future__ import annotations

import signal
import subprocess
import sys

import pytest
import torch

from regraft.errors import SettingsError
from regraft.training.group.membership import Followers, exit_code, kind_of, threads_each


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two GPUs, as far as torch says."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without GPUs."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("gpus")
@pytest.mark.parametrize(("device", "kind"), [("auto", "cuda"), ("cuda", "cuda"), ("cpu", "cpu")])
def test_each_process_has_a_gpu_unless_the_cpu_was_asked_for(device: str, kind: str) -> None:
    assert kind_of(device, 2) == kind


@pytest.mark.usefixtures("gpus")
@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_more_processes_than_gpus_are_refused(device: str) -> None:
    with pytest.raises(SettingsError, match=r"3 processes .* which has 2 usable GPUs; .*device cpu"):
        kind_of(device, 3)


@pytest.mark.usefixtures("no_gpu")
def test_without_gpus_processes_train_on_the_processor() -> None:
    assert kind_of("auto", 5) == "cpu"
    with pytest.raises(SettingsError, match="which has 0 usable GPUs"):
        kind_of("cuda", 2)


def test_a_single_gpu_is_no_device_of_several_processes() -> None:
    with pytest.raises(SettingsError, match="device cuda:1 is a single device, but 2 processes"):
        kind_of("cuda:1", 2)


@pytest.mark.parametrize(
    ("stated", "is_torchruns", "threads"),
    [(None, False, 4), ("1", False, 1), ("1", True, 4), ("3", True, 3), ("16", False, 4)],
)
def test_processes_share_the_cores_unless_the_user_says_fewer(
    monkeypatch: pytest.MonkeyPatch, stated: str | None, is_torchruns: bool, threads: int
) -> None:
    monkeypatch.setattr("regraft.training.group.membership.count_cores", lambda: 8)
    for name, value in (("OMP_NUM_THREADS", stated), ("TORCHELASTIC_RUN_ID", "x" if is_torchruns else None)):
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    assert threads_each(2)[0] == threads


def test_more_processes_than_cores_have_a_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regraft.training.group.membership.count_cores", lambda: 2)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert threads_each(3) == (1, "3 processes share 2 cores")


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), 130), (SystemExit(143), 143), (SettingsError("x"), 2), (ValueError("x"), 1)],
)
def test_all_processes_end_with_the_exit_code_of_the_first(error: BaseException, code: int) -> None:
    assert exit_code(error) == code


@pytest.mark.children
def test_a_lost_process_is_named_and_the_others_are_ended() -> None:
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    children = (subprocess.Popen(command), subprocess.Popen(command))
    followers = Followers(children)
    assert followers.lost() == ""
    children[1].kill()
    assert followers.lost() == "process 2 was ended by SIGKILL"
    followers.end(patience_s=0.0)
    assert [child.returncode for child in children] == [-signal.SIGTERM, -signal.SIGKILL]
