"""The times by which a ladder decided, kept so that the same command decides the same again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from regraft.errors import StorageError
from regraft.storage.files import read_json, write_json
from regraft.storage.places import cache_folder


class Ledger:
    """Rungs with their predicted and measured times, by name.

    A ladder depends on the time that rungs took and on the time predicted for the next one. Both are recorded
    here as soon as they are known. A later run with the same key reads them instead of measuring, and so
    makes the same decisions.

    Args:
        key: hash of everything else that the ladder depends on.
        folder: folder of the ledgers; None means the cache.
    """

    def __init__(self, key: str, folder: Path | None = None) -> None:
        self._path = (folder or cache_folder() / "ladders") / f"{key[:24]}.json"
        try:
            self._entries: dict[str, dict[str, Any]] = dict(read_json(self._path))
        except (StorageError, TypeError, ValueError):
            self._entries = {}

    def recall(self, rung: str, what: str) -> Any:
        """A recorded fact about a rung; None if there is none."""
        return self._entries.get(rung, {}).get(what)

    def note(self, rung: str, **facts: Any) -> None:
        """Record facts about a rung."""
        self._entries[rung] = {**self._entries.get(rung, {}), **facts}
        write_json(self._path, self._entries)
