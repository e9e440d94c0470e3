"""Every error that Regraft raises for its users, as one tree.

    RegraftError
    ├── SettingsError               a flag, argument or settings file that is invalid
    ├── DataError                   a folder or table that can't be used as it is
    │   ├── NoImagesError
    │   ├── TooManyBadFilesError
    │   └── ImageError              one unusable file; listed in skipped.csv, never stops a run
    ├── NetworkError                a network that can't be built, staged or cut
    │   ├── NoMapsError             a network without the maps that a detector reads
    │   ├── UnknownNetworkError
    │   └── WeightsError            weights that are missing, ambiguous or refused
    │       ├── WeightsNotFoundError
    │       ├── DownloadError       a server that doesn't answer, refuses, or sends something else
    │       └── LicenceError        weights whose licence has not been accepted yet
    ├── StorageError                a file or folder that can't be written or read
    │   └── DiskFullError
    ├── ExecutionError              work that other processes can't be given
    │   └── MachineError            a machine that would compute other bits than was agreed on
    ├── BundleError                 a saved model that can't be loaded
    ├── ServerError                 a server that can't be started
    ├── GroupError                  processes that train together and lost each other, or differ
    └── ExportError                 an exported model whose predictions differ from the model's

Each message says what was wrong (with the value), what is accepted and what to do. Messages are written with
the flags of the command line; an error that is shown in Python names the same settings as Python does.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_COMMAND = re.compile(r"(`[^`]*`)")
# A flag, but not a part of a path or of a longer word.
_FLAG = re.compile(r"(?<![\w./'\"-])--([a-z][a-z0-9]*(?:-[a-z0-9]+)*)(?![\w/=-]|\.\w)")
_OTHER_NAMES = {"from": "from_run", "license": "licence"}


class RegraftError(Exception):
    """Base class of all errors meant for the user: printed without a traceback, exit code 1.

    >>> error = RegraftError("raise --max-bad-share, or run `regraft check --out problems.csv`")
    >>> print(error)
    raise max_bad_share, or run `regraft check --out problems.csv`
    >>> print(error.with_flags)
    raise --max-bad-share, or run `regraft check --out problems.csv`
    """

    @property
    def with_flags(self) -> str:
        """The message for the command line, where settings are flags."""
        return super().__str__()

    def __str__(self) -> str:
        return settings_for_flags(self.with_flags)


class SettingsError(RegraftError):
    """A flag, argument or settings file that is invalid. Exit code 2."""


class DataError(RegraftError):
    """A folder or table of images that can't be used as it is."""


class NoImagesError(DataError):
    """No images were found."""


class TooManyBadFilesError(DataError):
    """More files were unreadable than the setting allows."""


class ImageError(DataError):
    """One image that can't be used; the message is the reason in skipped.csv."""


class NetworkError(RegraftError):
    """A network that can't be built, staged or cut as asked."""


class NoMapsError(NetworkError):
    """A network without the maps that a detector reads."""


class UnknownNetworkError(NetworkError):
    """No network of that name is registered."""


class WeightsError(NetworkError):
    """Weights that were refused: wrong format, wrong shapes, a recipe that isn't allowed."""


class WeightsNotFoundError(WeightsError):
    """No weights for this network were found in any of the places that were searched."""


class DownloadError(WeightsError):
    """Weights that could not be downloaded: no connection, no permission, no such file, a wrong hash."""


class LicenceError(WeightsError):
    """Weights whose licence forbids commercial use and has not been accepted."""


class StorageError(RegraftError):
    """A file or folder that can't be written or read back."""


class DiskFullError(StorageError):
    """No space is left for a file; an older file of that name is unchanged."""


class ExecutionError(RegraftError):
    """Work that other processes can't be given, for example because they can't be started."""


class MachineError(ExecutionError):
    """A machine whose results would have other bits than those of the machine that began the work."""


class ExportError(RegraftError):
    """An exported model whose predictions differ from those of the model."""


class BundleError(RegraftError):
    """A saved model that can't be loaded."""


class ServerError(RegraftError):
    """A server that can't be started, for example because another program uses its port."""


class GroupError(RegraftError):
    """Processes that train one model together and can't go on: one was lost, or their weights differ."""


def settings_for_flags(message: str) -> str:
    """The message with the names that Python has for settings; commands between backticks keep their flags.

    >>> settings_for_flags("--from runs/a needs no --network; see `regraft fit --help`")
    'from_run runs/a needs no network; see `regraft fit --help`'
    """
    parts = _COMMAND.split(message)
    return "".join(
        part if part.startswith("`") else _FLAG.sub(lambda found: _setting(found[1]), part) for part in parts
    )


def _setting(flag: str) -> str:
    return _OTHER_NAMES.get(flag, flag.replace("-", "_"))


def close_names(name: str, known: Iterable[str]) -> str:
    """Suggest the closest known names, as `" (did you mean a, b?)"`, or return an empty string.

    >>> close_names("resnet5", ["resnet50", "vgg16"])
    ' (did you mean resnet50?)'
    """
    close = difflib.get_close_matches(name, list(dict.fromkeys(known)), n=3, cutoff=0.6)
    return f" (did you mean {', '.join(close)}?)" if close else ""


def words_of(error: BaseException, most: int = 200) -> str:
    r"""What an error of a library says, as at most this many characters on one line; never empty.

    >>> words_of(ValueError("bad\n  header")), words_of(ValueError())
    ('bad header', 'ValueError')
    """
    return " ".join(str(error).split())[:most] or type(error).__name__
