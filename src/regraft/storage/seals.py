"""Text files that say whether anybody has edited them since they were written."""

from __future__ import annotations

from regraft.storage.files import sha256_of

_SEAL = "# Written by regraft; sha256 of the lines above: "


def sealed(text: str) -> str:
    """A text file with a last line by which `is_sealed` finds out whether anybody has edited it."""
    return f"{text}{_SEAL}{sha256_of(text.encode())}\n"


def is_sealed(data: bytes) -> bool:
    """Whether a file is as `sealed` made it.

    >>> is_sealed(sealed("a = 1").encode()), is_sealed(sealed("a = 1").encode().replace(b"1", b"2"))
    (True, False)
    """
    text, _, seal = data.decode("utf-8", "replace").rpartition(_SEAL)
    return bool(text) and seal.strip() == sha256_of(text.encode())


def has_seal(data: bytes) -> bool:
    """Whether a file was sealed once, edited or not."""
    return _SEAL.encode() in data
