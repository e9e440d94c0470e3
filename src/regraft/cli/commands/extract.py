"""The command `regraft extract`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from regraft.cli.terminal.console import make_reporter, show_json
from regraft.cli.terminal.parameters import DATA, DataFlags, Switch
from regraft.extraction_settings import ExtractionSettings

if TYPE_CHECKING:
    from regraft.jobs.extract import Extracted

ExtractionFlags = Annotated[ExtractionSettings, Parameter(name="*", negative_iterable=())]
_EXTRACTION = ExtractionSettings()
_OF_FEATURES = (
    "weights", "stages", "channels", "image_size", "framing", "average", "precision", "runtime", "device",
)  # fmt: skip


def extract(
    data: str,
    /,
    *,
    settings: ExtractionFlags = _EXTRACTION,
    data_settings: DataFlags = DATA,
    json: Switch = False,
) -> int:
    """Compute the features of your images and keep them in the cache, before anything is fitted.

    These are the features that fit with the same network computes first, after all stages; a fit that finds
    them begins with its first model. Several processes, also on several machines, share the work if they
    share a cache ($REGRAFT_CACHE): start one for each --part. Each computes its own part, then what others
    have left over, so all images are done when one of them ends. The same command resumes after an
    interruption. Machines whose features would differ are refused.

    ```
    regraft extract photos/ --network resnet50
    regraft extract photos/ --network resnet50 --part 3/16
    regraft extract photos/ --network resnet50 --part 3/16 --part-only
    regraft extract photos/ --network resnet50 --executor ray
    ```

    Args:
        data: The images, as in fit.
        settings: Which features are computed, by whom, and which part of them.
        data_settings: How images are found and read.
        json: Print JSON lines instead of text and bars.
    """
    from regraft.named.sets import check_here

    check_here(data, data_settings.data_root)
    from regraft.jobs.extract import extract as verb

    found = verb(data, settings, data=data_settings, reporter=make_reporter(json_lines=json))
    if json:
        show_json(
            {
                "network": found.network,
                "images": found.images,
                "rows": found.rows,
                "part": settings.part if found.part else None,
                "skipped": len(found.skipped),
                "folder": str(found.folder),
            }
        )
    else:
        _show(found, data, settings)
    return 0


def _show(found: Extracted, data: str, settings: ExtractionSettings) -> None:
    what = f"part {settings.part}" if found.part else data
    print(
        f"features of {found.network} for {found.rows:,} different images of {what} are in the cache, in "
        f"{found.folder}"
    )
    if found.skipped:
        first = found.skipped[0]
        print(f"{len(found.skipped):,} images can't be used, for example {first.path}: {first.reason}")
    if found.part:
        print("when all parts are done: regraft cache merge FOLDER ... with the caches of the other parts")
        return
    print(f"next: regraft fit {shlex.quote(data)} {_flags(settings, found.network)}")


def _flags(settings: ExtractionSettings, network: str) -> str:
    """The flags by which a fit finds these features."""
    usual, flags = ExtractionSettings(), [f"--network {network}"]
    for name in _OF_FEATURES:
        value = getattr(settings, name)
        if value != getattr(usual, name):
            flags.append(f"--{name.replace('_', '-')} {shlex.quote(str(value))}")
    return " ".join(flags)
