from __future__ import annotations

import threading
from pathlib import Path

from regraft.errors import SettingsError
from regraft.progress import Silent
from regraft.runs.folders import writing_alone
from regraft.storage.files import write_json


class Listener(Silent):
    """Keeps what it is told, and sets an event when it is told something."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.heard = threading.Event()

    def note(self, text: str) -> None:
        self.notes.append(text)
        self.heard.set()


class Second(threading.Thread):
    """Another fit that wants to write into the same folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder, self.listener = folder, Listener()
        self.is_first_done = False
        self.saw_it_done: bool | None = None
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            with writing_alone(self.folder, {"seed": 0}, self.listener, overwrite=False):
                self.saw_it_done = self.is_first_done
        except SettingsError as error:
            self.error = error


def beside(folder: Path, left: dict[str, object] | None = None) -> Second:
    """A second fit that begins while a first one writes; `left` is what the first leaves in `run.json`."""
    second = Second(folder)
    with writing_alone(folder, {"seed": 0}, Silent(), overwrite=False):
        second.start()
        assert second.listener.heard.wait(timeout=60)
        if left is not None:
            (folder / "log.jsonl").write_text('{"kind": "started", "command": []}\n')
            write_json(folder / "run.json", left)
        second.is_first_done = True
    second.join(timeout=60)
    return second


def test_a_second_fit_waits_until_the_first_has_written_its_run(tmp_path: Path) -> None:
    second = beside(tmp_path / "run", {"settings": {"seed": 0}})
    assert second.saw_it_done is True
    assert "another process is writing a run to" in second.listener.notes[0]
    assert not (tmp_path / "run" / ".lock").exists()


def test_a_run_of_other_settings_is_not_replaced_after_the_wait(tmp_path: Path) -> None:
    second = beside(tmp_path / "run", {"settings": {"seed": 1}})
    assert second.saw_it_done is None
    assert "already holds a run with other settings" in str(second.error)


def test_a_fit_alone_does_not_wait(tmp_path: Path) -> None:
    listener = Listener()
    with writing_alone(tmp_path / "run", {}, listener, overwrite=False):
        pass
    with writing_alone(None, {}, listener, overwrite=False) as waited_s:
        assert waited_s == 0
    assert listener.notes == []
