from __future__ import annotations

from regraft.lab.bench.sets import digits
from regraft.lab.experiments.practice.accumulation import (
    PARTS,
    PARTS_FROZEN,
    WHOLE,
    WHOLE_FROZEN,
    distance,
    run,
)


def apart(arm: str, other: str) -> float:
    """How far two trainings end from each other, as a share of the way."""
    train, _ = digits().sample(0, per_class=26, test=1)
    one, two = (run(name, train, 10, epochs=2, seed=0) for name in (arm, other))
    return distance(one, two)


def test_four_batches_of_64_are_one_of_256_if_statistics_are_frozen() -> None:
    """float32 has 24 bits; sums in another order differ in the last few of them."""
    assert apart(PARTS_FROZEN, WHOLE_FROZEN) < 2**-15


def test_four_batches_of_64_are_not_one_of_256_with_the_statistics_of_batches() -> None:
    assert apart(PARTS, WHOLE) > 0.01


def test_the_same_training_ends_with_the_same_bits() -> None:
    assert apart(WHOLE, WHOLE) == 0.0
