"""The advice of courses and papers, by size and similarity of the data only; measurements overrule it.

The four cells are those of Stanford's CS231n notes ("Transfer learning", 2016), which follow Yosinski et
al. 2014 and Razavian et al. 2014; training on an intermediate task first is from Tan et al. 2015. What
counts as large differs: BiT-HyperRule (Kolesnikov et al. 2020, section 3.3) calls up to 20,000 images small,
and trains 500 steps on them. Regraft draws the line where, in its own measurements (docs/choosing.md),
training begins to be better than a solved head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from regraft.advice.similarity import Word
from regraft.records import Strategy

Size = Literal["small", "large"]
LARGE_FROM = 1_000
"""Number of training images; with fewer, training was seldom better than solved heads in our measurements."""


@dataclass(frozen=True)
class Cell:
    """The usual advice for one combination of size and similarity."""

    size: Size
    is_similar: bool
    advice: str
    strategy: Strategy
    cut: str | None
    because: str


TABLE = (
    Cell("small", True, "frozen network, new linear classifier", "probe", None,
         "the last features already fit, and training on few images would overfit"),
    Cell("small", False, "SVM on an intermediate stage", "svm", None,
         "late stages are too specific to the source data, and there are too few images to train them"),
    Cell("large", True, "fine-tune with a small learning rate", "last-blocks", "50%",
         "there are enough images to adapt the network without losing what already fits"),
    Cell("large", False,
         "fine-tune everything; with very many images, train from scratch or on an intermediate task first",
         "full", None, "late stages must change, and there are enough images to change them"),
)  # fmt: skip


def size_of(images: int) -> Size:
    """Whether a number of training images counts as small or large.

    >>> size_of(300), size_of(2_000)
    ('small', 'large')
    """
    return "large" if images >= LARGE_FROM else "small"


def advised(images: int, word: Word) -> Cell:
    """The advice of the table; it has no middling similarity, which counts as similar.

    >>> advised(300, "dissimilar").strategy
    'svm'
    """
    size, is_similar = size_of(images), word != "dissimilar"
    return next(cell for cell in TABLE if cell.size == size and cell.is_similar == is_similar)
