"""What was noticed about a run's data, as its page shows it: groups of findings with small pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regraft.explanation.pictures import Pictures

_THUMB_PX, _THUMBS = 112, 240
_EXAMPLES = 6
_MESSAGES = 10


@dataclass(frozen=True)
class Noticed:
    """Findings about the data with the same kind and message."""

    kind: str
    message: str
    count: int
    examples: list[tuple[list[str], str, str]]
    """Paths of each example, with pictures of the first two."""


class Thumbnails:
    """Small pictures of a run's images, each made once, up to the number that fits on the page."""

    def __init__(self, pictures: Pictures, most: int = _THUMBS) -> None:
        self._pictures, self._most = pictures, most
        self._made: dict[str, str] = {}

    def of(self, path: str) -> str:
        """A `data:` address; empty if the file can't be read or the page is full."""
        if path not in self._made:
            is_full = len(self._made) >= self._most
            self._made[path] = "" if is_full else self._pictures.thumbnail(path, _THUMB_PX)
        return self._made[path]


def noticed(rows: Sequence[dict[str, str]], thumbnails: Thumbnails) -> list[Noticed]:
    """Findings grouped by kind and message, with a few pairs of images; of many messages one is shown."""
    together: dict[tuple[str, str], list[list[str]]] = {}
    messages: dict[str, dict[str, None]] = {}  # in the order in which they were found
    for row in rows:
        messages.setdefault(row["kind"], {})[row["message"]] = None
    for row in rows:
        paths = [path for path in row["paths"].split(" | ") if path]
        message = row["message"]
        if len(messages[row["kind"]]) > _MESSAGES:  # one for each of very many classes, for example
            message = f"for example {next(iter(messages[row['kind']]))}"
        together.setdefault((row["kind"], message), []).append(paths)
    found = []
    for (kind, message), several in together.items():
        examples = [
            (paths, thumbnails.of(paths[0]), thumbnails.of(paths[1]) if len(paths) > 1 else "")
            for paths in several[:_EXAMPLES]
            if paths
        ]
        found.append(Noticed(kind, message, len(several), examples))
    return found
