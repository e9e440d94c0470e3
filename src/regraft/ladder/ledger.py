"""What a ladder decided by the clock, kept so that the same command decides the same again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from regraft import storage
from regraft.errors import StorageError


class Ledger:
    """Rungs with their predicted and measured times, by name.

    A climb depends on time twice: how long rungs took, and what is predicted of the next. Both are written
    here as they become known; a later run with the same key reads them instead of measuring, and so takes
    the same turns.

    Args:
        key: of everything else that the climb depends on.
        folder: where ledgers are kept; None means the cache.
    """

    def __init__(self, key: str, folder: Path | None = None) -> None:
        self._path = (folder or storage.cache_folder() / "ladders") / f"{key[:24]}.json"
        try:
            self._entries: dict[str, dict[str, Any]] = dict(storage.read_json(self._path))
        except (StorageError, TypeError, ValueError):
            self._entries = {}

    def recall(self, rung: str, what: str) -> Any:
        """What was noted of a rung, or None."""
        return self._entries.get(rung, {}).get(what)

    def note(self, rung: str, **facts: Any) -> None:
        """Keep facts of a rung."""
        self._entries[rung] = {**self._entries.get(rung, {}), **facts}
        storage.write_json(self._path, self._entries)
