"""Where a run's images are: in a folder, or in an archive, by paths that never lead out of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from regraft.runs.run_folder import RunFolder
from regraft.storage.files import sha256_of
from tests.data.archives.made import JPEG, PNG, tar_of, zip_of


class _Run(RunFolder):
    @property
    def data_root(self) -> str:
        return str(self.folder.parent / "photos.zip")


@pytest.fixture
def run(tmp_path: Path) -> _Run:
    (tmp_path / "photos.zip").write_bytes(zip_of(("cat/1.png", PNG), ("dog/2.jpg", JPEG)))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    rows = "".join(
        f"{name},{sha},train,x,g\n" for name, sha in (("cat/1.png", sha256_of(PNG)), ("dog/2.jpg", "0" * 64))
    )
    (tmp_path / "run" / "split.csv").write_text(f"path,sha256,side,label,group\n{rows}")
    return _Run(tmp_path / "run")


def test_an_image_in_an_archive_is_found(run: _Run) -> None:
    assert run.image("cat/1.png") == run.root / "cat/1.png"
    assert run.root.name == "photos.zip"


def test_an_image_whose_bytes_have_changed_is_not(run: _Run) -> None:
    assert run.file("dog/2.jpg") is not None
    assert run.image("dog/2.jpg") is None


@pytest.mark.parametrize("path", ["cat/3.png", "../run/run.json", "/etc/passwd", "cat", "cat/1.png/x"])
def test_other_paths_lead_nowhere(run: _Run, path: str) -> None:
    assert run.file(path) is None


def test_the_images_may_have_moved_to_another_archive(run: _Run, tmp_path: Path) -> None:
    (tmp_path / "moved.tar").write_bytes(tar_of(("cat/1.png", PNG)))
    moved = _Run(run.folder, tmp_path / "moved.tar")
    assert moved.image("cat/1.png") == tmp_path / "moved.tar" / "cat/1.png"
