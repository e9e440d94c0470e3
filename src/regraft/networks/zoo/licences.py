"""What the licence of pretrained weights allows, as far as its name says, and whether it was accepted."""

from __future__ import annotations

from regraft.errors import LicenceError
from regraft.progress import Reporter
from regraft.records import WeightsSource
from regraft.storage.files import make_folder, read_json, write_json
from regraft.storage.places import settings_folder

# Parts of licence names as written by SPDX and the model hubs, in lower case.
_PERMISSIVE = (
    "apache", "mit", "bsd", "cc-by-4.0", "cc-by-sa", "cc0", "isc", "unlicense", "openrail", "none needed",
    "public domain", "own weights",
)  # fmt: skip
_NON_COMMERCIAL = (
    "-nc", "noncommercial", "non-commercial", "research", "academic", "scientific fair use",
    "apple-amlr", "seer-license",
)  # fmt: skip


def allows_commerce(licence: str) -> bool:
    """Whether a licence is known to allow commercial use; False for unknown licences.

    >>> allows_commerce("apache-2.0"), allows_commerce("cc-by-nc-4.0"), allows_commerce("unknown")
    (True, False, False)
    """
    text = licence.lower()
    return not forbids_commerce(text) and any(name in text for name in _PERMISSIVE)


def forbids_commerce(licence: str) -> bool:
    """Whether a licence is known to forbid commercial use; False for unknown licences.

    >>> forbids_commerce("CC-BY-NC 4.0"), forbids_commerce("mit"), forbids_commerce("unknown")
    (True, False, False)
    """
    return any(name in licence.lower() for name in _NON_COMMERCIAL)


def check_licence(source: WeightsSource, *, is_accepted: bool, reporter: Reporter) -> None:
    """Report the licence of weights; one that forbids commercial use must be accepted once.

    Raises:
        LicenceError: the licence forbids commercial use and was not accepted.
    """
    licence = source.licence
    reporter.note(f"weights: {source.where}; licence: {licence}")
    if not forbids_commerce(licence):
        return
    if not accept(licence, is_accepted=is_accepted, reporter=reporter):
        raise LicenceError(
            f"the licence of these weights ({source.where}) is {licence}: not for commercial use, which also "
            "applies to models trained from them. Accept it once with --accept-license, or choose another "
            "network: `regraft zoo --license commercial` lists those without this restriction"
        )


def accept(licence: str, *, is_accepted: bool, reporter: Reporter) -> bool:
    """Whether a licence was accepted before, or is now, which is recorded."""
    path = settings_folder() / "accepted-licences.json"
    accepted = read_json(path) if path.exists() else []
    if licence in accepted:
        return True
    if is_accepted:
        make_folder(path.parent)
        write_json(path, sorted({*accepted, licence}))
        reporter.note(f"you accepted the licence {licence}; this is recorded in {path}")
    return is_accepted
