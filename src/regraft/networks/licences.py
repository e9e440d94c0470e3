"""What the licence of pretrained weights allows, as far as its name says."""

from __future__ import annotations

# Names as SPDX and the model hubs write them, in lower case.
_PERMISSIVE = (
    "apache", "mit", "bsd", "cc-by-4.0", "cc-by-sa", "cc0", "isc", "unlicense", "openrail", "none needed",
    "public domain", "own weights",
)  # fmt: skip
_NON_COMMERCIAL = (
    "-nc", "noncommercial", "non-commercial", "research", "academic", "fair-noncommercial", "cc-by-nc",
    "dinov3", "apple-amlr", "fair",
)  # fmt: skip


def allows_commerce(licence: str) -> bool:
    """Whether a licence is known to allow commercial use; an unknown one is not.

    >>> allows_commerce("apache-2.0"), allows_commerce("cc-by-nc-4.0"), allows_commerce("unknown")
    (True, False, False)
    """
    text = licence.lower()
    return not forbids_commerce(text) and any(name in text for name in _PERMISSIVE)


def forbids_commerce(licence: str) -> bool:
    """Whether a licence says that it is not for commercial use.

    >>> forbids_commerce("CC-BY-NC 4.0"), forbids_commerce("mit"), forbids_commerce("unknown")
    (True, False, False)
    """
    return any(name in licence.lower() for name in _NON_COMMERCIAL)
