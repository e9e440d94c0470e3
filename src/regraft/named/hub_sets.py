"""Data sets of the Hugging Face hub, `hf://datasets/OWNER/NAME`: their Parquet files, in the hub's cache."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regraft.errors import DataError, DownloadError
from regraft.networks.weights.hubs import offline_because
from regraft.progress import Reporter
from regraft.storage.tables import printable

_ADDRESS = re.compile(r"hf:/{1,2}datasets/(\w[\w.-]*/\w[\w.-]*?)(?:@([\w./-]+))?/?")
_FILES = ["*.parquet", "README.md"]


@dataclass(frozen=True)
class HubAddress:
    """A repository of the hub, at a revision."""

    name: str
    revision: str | None

    @property
    def text(self) -> str:
        """The address as people write it."""
        return f"hf://datasets/{self.name}" + (f"@{self.revision}" if self.revision else "")


def hub_address(text: str) -> HubAddress | None:
    """The repository that an address names; None for other texts.

    Raises:
        DataError: it begins like an address of the hub, and is none.

    >>> hub_address("hf://datasets/owner/flowers@main"), hub_address("photos")
    (HubAddress(name='owner/flowers', revision='main'), None)
    """
    if not text.startswith("hf:/"):
        return None
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise DataError(
            f"{printable(text)} is no data set of the hub; accepted are hf://datasets/OWNER/NAME and the "
            "same with a revision, hf://datasets/OWNER/NAME@REVISION"
        )
    return HubAddress(found[1], found[2])


def hub_folder(address: HubAddress) -> Path:
    """The folder of a data set that was downloaded before.

    Raises:
        DataError: it is not on this machine, or has no Parquet files.
    """
    try:
        return _usable(address, Path(_snapshot(address, is_local=True)))
    except DataError:
        raise
    except Exception as error:  # huggingface_hub raises many kinds for what is not there
        raise DataError(
            f"{address.text} is not on this machine; `regraft data {address.text}` downloads it"
        ) from error


def hub_download(address: HubAddress, *, offline: bool, reporter: Reporter) -> Path:
    """The folder of a data set, downloaded if it is not on this machine.

    Raises:
        DownloadError: it can't be downloaded; says why.
        DataError: it has no Parquet files.
    """
    forbidden = offline_because(offline)
    if forbidden:
        try:
            return hub_folder(address)
        except DataError as error:
            raise DownloadError(
                f"{forbidden} forbids the download of {address.text}: {error.with_flags}"
            ) from error
    try:
        from huggingface_hub import HfApi

        facts = HfApi().dataset_info(address.name, revision=address.revision, timeout=20)
        licence = getattr(facts.card_data, "license", None) or "none stated"
        reporter.note(f"{address.text} at {facts.sha}; licence: {licence} (its card on the hub)")
        folder = Path(_snapshot(address, is_local=False))
    except Exception as error:  # huggingface_hub raises many kinds for networks and permissions
        first = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise DownloadError(
            f"{address.text} can't be downloaded: {first}. Check the name and the connection; for a data set "
            "with an account, log in with `hf auth login`"
        ) from error
    return _usable(address, folder)


def _snapshot(address: HubAddress, *, is_local: bool) -> str:
    from huggingface_hub import snapshot_download

    options: dict[str, Any] = {"repo_type": "dataset", "revision": address.revision}
    return str(snapshot_download(address.name, allow_patterns=_FILES, local_files_only=is_local, **options))


def _usable(address: HubAddress, folder: Path) -> Path:
    if not any(folder.rglob("*.parquet")):
        raise DataError(
            f"{address.text} has no Parquet files; try its converted revision, "
            f"hf://datasets/{address.name}@refs/convert/parquet, or download its files by hand"
        )
    return folder
