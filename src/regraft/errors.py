"""Every error that Regraft raises for its users, as one tree.

    RegraftError
    ├── SettingsError               a flag, argument or settings file that can't be obeyed
    ├── DataError                   a folder or table that can't be used as it is
    │   ├── NoImagesError
    │   ├── TooManyBadFilesError
    │   └── ImageError              one file; never stops a run, ends in skipped.csv
    ├── NetworkError                a network that can't be built, staged or cut
    │   ├── UnknownNetworkError
    │   └── WeightsError            weights that are missing, ambiguous or refused
    │       ├── WeightsNotFoundError
    │       ├── DownloadError       a server that doesn't answer, refuses, or sends something else
    │       └── LicenceError        weights whose licence somebody must say yes to
    ├── StorageError                a disk that is full, read-only or holds something else
    │   └── DiskFullError
    ├── BundleError                 a saved model that can't be loaded
    └── ExportError                 an exported model whose answers differ

Each message says what was wrong (with the value), what is accepted and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RegraftError(Exception):
    """Base of all errors meant for the user: printed without a traceback, exit code 1."""


class SettingsError(RegraftError):
    """A flag, argument or settings file that can't be obeyed. Exit code 2."""


class DataError(RegraftError):
    """A folder or table of images that can't be used as it is."""


class NoImagesError(DataError):
    """Nothing to work on was found."""


class TooManyBadFilesError(DataError):
    """More files were unreadable than the setting allows."""


class ImageError(DataError):
    """One image that can't be used; the message is the reason that goes to skipped.csv."""


class NetworkError(RegraftError):
    """A network that can't be built, staged or cut as asked."""


class UnknownNetworkError(NetworkError):
    """No network of that name is registered."""


class WeightsError(NetworkError):
    """Weights that were refused: wrong format, wrong shapes, a recipe that isn't allowed."""


class WeightsNotFoundError(WeightsError):
    """No weights for this network in any of the places that were looked at."""


class DownloadError(WeightsError):
    """Weights that could not be downloaded: no connection, no permission, no such file, a wrong hash."""


class LicenceError(WeightsError):
    """Weights whose licence forbids commercial use, to which nobody has said yes."""


class StorageError(RegraftError):
    """A file or folder that can't be written or read back."""


class DiskFullError(StorageError):
    """No space left for a file; what was there before is unharmed."""


class ExportError(RegraftError):
    """An exported model that does not say what the model says."""


class BundleError(RegraftError):
    """A saved model that can't be loaded."""


def close_names(name: str, known: Iterable[str]) -> str:
    """`" (did you mean a, b?)"` for the closest known names, or an empty string.

    >>> close_names("resnet5", ["resnet50", "vgg16"])
    ' (did you mean resnet50?)'
    """
    close = difflib.get_close_matches(name, list(dict.fromkeys(known)), n=3, cutoff=0.6)
    return f" (did you mean {', '.join(close)}?)" if close else ""
