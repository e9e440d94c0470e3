"""What courses and papers advise from size and similarity alone: a table, to be overruled by measurement.

The four cells are those of Stanford's CS231n notes ("Transfer learning", 2016), which follow Yosinski et
al. 2014 and Razavian et al. 2014; going through an intermediate task is Tan et al. 2015. What counts as
large is a matter of scale: BiT-HyperRule (Kolesnikov et al. 2020, section 3.3) calls up to 20,000 images
small, and trains 500 steps on them. Regraft draws the line where, by its own measurements (docs/choosing.md),
training begins to pay at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from regraft.advice.similarity import Word
from regraft.records import Strategy

Size = Literal["small", "large"]
LARGE_FROM = 1_000
"""Training images. Below it training seldom gained on the solved heads in our measurements."""


@dataclass(frozen=True)
class Cell:
    """What the field advises in one case."""

    size: Size
    is_similar: bool
    advice: str
    strategy: Strategy
    cut: str | None
    because: str


TABLE = (
    Cell("small", True, "frozen network, new linear classifier", "probe", None,
         "its last features fit already, and few images would only overfit more"),
    Cell("small", False, "SVM on an intermediate stage", "svm", None,
         "late stages are too special to the source, and there is too little to train them"),
    Cell("large", True, "fine-tune with a small learning rate", "last-blocks", "50%",
         "there is enough to train on without losing what fits"),
    Cell("large", False, "fine-tune everything; huge: from scratch, or by an intermediate task", "full", None,
         "late stages must change, and there is enough to change them"),
)  # fmt: skip


def size_of(images: int) -> Size:
    """Whether so many training images are small or large.

    >>> size_of(300), size_of(2_000)
    ('small', 'large')
    """
    return "large" if images >= LARGE_FROM else "small"


def advised(images: int, word: Word) -> Cell:
    """The table's cell; middling similarity counts as similar, as the nearest data that the table knows.

    >>> advised(300, "dissimilar").strategy
    'svm'
    """
    size, is_similar = size_of(images), word != "dissimilar"
    return next(cell for cell in TABLE if cell.size == size and cell.is_similar == is_similar)
